import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startAppServer, type AppServerUnderTest } from './app-server-harness.js';
import { startTestServer } from './harness.js';

let test: AppServerUnderTest;
beforeAll(async () => {
  test = await startAppServer({ appServerOptions: { jid: 'push.example' } });
});
afterAll(() => test.server.close());
beforeEach(() => {
  test.appServer.rows.clear();
  test.appServer.fates.clear();
  test.appServer.instead = null;
  test.appServer.before = () => Promise.resolve();
});

const base = '/push_appserver/v2';
const phone = { type: 'apns', node: 'phone', token: 'aa' };
const json = (text: string): Record<string, unknown> => JSON.parse(text) as Record<string, unknown>;

async function secretOf(device: { type: string; node: string; token: string }): Promise<string> {
  return String(json((await test.ask(`${base}/register`, device)).text)['secret']);
}

describe('version 2', () => {
  it('registers, keeps the secret, wakes, and forgets', async () => {
    const first = await test.ask(`${base}/register`, phone);
    expect(first.status).toBe(200);
    expect(first.headers.get('content-type')).toBe('application/json');
    expect(first.headers.get('cache-control')).toBe('no-store');
    const { secret } = json(first.text);
    expect(json(first.text)).toEqual({ node: 'phone', secret, jid: 'push.example' });
    expect(await secretOf({ ...phone, token: 'bb' })).toBe(secret);
    const woken = await test.ask(`${base}/push`, { node: 'phone', secret });
    expect([woken.status, json(woken.text)]).toEqual([200, { node: 'phone' }]);
    const gone = await test.ask(`${base}/unregister`, phone);
    expect([gone.status, json(gone.text)]).toEqual([200, { node: 'phone' }]);
    const again = await test.ask(`${base}/push`, { node: 'phone', secret });
    expect([again.status, json(again.text)['error']]).toEqual([404, 'unknown-node']);
  });

  it('unregisters by DELETE as well', async () => {
    await secretOf(phone);
    const ask = () => test.get(`${base}/unregister`, { method: 'DELETE', body: JSON.stringify(phone) });
    expect((await ask()).status).toBe(200);
    const again = await ask();
    expect([again.status, json(again.text)['error']]).toEqual([404, 'unknown-node']);
    expect((await test.get(`${base}/unregister`, { method: 'DELETE' })).status).toBe(400);
  });

  it('knows the devices of version 1 and the other way round', async () => {
    const secret = await secretOf(phone);
    const woken = await test.ask('/push_appserver/v1/push', `node=phone&secret=${secret}`);
    expect(woken.text).toBe('OK\nphone');
  });

  it.each([
    '',
    'type=apns&node=phone&token=a',
    'null',
    '[]',
    '"x"',
    '{}',
    '{"type":"apns","node":"phone"}',
    '{"type":"apns","node":"phone","token":""}',
    '{"type":"apns","node":"phone","token":7}',
    '{"type":"apns","node":["phone"],"token":"a"}',
    '{"type":"apns","node":"ph\\u0000ne","token":"a"}',
    '{"type":"apns","node":"ph\\ud800ne","token":"a"}',
    '{"type":"apns","node":"ph\\nne","token":"a"}',
    '{"__proto__":{"token":"a"},"type":"apns","node":"phone"}',
    `{"type":"apns","node":"${'a'.repeat(1_025)}","token":"a"}`,
    `{"type":"apns","node":"phone","token":"${'a'.repeat(4_097)}"}`,
    Buffer.from('{"type":"apns","node":"phone","token":"\xff"}', 'latin1'),
  ])('refuses to register %s', async (body) => {
    const answer = await test.ask(`${base}/register`, body);
    expect([answer.status, json(answer.text)['error']]).toEqual([400, 'bad-request']);
    expect(test.appServer.rows.size).toBe(0);
  });

  it('refuses types and tokens that nothing can be sent to', async () => {
    for (const [device, error] of [
      [{ ...phone, type: 'pigeon' }, 'unknown-type'],
      [{ ...phone, token: 'a'.repeat(1_000) }, 'bad-token'],
    ] as const) {
      const answer = await test.ask(`${base}/register`, device);
      expect([answer.status, json(answer.text)['error']]).toEqual([400, error]);
    }
  });

  it('takes the longest values there are with every character escaped, and no body beyond', async () => {
    const escaped = '\\u00e9'.repeat(900);
    const answer = await test.ask(
      `${base}/register`,
      `{"type":"apns","node":"${escaped}","token":"${'\\u0061'.repeat(999)}"}`,
    );
    expect(answer.status).toBe(200);
    const long = await test.ask(`${base}/register`, JSON.stringify(phone).padEnd(32_769));
    expect([long.status, json(long.text)['error']]).toEqual([413, 'too-large']);
  });

  it.each([
    [{ kind: 'accepted' }, 200, undefined, null],
    [{ kind: 'unknown' }, 404, 'unknown-node', null],
    [{ kind: 'dead-token' }, 404, 'unknown-node', null],
    [{ kind: 'rate-limited' }, 429, 'rate-limited', '5'],
    [{ kind: 'failed', text: 'some text' }, 503, 'push-failed', '5'],
    [{ kind: 'failed', text: null }, 503, 'push-failed', '5'],
  ] as const)('answers a push that comes to %o', async (fate, status, error, retryAfter) => {
    const secret = await secretOf(phone);
    test.appServer.fates.set('apns', fate);
    const answer = await test.ask(`${base}/push`, { node: 'phone', secret });
    expect([answer.status, json(answer.text)['error']]).toEqual([status, error]);
    expect(answer.headers.get('retry-after')).toBe(retryAfter);
    if (status !== 200) expect(json(answer.text)['message']).toBeTypeOf('string');
  });

  it('tells clients when to come back', async () => {
    for (const [instead, status] of [
      ['rate-limited', 429],
      ['unavailable', 503],
    ] as const) {
      test.appServer.instead = instead;
      for (const kind of ['register', 'unregister']) {
        const answer = await test.ask(`${base}/${kind}`, phone);
        expect([answer.status, json(answer.text)['error']]).toEqual([status, instead]);
        expect(answer.headers.get('retry-after')).toBe('5');
      }
    }
  });

  it('says in JSON what is not there', async () => {
    const method = await test.get(`${base}/register`);
    expect([method.status, json(method.text)['error']]).toEqual([405, 'method-not-allowed']);
    expect(method.headers.get('allow')).toBe('POST, OPTIONS');
    const path = await test.ask(`${base}/settings`, {});
    expect([path.status, json(path.text)['error']]).toEqual([404, 'unknown-path']);
  });

  it('may be called from any page', async () => {
    const preflight = await test.get(`${base}/unregister`, { method: 'OPTIONS' });
    expect(preflight.status).toBe(200);
    for (const { headers } of [preflight, await test.ask(`${base}/push`, {})]) {
      expect(headers.get('access-control-allow-origin')).toBe('*');
      expect(headers.get('access-control-allow-methods')).toBe('POST, DELETE, OPTIONS');
      expect(headers.get('access-control-allow-headers')).toBe('Content-Type');
    }
  });
});

