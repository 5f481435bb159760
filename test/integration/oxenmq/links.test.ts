import { createConnection, createServer, type Socket } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { eventually } from '../../simulators/eventually.js';
import { randomKeyPair } from '../../simulators/storage-network/keys.js';
import { onlyRoute, parsed, testClient, testListener } from './harness.js';

/** A TCP server that says nothing of its own; counts who comes. */
async function tcpServer(onConnection: (socket: Socket) => void = () => {}) {
  const sockets = new Set<Socket>();
  let connections = 0;
  const server = createServer((socket) => {
    connections += 1;
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    onConnection(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return { address: `tcp://127.0.0.1:${address.port}`, port: address.port, connections: () => connections };
}

describe('a link', () => {
  it('comes up again by itself after the remote restarted, and says so', async () => {
    const listener = await testListener({
      keyPair: randomKeyPair(),
      requests: { 'test.echo': (_route, parts, reply) => reply(...parts), 'test.never': () => {} },
    });
    const { up } = testClient({ reconnectIntervalMs: 20 });
    const { connection, events } = await up(listener.address);
    const lost = connection.request('test.never', []);
    await eventually(() => listener.count('test.never') === 1);

    listener.stop();
    await eventually(() => events.length === 2, { what: 'onDown' });
    // What was under way ends with the link, not with its time-out.
    expect(await lost).toEqual({ ok: false, error: { kind: 'unavailable' } });
    expect(connection.isUp).toBe(false);

    await listener.restart();
    await eventually(() => connection.isUp);
    expect(events).toEqual(['up', 'down: disconnected', 'up']);
    expect((await connection.request('test.echo', [])).ok).toBe(true);
    // Nothing of the old link was kept and delivered late.
    expect(listener.count('test.never')).toBe(1);
  });

  it('delivers nothing late that was sent before it broke', async () => {
    const listener = await testListener({
      requests: { 'test.echo': (_route, parts, reply) => reply(...parts), 'test.never': () => {} },
    });
    const proxy = await proxyTo(listener.port);
    const { connection, events } = await testClient({ reconnectIntervalMs: 20 }).up(proxy.endpoint);
    proxy.swallow();
    // More than fits into the buffers of the system: most of it waits in ZeroMQ's queue.
    const lost = Array.from({ length: 50 }, () => connection.request('test.never', [Buffer.alloc(500_000)]));
    proxy.cut();
    for (const answer of lost) expect(await answer).toEqual({ ok: false, error: { kind: 'unavailable' } });
    await eventually(() => connection.isUp);
    expect((await connection.request('test.echo', [])).ok).toBe(true);
    expect(listener.count('test.never')).toBe(0);
    expect(events).toEqual(['up', 'down: disconnected', 'up']);
  });

  it('ends when the remote stays away', async () => {
    const listener = await testListener();
    const { events } = await testClient({ maxDownMs: 150, reconnectIntervalMs: 20 }).up(listener.address);
    listener.stop();
    await eventually(() => events.length === 3);
    expect(events).toEqual(['up', 'down: disconnected', 'closed: away for too long']);
  });

  it('ends when the remote comes back without greeting', async () => {
    const listener = await testListener();
    const { up } = testClient({ helloTimeoutMs: 1_000, reconnectIntervalMs: 20 });
    const { events } = await up(listener.address);
    listener.answersHi = false;
    await listener.restart();
    await eventually(() => events.length === 3);
    expect(events).toEqual(['up', 'down: disconnected', 'closed: no HELLO in time']);
  });

  it('ends when it comes and goes too often', async () => {
    const listener = await testListener();
    const { up } = testClient({ maxStrikes: 3, reconnectIntervalMs: 10 });
    const { connection, events } = await up(listener.address);
    for (let round = 1; round <= 2; round += 1) {
      await listener.restart();
      await eventually(() => events.length === 1 + 2 * round && connection.isUp);
    }
    await listener.restart();
    await eventually(() => events.at(-1) === 'closed: links do not last');
  });

  it('ends when nobody listens', async () => {
    const server = await testListener();
    const { address } = server;
    server.stop();
    const { events } = testClient({ helloTimeoutMs: 150 }).link(address);
    await eventually(() => events.length === 1);
    expect(events).toEqual(['closed: no HELLO in time']);
  });

  it('ends when the peer accepts TCP and is silent', async () => {
    const server = await tcpServer();
    const { events, connection } = testClient({ helloTimeoutMs: 200, handshakeIntervalMs: 50 }).link(
      server.address,
    );
    await eventually(() => events.length === 1);
    expect(events).toEqual(['closed: no HELLO in time']);
    expect(connection.isUp).toBe(false);
  });

  it('ends when the peer speaks something else', async () => {
    const server = await tcpServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    const { events } = testClient({ maxStrikes: 3, reconnectIntervalMs: 10 }).link(server.address);
    await eventually(() => events.length === 1);
    expect(events[0]).toMatch(/^closed: /);
  });

  it('with the wrong server key ends after a few handshakes instead of four a second for ever', async () => {
    const listener = await testListener({ keyPair: randomKeyPair() });
    const { endpoint, visits } = await proxyTo(listener.port);
    const { events } = testClient({ maxStrikes: 3, reconnectIntervalMs: 20 }).link({
      endpoint,
      serverKey: randomKeyPair().publicKey,
    });
    await eventually(() => events.length === 1);
    expect(events).toEqual(['closed: handshake failed']);
    const visited = visits();
    expect(visited).toBeLessThanOrEqual(4);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(visits()).toBe(visited);
  });

  it('without CURVE to a CURVE listener ends at once', async () => {
    const listener = await testListener({ keyPair: randomKeyPair() });
    const { events } = testClient().link(listener.endpoint);
    await eventually(() => events.length === 1, { timeoutMs: 3_000 });
    expect(events).toEqual(['closed: refused in the handshake']);
  });

  it('ends when the remote says BYE', async () => {
    const listener = await testListener();
    const { connection, events } = await testClient({ reconnectIntervalMs: 10 }).up(listener.address);
    listener.send(onlyRoute(listener), ['BYE']);
    await eventually(() => events.length === 2);
    expect(events).toEqual(['up', 'closed: BYE']);
    expect(connection.isUp).toBe(false);
  });

  it('ends when a frame exceeds the limit, which ZeroMQ does not survive', async () => {
    const listener = await testListener({ keyPair: randomKeyPair() });
    const { up } = testClient({ deadSocketGraceMs: 100 });
    const { events, commands } = await up(listener.address, { limits: { maxMessageBytes: 10_000 } });
    const route = onlyRoute(listener);
    // CURVE adds 33 bytes.
    listener.send(route, ['notify.message', Buffer.alloc(9_967)]);
    await eventually(() => commands.length === 1);
    listener.send(route, ['notify.message', Buffer.alloc(9_968)]);
    await eventually(() => events.length === 3);
    expect(events).toEqual(['up', 'down: disconnected', 'closed: broken for good']);
  });

  it('is probed with HI, and ends when nothing comes back', async () => {
    const listener = await testListener();
    const { up } = testClient({ probeIntervalMs: 30, probeTimeoutMs: 150 });
    const { events } = await up(listener.address);
    await eventually(() => listener.count('HI') >= 4);
    expect(events).toEqual(['up']);
    listener.silent = true;
    await eventually(() => events.length === 2);
    expect(events).toEqual(['up', 'closed: probes unanswered']);
  });

  it('counts any message as a sign of life', async () => {
    const listener = await testListener();
    const { up } = testClient({ probeIntervalMs: 20, probeTimeoutMs: 150 });
    const { events } = await up(listener.address);
    listener.answersHi = false;
    const talk = setInterval(() => listener.send(onlyRoute(listener), ['notify.message', '']), 10);
    onTestFinished(() => clearInterval(talk));
    const before = listener.count('HI');
    await eventually(() => listener.count('HI') >= before + 4);
    expect(events).toEqual(['up']);
  });

  it('notices that another client took its routing id', async () => {
    const listener = await testListener();
    const keyPair = randomKeyPair();
    const older = await testClient({ probeIntervalMs: 30, probeTimeoutMs: 150 }, keyPair).up(
      listener.address,
    );
    await testClient({}, keyPair).up(listener.address);
    await eventually(() => older.events.length === 2);
    expect(older.events).toEqual(['up', 'closed: probes unanswered']);
  });

  it('that would be one too many is refused, and takes nothing else with it', async () => {
    const listener = await testListener({
      requests: { 'test.echo': (_route, parts, reply) => reply(...parts) },
    });
    // One connection needs three sockets, so there is room for one and a bit.
    const { up, link } = testClient({ maxSockets: 5 });
    const first = await up(listener.address);
    const second = link(listener.address);
    expect(second.events).toEqual([]);
    await eventually(() => second.events.length === 1);
    expect(second.events).toEqual(['closed: too many connections']);
    expect((await first.connection.request('test.echo', [])).ok).toBe(true);

    // A closed connection gives its place back.
    first.connection.close();
    await eventually(async () => {
      const third = link(listener.address);
      await eventually(() => third.events.length > 0);
      return third.connection.isUp;
    });
  });

  it('to an address that ZeroMQ does not take is reported', async () => {
    const { events } = testClient().link({ endpoint: 'tcp://127.0.0.1', serverKey: null });
    await eventually(() => events.length === 1);
    expect(events).toEqual(['closed: cannot be opened: EINVAL']);
  });

  it('that fails leaves the others alone', async () => {
    const good = await testListener({
      requests: { 'test.echo': (_route, parts, reply) => reply(...parts) },
    });
    const silent = await tcpServer();
    const { up, link } = testClient({ maxStrikes: 2, reconnectIntervalMs: 10, helloTimeoutMs: 1_000 });
    const survivor = await up(good.address);
    const victims = [
      link(silent.address),
      link({ ...parsed(good.address), serverKey: randomKeyPair().publicKey }),
      link('tcp://127.0.0.1:1'),
    ];
    await eventually(() => victims.every(({ events }) => events.length === 1));
    expect((await survivor.connection.request('test.echo', [])).ok).toBe(true);
    expect(survivor.events).toEqual(['up']);
  });
});

/** In front of a listener: sees how often it is visited, can swallow what clients send, and cut every link. */
async function proxyTo(port: number) {
  const clients = new Set<Socket>();
  let swallows = false;
  const server = await tcpServer((client) => {
    const onward = createConnection(port, '127.0.0.1');
    clients.add(client);
    client.on('data', (chunk) => {
      if (!swallows) onward.write(chunk);
    });
    client.on('close', () => {
      clients.delete(client);
      onward.destroy();
    });
    onward.on('error', () => client.destroy());
    onward.on('close', () => client.destroy());
    onward.pipe(client);
  });
  return {
    endpoint: server.address,
    visits: server.connections,
    swallow: () => (swallows = true),
    cut: () => {
      swallows = false;
      for (const client of clients) client.destroy();
    },
  };
}
