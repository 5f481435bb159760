import { request as httpRequest } from 'node:http';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { OnionVersion } from '../../../src/codec/onion-frame.js';
import { createOnionOpener } from '../../../src/crypto/onion.js';
import { createRandomBytes } from '../../../src/crypto/sodium.js';
import { keyPairFromSecret } from '../../../src/crypto/x25519.js';
import { defaultHttpServerOptions } from '../../../src/http/server-options.js';
import { createHttpServer } from '../../../src/http/server.js';
import { silentLog } from '../../../src/telemetry/log.js';
import { Metrics } from '../../../src/telemetry/metrics.js';
import { eventually } from '../../simulators/eventually.js';
import { bchatBrand, sessionBrand } from '../../simulators/legacy-brands.js';
import { LegacyClient } from '../../simulators/legacy-client.js';
import { post, startTestServer, vectorClock, type TestServer } from './harness.js';
import { recordedBrands, success } from './recorded-methods.js';

const { session, bchat } = recordedBrands();
const brands = [session, bchat];

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({ brands });
});
afterAll(() => server.server.close());

describe('subscriptions', () => {
  it('know by whose door they came; plain HTTP has none', async () => {
    const asked: (string | undefined)[] = [];
    const service = {
      handle: async (_kind: unknown, _body: unknown, brand?: string) => {
        asked.push(brand);
        return [];
      },
    };
    const randomBytes = createRandomBytes();
    const key = keyPairFromSecret(randomBytes(32));
    const other = await createHttpServer(
      { ...defaultHttpServerOptions, port: 0 },
      {
        service,
        opener: createOnionOpener([key], randomBytes),
        brands,
        metrics: new Metrics(),
        log: silentLog(),
        clock: vectorClock,
      },
    );
    const { url } = await other.listen();
    await post(`${url}/subscribe`, '[]');
    for (const { brand } of brands) {
      const client = new LegacyClient(url, key.publicKey, brand, { version: 'v4' });
      const call = client.frame('subscribe', {});
      expect((await post(`${url}${call.path}`, call.frame)).status).toBe(200);
    }
    await other.close();
    expect(asked).toEqual([undefined, 'session', 'bchat']);
  });
});

describe('routes', () => {
  const paths = ['/loki/v2/lsrpc', '/oxen/v4/lsrpc', '/beldex/v2/lsrpc', '/beldex/v4/lsrpc'];

  it.each(paths)('%s takes POST only', async (path) => {
    for (const method of ['GET', 'PUT', 'HEAD']) {
      const answer = await fetch(`${server.url}${path}`, { method });
      expect(answer.status).toBe(405);
      expect(answer.headers.get('allow')).toBe('POST, OPTIONS');
    }
  });

  it.each([
    '/loki/v1/lsrpc',
    '/loki/v3/lsrpc',
    '/oxen/v2/lsrpc',
    '/register',
    '/notify',
    '/get_statistics_data',
  ])('%s does not exist', async (path) => {
    expect((await post(`${server.url}${path}`, '{}')).status).toBe(404);
  });

  it('are described', async () => {
    const answer = await fetch(`${server.url}/openapi.json`);
    const description = (await answer.json()) as { paths: Record<string, unknown> };
    expect(Object.keys(description.paths)).toEqual(expect.arrayContaining(paths));
  });

  it('need not all be there, but must differ', async () => {
    const { brand, methods } = session;
    const half = await startTestServer({ brands: [{ brand: { ...brand, v2Path: null }, methods }] });
    expect((await post(`${half.url}/loki/v2/lsrpc`, '')).status).toBe(404);
    expect((await post(`${half.url}/oxen/v4/lsrpc`, '')).status).toBe(400);
    await half.server.close();
    const twice = [session, { brand: { ...bchatBrand, v4Path: brand.v4Path }, methods: bchat.methods }];
    await expect(startTestServer({ brands: twice })).rejects.toThrow(
      'two onion routes have the path /oxen/v4/lsrpc',
    );
  });
});

