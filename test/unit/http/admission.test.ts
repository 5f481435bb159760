import { connect } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { defaultHttpServerOptions } from '../../../src/http/server-options.js';
import { eventually } from '../../simulators/eventually.js';
import { onionCall, SessionAccount, SessionDevice } from '../../simulators/session-client.js';
import { post, startTestServer, VECTOR_NOW_SECONDS, type TestServer } from './harness.js';

let server: TestServer | null = null;
afterEach(async () => {
  await server?.server.close(100);
  server = null;
});

const device = new SessionDevice('ios', undefined, undefined, 'test');
const aSubscribe = (): string =>
  JSON.stringify(device.subscription(SessionAccount.user(), VECTOR_NOW_SECONDS));

/** A store that answers when it is told to. */
function slowStore(): { subscribe: () => Promise<'added'>; release: () => void } {
  let release: () => void = () => undefined;
  const opened = new Promise<void>((resolve) => (release = resolve));
  return { subscribe: () => opened.then(() => 'added' as const), release };
}

const admission = { ...defaultHttpServerOptions.admission, requestsInProgressMax: 2 };

describe('with as many requests in progress as allowed', () => {
  it('further ones get 503 with Retry-After, inside an onion an encrypted one', async () => {
    const store = slowStore();
    const test = (server = await startTestServer({
      options: { admission },
      deps: { subscribe: store.subscribe },
    }));
    const first = [1, 2].map(() => post(`${test.url}/subscribe`, aSubscribe()));
    await eventually(() => test.server.inProgress() === 2);

    const refused = await post(`${test.url}/subscribe`, aSubscribe());
    expect(refused.status).toBe(503);
    expect(refused.headers.get('retry-after')).toBe('5');
    expect(JSON.parse(refused.body.toString())).toMatchObject({ error: 3 });

    const call = onionCall(test.onionKey.publicKey, 'aes-gcm', {
      endpoint: '/subscribe',
      body: Buffer.from(aSubscribe()),
    });
    const outer = await post(`${test.url}/oxen/v4/lsrpc`, call.frame);
    expect(outer.status).toBe(200);
    expect(call.open(outer.body)).toMatchObject({ code: 503, headers: { 'retry-after': '5' } });

    store.release();
    for (const answer of await Promise.all(first)) expect(answer.status).toBe(200);
    expect((await post(`${test.url}/subscribe`, aSubscribe())).status).toBe(200);
    expect(test.server.inProgress()).toBe(0);
    expect(test.metrics.requests.of('shed').value).toBe(1);
  });

  it('at twice as many not even onions are opened', async () => {
    const store = slowStore();
    const test = (server = await startTestServer({
      options: { admission: { ...admission, requestsInProgressMax: 0.5 } },
      deps: { subscribe: store.subscribe },
    }));
    const first = post(`${test.url}/subscribe`, aSubscribe());
    await eventually(() => test.server.inProgress() === 1);
    const outer = await post(`${test.url}/oxen/v4/lsrpc`, Buffer.from('anything'));
    // Not 503, which clients hold against the path that led here.
    expect(outer.status).toBe(400);
    store.release();
    await first;
  });
});

describe('when the event loop lags', () => {
  it('requests are shed until it has recovered', async () => {
    let delayMs = 5_000;
    const test = (server = await startTestServer({
      options: { admission: { ...defaultHttpServerOptions.admission, sampleIntervalMs: 5 } },
      loopDelayMeter: () => delayMs,
    }));
    await eventually(async () => (await post(`${test.url}/subscribe`, '[]')).status === 503);
    delayMs = 0;
    await eventually(async () => (await post(`${test.url}/subscribe`, '[]')).status === 200);
  });
});

describe('memory for bodies', () => {
  it('is given back after each request, whatever became of it', async () => {
    const test = (server = await startTestServer({
      options: { admission: { ...defaultHttpServerOptions.admission, bodyBytesMax: 2_000 } },
    }));
    const padded = aSubscribe().padEnd(1_500);
    for (let round = 0; round < 10; round += 1) {
      expect((await post(`${test.url}/subscribe`, padded)).status).toBe(200);
      expect((await post(`${test.url}/oxen/v4/lsrpc`, padded)).status).toBe(400);
      expect((await post(`${test.url}/subscribe`, padded.padEnd(2_001))).status).toBe(503);
    }
  });

  it('counts what has arrived, and is free again when the client goes away', async () => {
    const test = (server = await startTestServer({
      options: { admission: { ...defaultHttpServerOptions.admission, bodyBytesMax: 2_000 } },
    }));
    const half = connect(test.port, '127.0.0.1');
    half.write('POST /oxen/v4/lsrpc HTTP/1.1\r\nhost: x\r\ncontent-length: 9000000\r\n\r\n');
    // A promise of nine million bytes takes no room ...
    expect((await post(`${test.url}/subscribe`, aSubscribe().padEnd(1_500))).status).toBe(200);
    // ... but bytes do.
    half.write(' '.repeat(1_000));
    await eventually(
      async () => (await post(`${test.url}/subscribe`, aSubscribe().padEnd(1_500))).status === 503,
    );
    half.destroy();
    await eventually(
      async () => (await post(`${test.url}/subscribe`, aSubscribe().padEnd(1_500))).status === 200,
    );
  });
});

