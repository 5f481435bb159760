import { createDecipheriv, createHmac } from 'node:crypto';
import sodium from 'sodium-native';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { parseOnionFrame } from '../../../src/codec/onion-frame.js';
import { parseOnionV2Answer, parseOnionV2Reply } from '../../../src/codec/onion-v2.js';
import { parseOnionV4Reply, parseOnionV4Request } from '../../../src/codec/onion-v4.js';
import { createOnionOpener, type OnionSalt } from '../../../src/crypto/onion.js';
import { createRandomBytes } from '../../../src/crypto/sodium.js';
import { keyPairFromSecret } from '../../../src/crypto/x25519.js';
import { post, startTestServer, type TestServer } from './harness.js';
import { recordedBrands } from './recorded-methods.js';
import {
  onionVectors,
  type OnionMalformedVector,
  type OnionV2Vector,
  type OnionV4Vector,
} from './vectors.js';

const serverKeys = keyPairFromSecret(Buffer.from(onionVectors.server.x25519_private_hex, 'hex'));
const systemRandom = createRandomBytes();
const { session, bchat } = recordedBrands();
const brands = [session, bchat];

/** null: the system's. */
let fixedNonce: Buffer | null = null;
const nonces = (byteCount: number): Buffer => {
  if (fixedNonce === null) return systemRandom(byteCount);
  expect(fixedNonce).toHaveLength(byteCount);
  return fixedNonce;
};
const opener = createOnionOpener([serverKeys], nonces);

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({ onionKeys: [serverKeys], nonces, brands });
});
afterAll(() => server.server.close());
beforeEach(() => {
  fixedNonce = null;
});

const bytesOf = (base64: string | undefined): Buffer => Buffer.from(base64 ?? '', 'base64');
const brandOf = (route: string) => {
  const found = brands.find(({ brand }) => brand.v2Path === route || brand.v4Path === route);
  if (found === undefined) throw new Error(`nobody serves ${route}`);
  return found;
};
const saltOf = (route: string): OnionSalt => brandOf(route).brand.salt;

/** The client's side, written once more from the specification. */
function decryptReply(
  cipher: 'aes-gcm' | 'xchacha20',
  salt: OnionSalt,
  clientSecretHex: string,
  reply: Buffer,
): Buffer {
  const clientSecret = Buffer.from(clientSecretHex, 'hex');
  const clientPublic = Buffer.alloc(32);
  sodium.crypto_scalarmult_base(clientPublic, clientSecret);
  const shared = Buffer.alloc(32);
  sodium.crypto_scalarmult(shared, clientSecret, serverKeys.publicKey);
  if (cipher === 'aes-gcm') {
    const key = createHmac('sha256', salt).update(shared).digest();
    const gcm = createDecipheriv('aes-256-gcm', key, reply.subarray(0, 12));
    gcm.setAuthTag(reply.subarray(-16));
    return Buffer.concat([gcm.update(reply.subarray(12, -16)), gcm.final()]);
  }
  const key = Buffer.alloc(32);
  sodium.crypto_generichash(key, Buffer.concat([shared, clientPublic, serverKeys.publicKey]));
  const plaintext = Buffer.alloc(reply.length - 40);
  sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(
    plaintext,
    null,
    reply.subarray(24),
    null,
    reply.subarray(0, 24),
    key,
  );
  return plaintext;
}

const clientSecret = (name: string | undefined): string => {
  const client = onionVectors.clients.find((entry) => entry.name === name);
  if (client === undefined) throw new Error(`no client ${name}`);
  return client.ephemeral_private_hex;
};

const named = <T extends { readonly name: string }>(vectors: readonly T[]) =>
  vectors.map((vector) => [vector.name, vector] as const);
const v4Requests = onionVectors.requests.filter((vector): vector is OnionV4Vector => vector.framing === 'v4');
const v2Requests = onionVectors.requests.filter((vector): vector is OnionV2Vector => vector.framing === 'v2');

