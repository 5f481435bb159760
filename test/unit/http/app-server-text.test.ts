import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startTestServer } from './harness.js';
import { startAppServer, type AppServerUnderTest } from './app-server-harness.js';

let test: AppServerUnderTest;
beforeAll(async () => {
  test = await startAppServer();
});
afterAll(() => test.server.close());
beforeEach(() => {
  test.appServer.rows.clear();
  test.appServer.fates.clear();
  test.appServer.pushes.length = 0;
  test.appServer.instead = null;
  test.appServer.before = () => Promise.resolve();
  test.answered.length = 0;
});

const register = '/push_appserver/v1/register';
const unregister = '/push_appserver/v1/unregister';
const push = '/push_appserver/v1/push';

/** As the phone's program reads an answer: three parts, `OK` the first. */
const secretIn = (text: string): string => {
  const parts = text.split('\n');
  expect(parts).toHaveLength(3);
  expect(parts[0]).toBe('OK');
  return parts[2] ?? '';
};

describe('version 1', () => {
  it('registers, keeps the secret, wakes, and forgets', async () => {
    const first = await test.ask(register, 'type=apns&node=phone&token=aa');
    const secret = secretIn(first.text);
    expect(first.text).toBe(`OK\nphone\n${secret}`);
    expect(secretIn((await test.ask(register, 'type=apns&node=phone&token=bb')).text)).toBe(secret);
    expect((await test.ask(push, `node=phone&secret=${secret}`)).text).toBe('OK\nphone');
    expect((await test.ask(unregister, 'type=apns&node=phone')).text).toBe(`OK\nphone\n${secret}`);
    expect((await test.ask(push, `node=phone&secret=${secret}`)).text).toBe(
      'ERROR\nNode or secret not found!',
    );
    expect(test.answered.map(({ request, answer }) => `${request} ${answer}`)).toEqual([
      'register registered',
      'register registered',
      'push accepted',
      'unregister unregistered',
      'push unknown',
    ]);
  });

  it('reads what old clients fail to escape as far as it can be read', async () => {
    const answer = await test.ask(register, 'type=apns&node=phone&token=a=b/c:d@e?f!$');
    expect(answer.status).toBe(200);
    expect(test.appServer.rows.get('phone')?.token).toBe('a=b/c:d@e?f!$');
  });

  it.each([undefined, 'text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data', ';;;'])(
    'does not look at Content-Type %s',
    async (type) => {
      const answer = await fetch(`${test.url}${register}`, {
        method: 'POST',
        body: new Uint8Array(Buffer.from('type=apns&node=phone&token=a')),
        headers: type === undefined ? {} : { 'content-type': type },
      });
      expect(answer.status).toBe(200);
      expect(answer.headers.get('content-type')).toBe('text/plain; charset=utf-8');
      expect(answer.headers.get('cache-control')).toBe('no-store');
    },
  );

  it.each([
    '',
    'hello',
    'type=apns&node=phone',
    'type=apns&node=phone&token=',
    'type=&node=phone&token=a',
    'type=apns&node=phone&token=a&token=',
    'type=apns&node=phone&token=%ff',
    'type=apns&node=phone&token=a%00b',
    'type=apns&node=ph%00ne&token=a',
    'type=apns&node=phone%0aOK&token=a',
    'type=apns%0d&node=phone&token=a',
    `type=${'a'.repeat(65)}&node=phone&token=a`,
    `type=apns&node=${'a'.repeat(1_025)}&token=a`,
    'type=unknown&node=phone&token=a',
    `type=apns&node=phone&token=${'a'.repeat(1_000)}`,
    '{"type":"apns","node":"phone","token":"a"}',
  ])('refuses to register %s', async (body) => {
    const answer = await test.ask(register, body);
    expect(answer.status).toBe(400);
    expect(answer.headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(test.appServer.rows.size).toBe(0);
  });

  it('takes a body of 4096 bytes and not one more', async () => {
    const body = 'type=apns&node=phone&token=a&x=';
    expect((await test.ask(register, body.padEnd(4_096, 'x'))).status).toBe(200);
    expect((await test.ask(register, body.padEnd(4_097, 'x'))).status).toBe(400);
    expect(test.answered.at(-1)).toMatchObject({ answer: 'too-large' });
  });

  it.each([
    [{ kind: 'accepted' }, 'OK\nphone'],
    [{ kind: 'unknown' }, 'ERROR\nNode or secret not found!'],
    [{ kind: 'dead-token' }, 'ERROR\nNode or secret not found!'],
    [{ kind: 'rate-limited' }, 'ERROR\nRatelimit reached!'],
    [
      { kind: 'failed', text: 'APNS error response 403: Forbidden' },
      'ERROR\nAPNS error response 403: Forbidden',
    ],
    [{ kind: 'failed', text: 'first\r\nOK\nthird' }, 'ERROR\nfirst OK third'],
    [{ kind: 'failed', text: null }, 'ERROR\nInternal error in push handler'],
  ] as const)('answers a push that comes to %o', async (fate, text) => {
    const secret = secretIn((await test.ask(register, 'type=apns&node=phone&token=a')).text);
    test.appServer.fates.set('apns', fate);
    const answer = await test.ask(push, `node=phone&secret=${secret}`);
    expect(answer.status).toBe(200);
    expect(answer.text).toBe(text);
  });

  it.each([
    ['rate-limited', 429],
    ['unavailable', 503],
  ] as const)('tells clients when to come back after %s', async (instead, status) => {
    test.appServer.instead = instead;
    for (const path of [register, unregister]) {
      const answer = await test.ask(path, 'type=apns&node=phone&token=a');
      expect(answer.status).toBe(status);
      expect(answer.headers.get('retry-after')).toBe('5');
    }
  });

  it('survives an app server that breaks its promise, and logs no more than that', async () => {
    test.appServer.before = () => Promise.reject(new RangeError('token-of-somebody'));
    expect((await test.ask(register, 'type=apns&node=phone&token=a')).status).toBe(503);
    expect((await test.ask(unregister, 'type=apns&node=phone')).status).toBe(503);
    const answer = await test.ask(push, 'node=phone&secret=a');
    expect([answer.status, answer.text]).toEqual([200, 'ERROR\nInternal error in push handler']);
    expect(test.answered.map(({ answer }) => answer)).toEqual(['fault', 'fault', 'fault']);
    expect(test.log()).toContain('RangeError');
    expect(test.log()).not.toContain('token-of-somebody');
  });
});

describe('pages of other origins', () => {
  const headersOf = (headers: Headers): Record<string, string | null> =>
    Object.fromEntries(
      ['origin', 'methods', 'headers'].map((name) => [name, headers.get(`access-control-allow-${name}`)]),
    );
  const everybody = { origin: '*', methods: 'POST, GET, OPTIONS', headers: 'Content-Type' };

  it('may ask, as they always could, whatever the answer', async () => {
    for (const answer of [
      await test.ask(register, 'type=apns&node=phone&token=a'),
      await test.ask(register, ''),
      await test.ask('/push_appserver/v1', ''),
      await test.get('/push_appserver/v1/health'),
      await test.get('/push_appserver/v1/settings'),
      await test.get(register, { method: 'OPTIONS' }),
    ]) {
      expect(headersOf(answer.headers)).toEqual(everybody);
      expect(answer.headers.get('access-control-max-age')).toBe('7200');
    }
  });

  it.each(['', '/', '/v1/register', '/v1/push/x', '/v1/health', '/v1/settings', '/v2/push'])(
    'get 200 for OPTIONS of %s',
    async (path) => {
      const answer = await test.get(`/push_appserver${path}`, { method: 'OPTIONS' });
      expect([answer.status, answer.text]).toEqual([200, '']);
    },
  );

  it('are told the same where other paths have other rules', async () => {
    const other = await startAppServer({ options: { corsOrigins: ['https://chat.example'] } });
    const preflight = {
      method: 'OPTIONS',
      headers: { origin: 'https://else.example', 'access-control-request-method': 'POST' },
    };
    const answer = await other.get(register, preflight);
    expect(answer.status).toBe(200);
    expect(headersOf(answer.headers)).toEqual(everybody);
    expect((await other.get('/push_appserver/v1/x', preflight)).status).toBe(404);
    expect((await other.get('/push_appserver/v1/health', preflight)).status).toBe(200);
    const asked = await other.get('/push_appserver/v1/x', { headers: { origin: 'https://chat.example' } });
    expect(headersOf(asked.headers)).toEqual(everybody);
    expect((await other.get('/subscribe', preflight)).headers.get('access-control-allow-origin')).toBeNull();
    await other.server.close();
  });
});

describe('paths', () => {
  it.each([
    '/v1',
    '/v1/',
    '/v1/nothing',
    '/v1/register/',
    '/v1/health',
    '/v3/push',
    '/../v1/x',
    '//',
    '/V1/register',
  ])('POST %s is 404', async (path) => {
    const answer = await test.ask(`/push_appserver${path}`, 'type=apns&node=phone&token=a');
    expect(answer.status).toBe(404);
    expect(test.appServer.rows.size).toBe(0);
  });

  it('other methods are 404', async () => {
    for (const method of ['PUT', 'DELETE', 'PATCH']) {
      expect((await test.get(register, { method })).status).toBe(404);
    }
    expect((await test.get('/push_appserver/v1', { method: 'OPTIONS' })).status).toBe(404);
  });

  it('are none on a server without app server', async () => {
    const other = await startTestServer();
    for (const path of ['', '/', '/v1/health', '/v1/register', '/v2/register']) {
      expect((await fetch(`${other.url}/push_appserver${path}`)).status).toBe(404);
      expect((await fetch(`${other.url}/push_appserver${path}`, { method: 'POST' })).status).toBe(404);
    }
    await other.server.close();
  });

  it('leave those of other clients as they are', async () => {
    expect((await test.ask('/subscribe', '[]')).text).toBe('[]');
    expect((await test.ask('/push_appserverx', '')).text).toBe('Not found');
    expect((await test.get('/subscribe')).status).toBe(405);
  });
});
