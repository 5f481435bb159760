import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { fail, ok } from '../../../src/domain/result.js';
import type { Daemon, NodeList } from '../../../src/network/node-list.js';
import { Oxend } from '../../../src/network/oxend.js';
import { silentLog } from '../../../src/telemetry/log.js';
import { Metrics } from '../../../src/telemetry/metrics.js';
import { FakeClient, listed, nodeListBody, type FakeConnection } from './support/fakes.js';

let client: FakeClient;
let oxend: Oxend;
let metrics: Metrics;
let lists: NodeList[];
let listReply: () => Buffer[] | null;
let blockReply: string;

const good = (height = 1): Buffer[] => [Buffer.from('200'), nodeListBody([listed(1, 7n)], height)];
const connection = (): FakeConnection => client.to('tcp://127.0.0.1:1');
const asked = (command: string): number =>
  client.connections.flatMap(({ seen }) => seen).filter((request) => request.command === command).length;
const settle = (ms = 0): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);

const oxendOf = (daemon: Daemon): Oxend => {
  return new Oxend(
    {
      client,
      address: { endpoint: 'tcp://127.0.0.1:1', serverKey: null },
      clock: { nowMs: () => Date.now() },
      random: () => 0,
      log: silentLog(),
      metrics,
      onNodeList: (list) => lists.push(list),
    },
    {
      daemon,
      subscriptionCheckIntervalSeconds: 10,
      nodePollIntervalSeconds: 120,
      requestTimeoutSeconds: 30,
      connectTimeoutSeconds: 10,
    },
  );
};

beforeEach(() => {
  vi.useFakeTimers();
  lists = [];
  listReply = () => good();
  blockReply = 'OK';
  metrics = new Metrics();
  client = new FakeClient((_connection, command) => {
    if (command === 'ping.ping') return [Buffer.from('pong')];
    if (command === 'sub.block') return [Buffer.from(blockReply)];
    return listReply();
  });
  oxend = oxendOf('oxend');
  oxend.start();
});
afterEach(() => {
  oxend.stop();
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

describe('oxend', () => {
  it('is asked for the list and for blocks as soon as it is connected', async () => {
    expect(oxend.status).toMatchObject({ isUp: false, firstListIn: false });
    connection().up();
    await settle();
    expect(lists).toHaveLength(1);
    expect(asked('ping.ping')).toBe(1);
    expect(asked('sub.block')).toBe(1);
    expect(oxend.status).toMatchObject({ isUp: true, firstListIn: true, blockHeight: 1 });
  });

  it('is asked again until the first list is in', async () => {
    listReply = () => [Buffer.from('500'), Buffer.from('busy')];
    connection().up();
    await settle();
    expect(oxend.status.firstListIn).toBe(false);
    listReply = () => good();
    await settle(1000);
    expect(oxend.status.firstListIn).toBe(true);
  });

  it.each([
    ['an error', [Buffer.from('400'), Buffer.from('x')]],
    ['one part', [Buffer.from('200')]],
    ['three parts', [...good(), Buffer.from('x')]],
    ['no JSON', [Buffer.from('200'), Buffer.from('<html>')]],
    ['a daemon that knows nobody', [Buffer.from('200'), nodeListBody([])]],
  ])('leaves the old list in place when it sends %s', async (_name, parts) => {
    connection().up();
    await settle();
    listReply = () => parts;
    connection().say('notify.block', Buffer.from('2'), Buffer.alloc(32));
    await settle();
    expect(lists).toHaveLength(1);
    expect(oxend.status.blockHeight).toBe(1);
    listReply = () => good(2);
    await settle(1000);
    expect(oxend.status.blockHeight).toBe(2);
  });

  it('is asked once more, not more often, for all the blocks that come during a request', async () => {
    listReply = () => null;
    connection().up();
    await settle();
    for (let n = 0; n < 50; n += 1) connection().say('notify.block', Buffer.from('2'), Buffer.alloc(32));
    await settle();
    expect(asked('rpc.get_service_nodes')).toBe(1);
    listReply = () => good(2);
    connection()
      .open.shift()
      ?.answer(ok(good(1)));
    await settle();
    expect(asked('rpc.get_service_nodes')).toBe(2);
    expect(oxend.status.blockHeight).toBe(2);
  });

  it('is polled when no block is reported', async () => {
    connection().up();
    await settle();
    blockReply = 'ALREADY';
    await settle(120_000);
    expect(lists).toHaveLength(2);
    await settle(120_000);
    expect(lists).toHaveLength(3);
  });

  it('has its block subscription kept alive, and is asked for the list when it had forgotten it', async () => {
    connection().up();
    await settle();
    blockReply = 'ALREADY';
    await settle(20_000);
    expect(asked('sub.block')).toBe(3);
    expect(lists).toHaveLength(1);
    blockReply = 'OK';
    await settle(10_000);
    expect(lists).toHaveLength(2);
  });

  it('is asked anew after it was away, whatever became of the request before', async () => {
    listReply = () => null;
    connection().up();
    await settle();
    connection().down();
    expect(oxend.status.isUp).toBe(false);
    listReply = () => good(5);
    connection().up();
    await settle();
    expect(oxend.status.blockHeight).toBe(5);
    connection()
      .open.shift()
      ?.answer(ok(good(4)));
    await settle();
    expect(lists).toHaveLength(1);
  });

  it('is connected to again, with growing pauses, however often that fails', async () => {
    for (const seconds of [1, 2, 5, 10, 30, 30]) {
      const before = client.connections.length;
      connection().end();
      await settle(seconds * 1000 - 1);
      expect(client.connections).toHaveLength(before);
      await settle(1);
      expect(client.connections).toHaveLength(before + 1);
    }
    connection().up();
    await settle();
    expect(oxend.status.firstListIn).toBe(true);
  });

  it('is given a new connection when the old one neither comes up nor ends', async () => {
    await settle(10_000);
    expect(client.connections[0]?.isClosed).toBe(true);
    await settle(1000);
    connection().up();
    connection().down();
    await settle(10_000);
    expect(client.connections[1]?.isClosed).toBe(true);
  });

  it('may time out', async () => {
    listReply = () => null;
    connection().up();
    await settle();
    connection()
      .open.shift()
      ?.answer(fail({ kind: 'timeout' }));
    listReply = () => good();
    await settle(1000);
    expect(oxend.status.firstListIn).toBe(true);
    expect(metrics.nodeListUpdates.of('timeout').value).toBe(1);
  });

  it('of a fork is asked for the list in its own words', async () => {
    oxend.stop();
    oxend = oxendOf('beldexd');
    const list = nodeListBody([listed(1, 7n)], 3)
      .toString()
      .replace('service_node_states', 'master_node_states');
    listReply = () => [Buffer.from('200'), Buffer.from(list)];
    oxend.start();
    connection().up();
    await settle();
    expect([asked('rpc.get_master_nodes'), asked('rpc.get_service_nodes')]).toEqual([1, 0]);
    expect(oxend.status).toMatchObject({ firstListIn: true, blockHeight: 3 });
    connection().say('notify.block', Buffer.from('4'), Buffer.alloc(32));
    await settle();
    expect(asked('rpc.get_master_nodes')).toBe(2);
  });

  it('counts lists with broken entries as partial', async () => {
    const body = '{"service_node_states":[null,{"swarm_id":7}]}';
    listReply = () => [Buffer.from('200'), Buffer.from(body)];
    connection().up();
    await settle();
    expect(metrics.nodeListUpdates.of('partial').value).toBe(1);
  });
});
