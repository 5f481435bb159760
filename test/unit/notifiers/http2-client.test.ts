import { connect } from 'node:http2';
import { afterEach, describe, expect, it } from 'vitest';
import { Http2Client, http2Defaults, type Http2ClientOptions } from '../../../src/notifiers/http2-client.js';
import type { Http2Result } from '../../../src/notifiers/http2-exchange.js';
import { createAuthority } from '../../simulators/certificates.js';
import { eventually } from '../../simulators/eventually.js';
import { Http2StandIn } from '../../simulators/providers/http2-stand-in.js';
import { TcpRelay } from '../../simulators/providers/tcp-relay.js';
import { never } from '../../contract/notifier-fixtures.js';

const authority = createAuthority();
const certificate = authority.issueServer();
const closing: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function startPeer(maxConcurrentStreams: number): Promise<Http2StandIn<null>> {
  const peer = await Http2StandIn.start<null>(
    { certificate, maxConcurrentStreams, record: false },
    {
      judge: () => ({ ok: true, token: '', push: null }),
      success: () => ({ headers: {}, body: '' }),
    },
  );
  closing.push(() => peer.close());
  return peer;
}

function startClient(endpoint: string, options: Partial<Http2ClientOptions>): Http2Client {
  const client = new Http2Client(async () => connect(endpoint, { ca: authority.certPem }), {
    ...http2Defaults,
    ...options,
  });
  closing.push(() => client.close());
  return client;
}

function request(client: Http2Client): Promise<Http2Result> {
  const headers = { ':method': 'POST', ':path': '/' };
  return new Promise((resolve) => client.send({ headers, body: 'x', signal: never }, resolve));
}

const requests = (client: Http2Client, count: number): Promise<Http2Result[]> =>
  Promise.all(Array.from({ length: count }, () => request(client)));

const statuses = (results: readonly Http2Result[]): unknown[] => [
  ...new Set(results.map((result) => (result.kind === 'answer' ? result.status : result.reason))),
];

describe('connections to one peer', () => {
  it('stay one while every request finds a stream, however long the round trip', async () => {
    const peer = await startPeer(100);
    peer.answers.standing = { status: 200, delayMs: 200 };
    const client = startClient(peer.endpoint, { connections: 3, widenAfterMs: 20 });
    await request(client); // the first one waits for the handshake
    expect(statuses(await requests(client, 100))).toEqual([200]);
    expect(peer.connections).toBe(1);
  });

  it('become more, up to the limit, when requests wait because the streams of all are in use', async () => {
    const peer = await startPeer(5);
    peer.answers.standing = { status: 200, delayMs: 100 };
    const client = startClient(peer.endpoint, { connections: 3, widenAfterMs: 20 });
    const sent = requests(client, 100);
    await eventually(() => client.connections.open === 3);
    expect(statuses(await sent)).toEqual([200]);
    expect(peer.connections).toBe(3);
    expect(peer.maxStreamsSeen).toBeGreaterThan(5);
    expect(peer.maxStreamsSeen).toBeLessThanOrEqual(15);
    expect(client.connections).toEqual({ open: 3, opened: 3, replaced: 0 });
  });

  it('do not become more than allowed', async () => {
    const peer = await startPeer(5);
    peer.answers.standing = { status: 200, delayMs: 30 };
    const client = startClient(peer.endpoint, { connections: 1, widenAfterMs: 5 });
    expect(statuses(await requests(client, 50))).toEqual([200]);
    expect(peer.connections).toBe(1);
  });

  it('become one again when the others have had nothing to do for a while', async () => {
    const peer = await startPeer(5);
    peer.answers.standing = { status: 200, delayMs: 50 };
    const client = startClient(peer.endpoint, {
      connections: 3,
      widenAfterMs: 10,
      surplusIdleMs: 100,
      requestTimeoutMs: 1_000,
    });
    expect(statuses(await requests(client, 60))).toEqual([200]);
    const { opened } = client.connections;
    expect(opened).toBeGreaterThan(1);
    await eventually(() => peer.openSessions === 1);
    expect(client.connections).toEqual({ open: 1, opened, replaced: 0 });
    expect(client.lastFailure).toBeNull();
    // What there is to do goes over the oldest, or the others would never fall idle.
    for (let count = 0; count < 5; count += 1) expect(statuses(await requests(client, 2))).toEqual([200]);
    expect(client.connections.opened).toBe(opened);
  });

  it('go on with what they have when no further one can be made', async () => {
    const peer = await startPeer(5);
    const relay = await TcpRelay.start(peer.port);
    closing.push(() => relay.close());
    const client = startClient(relay.endpoint, { connections: 3, widenAfterMs: 10, connectTimeoutMs: 50 });
    await request(client);
    relay.swallowNew = true;
    peer.answers.standing = { status: 200, delayMs: 30 };
    expect(statuses(await requests(client, 60))).toEqual([200]);
    expect(relay.connections).toBeGreaterThan(1);
    expect(client.connections.open).toBe(1);
  });

  it('are avoided once requests run into their time limit on them, as long as another one answers', async () => {
    const peer = await startPeer(5);
    const relay = await TcpRelay.start(peer.port);
    closing.push(() => relay.close());
    const client = startClient(relay.endpoint, {
      connections: 2,
      widenAfterMs: 10,
      requestTimeoutMs: 1_000,
      deadAfterTimeouts: 1_000,
    });
    await request(client);
    relay.swallowPresent();
    const results = await requests(client, 10);
    expect(results.filter(({ kind }) => kind === 'answer').length).toBe(5);
    for (let count = 0; count < 5; count += 1) expect(statuses([await request(client)])).toEqual([200]);
    expect(client.connections).toEqual({ open: 2, opened: 2, replaced: 0 });
  });

  it('are counted when they are replaced', async () => {
    const peer = await startPeer(5);
    const client = startClient(peer.endpoint, {});
    await request(client);
    peer.goAway();
    await eventually(() => client.connections.open === 0);
    expect(statuses([await request(client)])).toEqual([200]);
    expect(client.connections).toEqual({ open: 1, opened: 2, replaced: 1 });
  });
});

describe('bodies on one connection', () => {
  it('do not overtake each other for long, however small the window of the peer', async () => {
    const peer = await startPeer(1000);
    const client = startClient(peer.endpoint, { connections: 1, maxInFlight: 500 });
    const body = 'x'.repeat(4_000); // sixteen of them fill the window that node's server opens
    const total = 6_000;
    let begun = 0;
    let answered = 0;
    let mostOvertaken = 0;
    await new Promise<void>((resolve) => {
      const next = (): void => {
        if (begun === total) return;
        begun += 1;
        const answeredBefore = answered;
        client.send({ headers: { ':method': 'POST', ':path': '/' }, body, signal: never }, () => {
          answered += 1;
          mostOvertaken = Math.max(mostOvertaken, answered - answeredBefore);
          if (answered === total) resolve();
          else next();
        });
      };
      for (let i = 0; i < 400; i += 1) next();
    });
    expect(mostOvertaken).toBeLessThan(3 * 400);
  });
});