describe('v4 requests', () => {
  it.each(named(v4Requests))('%s is opened and read as expected', (_name, vector) => {
    const frame = parseOnionFrame(bytesOf(vector.http_body_base64));
    expect(frame?.cipher).toBe(vector.encryption);
    const opened = frame && opener.open(frame, saltOf(vector.route));
    expect(opened?.plaintext.toString('base64')).toBe(vector.plaintext_base64);
    const request = opened && parseOnionV4Request(opened.plaintext);
    expect(request).not.toBeNull();
    expect(request?.method).toBe(vector.expect.method);
    expect(request?.path).toBe(vector.expect.path);
    expect(request?.query).toBe(vector.expect.query);
    expect(Object.fromEntries(request?.headers ?? [])).toEqual(vector.expect.headers);
    expect(request?.body.toString('base64')).toBe(vector.expect.body_base64);
  });

  it.each(named(v4Requests))(
    '%s is answered inside, by the endpoint that it names',
    async (_name, vector) => {
      const answer = await post(`${server.url}${vector.route}`, bytesOf(vector.http_body_base64));
      expect(answer.status).toBe(200);
      const reply = parseOnionV4Reply(
        decryptReply(vector.encryption, saltOf(vector.route), clientSecret(vector.client), answer.body),
      );
      expect(reply?.code).toBe(200);
      expect(reply?.headers).toEqual({ 'content-type': 'application/json' });
      const json: unknown = JSON.parse(reply?.body.toString() ?? '');
      const plain = await post(`${server.url}${vector.expect.path}`, bytesOf(vector.expect.body_base64));
      expect(json).toEqual(JSON.parse(plain.body.toString()));
    },
  );

  it('have the golden replies to the byte, when the nonces are the same', () => {
    const withReply = v4Requests.filter((vector) => vector.reply);
    expect(withReply.length).toBeGreaterThan(3);
    for (const vector of withReply) {
      const frame = parseOnionFrame(bytesOf(vector.http_body_base64));
      const opened = frame && opener.open(frame, saltOf(vector.route));
      fixedNonce = Buffer.from(vector.reply?.nonce_hex ?? '', 'hex');
      const text = bytesOf(vector.reply?.plaintext_base64);
      const sealed = opened?.seal(text);
      expect(sealed?.toString('base64')).toBe(vector.reply?.http_body_base64);
      expect(parseOnionV4Reply(text)?.code).toBe(200);
    }
  });

  it('take the salt of Beldex networks where it is asked for, and only there', () => {
    const vector = onionVectors.requests.find((entry) => entry.name === 'beldex-v4-aesgcm');
    const frame = parseOnionFrame(bytesOf(vector?.http_body_base64));
    if (!frame) throw new Error('no frame');
    expect(opener.open(frame, 'BELDEX')?.plaintext.toString('base64')).toBe(vector?.plaintext_base64);
    expect(opener.open(frame, 'LOKI')).toBeNull();
  });
});

describe('v2 requests', () => {
  it.each(named(v2Requests))(
    '%s reaches the method, and its reply is the golden one to the byte',
    async (_name, vector) => {
      const { methods } = brandOf(vector.route);
      methods.calls.length = 0;
      if (vector.reply) fixedNonce = Buffer.from(vector.reply.nonce_hex, 'hex');
      const answer = await post(`${server.url}${vector.route}`, bytesOf(vector.http_body_base64));
      expect(answer.status).toBe(200);
      expect(answer.headers.get('content-type')).toBe('application/json');
      expect(methods.calls).toEqual([{ name: vector.expect.endpoint, args: vector.expect.args }]);
      const text = decryptReply(
        vector.encryption,
        saltOf(vector.route),
        clientSecret(vector.client),
        parseOnionV2Answer(answer.body) ?? Buffer.alloc(0),
      );
      expect(text.toString()).toBe('{"status": 200, "body": {"code": 1, "message": "Success"}}');
      if (vector.reply) {
        expect(JSON.parse(answer.body.toString())).toEqual({ result: vector.reply.result_base64 });
      }
    },
  );

  it.each(onionVectors.requests.filter((vector) => vector.framing === 'v3'))(
    'of version 3 have no route: $name',
    async (vector) => {
      const answer = await post(`${server.url}${vector.route}`, bytesOf(vector.http_body_base64));
      expect(answer.status).toBe(404);
    },
  );
});