describe('several keys', () => {
  const random = createRandomBytes();
  const newKey = () => keyPairFromSecret(random(32));
  const [first, second, third] = [newKey(), newKey(), newKey()];
  let many: TestServer | null = null;
  afterEach(async () => {
    await many?.server.close();
    many = null;
  });

  /** fetch does not let us choose the Host header. */
  const postTo = (port: number, path: string, host: string, body: Buffer): Promise<Buffer> =>
    new Promise((resolve, reject) => {
      const request = httpRequest(
        { port, path, method: 'POST', host: '127.0.0.1', headers: { host } },
        (answer) => {
          const chunks: Buffer[] = [];
          answer.on('data', (chunk: Buffer) => chunks.push(chunk));
          answer.on('end', () => resolve(Buffer.concat(chunks)));
        },
      );
      request.on('error', reject);
      request.end(body);
    });

  it('serve the same routes, and refusals are sealed with that of the Host header', async () => {
    const byHost = new Map([['old.example.org', second]]);
    const test = (many = await startTestServer({
      brands,
      onionKeys: [first, third],
      onionKeysByHost: byHost,
    }));
    for (const key of [first, second, third]) {
      for (const version of ['v2', 'v4'] as const) {
        const client = new LegacyClient(test.url, key.publicKey, sessionBrand, { version });
        expect(await client.notify('x', 'AA')).toEqual(success);
      }
    }
    const refusal = async (host: string, key: typeof first): Promise<unknown> => {
      const call = new LegacyClient(test.url, key.publicKey, sessionBrand).frame('notify', {});
      call.frame[10] = (call.frame[10] ?? 0) ^ 1;
      return call.open(await postTo(test.port, call.path, host, call.frame));
    };
    expect(await refusal('OLD.example.org:80', second)).toMatchObject({ status: 400 });
    expect(await refusal('old.example.org', first)).toBeNull();
    expect(await refusal('new.example.org', first)).toMatchObject({ status: 400 });
  });
});

describe('under load', () => {
  const admission = { ...defaultHttpServerOptions.admission, requestsInProgressMax: 2 };

  it('answers inside that it is busy, and with 400 when there is no room even for that', async () => {
    let release: () => void = () => undefined;
    const released = new Promise<void>((resolve) => (release = resolve));
    const waiting = {
      has: () => true,
      call: async () => {
        await released;
        return success;
      },
    };
    const test = await startTestServer({
      options: { admission },
      brands: [{ brand: sessionBrand, methods: waiting }],
    });
    const client = (version: OnionVersion) =>
      new LegacyClient(test.url, test.onionKey.publicKey, sessionBrand, { version });
    const first = [client('v2').notify('a', 'AA'), client('v4').notify('a', 'AA')];
    await eventually(() => test.server.inProgress() === 2);
    for (const version of ['v2', 'v4'] as const) {
      expect(await client(version).notify('a', 'AA')).toMatchObject({ status: 503, body: { code: 0 } });
    }
    release();
    expect(await Promise.all(first)).toEqual([success, success]);
    await test.server.close();

    const full = await startTestServer({
      options: { admission: { ...admission, bodyBytesMax: 100 } },
      brands: [session],
    });
    for (const [path, status] of [
      ['/loki/v2/lsrpc', 400],
      ['/oxen/v4/lsrpc', 400],
    ] as const) {
      const answer = await post(`${full.url}${path}`, Buffer.alloc(1_000));
      expect(answer.status).toBe(status);
    }
    await full.server.close();
  });

  it('never gives clients a status that they hold against their path, however much one node sends', async () => {
    const onionRateLimit = { requestsMax: 2, windowSeconds: 60, addressesMax: 100 };
    const test = await startTestServer({
      options: { onionRateLimit, rateLimitExempt: [] },
      brands: [session],
    });
    for (const [path, status] of [
      ['/loki/v2/lsrpc', 400],
      ['/oxen/v4/lsrpc', 400],
    ] as const) {
      const answers = [];
      for (let round = 0; round < 3; round += 1) answers.push(await post(`${test.url}${path}`, 'x'));
      expect(answers.map((answer) => answer.status)).toEqual([400, 400, status]);
      expect(answers[2]?.body.toString()).toContain('Too many requests');
    }
    expect(test.metrics.requests.of('rate-limited').value).toBe(2);
    await test.server.close();
  });
});
