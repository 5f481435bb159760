import sodium from 'sodium-native';
import { encodeOnionFrame, type OnionCipher } from '../../src/codec/onion-frame.js';
import { encodeOnionV4Request, parseOnionV4Reply, type OnionV4Reply } from '../../src/codec/onion-v4.js';
import { sealOnionRequest } from '../../src/crypto/onion.js';
import { createRandomBytes } from '../../src/crypto/sodium.js';

/**
 * A Session client as far as a push server can see it: accounts, signatures, request bodies as iOS and Android build
 * them, onion requests, and the decoding of pushes with the rules of each platform.
 * Source: spec session-push-v2, sections 6, 11 and 16; onion-requests, sections 2 to 4.
 */
const randomBytes = createRandomBytes();

/** An Ed25519 key pair that signs. */
export class SigningKey {
  readonly publicKey = Buffer.alloc(32);
  readonly #secretKey = Buffer.alloc(64);

  constructor(readonly seed: Buffer = Buffer.from(randomBytes(32))) {
    sodium.crypto_sign_seed_keypair(this.publicKey, this.#secretKey, seed);
  }

  sign(message: Buffer | string): Buffer {
    const signature = Buffer.alloc(64);
    sodium.crypto_sign_detached(signature, Buffer.from(message), this.#secretKey);
    return signature;
  }
}

export interface Member {
  readonly key: SigningKey;
  /** 36 bytes. */
  readonly tag: Buffer;
  /** 64 bytes, by the group's key. */
  readonly tagSignature: Buffer;
}

export class SessionAccount {
  /** 33 bytes. */
  readonly id: Buffer;

  private constructor(
    readonly kind: 'user' | 'group',
    readonly key: SigningKey,
    prefix: number,
  ) {
    const body = Buffer.alloc(32);
    if (kind === 'user') sodium.crypto_sign_ed25519_pk_to_curve25519(body, key.publicKey);
    else key.publicKey.copy(body);
    this.id = Buffer.concat([Buffer.from([prefix]), body]);
  }

  /** `prefix`: 05 in Session's network, bd in Beldex's. */
  static user(seed?: Buffer, prefix = 0x05): SessionAccount {
    return new SessionAccount('user', new SigningKey(seed), prefix);
  }

  static group(seed?: Buffer): SessionAccount {
    return new SessionAccount('group', new SigningKey(seed), 0x03);
  }

  get hex(): string {
    return this.id.toString('hex');
  }

  /** Read (1) and write (2) rights by default, prefix of the account. */
  member(key = new SigningKey(), flags = 3, prefix = this.id[0] ?? 0): Member {
    const tag = Buffer.concat([Buffer.from([prefix, flags, 0, 0]), key.publicKey]);
    return { key, tag, tagSignature: this.key.sign(tag) };
  }
}

export type Platform = 'ios' | 'android';

/** One installation: its push token, its payload key, and how it writes its requests. */
export class SessionDevice {
  readonly service: string;

  constructor(
    readonly platform: Platform,
    readonly token: string = platform === 'ios' ? randomBytes(32).toString('hex') : androidToken(),
    readonly encryptionKey: Buffer = Buffer.from(randomBytes(32)),
    service?: string,
  ) {
    this.service = service ?? (platform === 'ios' ? 'apns' : 'firebase');
  }

  /** Session's namespaces unless told otherwise. `signedAtSeconds`: unix seconds. */
  subscription(
    account: SessionAccount,
    signedAtSeconds: number,
    options: {
      readonly namespaces?: readonly number[];
      readonly data?: boolean;
      readonly member?: Member;
    } = {},
  ): Record<string, unknown> {
    const namespaces = options.namespaces ?? this.#namespaces(account);
    const data = options.data ?? true;
    const text = `MONITOR${account.hex}${signedAtSeconds}${data ? 1 : 0}${namespaces.join(',')}`;
    return {
      namespaces,
      data,
      enc_key: this.encryptionKey.toString('hex'),
      ...this.#signed(account, signedAtSeconds, text, options.member),
    };
  }

  unsubscription(account: SessionAccount, signedAtSeconds: number, member?: Member): Record<string, unknown> {
    return this.#signed(account, signedAtSeconds, `UNSUBSCRIBE${account.hex}${signedAtSeconds}`, member);
  }

  /** iOS sends one as an object, Android always an array. */
  body(requests: readonly Record<string, unknown>[]): Buffer {
    const [only] = requests;
    const single = this.platform === 'ios' && requests.length === 1;
    return Buffer.from(JSON.stringify(single ? only : requests));
  }

  #namespaces(account: SessionAccount): readonly number[] {
    if (account.kind === 'group') return [-11, 11, 12, 13, 14];
    return this.platform === 'ios' ? [0, 2, 3, 4, 5] : [0];
  }

  #signed(
    account: SessionAccount,
    signedAtSeconds: number,
    text: string,
    member: Member | undefined,
  ): Record<string, unknown> {
    return {
      pubkey: account.hex,
      ...(account.kind === 'user' ? { session_ed25519: account.key.publicKey.toString('hex') } : {}),
      ...(member === undefined
        ? {}
        : {
            subaccount: member.tag.toString(this.platform === 'ios' ? 'hex' : 'base64'),
            subaccount_sig: member.tagSignature.toString('base64'),
          }),
      sig_ts: signedAtSeconds,
      signature: (member?.key ?? account.key).sign(text).toString('base64'),
      service: this.service,
      service_info: { token: this.token },
    };
  }
}

