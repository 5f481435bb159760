import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodeOnionFrame, parseOnionFrame, type OnionCipher } from '../../src/codec/onion-frame.js';
import {
  encodeOnionV4Reply,
  encodeOnionV4Request,
  parseOnionV4Reply,
  parseOnionV4Request,
} from '../../src/codec/onion-v4.js';
import { onionCallOfText } from '../simulators/session-client.js';
import { post, startTestServer, type TestServer } from '../unit/http/harness.js';

const bytes = (maxLength: number) => fc.uint8Array({ maxLength }).map((array) => Buffer.from(array));
const cipher = fc.constantFrom<OnionCipher>('aes-gcm', 'xchacha20');
const headers = fc.dictionary(
  fc.stringMatching(/^[a-z][a-z-]{0,10}$/).filter((name) => name !== 'content-length'),
  fc.string(),
);

describe('frames and texts', () => {
  it('come back as they were made', () => {
    fc.assert(
      fc.property(bytes(200), fc.uint8Array({ minLength: 32, maxLength: 32 }), cipher, (text, key, kind) => {
        const frame = { ciphertext: text, ephemeralKey: Buffer.from(key), cipher: kind };
        expect(parseOnionFrame(encodeOnionFrame(text, frame.ephemeralKey, kind))).toEqual(frame);
      }),
    );
    fc.assert(
      fc.property(fc.integer(), headers, bytes(100), (code, fields, body) => {
        const reply = { code, headers: fields, body };
        expect(parseOnionV4Reply(encodeOnionV4Reply(reply))).toEqual(reply);
      }),
    );
    fc.assert(
      fc.property(fc.webPath(), headers, bytes(100), (path, fields, body) => {
        const text = encodeOnionV4Request({ method: 'post', endpoint: `/${path}`, headers: fields }, body);
        expect(parseOnionV4Request(text)).toMatchObject({ method: 'POST', body });
      }),
    );
  });

  it('of arbitrary bytes never throw', () => {
    fc.assert(
      fc.property(bytes(200), (body) => {
        parseOnionFrame(body);
        parseOnionV4Request(body);
        parseOnionV4Request(Buffer.concat([Buffer.from('l'), body, Buffer.from('e')]));
        parseOnionV4Reply(body);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('the onion route', () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startTestServer();
  });
  afterAll(() => server.server.close());

  it('answers arbitrary bodies by 400 and nothing else', async () => {
    await fc.assert(
      fc.asyncProperty(bytes(400), async (body) => {
        expect((await post(`${server.url}/oxen/v4/lsrpc`, body)).status).toBe(400);
      }),
      { numRuns: 150 },
    );
  });

  it('answers arbitrary texts inside, encrypted, and never by a fault of its own', async () => {
    const text = fc.oneof(
      bytes(200),
      fc
        .tuple(fc.record({ method: fc.jsonValue(), endpoint: fc.jsonValue() }), bytes(50))
        .map(([metadata, body]) => encodeOnionV4Request(metadata as never, body)),
      fc
        .tuple(fc.constantFrom('/subscribe', '/unsubscribe', '/%73ubscribe'), bytes(100))
        .map(([endpoint, body]) => encodeOnionV4Request({ method: 'POST', endpoint }, body)),
    );
    await fc.assert(
      fc.asyncProperty(text, cipher, async (plaintext, kind) => {
        const call = onionCallOfText(server.onionKey.publicKey, kind, plaintext);
        const answer = await post(`${server.url}/oxen/v4/lsrpc`, call.frame);
        expect(answer.status).toBe(200);
        expect([200, 400, 404, 405]).toContain(call.open(answer.body)?.code);
      }),
      { numRuns: 200 },
    );
  });

  it('answers arbitrary bodies of the plain routes by 200', async () => {
    await fc.assert(
      fc.asyncProperty(bytes(200), async (body) => {
        expect((await post(`${server.url}/subscribe`, body)).status).toBe(200);
        expect((await post(`${server.url}/unsubscribe`, body)).status).toBe(200);
      }),
      { numRuns: 100 },
    );
  });
});
