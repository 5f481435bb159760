import { createDecipheriv, createHmac } from 'node:crypto';
import sodium from 'sodium-native';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseOnionFrame } from '../../../src/codec/onion-frame.js';
import { parseOnionV4Reply, parseOnionV4Request } from '../../../src/codec/onion-v4.js';
import { createOnionOpener } from '../../../src/crypto/onion.js';
import { createRandomBytes } from '../../../src/crypto/sodium.js';
import { keyPairFromSecret } from '../../../src/crypto/x25519.js';
import { post, startTestServer, type TestServer } from './harness.js';
import { onionVectors, type OnionMalformedVector } from './vectors.js';

const serverKeys = keyPairFromSecret(Buffer.from(onionVectors.server.x25519_private_hex, 'hex'));
const opener = createOnionOpener([serverKeys], createRandomBytes());

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({ onionKeys: [serverKeys] });
});
afterAll(() => server.server.close());

/** The client's side, written once more from the specification. */
function decryptReply(cipher: 'aes-gcm' | 'xchacha20', clientSecretHex: string, reply: Buffer): Buffer {
  const clientSecret = Buffer.from(clientSecretHex, 'hex');
  const clientPublic = Buffer.alloc(32);
  sodium.crypto_scalarmult_base(clientPublic, clientSecret);
  const shared = Buffer.alloc(32);
  sodium.crypto_scalarmult(shared, clientSecret, serverKeys.publicKey);
  if (cipher === 'aes-gcm') {
    const key = createHmac('sha256', 'LOKI').update(shared).digest();
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

const clientSecret = (name: string): string => {
  const client = onionVectors.clients.find((entry) => entry.name === name);
  if (client === undefined) throw new Error(`no client ${name}`);
  return client.ephemeral_private_hex;
};

const v4Requests = onionVectors.requests.filter((vector) => vector.route === '/oxen/v4/lsrpc');

describe('v4 requests', () => {
  it.each(v4Requests.map((vector) => [vector.name, vector] as const))(
    '%s is opened and read as expected',
    (_name, vector) => {
      const frame = parseOnionFrame(Buffer.from(vector.http_body_base64, 'base64'));
      expect(frame?.cipher).toBe(vector.encryption);
      const opened = frame && opener.open(frame, 'LOKI');
      expect(opened?.plaintext.toString('base64')).toBe(vector.plaintext_base64);
      const request = opened && parseOnionV4Request(opened.plaintext);
      expect(request).not.toBeNull();
      expect(request?.method).toBe(vector.expect.method);
      expect(request?.path).toBe(vector.expect.path);
      expect(request?.query).toBe(vector.expect.query);
      expect(Object.fromEntries(request?.headers ?? [])).toEqual(vector.expect.headers);
      expect(request?.body.toString('base64')).toBe(vector.expect.body_base64);
    },
  );

  it.each(v4Requests.map((vector) => [vector.name, vector] as const))(
    '%s is answered inside, by the endpoint that it names',
    async (_name, vector) => {
      const answer = await post(
        `${server.url}${vector.route}`,
        Buffer.from(vector.http_body_base64, 'base64'),
      );
      expect(answer.status).toBe(200);
      const reply = parseOnionV4Reply(
        decryptReply(vector.encryption, clientSecret(vector.client), answer.body),
      );
      expect(reply?.code).toBe(200);
      expect(reply?.headers).toEqual({ 'content-type': 'application/json' });
      const json: unknown = JSON.parse(reply?.body.toString() ?? '');
      const plain = await post(
        `${server.url}${vector.expect.path}`,
        Buffer.from(vector.expect.body_base64, 'base64'),
      );
      expect(json).toEqual(JSON.parse(plain.body.toString()));
    },
  );

  it('decrypts the golden replies with the key of the exchange', () => {
    const withReply = v4Requests.filter((vector) => vector.reply);
    expect(withReply.length).toBeGreaterThan(2);
    for (const vector of withReply) {
      const reply = decryptReply(
        vector.encryption,
        clientSecret(vector.client),
        Buffer.from(vector.reply?.http_body_base64 ?? '', 'base64'),
      );
      expect(reply.toString('base64')).toBe(vector.reply?.plaintext_base64);
      expect(parseOnionV4Reply(reply)?.code).toBe(200);
    }
  });

  it('takes the salt of Beldex networks where it is asked for, and only there', () => {
    const vector = onionVectors.requests.find((entry) => entry.name === 'beldex-v4-aesgcm');
    const frame = parseOnionFrame(Buffer.from(vector?.http_body_base64 ?? '', 'base64'));
    if (!frame) throw new Error('no frame');
    expect(opener.open(frame, 'BELDEX')?.plaintext.toString('base64')).toBe(vector?.plaintext_base64);
    expect(opener.open(frame, 'LOKI')).toBeNull();

    const loki = onionVectors.malformed.find((entry) => entry.name === 'salt-loki-on-beldex-route');
    const lokiFrame = parseOnionFrame(Buffer.from(loki?.http_body_base64 ?? '', 'base64'));
    if (!lokiFrame) throw new Error('no frame');
    expect(opener.open(lokiFrame, 'BELDEX')).toBeNull();
  });
});

describe('the last layer of a three-hop onion', () => {
  it.each(onionVectors.full_paths.map((vector) => [vector.name, vector] as const))(
    '%s',
    async (_name, vector) => {
      const body = Buffer.from(vector.http_post_to_push_server.body_base64, 'base64');
      const frame = parseOnionFrame(body);
      const opened = frame && opener.open(frame, 'LOKI');
      expect(opened?.plaintext.toString('base64')).toBe(vector.plaintext_base64);
      const answer = await post(`${server.url}/oxen/v4/lsrpc`, body);
      expect(answer.status).toBe(200);
      // The innermost layer is made first.
      const [secret = ''] = vector.ephemeral_private_hex_in_order_of_use;
      const reply = parseOnionV4Reply(decryptReply(vector.encryption, secret, answer.body));
      expect(reply?.code).toBe(200);
    },
  );
});

describe('malformed', () => {
  const v4 = onionVectors.malformed.filter((vector) => vector.route === '/oxen/v4/lsrpc');

  it.each(v4.map((vector) => [vector.name, vector] as const))('%s', async (_name, vector) => {
    const answer = await post(`${server.url}${vector.route}`, bodyOf(vector));
    expect([vector.expect.http_status].flat()).toContain(answer.status);
    if (!vector.expect.encrypted) {
      expect(answer.body.length).toBeLessThan(100);
      return;
    }
    if (vector.expect.inner_code === undefined) return;
    const reply = parseOnionV4Reply(
      decryptReply(vector.encryption ?? 'aes-gcm', clientSecret(vector.client ?? ''), answer.body),
    );
    expect([vector.expect.inner_code].flat()).toContain(reply?.code);
    if (vector.expect.inner_content_type !== undefined) {
      expect(reply?.headers['content-type']).toBe(vector.expect.inner_content_type);
    }
    if (vector.expect.inner_body_utf8 !== undefined) {
      expect(reply?.body.toString()).toBe(vector.expect.inner_body_utf8);
    }
  });

  it('says the same about a wrong key, a wrong tag and a frame that is none', async () => {
    const bad = v4.filter((vector) => !vector.expect.encrypted && vector.http_body_base64 !== undefined);
    const bodies = new Set<string>();
    for (const vector of bad) {
      bodies.add((await post(`${server.url}${vector.route}`, bodyOf(vector))).body.toString());
    }
    expect([...bodies]).toEqual(['Invalid onion request']);
  });
});

function bodyOf(vector: OnionMalformedVector): Buffer {
  if (vector.http_body_base64 !== undefined) return Buffer.from(vector.http_body_base64, 'base64');
  const synthetic = vector.http_body_synthetic;
  const base = onionVectors.requests.find((entry) => entry.name === synthetic?.base_request);
  if (synthetic === undefined || base === undefined) throw new Error(`${vector.name} has no body`);
  const body = Buffer.alloc(synthetic.total_bytes, Buffer.from(synthetic.pad_byte_hex, 'hex'));
  body.set(Buffer.from(base.http_body_base64, 'base64'));
  return body;
}
