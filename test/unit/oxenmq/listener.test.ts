import { randomBytes } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { Dealer } from 'zeromq';
import { systemClock } from '../../../src/domain/clock.js';
import type { OxenmqListenerOptions } from '../../../src/oxenmq/options.js';
import type { AccessLevel, OxenmqPeer, ServedCommand } from '../../../src/oxenmq/port.js';
import { PublicGate } from '../../../src/oxenmq/public-gate.js';
import { createOxenmqServer } from '../../../src/oxenmq/server.js';
import { silentLog } from '../../../src/telemetry/log.js';
import { Metrics } from '../../../src/telemetry/metrics.js';
import { eventually } from '../../simulators/eventually.js';

/** Anybody with a socket; keeps all that he gets. */
class Visitor {
  readonly received: string[][] = [];
  readonly #socket: Dealer;

  constructor(address: string, routingId?: string) {
    this.#socket = new Dealer({
      linger: 0,
      sendTimeout: 0,
      sendHighWaterMark: 0,
      ...(routingId && { routingId }),
    });
    this.#socket.connect(address);
    void this.#receive();
    onTestFinished(() => this.close());
  }

  send(...frames: (string | Buffer)[]): void {
    this.#socket.send(frames).catch(() => undefined);
  }

  /** Until something that starts like this has come. */
  got(...start: string[]): Promise<string[]> {
    return eventually(
      () => this.received.find((message) => start.every((word, at) => message[at] === word)),
      {
        what: start.join(' '),
      },
    );
  }

  /** Everything sent before has been handled. */
  async settled(): Promise<void> {
    const before = this.received.filter(([word]) => word === 'HELLO').length;
    this.send('HI');
    await eventually(() => this.received.filter(([word]) => word === 'HELLO').length > before);
  }

  close(): void {
    this.#socket.close();
  }

  async #receive(): Promise<void> {
    for await (const message of this.#socket)
      this.received.push(message.map((part) => part.toString('latin1')));
  }
}

async function openServer(options: Partial<OxenmqListenerOptions> = {}, level: AccessLevel = 'admin') {
  const metrics = new Metrics();
  const peers: OxenmqPeer[] = [];
  const held: (() => void)[] = [];
  const commands: Record<string, ServedCommand> = {
    'test.note': {
      kind: 'command',
      access: 'none',
      run(peer, parts) {
        if (parts[0]?.toString() === 'throw') throw new Error('a bug');
        peers.push(peer);
      },
    },
    'test.echo': { kind: 'request', access: 'none', run: async (_peer, parts) => [...parts] },
    'test.hold': {
      kind: 'request',
      access: 'none',
      run: () => new Promise((resolve) => held.push(() => resolve(['done']))),
    },
    'test.fail': { kind: 'request', access: 'none', run: () => Promise.reject(new Error('a bug')) },
    'test.secret': { kind: 'request', access: 'admin', run: async () => ['secret'] },
  };
  const server = createOxenmqServer({
    commands,
    options: { lingerMs: 0, ...options },
    clock: systemClock,
    log: silentLog(),
    metrics,
  });
  onTestFinished(() => server.close());
  const bound = await server.listen({ name: 'door', address: 'tcp://127.0.0.1:0', level, curve: null });
  if (!bound.ok) throw new Error(bound.error);
  const count = (kind: string): number => metrics.oxenmqMalformed.of(`listener-${kind}`).value;
  return { server, address: bound.value, metrics, peers, held, count };
}

async function peerOf(visitor: Visitor, peers: OxenmqPeer[]): Promise<OxenmqPeer> {
  const before = peers.length;
  visitor.send('test.note');
  return eventually(() => peers[before]);
}

