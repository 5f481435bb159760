import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { MAX_PAYLOAD_TEXT_BYTES, writeSessionPayload } from '../../../src/codec/session-payload.js';
import { pushKey } from '../../../src/crypto/push-key.js';
import { seal } from '../../../src/crypto/seal.js';
import type { EncryptionKey } from '../../../src/domain/ids.js';
import type { SwarmNotice } from '../../../src/domain/notice.js';

interface PayloadVector {
  name: string;
  account_hex: string;
  hash: string;
  namespace: number;
  timestamp_ms: number;
  expiry_ms: number;
  data_hex: string | null;
  enc_key_hex: string;
  nonce_hex: string;
  plaintext_latin1: string;
  padded_length: number;
  enc_payload: string;
}
interface Vectors {
  payloads: PayloadVector[];
  dedupe_filter: { service: string; svcid: string; hash: string; blake2b_256_hex: string }[];
}
const vectors = JSON.parse(readFileSync('test/vectors/session-push-v2.json', 'utf8')) as Vectors;

const noticeOf = (vector: PayloadVector): SwarmNotice => ({
  kind: 'swarm',
  account: Buffer.from(vector.account_hex, 'hex'),
  hash: Buffer.from(vector.hash),
  namespace: vector.namespace,
  timestampMs: vector.timestamp_ms,
  expiryMs: vector.expiry_ms,
  data: vector.data_hex === null ? null : Buffer.from(vector.data_hex, 'hex'),
});

describe('the Session payload', () => {
  it.each(vectors.payloads)('is the original one byte by byte: $name', (vector) => {
    // Dirty memory must not shine through the padding.
    const out = Buffer.alloc(MAX_PAYLOAD_TEXT_BYTES, 0xff);
    const length = writeSessionPayload(noticeOf(vector), true, out);
    const text = out.subarray(0, length);
    expect(length).toBe(vector.padded_length);
    expect(text.toString('latin1').replace(/\0+$/, '')).toBe(vector.plaintext_latin1.replace(/\0+$/, ''));
    const sealed = seal(text, Buffer.from(vector.enc_key_hex, 'hex') as EncryptionKey, (nonce) => {
      nonce.write(vector.nonce_hex, 'hex');
    });
    expect(sealed.toString('base64')).toBe(vector.enc_payload);
  });

  it('gives no data to a subscription that did not ask for any', () => {
    const vector = vectors.payloads[0];
    if (vector === undefined) throw new Error('no vectors');
    const out = Buffer.alloc(MAX_PAYLOAD_TEXT_BYTES);
    writeSessionPayload(noticeOf(vector), false, out);
    expect(out.toString('latin1')).toMatch(/^ld1:#43:.*1:ni0e/);
    expect(out.toString('latin1')).not.toContain('hello');
  });

  it('stays within its buffer and stays JSON with the nastiest hash a node may send', () => {
    const vector = vectors.payloads[0];
    if (vector === undefined) throw new Error('no vectors');
    for (const hash of [
      '"'.repeat(99),
      '\\'.repeat(99),
      '\u0001'.repeat(99),
      'é'.repeat(49),
      '\u007f'.repeat(99),
    ]) {
      const notice = { ...noticeOf(vector), hash: Buffer.from(hash), data: Buffer.alloc(2500, 0x61) };
      const out = Buffer.alloc(MAX_PAYLOAD_TEXT_BYTES);
      const length = writeSessionPayload(notice, true, out);
      expect(length).toBeLessThanOrEqual(MAX_PAYLOAD_TEXT_BYTES);
      const [, jsonLength] = /^l(\d+):/.exec(out.toString('latin1')) ?? [];
      const start = 2 + (jsonLength?.length ?? 0);
      const json = out.subarray(start, start + Number(jsonLength)).toString('latin1');
      expect((JSON.parse(json) as Record<string, unknown>)['#']).toBe(hash);
    }
  });
});

describe('the key of a push', () => {
  it.each(vectors.dedupe_filter)('is the original one without a secret', (vector) => {
    const key = pushKey(vector.service, vector.svcid, Buffer.from(vector.hash), null, 32);
    expect(key.toString('hex')).toBe(vector.blake2b_256_hex);
  });

  it('cannot be computed without the secret', () => {
    const hash = Buffer.from('h'.repeat(43));
    expect(pushKey('apns', 'a'.repeat(64), hash, Buffer.alloc(32, 1))).not.toEqual(
      pushKey('apns', 'a'.repeat(64), hash, Buffer.alloc(32, 2)),
    );
  });
});
