import { encodeOnionFrame, type OnionCipher, type OnionVersion } from '../../src/codec/onion-frame.js';
import { encodeOnionV2Request, parseOnionV2Answer, parseOnionV2Reply } from '../../src/codec/onion-v2.js';
import { encodeOnionV4Request, parseOnionV4Reply } from '../../src/codec/onion-v4.js';
import { sealOnionRequest } from '../../src/crypto/onion.js';
import { createRandomBytes } from '../../src/crypto/sodium.js';
import type { Brand } from '../../src/legacy/brand.js';

/**
 * An app of the older protocol as far as a push server can see it: requests as iOS, Android and desktop write them, in
 * onion requests of version 2 or 4 as the last node posts them, and replies read as strictly as those apps do.
 * Source: spec session-push-v1, sections 2, 3 and 9; bchat-push, 3.3; onion-requests.
 */
const randomBytes = createRandomBytes();

export type LegacyArguments = Readonly<Record<string, unknown>>;
export type LegacyPlatform = 'ios' | 'android' | 'desktop';
/** Where a brand's clients send to. */
export type LegacyDoor = Pick<Brand, 'v2Path' | 'v4Path' | 'salt'>;

export interface LegacyAnswer {
  /** Version 2: `status`; version 4: `code` of the metadata. */
  readonly status: number;
  readonly body: { readonly code: 0 | 1; readonly message: string };
}

export interface LegacyCall {
  readonly path: string;
  /** The body of the POST. */
  readonly frame: Buffer;
  /** null when the HTTP answer's body is no reply to this call, or not of the form that the apps understand. */
  open(answer: Buffer): LegacyAnswer | null;
}

export interface LegacyClientOptions {
  /** Which way the app goes: v2 all of them, v4 iOS of 2023 and 2024. */
  readonly version?: OnionVersion;
  /** Default: AES-GCM without naming it on v2, XChaCha20 on v4, as the apps do. */
  readonly cipher?: OnionCipher;
  readonly platform?: LegacyPlatform;
  /** What the last node names as the host; default: that of the address. */
  readonly host?: string;
}

export class LegacyClient {
  readonly #version: OnionVersion;
  readonly #cipher: OnionCipher;
  readonly #platform: LegacyPlatform;
  readonly #host: string | undefined;

  constructor(
    readonly serverUrl: string,
    /** The one that the app was built with. */
    readonly serverKey: Buffer,
    readonly door: LegacyDoor,
    options: LegacyClientOptions = {},
  ) {
    this.#version = options.version ?? 'v2';
    this.#cipher = options.cipher ?? (this.#version === 'v2' ? 'aes-gcm' : 'xchacha20');
    this.#platform = options.platform ?? (this.#version === 'v2' ? 'android' : 'ios');
    this.#host = options.host;
  }

  register(token: string, pubKey: string, device?: string): Promise<LegacyAnswer> {
    return this.call('register', { token, pubKey, ...(device === undefined ? {} : { device }) });
  }

  registerGroupsOnly(
    token: string,
    pubKey: string,
    device: string,
    groups: readonly string[] = [],
  ): Promise<LegacyAnswer> {
    return this.call('register_legacy_groups_only', { token, pubKey, device, legacyGroupPublicKeys: groups });
  }

  unregister(token: string): Promise<LegacyAnswer> {
    return this.call('unregister', { token });
  }

  subscribeGroup(closedGroupPublicKey: string, pubKey: string): Promise<LegacyAnswer> {
    return this.call('subscribe_closed_group', { closedGroupPublicKey, pubKey });
  }

  unsubscribeGroup(closedGroupPublicKey: string, pubKey: string): Promise<LegacyAnswer> {
    return this.call('unsubscribe_closed_group', { closedGroupPublicKey, pubKey });
  }

  /** `data`: base64 by habit. */
  notify(sendTo: string, data: string): Promise<LegacyAnswer> {
    return this.call('notify', { send_to: sendTo, data });
  }

  /** Throws when the answer is not one that an app would understand. */
  async call(method: string, args: LegacyArguments): Promise<LegacyAnswer> {
    return this.send(this.frame(method, args), method);
  }

  /** One that was made before. `what`: for the error. */
  async send(call: LegacyCall, what = 'a call'): Promise<LegacyAnswer> {
    const { status, bytes } = await this.#post(call);
    const reply = status === 200 ? call.open(bytes) : null;
    if (reply === null) throw new Error(`${what} was answered by HTTP ${status}, which no app can read`);
    return reply;
  }