describe('the rate limit', () => {
  const limited = {
    rateLimitExempt: [],
    trustProxy: '127.0.0.1',
    rateLimit: { requestsMax: 3, windowSeconds: 60, addressesMax: 100 },
    onionRateLimit: { requestsMax: 20, windowSeconds: 60, addressesMax: 100 },
  };
  const from = (address: string): Record<string, string> => ({ 'x-forwarded-for': address });

  it('holds for each client address, and says when to come back', async () => {
    const test = (server = await startTestServer({ options: limited }));
    const ask = (address: string) => post(`${test.url}/subscribe`, '[]', from(address));
    for (let round = 0; round < 3; round += 1) expect((await ask('203.0.113.5')).status).toBe(200);
    const refused = await ask('203.0.113.5');
    expect(refused.status).toBe(429);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(JSON.parse(refused.body.toString())).toMatchObject({ error: 3 });
    expect((await ask('203.0.113.6')).status).toBe(200);
    expect((await ask('::ffff:203.0.113.5')).status).toBe(429);
    expect(test.metrics.requests.of('rate-limited').value).toBe(2);
  });

  it('takes a whole /64 of IPv6 for one client', async () => {
    const test = (server = await startTestServer({ options: limited }));
    const ask = (address: string) => post(`${test.url}/subscribe`, '[]', from(address));
    for (let round = 0; round < 3; round += 1) expect((await ask(`2001:db8:1:2::${round}`)).status).toBe(200);
    expect((await ask('2001:db8:1:2:aaaa:bbbb:cccc:dddd')).status).toBe(429);
    expect((await ask('2001:db8:1:3::1')).status).toBe(200);
  });

  it('is another for the onion route, where nodes speak for many', async () => {
    const test = (server = await startTestServer({ options: limited }));
    for (let round = 0; round < 20; round += 1) {
      expect((await post(`${test.url}/oxen/v4/lsrpc`, 'x', from('203.0.113.5'))).status).toBe(400);
    }
    const limitedAnswer = await post(`${test.url}/oxen/v4/lsrpc`, 'x', from('203.0.113.5'));
    expect(limitedAnswer.status).toBe(400);
    expect(limitedAnswer.body.toString()).toBe('Too many requests, try again later');
  });

  it('does not believe addresses that come inside an onion', async () => {
    const test = (server = await startTestServer({ options: { ...limited, trustProxy: false } }));
    for (let round = 0; round < 3; round += 1) {
      await post(`${test.url}/subscribe`, '[]', from(`203.0.113.${round}`));
    }
    expect((await post(`${test.url}/subscribe`, '[]', from('203.0.113.9'))).status).toBe(429);
  });

  it('does not hold for loopback unless asked to', async () => {
    const test = (server = await startTestServer({
      options: { rateLimit: { requestsMax: 1, windowSeconds: 60, addressesMax: 100 } },
    }));
    for (let round = 0; round < 5; round += 1) {
      expect((await post(`${test.url}/subscribe`, '[]')).status).toBe(200);
    }
  });
});

describe('transient failures', () => {
  it('may be told by the status where an operator wants that', async () => {
    const test = (server = await startTestServer({
      options: { transientFailureStatus: 503 },
      deps: { subscribe: () => Promise.reject(new Error('away')) },
    }));
    const call = onionCall(test.onionKey.publicKey, 'aes-gcm', {
      endpoint: '/subscribe',
      body: Buffer.from(`[${aSubscribe()}]`),
    });
    const outer = await post(`${test.url}/oxen/v4/lsrpc`, call.frame);
    expect(call.open(outer.body)).toMatchObject({ code: 503 });
    expect((await post(`${test.url}/subscribe`, '{}')).status).toBe(200);
  });
});
