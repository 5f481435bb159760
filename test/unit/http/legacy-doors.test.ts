import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { OnionCipher, OnionVersion } from '../../../src/codec/onion-frame.js';
import { encodeOnionV4Request } from '../../../src/codec/onion-v4.js';
import { bchatBrand, sessionBrand } from '../../simulators/legacy-brands.js';
import { LegacyClient, type LegacyPlatform } from '../../simulators/legacy-client.js';
import { onionCallOfText } from '../../simulators/session-client.js';
import { post, startTestServer, type TestServer } from './harness.js';
import { legacyMethodNames, recordedBrands } from './recorded-methods.js';

const { session, bchat } = recordedBrands();
const brands = [session, bchat];
const done = { status: 200, body: { code: 1, message: 'Success' } };

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({ brands });
});
afterAll(() => server.server.close());
beforeEach(() => {
  for (const { methods } of brands) {
    methods.calls.length = 0;
    methods.answer = null;
  }
});

const doors = brands.flatMap(({ brand, methods }) =>
  (['v2', 'v4'] as const).flatMap((version) =>
    (['aes-gcm', 'xchacha20'] as const).map((cipher) => ({ brand, methods, version, cipher })),
  ),
);
const clientOf = (
  brand: typeof sessionBrand,
  version: OnionVersion,
  cipher: OnionCipher,
  platform: LegacyPlatform = 'android',
) => new LegacyClient(server.url, server.onionKey.publicKey, brand, { version, cipher, platform });

/** What is inside the HTTP answer to a text of version 4. */
async function askV4(metadata: unknown, body: Buffer | null) {
  const text = encodeOnionV4Request(metadata as never, body);
  const call = onionCallOfText(server.onionKey.publicKey, 'aes-gcm', text);
  const answer = await post(`${server.url}/oxen/v4/lsrpc`, call.frame);
  expect(answer.status).toBe(200);
  const reply = call.open(answer.body);
  return { code: reply?.code, headers: reply?.headers, body: reply?.body.toString() };
}

describe.each(doors)('$brand.name, $version, $cipher', ({ brand, methods, version, cipher }) => {
  it.each(legacyMethodNames)('%s arrives with its arguments, and the reply is understood', async (name) => {
    const args = {
      token: 't',
      pubKey: '05aa',
      data: 'AA/+',
      send_to: 'x',
      legacyGroupPublicKeys: ['a', 'b'],
    };
    for (const platform of ['ios', 'android', 'desktop'] as const) {
      methods.calls.length = 0;
      expect(await clientOf(brand, version, cipher, platform).call(name, args)).toEqual(done);
      expect(methods.calls).toHaveLength(1);
      expect(methods.calls[0]).toMatchObject({ name, args });
    }
    const other = brand === sessionBrand ? bchat : session;
    expect(other.methods.calls).toEqual([]);
  });

  it.each([
    { status: 200, body: { code: 0, message: 'not registered before.' } },
    { status: 400, body: { code: 0, message: 'Missing parameter' } },
    { status: 429, body: { code: 0, message: 'later' } },
    { status: 503, body: { code: 0, message: 'later' } },
  ] as const)('passes on status $status with code $body.code', async (reply) => {
    methods.answer = reply;
    expect(await clientOf(brand, version, cipher).register('t', 'a')).toEqual(reply);
  });

  it('answers a bug of ours inside', async () => {
    methods.answer = new Error('a token and other secrets');
    const call = clientOf(brand, version, cipher).frame('register', {});
    const answer = await post(`${server.url}${call.path}`, call.frame);
    expect(answer.status).toBe(200);
    expect(answer.body.toString()).not.toContain('secret');
    if (version === 'v2') expect(call.open(answer.body)).toMatchObject({ status: 500, body: { code: 0 } });
  });
});

describe('version 2', () => {
  it('answers an unknown method, a text that is none and a wrong tag by status 400 and code 0', async () => {
    for (const cipher of ['aes-gcm', 'xchacha20'] as const) {
      const client = clientOf(sessionBrand, 'v2', cipher);
      const wrong = client.frame('register', {});
      wrong.frame[20] = (wrong.frame[20] ?? 0) ^ 1;
      const texts = ['', 'hello', '{}', '[]', '{"endpoint":"lsrpc","body":"{}"}'];
      for (const call of [wrong, ...texts.map((text) => client.frameOfText(Buffer.from(text)))]) {
        const answer = await post(`${server.url}${call.path}`, call.frame);
        expect(answer.status).toBe(200);
        const reply = call.open(answer.body);
        expect(reply).toMatchObject({ status: 400, body: { code: 0 } });
        expect(reply?.body.message).not.toBe('');
      }
    }
  });

  it('does not serve the present protocol', async () => {
    const reply = await clientOf(sessionBrand, 'v2', 'aes-gcm').call('subscribe', {});
    expect(reply).toMatchObject({ status: 400, body: { code: 0 } });
  });

  it('of another network has another salt', async () => {
    const crossed = new LegacyClient(server.url, server.onionKey.publicKey, { ...bchatBrand, salt: 'LOKI' });
    const call = crossed.frame('register', { token: 't', pubKey: 'a' });
    const answer = await post(`${server.url}${call.path}`, call.frame);
    expect(answer.status).toBe(200);
    // Sealed with the salt of the route: this client cannot read it.
    expect(call.open(answer.body)).toBeNull();
    expect(bchat.methods.calls).toEqual([]);
  });
});

