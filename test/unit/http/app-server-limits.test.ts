import { afterEach, describe, expect, it } from 'vitest';
import { eventually } from '../../simulators/eventually.js';
import { MemoryAppServer } from '../../simulators/memory-app-server.js';
import { startAppServer, type AppServerUnderTest } from './app-server-harness.js';
import { vectorClock } from './harness.js';

let test: AppServerUnderTest;
afterEach(() => test.server.close(100));

const v1 = '/push_appserver/v1';
const v2 = '/push_appserver/v2';
const form = 'type=apns&node=phone&token=a';

describe('one address', () => {
  const limited = { rateLimitExempt: [] };

  it('may register and unregister so many times a minute, over both versions together', async () => {
    test = await startAppServer({ options: limited, appServerOptions: { registrationsPerMinute: 3 } });
    expect((await test.ask(`${v1}/register`, form)).status).toBe(200);
    expect((await test.ask(`${v2}/register`, { type: 'apns', node: 'b', token: 'a' })).status).toBe(200);
    expect((await test.ask(`${v1}/unregister`, form)).status).toBe(200);
    const text = await test.ask(`${v1}/register`, form);
    expect(text.status).toBe(429);
    expect(text.headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(text.headers.get('access-control-allow-origin')).toBe('*');
    expect(Number(text.headers.get('retry-after'))).toBeGreaterThan(50);
    const json = await test.ask(`${v2}/unregister`, {});
    expect(json.status).toBe(429);
    expect(JSON.parse(json.text)).toMatchObject({ error: 'rate-limited' });
    expect(test.appServer.calls).toBe(3);
    // Neither the pushes nor the pages that are always there count with them.
    expect((await test.ask(`${v1}/push`, 'node=a&secret=b')).status).toBe(200);
    expect((await test.get(`${v1}/health`)).status).toBe(200);
    expect((await test.ask('/subscribe', '[]')).status).toBe(200);
  });

  it('may push so many times a minute', async () => {
    test = await startAppServer({ options: limited, appServerOptions: { pushesPerMinute: 2 } });
    const push = () => test.ask(`${v1}/push`, 'node=a&secret=b');
    expect([(await push()).status, (await push()).status, (await push()).status]).toEqual([200, 200, 429]);
    expect((await test.ask(`${v1}/register`, form)).status).toBe(200);
  });

  it('has no limit when it is on the list of those without', async () => {
    test = await startAppServer({ appServerOptions: { registrationsPerMinute: 1 } });
    for (let times = 0; times < 5; times += 1) {
      expect((await test.ask(`${v1}/register`, form)).status).toBe(200);
    }
  });
});

describe('an app server that hangs', () => {
  it('is answered for in time', async () => {
    test = await startAppServer({ appServerOptions: { answerTimeoutMs: 50 } });
    test.appServer.before = () => new Promise(() => undefined);
    expect((await test.ask(`${v1}/register`, form)).status).toBe(503);
    expect((await test.ask(`${v1}/unregister`, form)).status).toBe(503);
    expect((await test.ask(`${v1}/push`, 'node=a&secret=b')).text).toBe(
      'ERROR\nInternal error in push handler',
    );
    expect((await test.ask(`${v2}/push`, { node: 'a', secret: 'b' })).status).toBe(503);
    expect(test.answered.map(({ answer }) => answer)).toEqual(['late', 'late', 'late', 'late']);
    expect(test.server.inProgress()).toBe(0);
  });

  it('is told until when a push is of use', async () => {
    test = await startAppServer({ appServerOptions: { answerTimeoutMs: 1_234 } });
    test.appServer.newSecret = () => 's';
    await test.ask(`${v1}/register`, form);
    await test.ask(`${v1}/push`, 'node=phone&secret=s');
    expect(test.appServer.pushes).toEqual([{ node: 'phone', deadlineMs: vectorClock.nowMs() + 1_234 }]);
  });

  it('holds so many requests and no more, and takes none of the room of other clients', async () => {
    const admission = {
      requestsInProgressMax: 8,
      eventLoopDelayMaxMs: 1_000,
      sampleIntervalMs: 1_000,
      bodyBytesMax: 1_000_000,
    };
    test = await startAppServer({ options: { admission }, appServerOptions: { answerTimeoutMs: 100 } });
    let release: () => void = () => undefined;
    const opened = new Promise<void>((resolve) => (release = resolve));
    test.appServer.before = () => opened;
    const held = Array.from({ length: 4 }, () => test.ask(`${v1}/push`, 'node=a&secret=b'));
    await eventually(() => test.appServer.calls === 4);
    const shed = await test.ask(`${v1}/push`, 'node=a&secret=b');
    expect(shed.status).toBe(503);
    expect(shed.headers.get('retry-after')).toBe('5');
    expect((await test.ask(`${v2}/push`, { node: 'a', secret: 'b' })).status).toBe(503);
    expect((await test.ask('/subscribe', '[]')).text).toBe('[]');
    await Promise.all(held);
    // Answered, but not over: what hangs counts until it does not.
    expect((await test.ask(`${v1}/push`, 'node=a&secret=b')).status).toBe(503);
    expect(test.appServer.calls).toBe(4);
    release();
    await eventually(async () => (await test.ask(`${v1}/push`, 'node=a&secret=b')).status === 200);
  });
});

describe('a busy server', () => {
  it('turns clients away before it does anything for them', async () => {
    const appServer = new MemoryAppServer();
    test = await startAppServer({
      appServer,
      options: {
        admission: {
          requestsInProgressMax: 100,
          eventLoopDelayMaxMs: 10,
          sampleIntervalMs: 5,
          bodyBytesMax: 1_000_000,
        },
      },
      loopDelayMeter: () => 15,
    });
    await eventually(async () => (await test.ask(`${v1}/register`, form)).status === 503);
    const calls = appServer.calls;
    const json = await test.ask(`${v2}/register`, {});
    expect([json.status, json.headers.get('retry-after')]).toEqual([503, '5']);
    expect(JSON.parse(json.text)).toMatchObject({ error: 'unavailable' });
    expect(appServer.calls).toBe(calls);
    expect((await test.get(`${v1}/health`)).text).toContain('RUNNING');
    expect(test.answered.at(-1)).toMatchObject({ answer: 'shed' });
  });

  it('has no room for bodies without end', async () => {
    test = await startAppServer({
      options: {
        admission: {
          requestsInProgressMax: 100,
          eventLoopDelayMaxMs: 1_000,
          sampleIntervalMs: 1_000,
          bodyBytesMax: 10,
        },
      },
    });
    expect((await test.ask(`${v1}/register`, form)).status).toBe(503);
    expect(test.appServer.calls).toBe(0);
  });
});
