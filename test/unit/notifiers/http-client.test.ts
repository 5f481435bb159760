import { setMaxListeners } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { EndpointGuard, type EndpointGuardOptions } from '../../../src/notifiers/endpoint-guard.js';
import {
  HttpClient,
  httpDefaults,
  httpOptionsOf,
  outcomeOfHttpFailure,
  type HttpClientOptions,
  type HttpRequest,
  type HttpResult,
} from '../../../src/notifiers/http-client.js';
import { createAuthority } from '../../simulators/certificates.js';
import { eventually } from '../../simulators/eventually.js';
import { Http1StandIn, type Http1Answer } from '../../simulators/providers/http1-stand-in.js';
import { TcpRelay } from '../../simulators/providers/tcp-relay.js';

const authority = createAuthority();
const closing: (() => Promise<unknown>)[] = [];
let provider: Http1StandIn;

beforeAll(async () => {
  provider = await Http1StandIn.start({ certificate: authority.issueServer() });
});

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
  provider.standing = null;
});

afterAll(() => provider.close());

function start(changes: Partial<HttpClientOptions> = {}): HttpClient {
  const client = new HttpClient({
    ...httpDefaults,
    requestTimeoutMs: 5_000,
    trustAnchors: [authority.certPem],
    ...changes,
  });
  closing.push(() => client.close());
  return client;
}

function guardWith(changes: Partial<EndpointGuardOptions> = {}): EndpointGuard {
  return new EndpointGuard({
    allowHttp: true,
    allowNetworks: ['127.0.0.0/8'],
    ports: [],
    maxUrlLength: 999,
    ...changes,
  });
}

/** A signal that nobody aborts; shared by all clients of this file, far more than a program has. */
const never = new AbortController().signal;
setMaxListeners(0, never);

const post = (url: string, changes: Partial<HttpRequest> = {}): HttpRequest => ({
  url: new URL(url),
  method: 'POST',
  headers: { 'content-type': 'text/plain' },
  body: 'hello',
  signal: never,
  ...changes,
});

async function answerTo(answer: Http1Answer, changes: Partial<HttpClientOptions> = {}): Promise<HttpResult> {
  provider.next(answer);
  return start(changes).send(post(`${provider.endpoint}/x`));
}

const failed = (reason: string): HttpResult => ({ kind: 'failure', reason }) as HttpResult;