const androidToken = (): string =>
  `${randomBytes(16).toString('base64url')}:APA91b${randomBytes(100).toString('base64url')}`;

export interface OnionCall {
  /** The body for POST /oxen/v4/lsrpc. */
  readonly frame: Buffer;
  /** null when the answer is not for this call. */
  open(answer: Buffer): OnionV4Reply | null;
}

/**
 * The innermost layer of an onion request, as the last node posts it. AES-GCM goes without `enc_type` and
 * XChaCha20 with it, as the clients do.
 */
export function onionCall(
  serverKey: Buffer,
  cipher: OnionCipher,
  request: { readonly method?: string; readonly endpoint: string; readonly body?: Buffer | null },
): OnionCall {
  const text = encodeOnionV4Request(
    {
      method: request.method ?? 'POST',
      endpoint: request.endpoint,
      headers: { 'Content-Type': 'application/json' },
    },
    request.body ?? null,
  );
  return onionCallOfText(serverKey, cipher, text);
}

export function onionCallOfText(serverKey: Buffer, cipher: OnionCipher, text: Buffer): OnionCall {
  const exchange = sealOnionRequest(cipher, 'LOKI', serverKey, text, randomBytes);
  const frame = encodeOnionFrame(
    exchange.ciphertext,
    exchange.ephemeralKey,
    cipher === 'aes-gcm' ? null : cipher,
    { host: 'push.example.org', target: '/oxen/v4/lsrpc', method: 'POST', protocol: 'https', port: 443 },
  );
  return {
    frame,
    open(answer) {
      const text = exchange.openReply(answer);
      return text === null ? null : parseOnionV4Reply(text);
    },
  };
}

/** Posts one onion request and reads the inner reply; throws when the outer answer is no reply to it. */
export async function postOnion(
  serverUrl: string,
  serverKey: Buffer,
  cipher: OnionCipher,
  endpoint: string,
  body: Buffer,
): Promise<{ readonly code: number; readonly json: unknown }> {
  const call = onionCall(serverKey, cipher, { endpoint, body });
  const answer = await fetch(`${serverUrl}/oxen/v4/lsrpc`, {
    method: 'POST',
    headers: { 'content-type': 'application/octet-stream', 'user-agent': 'Oxen Storage Server/2.8.0' },
    body: new Uint8Array(call.frame),
  });
  const bytes = Buffer.from(await answer.arrayBuffer());
  const reply = call.open(bytes);
  if (reply === null) throw new Error(`the onion request was answered by HTTP ${answer.status}`);
  return { code: reply.code, json: JSON.parse(reply.body.toString('utf8')) };
}
