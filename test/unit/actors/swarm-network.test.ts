import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  createNetwork,
  defaultNetworkOptions,
  type Network,
  type NetworkOptions,
} from '../../../src/actors/network.js';
import { createActorSystem, type ActorSystem } from '../../../src/actors/spawn.js';
import { systemClock } from '../../../src/domain/clock.js';
import { SwarmMap } from '../../../src/network/swarm-map.js';
import type { NodeLink } from '../../../src/network/node-link.js';
import { silentLog } from '../../../src/telemetry/log.js';
import { Metrics } from '../../../src/telemetry/metrics.js';
import { eventually } from '../../simulators/eventually.js';
import {
  acceptAll,
  endpointOf,
  entryOf,
  FakeAccounts,
  FakeClient,
  listed,
  nodeListBody,
  type FakeConnection,
  type ListedNode,
} from '../network/support/fakes.js';

const OXEND = 'tcp://127.0.0.1:1';
const LOW = 1n << 62n;
const MIDDLE = 1n << 63n;
const HIGH = 3n << 62n;

let accounts: FakeAccounts;
let client: FakeClient;
let metrics: Metrics;
let system: ActorSystem;
let network: Network;
let nodes: ListedNode[];
let silent: Set<string>;
let frames: { link: NodeLink; frame: Buffer }[];

function build(options: Partial<NetworkOptions> = {}): void {
  network = createNetwork(
    {
      client,
      oxend: { endpoint: OXEND, serverKey: null },
      accounts,
      system,
      clock: systemClock,
      random: Math.random,
      log: silentLog(),
      metrics,
      onFrame: (link, frame) => frames.push({ link, frame }),
      onRefused: () => undefined,
    },
    { ...defaultNetworkOptions, newSubscriptionDelayMs: 20, ...options },
  );
}

beforeEach(() => {
  accounts = new FakeAccounts();
  metrics = new Metrics();
  system = createActorSystem({ log: silentLog(), metrics, clock: systemClock });
  nodes = [listed(1, LOW), listed(2, LOW), listed(3, HIGH), listed(4, HIGH)];
  silent = new Set();
  frames = [];
  let height = 0;
  client = new FakeClient(
    (connection, command, parts) => {
      if (command === 'rpc.get_service_nodes') {
        height += 1;
        return [Buffer.from('200'), nodeListBody(nodes, height)];
      }
      if (command !== 'monitor.messages') return [Buffer.from('OK')];
      const [request] = parts;
      return request === undefined || silent.has(connection.address.endpoint) ? null : [acceptAll(request)];
    },
    (connection) => setImmediate(() => connection.up()),
  );
  build();
});
afterEach(async () => {
  await network.stop();
  await system.stop();
});

const node = (n: number, swarm = LOW): FakeConnection => client.to(endpointOf(listed(n, swarm)));
/** Which accounts a node has been told, as long as it is connected. */
const told = (n: number): number[] =>
  client.openEndpoints.includes(endpointOf(listed(n, LOW)))
    ? [...new Set(node(n).namesSeen().map(Number))].sort((x, y) => x - y)
    : [];
const newBlock = (): void => client.to(OXEND).say('notify.block', Buffer.from('9'), Buffer.alloc(32));
const allUp = (): Promise<unknown> => eventually(() => network.status().linksUp === nodes.length);
/** Spread evenly over the ring. */
function fill(count: number): void {
  for (let slot = 0; slot < count; slot += 1) {
    accounts.put(slot, (BigInt(slot) << 64n) / BigInt(count));
  }
}
const slotsOf = (ids: bigint[], id: bigint): number[] => {
  const map = new SwarmMap(ids);
  return [...accounts.live].filter(([, { space }]) => map.swarmOf(space) === id).map(([slot]) => slot);
};