interface Description {
  readonly paths: Record<string, Record<string, { responses: Record<string, { content?: object }> }>>;
}

describe('the description of the interface', () => {
  const paths = ['v1', 'v2'].flatMap((version) =>
    ['push', 'register', 'unregister'].map((kind) => `/push_appserver/${version}/${kind}`),
  );

  it('has both versions, and not the pages', async () => {
    const { paths: described } = json((await test.get('/openapi.json')).text) as unknown as Description;
    const found = Object.keys(described).filter((path) => path.startsWith('/push_appserver'));
    expect(found.sort()).toEqual(paths);
    const register = described[`${base}/register`]?.['post'];
    expect(Object.keys(register?.responses ?? {})).toEqual(['200', '400', '413', '429', '503']);
    expect(register?.responses['200']?.content).toHaveProperty('application/json');
    expect(Object.keys(described[`${base}/unregister`] ?? {}).sort()).toEqual(['delete', 'post']);
    const text = described['/push_appserver/v1/register']?.['post'];
    expect(text?.responses['200']?.content).toHaveProperty('text/plain');
    expect(JSON.stringify(text)).toContain('application/x-www-form-urlencoded');
  });

  it('has neither on a server without app server', async () => {
    const other = await startTestServer();
    const text = await (await fetch(`${other.url}/openapi.json`)).text();
    expect(text).not.toContain('push_appserver');
    await other.server.close();
  });
});
