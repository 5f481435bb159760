import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createOnionOpener } from '../../../src/crypto/onion.js';
import { createRandomBytes } from '../../../src/crypto/sodium.js';
import { keyPairFromSecret } from '../../../src/crypto/x25519.js';
import { defaultHttpServerOptions } from '../../../src/http/server-options.js';
import { createHttpServer, type HttpServer } from '../../../src/http/server.js';
import { silentLog } from '../../../src/telemetry/log.js';
import { createTestService, startTestServer, vectorClock } from './harness.js';

const keys = new Map([['webpush', ['BNew', 'BOld']]]);
let server: HttpServer;
let url: string;

beforeAll(async () => {
  const { service, metrics } = createTestService();
  const randomBytes = createRandomBytes();
  server = await createHttpServer(
    { ...defaultHttpServerOptions, port: 0 },
    {
      service,
      opener: createOnionOpener([keyPairFromSecret(randomBytes(32))], randomBytes),
      metrics,
      log: silentLog(),
      clock: vectorClock,
      vapidKeysOf: (name) => keys.get(name) ?? null,
    },
  );
  url = (await server.listen()).url;
});
afterAll(() => server.close());

describe('GET /webpush/SERVICE/keys', () => {
  it('gives the keys of a service, and which of them new subscriptions are to use', async () => {
    const answer = await fetch(`${url}/webpush/webpush/keys`);
    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-type')).toBe('application/json');
    expect(await answer.json()).toEqual({ preferred: 'BNew', accepted: ['BNew', 'BOld'] });
  });

  it.each([
    '/webpush/apns/keys',
    '/webpush/constructor/keys',
    '/webpush//keys',
    '/webpush/webpush',
    '/webpush/%00/keys',
  ])('is not found elsewhere: %s', async (path) => {
    expect((await fetch(url + path)).status).toBe(404);
  });

  it('is in the description of the interface', async () => {
    const description = (await (await fetch(`${url}/openapi.json`)).json()) as { paths: object };
    expect(Object.keys(description.paths)).toContain('/webpush/{service}/keys');
  });

  it('is not found on a server without any', async () => {
    const other = await startTestServer();
    expect((await fetch(`${other.url}/webpush/webpush/keys`)).status).toBe(404);
    await other.server.close();
  });
});