describe('the network', () => {
  it('registers every account with every node of its swarm and with no other', async () => {
    fill(100);
    await network.start();
    network.loaded();
    await eventually(() => [1, 2, 3, 4].every((n) => told(n).length === 50));
    expect(told(1)).toEqual(slotsOf([LOW, HIGH], LOW));
    expect(told(2)).toEqual(told(1));
    expect(told(3)).toEqual(slotsOf([LOW, HIGH], HIGH));
    expect(told(4)).toEqual(told(3));
    expect(network.status()).toMatchObject({
      firstListIn: true,
      swarms: 2,
      nodes: 4,
      linksUp: 4,
      linksPending: 0,
      accountsMonitored: 100,
    });
  });

  it('does the same when the nodes come first and the index is loaded late', async () => {
    await network.start();
    await allUp();
    fill(100);
    network.loaded();
    await eventually(() => [1, 2, 3, 4].every((n) => told(n).length === 50));
  });

  it('registers nothing of an index that is still being loaded, except what was announced', async () => {
    await network.start();
    await allUp();
    fill(10);
    accounts.put(50, LOW);
    network.accountChanged(50);
    newBlock();
    await eventually(() => told(1).length > 0);
    expect(told(1)).toEqual([50]);
    accounts.put(50, LOW, [entryOf(50), entryOf('late')]);
    network.loaded();
    await eventually(() => node(1).namesSeen().includes('late'));
  });

  it('keeps accounts that were announced before the first list', async () => {
    accounts.put(3, LOW);
    network.loaded();
    network.accountChanged(3);
    await network.start();
    await eventually(() => told(1).includes(3) && told(2).includes(3));
  });

  it('announces a new account to all nodes of its swarm within moments, once for many calls', async () => {
    fill(10);
    await network.start();
    network.loaded();
    await eventually(() => [1, 2, 3, 4].every((n) => told(n).length === 5));
    accounts.put(77, LOW);
    const start = performance.now();
    for (let n = 0; n < 100; n += 1) network.accountChanged(77);
    await eventually(() => told(1).includes(77) && told(2).includes(77));
    expect(performance.now() - start).toBeLessThan(500);
    expect(
      node(1)
        .namesSeen()
        .filter((name) => name === '77'),
    ).toHaveLength(1);
    expect(told(3)).not.toContain(77);
  });

  it('is not delayed by a node that never answers', async () => {
    fill(10);
    silent.add(endpointOf(listed(1, LOW)));
    await network.start();
    network.loaded();
    await eventually(() => [2, 3, 4].every((n) => told(n).length === 5));
    accounts.put(77, LOW);
    network.accountChanged(77);
    await eventually(() => told(2).includes(77));
    expect(node(1).open).toHaveLength(1);
  });

  it('registers everything again with a node that reconnects', async () => {
    fill(10);
    await network.start();
    network.loaded();
    await eventually(() => [1, 2, 3, 4].every((n) => told(n).length === 5));
    node(1).seen.length = 0;
    node(1).down();
    node(1).up();
    await eventually(() => told(1).length === 5);
    expect(node(2).namesSeen()).toHaveLength(5);
  });

  it('registers nothing for an account that is gone', async () => {
    fill(10);
    await network.start();
    network.loaded();
    await eventually(() => [1, 2, 3, 4].every((n) => told(n).length === 5));
    const gone = told(1)[0] ?? -1;
    network.accountRemoved(gone);
    accounts.live.delete(gone);
    node(1).seen.length = 0;
    node(1).down();
    node(1).up();
    await eventually(() => told(1).length === 4);
    expect(told(1)).not.toContain(gone);
    expect(network.status().accountsMonitored).toBe(9);
  });

  it('renews every account within its window, with all nodes', async () => {
    await network.stop();
    build({ renewMinSeconds: 1, renewMaxSeconds: 2 });
    fill(20);
    await network.start();
    network.loaded();
    await eventually(() => [1, 2, 3, 4].every((n) => told(n).length === 10));
    for (const n of [1, 2, 3, 4]) node(n).seen.length = 0;
    const start = performance.now();
    await eventually(() => [1, 2, 3, 4].every((n) => told(n).length === 10));
    expect(performance.now() - start).toBeLessThan(4000);
  });

  it('moves exactly the accounts of a swarm that came and of one that went', async () => {
    fill(200);
    await network.start();
    network.loaded();
    await eventually(() => [1, 2, 3, 4].every((n) => told(n).length === 100));
    for (const n of [1, 2, 3, 4]) node(n).seen.length = 0;
    const moving = slotsOf([LOW, MIDDLE, HIGH], MIDDLE);
    nodes.push(listed(5, MIDDLE));
    newBlock();
    await eventually(() => told(5).length === moving.length);
    expect(told(5)).toEqual(moving);
    expect(metrics.accountsMoved.value).toBe(moving.length);
    expect([1, 2, 3, 4].flatMap(told)).toEqual([]);

    nodes.pop();
    newBlock();
    await eventually(() => told(1).length + told(3).length === moving.length);
    expect([...told(1), ...told(3)].sort((x, y) => x - y)).toEqual(moving);
    expect(told(2)).toEqual(told(1));
    expect(network.status()).toMatchObject({ swarms: 2, nodes: 4, accountsMonitored: 200 });
    expect(system.size).toBe(2);
  });

  it('gives a node that changed its swarm the accounts of the new one, on the same link', async () => {
    fill(20);
    await network.start();
    network.loaded();
    await eventually(() => [1, 2, 3, 4].every((n) => told(n).length === 10));
    const connections = client.connections.length;
    const high = told(3);
    node(2).seen.length = 0;
    nodes[1] = listed(2, HIGH);
    newBlock();
    await eventually(() => told(2).length === 10);
    expect(told(2)).toEqual(high);
    expect(client.connections).toHaveLength(connections);
    expect(metrics.accountsMoved.value).toBe(0);
  });

  it('ends with the last of several maps that came quickly after each other', async () => {
    fill(3000);
    await network.start();
    network.loaded();
    await eventually(() => network.status().accountsMonitored === 3000);
    for (const id of [MIDDLE, MIDDLE + 5n, LOW / 2n]) {
      nodes = [...nodes.slice(0, 4), listed(9, id)];
      newBlock();
      await eventually(() => network.status().swarms === 3);
    }
    const expected = slotsOf([LOW, HIGH, LOW / 2n], LOW / 2n);
    await eventually(() => expected.every((slot) => told(9).includes(slot)));
    await eventually(() => system.size === 3);
  });

  it('takes frames from nodes of the swarm of the account only', async () => {
    fill(2);
    await network.start();
    network.loaded();
    await eventually(() => network.status().accountsMonitored === 2);
    await allUp();
    node(1).say('notify.message', Buffer.from('de'));
    node(3).say('notify.message', Buffer.from('de'));
    const [low, high] = frames;
    if (low === undefined || high === undefined) throw new Error('no frames');
    const slot = slotsOf([LOW, HIGH], LOW)[0] ?? -1;
    expect(network.acceptsFrame(low.link, slot)).toBe(true);
    expect(network.acceptsFrame(high.link, slot)).toBe(false);
  });

  it('stands still without an oxend', async () => {
    const alone = createNetwork(
      {
        client,
        oxend: null,
        accounts,
        system,
        clock: systemClock,
        random: Math.random,
        log: silentLog(),
        metrics,
        onFrame: () => undefined,
        onRefused: () => undefined,
      },
      defaultNetworkOptions,
    );
    await alone.start();
    alone.loaded();
    alone.accountChanged(1);
    expect(alone.status()).toMatchObject({ firstListIn: false, nodes: 0 });
    await alone.stop();
  });
});