  /** A request of the newer protocol through the same door, which must be one of version 4. */
  async subscription(
    endpoint: '/subscribe' | '/unsubscribe',
    body: Buffer,
  ): Promise<{ readonly code: number; readonly json: unknown }> {
    const metadata = { method: 'POST', endpoint, headers: { 'Content-Type': 'application/json' } };
    const { openReply, ...call } = this.#seal(encodeOnionV4Request(metadata, body));
    const { status, bytes } = await this.#post(call);
    const text = status === 200 ? openReply(bytes) : null;
    const reply = text === null ? null : parseOnionV4Reply(text);
    if (reply === null) throw new Error(`${endpoint} was answered by HTTP ${status}, which no app can read`);
    return { code: reply.code, json: JSON.parse(reply.body.toString('utf8')) };
  }

  /** Made but not sent. */
  frame(method: string, args: LegacyArguments): LegacyCall {
    return this.frameOfText(this.#version === 'v2' ? this.#textV2(method, args) : this.#textV4(method, args));
  }

  /** With any text inside. */
  frameOfText(text: Buffer): LegacyCall {
    const { path, frame, openReply } = this.#seal(text);
    const open = this.#version === 'v2' ? openV2 : openV4;
    return { path, frame, open: (answer) => open(answer, openReply) };
  }

  #seal(text: Buffer): { readonly path: string; readonly frame: Buffer; readonly openReply: OpenReply } {
    const { salt, v2Path, v4Path } = this.door;
    const path = this.#version === 'v2' ? v2Path : v4Path;
    if (path === null) throw new Error('the brand has no such door');
    const exchange = sealOnionRequest(this.#cipher, salt, this.serverKey, text, randomBytes);
    const named = this.#cipher === 'aes-gcm' ? null : this.#cipher;
    const host = this.#host ?? 'push.example.org';
    const routing = { host, target: path, method: 'POST', protocol: 'http', port: 80 };
    return {
      path,
      frame: encodeOnionFrame(exchange.ciphertext, exchange.ephemeralKey, named, routing),
      openReply: (sealed) => exchange.openReply(sealed),
    };
  }

  async #post({ path, frame }: Pick<LegacyCall, 'path' | 'frame'>) {
    const answer = await fetch(`${this.serverUrl}${path}`, {
      method: 'POST',
      headers: {
        'content-type': 'application/octet-stream',
        'user-agent': 'Oxen Storage Server/2.8.0',
        ...(this.#host === undefined ? {} : { host: this.#host }),
      },
      body: new Uint8Array(frame),
    });
    return { status: answer.status, bytes: Buffer.from(await answer.arrayBuffer()) };
  }

  #textV2(method: string, args: LegacyArguments): Buffer {
    if (this.#platform !== 'ios') {
      return encodeOnionV2Request(method, args, this.#platform === 'desktop' ? 'post' : 'POST');
    }
    // Swift escapes slashes, in the inner JSON and again in the outer.
    const headers = { 'Content-Type': 'application/json' };
    const body = escapeSlashes(JSON.stringify(args));
    return Buffer.from(escapeSlashes(JSON.stringify({ method: 'POST', endpoint: method, headers, body })));
  }

  #textV4(method: string, args: LegacyArguments): Buffer {
    const metadata = {
      method: 'POST',
      endpoint: `/${method}`,
      headers: { 'Content-Type': 'application/json' },
    };
    return encodeOnionV4Request(metadata, Buffer.from(escapeSlashes(JSON.stringify(args))));
  }
}

const escapeSlashes = (json: string): string => json.replaceAll('/', '\\/');

type OpenReply = (sealed: Buffer) => Buffer | null;

function openV2(answer: Buffer, openReply: OpenReply): LegacyAnswer | null {
  const sealed = parseOnionV2Answer(answer);
  const text = sealed === null ? null : openReply(sealed);
  return text === null ? null : parseOnionV2Reply(text);
}

function openV4(answer: Buffer, openReply: OpenReply): LegacyAnswer | null {
  const text = openReply(answer);
  const reply = text === null ? null : parseOnionV4Reply(text);
  if (reply === null) return null;
  // The same rules for the body as on version 2.
  return parseOnionV2Reply(Buffer.from(`{"status":${reply.code},"body":${reply.body.toString()}}`));
}
