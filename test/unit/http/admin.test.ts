import { request } from 'node:http';
import { afterEach, describe, expect, it } from 'vitest';
import { createAdminServer, type AdminServer, type Health } from '../../../src/http/admin.js';
import type { DeletedDevices, UndeleteReport, UndeleteRequest } from '../../../src/http/admin-devices.js';
import { ChangeNotTaken } from '../../../src/legacy/store-failure.js';
import { StoreUnavailable } from '../../../src/store/errors.js';
import { Metrics } from '../../../src/telemetry/metrics.js';
import { eventually } from '../../simulators/eventually.js';

let server: AdminServer | null = null;
let port = 0;
afterEach(async () => {
  await server?.close();
  server = null;
});

const healthy: Health = {
  live: () => true,
  ready: () => ({ ready: true, parts: { store: { ok: true, reason: null } } }),
};

type Get = (
  path: string,
  given?: string,
  body?: string,
  type?: string,
) => Promise<{ status: number; text: string; type: string | null }>;

const noDevices: DeletedDevices = {
  countByService: () => Promise.resolve(new Map()),
  countLegacy: () => Promise.resolve([]),
  countXmpp: () => Promise.resolve([]),
  undelete: () => Promise.resolve({ restored: 0, skipped: 0, legacyRestored: 0, xmppRestored: 0 }),
};

/** With a body it is a POST. */
async function start(
  token: string | null,
  health: Health = healthy,
  devices: DeletedDevices = noDevices,
): Promise<Get> {
  const metrics = new Metrics();
  metrics.requests.of('ok').add(3);
  server = createAdminServer(
    { host: '127.0.0.1', port: 0, token },
    { metrics, health, stats: () => ({ uptime: 1.5 }), notifiers: () => ({ apns: { window: 8 } }), devices },
  );
  const { url } = await server.listen();
  port = Number(new URL(url).port);
  return async (path, given, body, type = 'application/json') => {
    const answer = await fetch(`${url}${path}`, {
      headers: {
        ...(given === undefined ? {} : { authorization: given }),
        ...(body === undefined ? {} : { 'content-type': type }),
      },
      ...(body === undefined ? {} : { method: 'POST', body }),
    });
    return { status: answer.status, text: await answer.text(), type: answer.headers.get('content-type') };
  };
}

describe('the admin listener', () => {
  it('shows health, metrics and statistics', async () => {
    const get = await start(null);
    expect(await get('/livez')).toMatchObject({ status: 200 });
    expect(JSON.parse((await get('/readyz')).text)).toEqual({
      ready: true,
      parts: { store: { ok: true, reason: null } },
    });
    const metrics = await get('/metrics');
    expect(metrics.type).toContain('text/plain');
    expect(metrics.text).toContain('waggle_http_requests_total{result="ok"} 3');
    expect(JSON.parse((await get('/stats')).text)).toEqual({ uptime: 1.5 });
    expect(JSON.parse((await get('/notifiers')).text)).toEqual({ apns: { window: 8 } });
    expect((await get('/nothing')).status).toBe(404);
  });

  it('says 503 and why while a part is not ready', async () => {
    const get = await start(null, {
      live: () => false,
      ready: async () => ({ ready: false, parts: { store: { ok: false, reason: 'loading' } } }),
    });
    const ready = await get('/readyz');
    expect(ready.status).toBe(503);
    expect(JSON.parse(ready.text)).toMatchObject({ parts: { store: { reason: 'loading' } } });
    expect((await get('/livez')).status).toBe(503);
  });

  it('takes a check that throws for one that is not ready', async () => {
    const get = await start(null, {
      live: () => true,
      ready: () => {
        throw new Error('secret of the house');
      },
    });
    const ready = await get('/readyz');
    expect(ready.status).toBe(503);
    expect(ready.text).not.toContain('secret');
  });

  it('with a token shows figures to its bearer only, and the bare health to everybody', async () => {
    const get = await start('s3cret');
    for (const path of ['/metrics', '/stats', '/notifiers']) {
      for (const given of [undefined, 'Bearer', 'Bearer wrong', 'Bearer s3cret2', 'Basic s3cret', 's3cret']) {
        const answer = await get(path, given);
        expect(answer.status).toBe(401);
        expect(answer.text).not.toContain('s3cret');
      }
      expect((await get(path, 'Bearer s3cret')).status).toBe(200);
    }
    expect(JSON.parse((await get('/readyz')).text)).toEqual({ ready: true });
    expect(JSON.parse((await get('/readyz', 'Bearer s3cret')).text)).toHaveProperty('parts');
    expect((await get('/livez')).status).toBe(200);
  });
});