describe('version 4', () => {
  const args = Buffer.from('{"token":"t","pubKey":"a"}');
  const metadata = { method: 'POST', endpoint: '/register', headers: {} };

  it('takes methods with and without the slash, by any HTTP method or none, with any headers', async () => {
    const texts: readonly unknown[] = [
      metadata,
      { ...metadata, endpoint: 'register' },
      { ...metadata, method: 'GET' },
      { ...metadata, method: 5 },
      { endpoint: 'register' },
      { ...metadata, headers: [] },
    ];
    for (const each of texts) {
      expect(await askV4(each, args)).toEqual({
        code: 200,
        headers: { 'content-type': 'application/json' },
        body: '{"code":1,"message":"Success"}',
      });
    }
    expect(session.methods.calls.map(({ name }) => name)).toEqual(texts.map(() => 'register'));
  });

  it('takes what the metadata says where the body says something else', async () => {
    await askV4({ ...metadata, token: 'of the metadata' }, Buffer.from('{"token":"t","method":"m","x":1}'));
    expect(session.methods.calls[0]?.args).toEqual({ ...metadata, token: 'of the metadata', x: 1 });
  });

  it.each([
    ['no body', null],
    ['an empty body', Buffer.alloc(0)],
    ['a body that is no JSON', Buffer.from('hello')],
    ['a body that is no UTF-8', Buffer.from([0x22, 0xff, 0x22])],
    ['an array', Buffer.from('[]')],
    ['null', Buffer.from('null')],
    ['a string', Buffer.from('"{}"')],
  ])('answers a method with %s by code 400 inside', async (_name, body) => {
    const reply = await askV4(metadata, body);
    expect(reply).toMatchObject({ code: 400, headers: { 'content-type': 'application/json' } });
    expect(JSON.parse(reply.body ?? '')).toMatchObject({ code: 0 });
    expect(session.methods.calls).toEqual([]);
  });

  it.each([
    '/nothing',
    '/register/',
    '//register',
    '/register?x=1',
    '/%72egister',
    '/oxen/v4/lsrpc',
    '/loki/v2/lsrpc',
    '/get_statistics_data',
    '/constructor',
    '/__proto__',
  ])('%s is 404', async (endpoint) => {
    expect(await askV4({ ...metadata, endpoint }, args)).toMatchObject({ code: 404 });
    expect(session.methods.calls).toEqual([]);
  });

  it.each(['subscribe', 'unsubscribe', 'nothing', ''])('%s without a slash is 400', async (endpoint) => {
    expect(await askV4({ ...metadata, endpoint }, args)).toMatchObject({ code: 400 });
  });

  it('serves the present protocol beside the methods, by POST', async () => {
    expect(await askV4({ ...metadata, endpoint: '/subscribe' }, Buffer.from('[]'))).toMatchObject({
      body: '[]',
    });
    expect(await askV4({ ...metadata, endpoint: '/subscribe', method: 'GET' }, null)).toMatchObject({
      code: 405,
    });
  });
});

describe('bodies', () => {
  it('are taken up to 10 MiB, and a method that is longer than it can be is refused inside', async () => {
    const client = clientOf(sessionBrand, 'v2', 'aes-gcm');
    const call = client.frame('notify', { data: 'AA', send_to: 'x' });
    const padded = Buffer.alloc(10_485_760, 0x20);
    padded.set(call.frame);
    expect(call.open((await post(`${server.url}${call.path}`, padded)).body)).toEqual(done);
    const longer = await post(`${server.url}${call.path}`, Buffer.concat([padded, Buffer.from(' ')]));
    expect(longer.status).toBe(400);

    for (const version of ['v2', 'v4'] as const) {
      const huge = clientOf(sessionBrand, version, 'aes-gcm').frame('notify', {
        data: 'A'.repeat(10_000_000),
      });
      const answer = await post(`${server.url}${huge.path}`, huge.frame);
      expect(answer.status).toBe(200);
      expect(huge.open(answer.body)).toMatchObject({ status: 400, body: { code: 0 } });
    }
  });

  it('of the longest message that a client can send pass', async () => {
    for (const version of ['v2', 'v4'] as const) {
      const client = clientOf(sessionBrand, version, 'aes-gcm', 'ios');
      expect(await client.notify('x', '/'.repeat(60_000))).toEqual(done);
    }
    expect(session.methods.calls).toHaveLength(2);
  });
});
