import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  encodeOnionV2Reply,
  encodeOnionV2Request,
  parseOnionV2Reply,
  parseOnionV2Request,
} from '../../src/codec/onion-v2.js';
import { encodeOnionV4Request, parseOnionV4Text } from '../../src/codec/onion-v4.js';
import type { OnionCipher, OnionVersion } from '../../src/codec/onion-frame.js';
import { LegacyClient } from '../simulators/legacy-client.js';
import { post, startTestServer, type TestServer } from '../unit/http/harness.js';
import { legacyMethodNames, recordedBrands } from '../unit/http/recorded-methods.js';

const { session, bchat } = recordedBrands();
const brands = [session, bchat];
const bytes = (maxLength: number) => fc.uint8Array({ maxLength }).map((array) => Buffer.from(array));
const cipher = fc.constantFrom<OnionCipher>('aes-gcm', 'xchacha20');
const version = fc.constantFrom<OnionVersion>('v2', 'v4');
const brand = fc.constantFrom(...brands.map((each) => each.brand));
const names = fc.oneof(
  fc.constantFrom(...legacyMethodNames, '__proto__', 'constructor', 'toString', ''),
  fc.string(),
);

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({ brands });
});
afterAll(() => server.server.close());

const clientOf = (door: typeof session.brand, way: OnionVersion, kind: OnionCipher): LegacyClient =>
  new LegacyClient(server.url, server.onionKey.publicKey, door, { version: way, cipher: kind });

describe('texts of version 2', () => {
  it('come back as they were made', () => {
    fc.assert(
      fc.property(fc.string(), fc.dictionary(fc.string(), fc.jsonValue()), (name, args) => {
        // What JSON makes of the arguments: no negative zero, an own `__proto__`.
        const read = JSON.parse(JSON.stringify(args)) as Record<string, unknown>;
        const endpoint = name.startsWith('/') ? name.slice(1) : name;
        expect(parseOnionV2Request(encodeOnionV2Request(name, args))).toEqual({ endpoint, args: read });
      }),
    );
    fc.assert(
      fc.property(
        fc.integer(),
        fc.constantFrom(0 as const, 1 as const),
        fc.string(),
        (status, code, message) => {
          const reply = { status, body: { code, message } };
          expect(parseOnionV2Reply(encodeOnionV2Reply(reply))).toEqual(reply);
        },
      ),
    );
  });

  it('of arbitrary bytes and values never throw', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          bytes(200),
          fc.json().map((text) => Buffer.from(text)),
        ),
        (text) => {
          parseOnionV2Request(text);
          parseOnionV2Reply(text);
          parseOnionV4Text(text);
        },
      ),
      { numRuns: 2000 },
    );
  });
});

describe('every onion route', () => {
  it('answers arbitrary bodies by 400', async () => {
    await fc.assert(
      fc.asyncProperty(brand, version, bytes(400), async (door, way, body) => {
        const path = (way === 'v2' ? door.v2Path : door.v4Path) ?? '';
        expect((await post(`${server.url}${path}`, body)).status).toBe(400);
      }),
      { numRuns: 200 },
    );
  });

  it('answers a changed frame by 400, or by a reply of its own form', async () => {
    const change = fc.record({ at: fc.nat(), to: fc.nat(255), cut: fc.option(fc.nat(), { freq: 3 }) });
    await fc.assert(
      fc.asyncProperty(
        brand,
        version,
        cipher,
        fc.array(change, { maxLength: 3 }),
        async (door, way, kind, changes) => {
          const { frame, path } = clientOf(door, way, kind).frame('notify', { send_to: 'x', data: 'AA' });
          let body = Buffer.from(frame);
          for (const { at, to, cut } of changes) {
            body[at % body.length] = to;
            if (cut !== null) body = body.subarray(0, Math.max(1, cut % body.length));
          }
          const answer = await post(`${server.url}${path}`, body);
          expect([200, 400]).toContain(answer.status);
          if (answer.status === 400) {
            expect(answer.body.toString()).toBe('Invalid onion request');
          } else if (way === 'v2') {
            const text = JSON.parse(answer.body.toString()) as { result: string };
            expect(Buffer.from(text.result, 'base64').length).toBeGreaterThan(28);
          } else {
            expect(answer.body.length).toBeGreaterThan(28);
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  it('answers a changed ciphertext of version 2 so that its client can read it', async () => {
    await fc.assert(
      fc.asyncProperty(
        brand,
        cipher,
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        async (door, kind, at, mask) => {
          const call = clientOf(door, 'v2', kind).frame('notify', { send_to: 'x', data: 'AA' });
          const position = 4 + (at % call.frame.readUInt32LE(0));
          call.frame[position] = (call.frame[position] ?? 0) ^ mask;
          const answer = await post(`${server.url}${call.path}`, call.frame);
          expect(answer.status).toBe(200);
          expect(call.open(answer.body)).toMatchObject({ status: 400, body: { code: 0 } });
        },
      ),
      { numRuns: 150 },
    );
  });

  it('answers arbitrary texts and values of version 2 inside', async () => {
    const text = fc.oneof(
      bytes(200),
      fc.json().map((json) => Buffer.from(json)),
      fc
        .record({ endpoint: fc.oneof(names, fc.jsonValue()), body: fc.oneof(fc.json(), fc.jsonValue()) })
        .map((request) => Buffer.from(JSON.stringify(request))),
    );
    await fc.assert(
      fc.asyncProperty(brand, cipher, text, async (door, kind, plaintext) => {
        const call = clientOf(door, 'v2', kind).frameOfText(plaintext);
        const answer = await post(`${server.url}${call.path}`, call.frame);
        expect(answer.status).toBe(200);
        expect([200, 400]).toContain(call.open(answer.body)?.status);
      }),
      { numRuns: 300 },
    );
  });

  it('answers arbitrary methods and arguments of version 4 inside', async () => {
    const metadata = fc.record(
      { endpoint: names, method: fc.jsonValue(), headers: fc.jsonValue(), token: fc.jsonValue() },
      { requiredKeys: ['endpoint'] },
    );
    const body = fc.option(
      fc.oneof(
        bytes(50),
        fc.json().map((json) => Buffer.from(json)),
      ),
    );
    await fc.assert(
      fc.asyncProperty(brand, cipher, metadata, body, async (door, kind, fields, content) => {
        const text = encodeOnionV4Request(fields as never, content);
        const call = clientOf(door, 'v4', kind).frameOfText(text);
        const answer = await post(`${server.url}${call.path}`, call.frame);
        expect(answer.status).toBe(200);
        if (!(legacyMethodNames as readonly string[]).includes(fields.endpoint)) return;
        expect([200, 400]).toContain(call.open(answer.body)?.status);
      }),
      { numRuns: 300 },
    );
  });

  it('has nothing left in progress after all this', () => {
    expect(server.server.inProgress()).toBe(0);
  });
});