/** A TCP server of no HTTP, which must not see a connection in tests that expect `seen` to stay 0. */
async function listen(
  onSocket: (socket: Socket) => void = () => undefined,
): Promise<{ port: number; seen: () => number }> {
  let seen = 0;
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    seen += 1;
    sockets.add(socket);
    socket.on('error', () => undefined);
    onSocket(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(() => {
    for (const socket of sockets) socket.destroy();
    return new Promise((resolve) => server.close(resolve));
  });
  return { port: (server.address() as AddressInfo).port, seen: () => seen };
}

describe('an answer', () => {
  it('comes back with status, first headers in lower case, and body; the request as it was', async () => {
    const answer = { status: 418, headers: { 'X-Word': ['one', 'two'] }, body: { tea: 'ü' } };
    const result = await answerTo(answer);
    expect(result).toMatchObject({
      kind: 'answer',
      status: 418,
      headers: { 'content-type': 'application/json' },
      body: '{"tea":"ü"}',
    });
    expect(result.kind === 'answer' && result.headers['x-word']?.startsWith('one')).toBe(true);
    const { method, path, headers, body } = provider.recorded.at(-1) ?? {};
    expect({ method, path, body: body?.toString() }).toEqual({ method: 'POST', path: '/x', body: 'hello' });
    expect(headers).toMatchObject({
      host: `127.0.0.1:${provider.port}`,
      'content-type': 'text/plain',
      'content-length': '5',
    });
  });

  it('may be empty, and a redirect is one like any other', async () => {
    expect(await answerTo({ status: 204 })).toMatchObject({ kind: 'answer', status: 204, body: '' });
    const requests = provider.requests;
    const moved = { status: 307, headers: { location: `${provider.endpoint}/elsewhere` } };
    expect(await answerTo(moved)).toMatchObject({ kind: 'answer', status: 307 });
    expect(provider.requests - requests).toBe(1);
  });

  it('is cut at the limit, and the connection of one that is too long is dropped', async () => {
    const body = 'a'.repeat(100_000);
    const cut = await answerTo({ body, headers: { 'retry-after': '7' } }, { maxResponseBytes: 1_000 });
    expect(cut).toMatchObject({ kind: 'answer', status: 200, headers: { 'retry-after': '7' } });
    expect(cut.kind === 'answer' && cut.body).toBe('a'.repeat(1_000));
    expect(await answerTo({ instead: 'endless' }, { maxResponseBytes: 1_000 })).toMatchObject({
      kind: 'answer',
      body: 'a'.repeat(1_000),
    });
    await eventually(() => provider.openConnections === 0);
  });

  it('of exactly the limit is whole and leaves the connection open', async () => {
    provider.next({ body: 'a'.repeat(1_000) });
    const client = start({ maxResponseBytes: 1_000 });
    expect(await client.send(post(provider.endpoint))).toMatchObject({ body: 'a'.repeat(1_000) });
    expect(await client.send(post(provider.endpoint))).toMatchObject({ status: 200 });
    expect(client.connectionsOpened).toBe(1);
  });

  it('may come before the request was read to its end', async () => {
    const { port } = await listen((socket) => {
      socket.once('data', () =>
        socket.end('HTTP/1.1 413 Payload Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n'),
      );
    });
    const body = Buffer.alloc(500_000);
    const result = await start().send(post(`http://127.0.0.1:${port}/`, { body }));
    expect(
      result.kind === 'answer' ? result.status : ['connection-lost'].includes(result.reason) && 413,
    ).toBe(413);
  });
});

describe('a peer that does not answer', () => {
  it.each<[string, Http1Answer, string]>([
    ['is silent', { instead: 'hang' }, 'timeout'],
    ['lets its body drip', { instead: 'drip' }, 'timeout'],
    ['sends interim answers for ever', { instead: 'interim' }, 'timeout'],
    ['closes the connection', { instead: 'close' }, 'connection-lost'],
    ['resets the connection', { instead: 'reset' }, 'connection-lost'],
    ['closes in the middle of the body', { instead: 'close-mid-body', body: 'half' }, 'connection-lost'],
    ['resets in the middle of the body', { instead: 'reset-mid-body', body: 'half' }, 'connection-lost'],
    ['speaks something else', { instead: 'garbage' }, 'malformed'],
    ['sends endless headers', { headers: { long: 'a'.repeat(40_000) } }, 'malformed'],
  ])('%s', async (_name, answer, reason) => {
    const startedMs = performance.now();
    expect(await answerTo(answer, { requestTimeoutMs: 300 })).toEqual(failed(reason));
    expect(performance.now() - startedMs).toBeLessThan(2_000);
    await eventually(() => provider.openConnections === 0, { what: 'the end of the connection' });
  });

  it('breaks off a body without a length', async () => {
    const { port } = await listen((socket) => {
      socket.once('data', () =>
        socket.end('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n'),
      );
    });
    expect(await start().send(post(`http://127.0.0.1:${port}/`))).toEqual(failed('connection-lost'));
  });

  it('answers nothing on a connection that is open but dead, and the next request gets another one', async () => {
    const relay = await TcpRelay.start(provider.port);
    closing.push(() => relay.close());
    const client = start({ requestTimeoutMs: 400, connectionsPerOrigin: 1 });
    expect(await client.send(post(relay.endpoint))).toMatchObject({ status: 200 });
    relay.swallowPresent();
    expect(await client.send(post(relay.endpoint))).toEqual(failed('timeout'));
    expect(client.lastFailure).toBe('timeout');
    expect(await client.send(post(relay.endpoint))).toMatchObject({ status: 200 });
    expect(client.lastFailure).toBeNull();
  });

  it('closed an idle connection: the next request opens another', async () => {
    const client = start();
    await client.send(post(provider.endpoint));
    provider.destroyConnections();
    await eventually(() => !client.isConnected);
    expect(await client.send(post(provider.endpoint))).toMatchObject({ status: 200 });
    expect(client.connectionsOpened).toBe(2);
  });

  it('is not there', async () => {
    const { port } = await listen();
    await Promise.all(closing.splice(0).map((close) => close()));
    expect(await start().send(post(`https://127.0.0.1:${port}/`))).toEqual(failed('unreachable'));
    const nobody = guardWith({ resolve: async () => [] });
    expect(await start({ guard: nobody }).send(post('https://nobody.example/'))).toEqual(
      failed('unreachable'),
    );
  });

  it('never ends its handshake, or its name servers are silent: the time to connect is limited', async () => {
    const { port } = await listen();
    const client = start({ connectTimeoutMs: 300 });
    expect(await client.send(post(`https://127.0.0.1:${port}/`))).toEqual(failed('connect-timeout'));
    const silent = guardWith({ resolve: () => new Promise(() => undefined) });
    const looking = start({ connectTimeoutMs: 300, guard: silent });
    expect(await looking.send(post('https://silent.example/'))).toEqual(failed('connect-timeout'));
  });

  it('fails all who wait for it at once, instead of one after the other', async () => {
    const { port } = await listen();
    const client = start({ connectTimeoutMs: 300, connectionsPerOrigin: 2 });
    const startedMs = performance.now();
    const results = await Promise.all(
      Array.from({ length: 100 }, () => client.send(post(`https://127.0.0.1:${port}/`))),
    );
    expect(new Set(results.map((result) => result.kind === 'failure' && result.reason))).toEqual(
      new Set(['connect-timeout']),
    );
    expect(performance.now() - startedMs).toBeLessThan(3_000);
  });
});

describe('who a peer is', () => {
  it('is proven by a certificate, whatever the environment says', async () => {
    const trusting = process.env['NODE_TLS_REJECT_UNAUTHORIZED'];
    process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0';
    try {
      const client = start({ trustAnchors: undefined });
      expect(await client.send(post(provider.endpoint))).toEqual(failed('tls-failed'));
    } finally {
      if (trusting === undefined) delete process.env['NODE_TLS_REJECT_UNAUTHORIZED'];
      else process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = trusting;
    }
  });

  it('must be in the certificate, also the second time, and whatever the headers say', async () => {
    const requests = provider.requests;
    const guard = guardWith({ resolve: async () => ['127.0.0.1'] });
    const client = start({ guard });
    const url = `https://other.example:${provider.port}/`;
    for (let attempt = 0; attempt < 3; attempt += 1) {
      expect(await client.send(post(url, { headers: { host: 'localhost' } }))).toEqual(failed('tls-failed'));
    }
    expect(provider.requests).toBe(requests);
    expect(await client.send(post(provider.endpointAt('localhost')))).toMatchObject({ status: 200 });
  });

  it('is judged by trust anchors that are read once, however many connections there are', async () => {
    let reads = 0;
    const trustAnchors = new Proxy([authority.certPem], {
      get(anchors, name, receiver): unknown {
        if (name === '0') reads += 1;
        return Reflect.get(anchors, name, receiver);
      },
    });
    const client = start({ trustAnchors });
    const readsBefore = reads;
    provider.standing = { status: 200, body: {}, delayMs: 20 };
    const url = `${provider.endpoint}/x`;
    await Promise.all(Array.from({ length: 6 }, () => client.send(post(url))));
    expect(client.connectionsOpened).toBeGreaterThan(1);
    expect(reads).toBe(readsBefore);
  });

  it('is not spoken to over an old version of TLS', async () => {
    const { certPem: cert, keyPem: key } = authority.issueServer();
    const versions = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const;
    const old = createTlsServer({ cert, key, ...versions }).on('tlsClientError', () => undefined);
    await new Promise<void>((resolve) => old.listen(0, '127.0.0.1', resolve));
    closing.push(() => new Promise((resolve) => old.close(resolve)));
    const { port } = old.address() as AddressInfo;
    expect(await start().send(post(`https://127.0.0.1:${port}/`))).toEqual(failed('tls-failed'));
  });
});

describe('the guard', () => {
  it('decides about the address that is connected to: a name that changes its mind reaches nobody', async () => {
    const inside = await listen();
    const answers = [['127.0.0.1'], ['8.8.8.8'], ['127.0.0.1'], ['10.0.0.1', '127.0.0.1', '::1']];
    let asked = 0;
    const guard = guardWith({
      allowNetworks: [],
      resolve: async () => answers[asked++ % answers.length] ?? [],
    });
    const url = guard.checkUrl(`http://rebinding.example:${inside.port}/`);
    if (!url.ok) throw new Error(url.error);
    const client = start({ guard, connectTimeoutMs: 300, requestTimeoutMs: 600 });
    const reasons: string[] = [];
    for (let attempt = 0; attempt < answers.length; attempt += 1) {
      const result = await client.send(post(url.value.href));
      reasons.push(result.kind === 'failure' ? result.reason : 'answer');
    }
    expect(asked).toBe(answers.length);
    expect([reasons[0], reasons[2], reasons[3]]).toEqual(Array<string>(3).fill('forbidden-address'));
    expect(['connect-timeout', 'unreachable']).toContain(reasons[1]); // no way out of the test's network
    expect(inside.seen()).toBe(0);
  });

  it('connects to the allowed ones only of several addresses', async () => {
    const guard = guardWith({
      allowNetworks: ['127.0.0.1'],
      resolve: async () => ['127.0.0.2', '10.255.255.1', '127.0.0.1'],
    });
    const plain = await Http1StandIn.start();
    closing.push(() => plain.close());
    const result = await start({ guard }).send(post(plain.endpointAt('name.example')));
    expect(result).toMatchObject({ status: 200 });
    expect(plain.recorded.at(-1)?.headers.host).toBe(`name.example:${plain.port}`);
  });

  it.each(['127.0.0.1', '[::1]', '2130706433', '[::ffff:127.0.0.1]', 'localhost'])(
    'refuses %s, which nobody looks up, before anything is connected',
    async (host) => {
      const inside = await listen();
      const client = start({ guard: guardWith({ allowNetworks: [] }) });
      expect(await client.send(post(`http://${host}:${inside.port}/`))).toEqual(failed('forbidden-address'));
      expect(inside.seen()).toBe(0);
    },
  );

  it('refuses what the options do not allow any more', async () => {
    const strict = start({ guard: guardWith({ allowHttp: false, ports: [443] }) });
    expect(await strict.send(post('http://8.8.8.8/'))).toEqual(failed('forbidden-address'));
    expect(await strict.send(post('https://8.8.8.8:8443/'))).toEqual(failed('forbidden-address'));
  });

  it('is opened for a machine of the test by options alone', async () => {
    const client = start({ guard: guardWith({ allowHttp: false }) });
    for (const host of ['127.0.0.1', 'localhost']) {
      expect(await client.send(post(provider.endpointAt(host)))).toMatchObject({ status: 200 });
    }
  });
});

describe('connections', () => {
  it('are kept, at most so many per origin, and the others wait their turn', async () => {
    const origin = await Http1StandIn.start({ certificate: authority.issueServer() });
    closing.push(() => origin.close());
    origin.standing = { delayMs: 5 };
    const client = start({ connectionsPerOrigin: 3 });
    const results = await Promise.all(
      Array.from({ length: 60 }, () => client.send(post(`${origin.endpoint}/y`))),
    );
    expect(results.every((result) => result.kind === 'answer' && result.status === 200)).toBe(true);
    expect(origin.tcpConnections).toBe(3);
    expect(origin.maxInFlightSeen).toBe(3);
  });

  it('are closed when idle for long enough', async () => {
    const origin = await Http1StandIn.start();
    closing.push(() => origin.close());
    const client = start({ keepAliveMs: 100 });
    await client.send(post(origin.endpoint));
    await eventually(() => origin.openConnections === 0);
  });

  it('are kept for a bounded number of origins, whoever names them', async () => {
    const origins = await Promise.all(Array.from({ length: 4 }, () => Http1StandIn.start()));
    closing.push(...origins.map((origin) => () => origin.close()));
    const client = start({ maxOrigins: 2 });
    for (const origin of origins) await client.send(post(origin.endpoint));
    expect(client.origins).toBe(2);
    await eventually(() => origins.filter((origin) => origin.openConnections > 0).length === 2);
    // More at once than are kept: none fails, and afterwards the bound holds again.
    for (const origin of origins) origin.standing = { delayMs: 50 };
    const results = await Promise.all(origins.map((origin) => client.send(post(origin.endpoint))));
    expect(results.every(({ kind }) => kind === 'answer')).toBe(true);
    await eventually(() => client.origins === 2);
    await eventually(() => origins.filter((origin) => origin.openConnections > 0).length === 2);
  });

  it('of one origin that hangs take nothing from another', async () => {
    const slow = await Http1StandIn.start();
    closing.push(() => slow.close());
    slow.standing = { instead: 'hang' };
    const client = start({ connectionsPerOrigin: 2, requestTimeoutMs: 1_000 });
    const hanging = Array.from({ length: 50 }, () => client.send(post(slow.endpoint)));
    const startedMs = performance.now();
    expect(await client.send(post(provider.endpoint))).toMatchObject({ status: 200 });
    expect(performance.now() - startedMs).toBeLessThan(500);
    expect(await Promise.all(hanging)).toEqual(Array<HttpResult>(50).fill(failed('timeout')));
  });
});

describe('an end of our own', () => {
  it('by an abort settles at once: under way, waiting, connecting, or before it began', async () => {
    const dead = await listen();
    provider.standing = { instead: 'hang' };
    const controller = new AbortController();
    const client = start({ connectionsPerOrigin: 1 });
    const requests = [provider.endpoint, provider.endpoint, `https://127.0.0.1:${dead.port}`].map((url) =>
      client.send(post(url, { signal: controller.signal })),
    );
    await eventually(() => provider.inFlight > 0 && dead.seen() > 0);
    controller.abort();
    expect(await Promise.all(requests)).toEqual(Array<HttpResult>(3).fill(failed('aborted')));
    expect(await client.send(post(provider.endpoint, { signal: controller.signal }))).toEqual(
      failed('aborted'),
    );
    expect(client.lastFailure).toBeNull();
  });

  it('leaves the requests of other signals alone', async () => {
    provider.next({ delayMs: 100 }, { delayMs: 100 });
    const controller = new AbortController();
    const client = start();
    const kept = client.send(post(provider.endpoint));
    const aborted = client.send(post(provider.endpoint, { signal: controller.signal }));
    controller.abort();
    expect(await aborted).toEqual(failed('aborted'));
    expect(await kept).toMatchObject({ status: 200 });
  });

  it('by closing settles all, and whatever comes later', async () => {
    const dead = await listen();
    provider.standing = { instead: 'hang' };
    const client = start({ connectionsPerOrigin: 1 });
    const requests = [provider.endpoint, provider.endpoint, `https://127.0.0.1:${dead.port}`].map((url) =>
      client.send(post(url)),
    );
    await eventually(() => provider.inFlight > 0 && dead.seen() > 0);
    await Promise.all([client.close(), client.close()]);
    expect(await Promise.all(requests)).toEqual(Array<HttpResult>(3).fill(failed('closed')));
    expect(await client.send(post(provider.endpoint))).toEqual(failed('closed'));
    await eventually(() => provider.openConnections === 0);
  });
});

describe('options', () => {
  it('come from the entry, then from the notifier, then by default', () => {
    const options = httpOptionsOf(
      { connections: 3, requestTimeoutMs: 1_000 },
      { connectionsPerOrigin: 32, maxResponseBytes: 64, trustAnchors: undefined, guard: null },
    );
    expect(options).toEqual({
      ...httpDefaults,
      connectionsPerOrigin: 3,
      requestTimeoutMs: 1_000,
      maxResponseBytes: 64,
    });
  });

  it('a failure is a retry that counts for the breaker, but a forbidden address stays one', () => {
    expect(outcomeOfHttpFailure('timeout')).toMatchObject({ kind: 'retry', cause: 'transport' });
    expect(outcomeOfHttpFailure('forbidden-address')).toMatchObject({ kind: 'dropped' });
  });
});
