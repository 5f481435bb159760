import { createCipheriv, createDecipheriv, createHmac } from 'node:crypto';
import type { OnionCipher, OnionFrame } from '../codec/onion-frame.js';
import { assertNever } from '../domain/assert-never.js';
import { blake2b } from './keyed-hash.js';
import {
  KEY_BYTES,
  openXChaCha20,
  sealXChaCha20,
  XCHACHA20_NONCE_BYTES,
  type RandomBytes,
} from './sodium.js';
import { keyPairFromSecret, sharedSecret, type X25519KeyPair } from './x25519.js';

/** Which network's salt goes into the AES key: `BELDEX` on the routes that begin with /beldex/. */
export type OnionSalt = 'LOKI' | 'BELDEX';

const GCM_NONCE_BYTES = 12;
const GCM_TAG_BYTES = 16;

/** One request and its reply: both sides use one key, so every message needs a random nonce. */
export interface OnionExchange {
  readonly plaintext: Buffer;
  /** nonce || ciphertext || tag, for the raw body of the HTTP answer. */
  seal(reply: Buffer): Buffer;
}

/** A frame that does not open, from a client with whom a key could be agreed: it can read why not. */
export interface OnionRefusal {
  readonly plaintext: null;
  seal(reply: Buffer): Buffer;
}

export interface OnionOpener {
  /**
   * null when the frame is for none of our keys, was changed, or carries a key of low order: not told apart.
   * `host`: where the client meant to go, as its `Host` header says it; only the order of the keys depends on it.
   */
  open(frame: OnionFrame, salt: OnionSalt, host?: string): OnionExchange | null;
  /**
   * The same for version 2, whose clients read refusals too: the key is that of the host, else our first one.
   * null only when no key can be agreed (low order).
   */
  openOrRefuse(frame: OnionFrame, salt: OnionSalt, host?: string): OnionExchange | OnionRefusal | null;
}

/**
 * The server's side. Several key pairs serve one route (two deployments whose clients know different keys): that of the
 * request's host comes first, then the others in turn, and the tag decides. A frame that fails has been tried with every
 * key, so neither the answer nor the time says which part was wrong. `byHost`: names without port, in any letter case.
 * Source: spec onion-requests, sections 3 and 8.
 */
export function createOnionOpener(
  keys: readonly X25519KeyPair[],
  randomBytes: RandomBytes,
  byHost: ReadonlyMap<string, X25519KeyPair> = new Map(),
): OnionOpener {
  const all = withoutRepetition([...keys, ...byHost.values()]);
  const orders = new Map(
    [...byHost].map(([host, first]) => [hostName(host), withoutRepetition([first, ...all])] as const),
  );
  const orderFor = (host: string | undefined): readonly X25519KeyPair[] =>
    (host === undefined || orders.size === 0 ? undefined : orders.get(hostName(host))) ?? all;

  const openOrRefuse: OnionOpener['openOrRefuse'] = (frame, salt, host) => {
    const { cipher } = frame;
    let refusal: OnionRefusal | null = null;
    for (const own of orderFor(host)) {
      const shared = sharedSecret(own.secretKey, frame.ephemeralKey);
      if (shared === null) continue;
      const key = messageKey(cipher, salt, shared, frame.ephemeralKey, own.publicKey);
      const seal = (reply: Buffer): Buffer => encrypt(cipher, key, reply, randomBytes);
      const plaintext = decrypt(cipher, key, frame.ciphertext);
      if (plaintext !== null) return { plaintext, seal };
      refusal ??= { plaintext: null, seal };
    }
    return refusal;
  };
  return {
    openOrRefuse,
    open(frame, salt, host) {
      const opened = openOrRefuse(frame, salt, host);
      return opened === null || opened.plaintext === null ? null : opened;
    },
  };
}

function withoutRepetition(keys: readonly X25519KeyPair[]): readonly X25519KeyPair[] {
  return [...new Map(keys.map((pair) => [pair.publicKey.toString('hex'), pair])).values()];
}

/** A `Host` header without its port and in lower case; nothing rests on its being well-formed. */
function hostName(host: string): string {
  return host.replace(/:\d*$/, '').replace(/\.$/, '').toLowerCase();
}

/** The client's side of one exchange, for tests and the demo. */
export interface OnionClientExchange {
  readonly ephemeralKey: Buffer;
  readonly ciphertext: Buffer;
  /** null when the reply was not sealed by the server that the request was for. */
  openReply(reply: Buffer): Buffer | null;
}

/** `serverKey`: 32 bytes; one of low order is a bug of the caller and throws. */
export function sealOnionRequest(
  cipher: OnionCipher,
  salt: OnionSalt,
  serverKey: Buffer,
  plaintext: Buffer,
  randomBytes: RandomBytes,
): OnionClientExchange {
  const ephemeral = keyPairFromSecret(randomBytes(KEY_BYTES));
  const shared = sharedSecret(ephemeral.secretKey, serverKey);
  if (shared === null) throw new RangeError('the server key is no X25519 key');
  const key = messageKey(cipher, salt, shared, ephemeral.publicKey, serverKey);
  return {
    ephemeralKey: ephemeral.publicKey,
    ciphertext: encrypt(cipher, key, plaintext, randomBytes),
    openReply: (reply) => decrypt(cipher, key, reply),
  };
}

/** The client's key comes first in both directions. */
function messageKey(
  cipher: OnionCipher,
  salt: OnionSalt,
  shared: Buffer,
  clientKey: Buffer,
  serverKey: Buffer,
): Buffer {
  switch (cipher) {
    case 'aes-gcm':
      return createHmac('sha256', salt).update(shared).digest();
    case 'xchacha20':
      return blake2b(KEY_BYTES, [shared, clientKey, serverKey]);
    default:
      return assertNever(cipher);
  }
}

function encrypt(cipher: OnionCipher, key: Buffer, plaintext: Buffer, randomBytes: RandomBytes): Buffer {
  if (cipher === 'xchacha20') return sealXChaCha20(key, randomBytes(XCHACHA20_NONCE_BYTES), plaintext);
  const nonce = randomBytes(GCM_NONCE_BYTES);
  const gcm = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: GCM_TAG_BYTES });
  return Buffer.concat([nonce, gcm.update(plaintext), gcm.final(), gcm.getAuthTag()]);
}

function decrypt(cipher: OnionCipher, key: Buffer, sealed: Buffer): Buffer | null {
  if (cipher === 'xchacha20') return openXChaCha20(key, sealed);
  const tagStart = sealed.length - GCM_TAG_BYTES;
  if (tagStart < GCM_NONCE_BYTES) return null;
  const gcm = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, GCM_NONCE_BYTES), {
    authTagLength: GCM_TAG_BYTES,
  });
  gcm.setAuthTag(sealed.subarray(tagStart));
  const plaintext = gcm.update(sealed.subarray(GCM_NONCE_BYTES, tagStart));
  try {
    // GCM is a stream cipher: `final` gives no bytes, it only checks the tag.
    gcm.final();
  } catch {
    return null;
  }
  return plaintext;
}