describe('the last layer of a three-hop onion', () => {
  it.each(named(onionVectors.full_paths))('%s', async (_name, vector) => {
    const body = bytesOf(vector.http_post_to_push_server.body_base64);
    const frame = parseOnionFrame(body);
    const opened = frame && opener.open(frame, 'LOKI');
    expect(opened?.plaintext.toString('base64')).toBe(vector.plaintext_base64);
    const answer = await post(`${server.url}/oxen/v4/lsrpc`, body);
    expect(answer.status).toBe(200);
    // The innermost layer is made first.
    const [secret = ''] = vector.ephemeral_private_hex_in_order_of_use;
    const reply = parseOnionV4Reply(decryptReply(vector.encryption, 'LOKI', secret, answer.body));
    expect(reply?.code).toBe(200);
  });
});

describe('malformed', () => {
  const ofVersion = (version: string) =>
    onionVectors.malformed.filter((vector) => vector.route.includes(`/${version}/`));

  it('cases are all of the routes that are served', () => {
    expect(ofVersion('v4').length + ofVersion('v2').length).toBe(onionVectors.malformed.length);
  });

  it.each(named(onionVectors.malformed))('%s', async (_name, vector) => {
    const answer = await post(`${server.url}${vector.route}`, bodyOf(vector));
    const { expect: expected } = vector;
    expect([expected.http_status].flat()).toContain(answer.status);
    if (!expected.encrypted) {
      expect(answer.body.length).toBeLessThan(100);
      expect(answer.body.toString()).toBe('Invalid onion request');
      return;
    }
    const cipher = vector.encryption ?? 'aes-gcm';
    const decrypt = (sealed: Buffer | null): Buffer =>
      decryptReply(
        cipher,
        saltOf(vector.route),
        clientSecret(vector.client ?? acceptedAs(vector)?.client),
        sealed ?? Buffer.alloc(0),
      );
    if (expected.reply_form === 'v2') {
      const reply = parseOnionV2Reply(decrypt(parseOnionV2Answer(answer.body)));
      expect(reply).not.toBeNull();
      if (expected.also_allowed === 'accept the slash') {
        expect(reply).toEqual({ status: 200, body: { code: 1, message: 'Success' } });
        return;
      }
      expect(reply?.status).toBe(expected.inner_status);
      expect(reply?.body.code).toBe(expected.inner_body_code);
      expect(reply?.body.message).not.toBe('');
      return;
    }
    const reply = parseOnionV4Reply(decrypt(answer.body));
    expect([expected.inner_code ?? 200].flat()).toContain(reply?.code);
    if (expected.inner_content_type !== undefined) {
      expect(reply?.headers['content-type']).toBe(expected.inner_content_type);
    }
    if (expected.inner_body_utf8 !== undefined) {
      expect(reply?.body.toString()).toBe(expected.inner_body_utf8);
    }
  });
});

const acceptedAs = (vector: OnionMalformedVector) =>
  onionVectors.requests.find((entry) => entry.name === vector.expect.accepted_as);

function bodyOf(vector: OnionMalformedVector): Buffer {
  if (vector.http_body_base64 !== undefined) return bytesOf(vector.http_body_base64);
  const synthetic = vector.http_body_synthetic;
  const base = onionVectors.requests.find((entry) => entry.name === synthetic?.base_request);
  if (synthetic === undefined || base === undefined) throw new Error(`${vector.name} has no body`);
  const body = Buffer.alloc(synthetic.total_bytes, Buffer.from(synthetic.pad_byte_hex, 'hex'));
  body.set(bytesOf(base.http_body_base64));
  return body;
}