describe('a listener', () => {
  it('answers every HI, whatever the level, and asks for none', async () => {
    const { address } = await openServer({}, 'none');
    const visitor = new Visitor(address);
    visitor.send('test.echo', 'tag', 'a', '', 'b');
    expect(await visitor.got('REPLY')).toEqual(['REPLY', 'tag', 'a', '', 'b']);
    visitor.send('HI');
    visitor.send('HI', 'more');
    await eventually(() => visitor.received.filter(([word]) => word === 'HELLO').length === 2);
  });

  it('refuses in the shapes of the original', async () => {
    const { address } = await openServer({}, 'none');
    const visitor = new Visitor(address);
    visitor.send('test.nothing', 'tag');
    visitor.send('');
    visitor.send('test.secret', 'tag');
    visitor.send('test.secret');
    visitor.send('test.echo');
    // None of these is ever answered.
    for (const word of ['HELLO', 'BYE', 'REPLY', 'UNKNOWNCOMMAND', 'FORBIDDEN'])
      visitor.send(word, 'REPLY', 'x');
    visitor.send('x'.repeat(252));
    await visitor.settled();
    expect(visitor.received.slice(0, -1)).toEqual([
      ['UNKNOWNCOMMAND', 'test.nothing'],
      ['UNKNOWNCOMMAND', ''],
      ['FORBIDDEN', 'REPLY', 'tag'],
      ['FORBIDDEN', 'test.secret'],
      ['NO_REPLY_TAG', 'test.echo'],
    ]);
  });

  it('refuses only so often in a second', async () => {
    const { address, count } = await openServer({ maxErrorReplies: 3 });
    const visitor = new Visitor(address);
    for (let number = 0; number < 50; number += 1) visitor.send(`no.${number}`);
    await visitor.settled();
    expect(count('unknown-command')).toBe(50);
    // The fifty may fall into two windows.
    expect(visitor.received.filter(([word]) => word === 'UNKNOWNCOMMAND').length).toBeLessThanOrEqual(6);
  });

  it('asks its peers, and believes only the one who was asked', async () => {
    const { address, peers, count } = await openServer();
    const asked = new Visitor(address);
    const other = new Visitor(address);
    const peer = await peerOf(asked, peers);
    expect((await peerOf(other, peers)).key).not.toBe(peer.key);
    const answer = peer.request('notifier.validate', [Buffer.from('info')]);
    const [, tag = ''] = await asked.got('notifier.validate');
    other.send('REPLY', Buffer.from(tag, 'latin1'), 'forged');
    other.send('UNKNOWNCOMMAND', 'notifier.validate');
    await other.settled();
    asked.send('REPLY', Buffer.from(tag, 'latin1'), 'true');
    expect(await answer).toEqual({ ok: true, value: [Buffer.from('true')] });
    asked.send('REPLY', Buffer.from(tag, 'latin1'), 'again');
    await asked.settled();
    expect(count('stray-reply')).toBe(2);
  });

  it('ends a request by time, by an error word, and at once when nobody is there or too many wait', async () => {
    const { address, peers } = await openServer({ maxOpenRequests: 1 });
    const visitor = new Visitor(address);
    const peer = await peerOf(visitor, peers);
    const slow = peer.request('a.b', [], 50);
    expect(await peer.request('a.b', [])).toEqual({ ok: false, error: { kind: 'unavailable' } });
    expect(await slow).toEqual({ ok: false, error: { kind: 'timeout' } });
    const refused = peer.request('c.d', []);
    await visitor.got('c.d');
    visitor.send('UNKNOWNCOMMAND', 'c.d');
    expect(await refused).toEqual({ ok: false, error: { kind: 'refused', word: 'UNKNOWNCOMMAND' } });
    visitor.close();
    await eventually(async () => (await peer.send('x.y', [])) === 'unreachable');
    expect(await peer.request('a.b', [])).toEqual({ ok: false, error: { kind: 'unavailable' } });
  });

  it('gives a route to whoever announces it last', async () => {
    const { address, peers } = await openServer();
    const first = new Visitor(address, 'same');
    const peer = await peerOf(first, peers);
    const second = new Visitor(address, 'same');
    expect((await peerOf(second, peers)).key).toBe(peer.key);
    expect(await peer.send('to.you', [])).toBe('sent');
    await second.got('to.you');
    expect(first.received).toEqual([]);
  });

  it('works on a bounded number of requests of one peer and of all, and drops the rest', async () => {
    const { address, held, count } = await openServer({
      maxRunning: { none: 1, admin: 5 },
      maxRunningPerPeer: { none: 1, admin: 3 },
    });
    const flood = new Visitor(address);
    const other = new Visitor(address);
    for (let number = 0; number < 1000; number += 1) flood.send('test.hold', `tag ${number}`);
    await flood.settled();
    expect(held.length).toBe(3);
    for (let number = 0; number < 1000; number += 1) other.send('test.hold', `tag ${number}`);
    await other.settled();
    expect(held.length).toBe(5);
    expect(count('overload')).toBe(1995);
    for (const finish of held) finish();
    await other.got('REPLY', 'tag 0', 'done');
    other.send('test.echo', 'after');
    await other.got('REPLY', 'after');
  });

  it('holds a bounded number of bytes', async () => {
    const { address, held, count } = await openServer({ maxRunningBytes: 1000 });
    const visitor = new Visitor(address);
    for (let number = 0; number < 10; number += 1) visitor.send('test.hold', 'tag', Buffer.alloc(400));
    await visitor.settled();
    expect(held.length).toBe(2);
    expect(count('overload')).toBe(8);
  });

  it('survives faults of its own handlers at the cost of the one message', async () => {
    const { address, metrics } = await openServer();
    const visitor = new Visitor(address);
    visitor.send('test.note', 'throw');
    visitor.send('test.fail', 'tag');
    visitor.send('test.echo', 'after');
    await visitor.got('REPLY', 'after');
    expect(metrics.stageFailures.of('oxenmq-listener-handler').value).toBe(2);
  });

  it('is not impressed by frames of any kind', async () => {
    const { address, metrics } = await openServer({
      maxErrorReplies: 10,
      maxRunning: { none: 10, admin: 10 },
    });
    const words = [
      'HI',
      'HELLO',
      'BYE',
      'REPLY',
      'UNKNOWNCOMMAND',
      'FORBIDDEN',
      'test.note',
      'test.hold',
      '',
    ];
    const random = (below: number): number => randomBytes(4).readUInt32LE(0) % below;
    const anyFrame = (): Buffer =>
      random(2) === 0 ? Buffer.from(words[random(words.length)] ?? '') : randomBytes(random(400));
    const visitors = Array.from({ length: 5 }, () => new Visitor(address));
    for (let number = 0; number < 3000; number += 1) {
      visitors[number % 5]?.send(...Array.from({ length: 1 + random(5) }, anyFrame));
    }
    await Promise.all(visitors.map((visitor) => visitor.settled()));
    const fresh = new Visitor(address);
    fresh.send('test.echo', 'tag', 'still here');
    // The tenth and last of the running requests may be held; the fresh one then asks in vain, but HI always works.
    await fresh.settled();
    expect(metrics.stageFailures.total()).toBe(0);
  });

  it('is not impressed by connections that speak no ZeroMQ', async () => {
    const { address } = await openServer();
    const port = Number(address.slice(address.lastIndexOf(':') + 1));
    for (let number = 0; number < 30; number += 1) {
      const socket = connect(port, '127.0.0.1');
      onTestFinished(() => void socket.destroy());
      socket.on('error', () => undefined);
      // Some begin like ZMTP: a greeting's first ten bytes.
      const greeting = number % 2 === 0 ? Buffer.from('ff00000000000000017f', 'hex') : Buffer.alloc(0);
      socket.write(Buffer.concat([greeting, randomBytes(200)]));
    }
    const visitor = new Visitor(address);
    await visitor.settled();
  });

  it('lets what it was given leave when it is closed, and refuses from then on', async () => {
    const { server, address, peers } = await openServer({ lingerMs: 500 });
    const visitor = new Visitor(address);
    const peer = await peerOf(visitor, peers);
    const sent = Array.from({ length: 500 }, () => peer.send('last.words', [Buffer.alloc(10_000)]));
    await server.close();
    expect(new Set(await Promise.all(sent))).toEqual(new Set(['sent']));
    await eventually(() => visitor.received.length === 500);
    expect(await peer.send('too.late', [])).toBe('unreachable');
    expect(
      (await server.listen({ name: 'x', address: 'tcp://127.0.0.1:0', level: 'none', curve: null })).ok,
    ).toBe(false);
  });
});

