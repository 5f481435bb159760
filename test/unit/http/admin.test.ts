import { afterEach, describe, expect, it } from 'vitest';
import { createAdminServer, type AdminServer, type Health } from '../../../src/http/admin.js';
import { Metrics } from '../../../src/telemetry/metrics.js';

let server: AdminServer | null = null;
afterEach(async () => {
  await server?.close();
  server = null;
});

const healthy: Health = {
  live: () => true,
  ready: () => ({ ready: true, parts: { store: { ok: true, reason: null } } }),
};

async function start(
  token: string | null,
  health: Health = healthy,
): Promise<(path: string, given?: string) => Promise<{ status: number; text: string; type: string | null }>> {
  const metrics = new Metrics();
  metrics.requests.of('ok').add(3);
  server = createAdminServer(
    { host: '127.0.0.1', port: 0, token },
    { metrics, health, stats: () => ({ uptime: 1.5 }) },
  );
  const { url } = await server.listen();
  return async (path, given) => {
    const answer = await fetch(`${url}${path}`, {
      headers: given === undefined ? {} : { authorization: given },
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
    for (const path of ['/metrics', '/stats']) {
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