describe('a page of a stranger whose name resolves to a loopback address', () => {
  /** As a browser sends it; `fetch` does not let its user choose this header. */
  const ask = (host: string, path: string, body?: string): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      const headers = { host, ...(body === undefined ? {} : { 'content-type': 'application/json' }) };
      const method = body === undefined ? 'GET' : 'POST';
      request({ host: '127.0.0.1', port, path, method, headers, agent: false }, (response) => {
        response.resume();
        resolve(response.statusCode);
      })
        .on('error', reject)
        .end(body);
    });

  it.each([
    'attacker.example',
    'attacker.example:8081',
    '127.0.0.1.attacker.example',
    'localhost.attacker.example',
  ])('sees and changes nothing: %s', async (host) => {
    await start(null);
    expect(await ask(host, '/livez')).toBe(200);
    for (const path of ['/metrics', '/stats', '/notifiers', '/devices/deleted']) {
      expect(await ask(host, path)).toBe(403);
    }
    expect(await ask(host, '/devices/undelete', '{}')).toBe(403);
  });

  it.each(['127.0.0.1', '127.0.0.1:8081', '[::1]:8081', 'localhost:8081', 'LOCALHOST'])(
    'is not taken for the operator, who asks for %s',
    async (host) => {
      await start(null);
      expect(await ask(host, '/stats')).toBe(200);
    },
  );

  it('matters not where a token is asked for, which no page has', async () => {
    await start('s3cret');
    expect(await ask('waggle.internal', '/stats')).toBe(401);
  });
});

describe('deleted devices on the admin listener', () => {
  const asked: UndeleteRequest[] = [];
  let answer = (): Promise<UndeleteReport> =>
    Promise.resolve({ restored: 5, skipped: 2, legacyRestored: 3, xmppRestored: 1 });
  const devices: DeletedDevices = {
    countByService: () => Promise.resolve(new Map([['apns', 3]])),
    countLegacy: () => Promise.resolve([{ brand: 'bchat', service: 'firebase', devices: 4 }]),
    countXmpp: () => Promise.resolve([{ service: 'apns', devices: 6 }]),
    undelete: (request) => {
      asked.push(request);
      return answer();
    },
  };

  it('are counted and brought back, with a filter or without', async () => {
    const get = await start(null, healthy, devices);
    expect(JSON.parse((await get('/devices/deleted')).text)).toEqual({
      services: { apns: 3 },
      legacy: [{ brand: 'bchat', service: 'firebase', devices: 4 }],
      xmpp: [{ service: 'apns', devices: 6 }],
    });
    asked.length = 0;
    const done = await get('/devices/undelete', undefined, '{}');
    expect([done.status, JSON.parse(done.text)]).toEqual([
      200,
      { restored: 5, skipped: 2, legacyRestored: 3, xmppRestored: 1 },
    ]);
    await get('/devices/undelete', undefined, '{"service":"apns","sinceMs":1700000000000,"dryRun":true}');
    expect(asked).toEqual([
      { service: null, removedSinceMs: 0, dryRun: false },
      { service: 'apns', removedSinceMs: 1_700_000_000_000, dryRun: true },
    ]);
  });

  it('are left alone when the request is not understood', async () => {
    const get = await start(null, healthy, devices);
    asked.length = 0;
    for (const body of [
      '',
      'null',
      '{',
      '[]',
      '7',
      '{"servise":"apns"}',
      '{"service":7}',
      '{"service":""}',
      '{"sinceMs":"yesterday"}',
      '{"sinceMs":-1}',
      '{"sinceMs":1.5}',
      '{"dryRun":"yes"}',
    ]) {
      expect((await get('/devices/undelete', undefined, body)).status, body).toBe(400);
    }
    // What a page in the operator's browser could send from anywhere.
    const form = await get('/devices/undelete', undefined, '{}', 'text/plain');
    expect(form.status).toBe(415);
    expect(form.text).toContain('application/json');
    expect((await get('/devices/undelete', undefined, '', 'text/plain')).status).not.toBe(200);
    expect((await get('/devices/undelete', undefined, `{"service":"${'x'.repeat(2000)}"}`)).status).toBe(413);
    expect(asked).toEqual([]);
  });

  it('are shown and brought back for the bearer of the token only', async () => {
    const get = await start('s3cret', healthy, devices);
    asked.length = 0;
    expect((await get('/devices/deleted')).status).toBe(401);
    expect((await get('/devices/undelete', 'Bearer wrong', '{}')).status).toBe(401);
    expect(asked).toEqual([]);
    expect((await get('/devices/undelete', 'Bearer s3cret', '{}')).status).toBe(200);
  });

  it('are brought back by one at a time, and an absent database is told as such', async () => {
    const get = await start(null, healthy, devices);
    let fail: (error: Error) => void = () => undefined;
    answer = () => new Promise((_resolve, reject) => (fail = reject));
    asked.length = 0;
    const first = get('/devices/undelete', undefined, '{}');
    await eventually(() => asked.length === 1);
    expect((await get('/devices/undelete', undefined, '{}')).status).toBe(409);
    fail(new StoreUnavailable('unreachable'));
    expect((await first).status).toBe(503);
    answer = () => Promise.reject(new ChangeNotTaken('away'));
    expect((await get('/devices/undelete', undefined, '{}')).status).toBe(503);
    answer = () => Promise.reject(new Error('secret of the house'));
    const fault = await get('/devices/undelete', undefined, '{}');
    expect(fault.status).toBe(500);
    expect(fault.text).not.toContain('secret');
  });
});