/** A DEALER that speaks ZMTP by hand, so that it can leave out what every library does. */
class RawPeer {
  closed = false;
  readonly #socket: Socket;

  constructor(address: string) {
    const { port } = new URL(address.replace('tcp:', 'http:'));
    this.#socket = connect(Number(port), '127.0.0.1');
    this.#socket
      .on('error', () => undefined)
      .on('close', () => (this.closed = true))
      .resume();
    onTestFinished(() => void this.#socket.destroy());
    const greeting = Buffer.alloc(64);
    greeting[0] = 0xff;
    greeting[9] = 0x7f;
    greeting[10] = 3;
    greeting.write('NULL', 12);
    const ready = Buffer.concat([
      Buffer.from('\x05READY\x0bSocket-Type', 'latin1'),
      Buffer.from([0, 0, 0, 6]),
      Buffer.from('DEALER'),
    ]);
    this.#socket.write(Buffer.concat([greeting, Buffer.from([4, ready.length]), ready]));
  }

  /** A part of a message that has more parts. */
  sendPart(bytes: number): void {
    const head = Buffer.alloc(9);
    head[0] = 3; // long, and more follow
    head.writeBigUInt64BE(BigInt(bytes), 1);
    this.#socket.write(Buffer.concat([head, Buffer.alloc(bytes)]));
  }
}

describe('a listener for everybody', () => {
  const publicGate = { connections: 8, connectionsPerAddress: 4, bytesPerConnection: 1_000_000 };

  it('ends a peer whose message never ends, before it fills the memory, and serves the others', async () => {
    const { address } = await openServer({ publicGate }, 'none');
    const endless = new RawPeer(address);
    for (let part = 0; part < 30; part += 1) endless.sendPart(100_000);
    await eventually(() => endless.closed);
    const visitor = new Visitor(address);
    visitor.send('test.echo', 'tag', 'a');
    expect(await visitor.got('REPLY')).toEqual(['REPLY', 'tag', 'a']);
  });

  it('keeps a peer that has sent all that it may only until its answers are out; it comes again by itself', async () => {
    const { address } = await openServer({ publicGate }, 'none');
    const visitor = new Visitor(address);
    const body = 'x'.repeat(90_000);
    const answered = (): number => visitor.received.filter(([word]) => word === 'REPLY').length;
    // What is under way when the connection ends may be lost.
    await eventually(() => {
      visitor.send('test.echo', 'tag', body);
      return answered() >= 25;
    });
  });

  it('takes few connections of one address', async () => {
    const { address } = await openServer({ publicGate }, 'none');
    const peers = Array.from({ length: 6 }, () => new RawPeer(address));
    await eventually(() => peers.filter(({ closed }) => closed).length === 2);
  });

  it('works on few bytes in a second', async () => {
    const { address, count } = await openServer(
      { maxRequestBytesPerSecond: { none: 10_000, admin: 0 } },
      'none',
    );
    const visitor = new Visitor(address);
    for (let number = 0; number < 100; number += 1) visitor.send('test.echo', `${number}`, 'x'.repeat(600));
    await visitor.settled();
    // The hundred may fall into two windows.
    expect(count('overload')).toBeGreaterThanOrEqual(80);
    expect(visitor.received.filter(([word]) => word === 'REPLY').length).toBeGreaterThan(0);
  });

  it('leaves no file behind', async () => {
    const gate = new PublicGate(publicGate);
    const directory = dirname(await gate.prepare());
    expect((await stat(directory)).mode & 0o777).toBe(0o700);
    expect(await gate.open({ host: '*', port: 0 })).toMatchObject({ ok: true });
    await gate.close();
    await gate.close();
    await expect(stat(directory)).rejects.toThrow('ENOENT');
  });
});
