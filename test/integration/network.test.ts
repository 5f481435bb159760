import { randomBytes } from 'node:crypto';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  createNetwork,
  defaultNetworkOptions,
  type Network,
  type NetworkOptions,
} from '../../src/actors/network.js';
import { createActorSystem, type ActorSystem } from '../../src/actors/spawn.js';
import { systemClock } from '../../src/domain/clock.js';
import type { AccountId, EncryptionKey, ServiceId, ServiceName } from '../../src/domain/ids.js';
import type { Subscription } from '../../src/domain/subscription.js';
import type { NodeLink } from '../../src/network/node-link.js';
import type { AccountRefusal } from '../../src/network/swarm-monitor.js';
import { parseOxenmqAddress } from '../../src/oxenmq/address.js';
import { createOxenmqClient } from '../../src/oxenmq/client.js';
import type { OxenmqClient } from '../../src/oxenmq/port.js';
import { SubscriptionIndex } from '../../src/subscription-index/subscription-index.js';
import { silentLog } from '../../src/telemetry/log.js';
import { Metrics } from '../../src/telemetry/metrics.js';
import { eventually } from '../simulators/eventually.js';
import { randomKeyPair } from '../simulators/storage-network/keys.js';
import { startStorageNetwork, type StorageNetwork } from '../simulators/storage-network/network.js';
import type { SimulatedStorageNode } from '../simulators/storage-network/storage-node.js';

let index: SubscriptionIndex;
let simulated: StorageNetwork;
let client: OxenmqClient;
let metrics: Metrics;
let system: ActorSystem;
let network: Network;
let frames: { link: NodeLink; frame: Buffer }[];
let refusals: AccountRefusal[];

/** A group subscription with made-up signatures, which the simulator does not verify. */
function subscriptionOf(account: Buffer, namespaces: number[] = [0], device = 'x'): Subscription {
  return {
    account: account as AccountId,
    service: 'apns' as ServiceName,
    serviceId: device.repeat(64) as ServiceId,
    namespaces,
    wantData: true,
    encryptionKey: randomBytes(32) as EncryptionKey,
    serviceData: null,
    authorisation: {
      ed25519Key: null,
      subaccount: null,
      signature: randomBytes(64),
      signedAtSeconds: Math.floor(Date.now() / 1000),
    },
  };
}
const randomAccount = (): Buffer => Buffer.concat([Buffer.from([3]), randomBytes(32)]);

/** What the subscription actor does after a commit. */
function subscribe(subscription: Subscription): void {
  const { slot, monitorChanged } = index.upsert(subscription);
  if (monitorChanged) network.accountChanged(slot);
}

async function build(
  options: Partial<NetworkOptions> = {},
  swarms: Parameters<typeof startStorageNetwork>[0] = {},
): Promise<void> {
  simulated = await startStorageNetwork(swarms);
  const address = parseOxenmqAddress(simulated.oxendAddress);
  if (!address.ok) throw new Error(address.error);
  const log = silentLog();
  metrics = new Metrics();
  client = createOxenmqClient({ keyPair: randomKeyPair(), clock: systemClock, log, metrics });
  system = createActorSystem({ log, metrics, clock: systemClock });
  network = createNetwork(
    {
      client,
      oxend: address.value,
      accounts: index,
      system,
      clock: systemClock,
      random: Math.random,
      log,
      metrics,
      onFrame: (link, frame) => frames.push({ link, frame: Buffer.from(frame) }),
      onRefused: (refusal) => refusals.push(refusal),
    },
    { ...defaultNetworkOptions, ...options },
  );
}

beforeEach(() => {
  index = new SubscriptionIndex(7);
  frames = [];
  refusals = [];
});
afterEach(async () => {
  await network.stop();
  await system.stop();
  await client.close();
  simulated.close();
});

const knows = (node: SimulatedStorageNode, account: Buffer): boolean =>
  node.subscriptionsOf(account).length > 0;
const isComplete = (): boolean =>
  simulated.nodes.every(
    (node) =>
      node.monitoredAccounts ===
      accounts.filter((account) => simulated.swarmOf(account) === simulated.swarmIdOf(node)).length,
  );
let accounts: Buffer[];
function load(count: number): void {
  accounts = Array.from({ length: count }, randomAccount);
  for (const account of accounts) index.upsert(subscriptionOf(account));
}
async function startLoaded(count: number): Promise<void> {
  load(count);
  await network.start();
  network.loaded();
  await eventually(isComplete, { what: 'every account registered with its swarm' });
}

describe('the network over real OxenMQ', () => {
  it('registers all accounts with all nodes of their swarms and hears of their messages', async () => {
    await build();
    await startLoaded(500);
    expect(network.status()).toMatchObject({ nodes: 20, swarms: 4, linksUp: 20, accountsMonitored: 500 });
    const account = accounts[0] ?? Buffer.alloc(0);
    simulated.deliver({
      account,
      namespace: 0,
      hash: 'h'.repeat(43),
      data: Buffer.from('hello'),
      timestampMs: Date.now(),
      expiryMs: Date.now() + 60_000,
    });
    await eventually(() => frames.length === 5);
    const slot = index.slotOf(account);
    expect(frames.every(({ link }) => network.acceptsFrame(link, slot))).toBe(true);
    const stranger = [...liveSlots()].find((other) => !network.acceptsFrame(frameLink(), other));
    expect(stranger).toBeDefined();
  });

  it('tells every node of a new subscription, and of a changed one, within a second', async () => {
    await build();
    await startLoaded(2000);
    const account = randomAccount();
    let start = performance.now();
    subscribe(subscriptionOf(account));
    await eventually(() => simulated.swarmNodesOf(account).every((node) => knows(node, account)));
    expect(performance.now() - start).toBeLessThan(1000);
    start = performance.now();
    subscribe(subscriptionOf(account, [0, 5]));
    await eventually(() =>
      simulated
        .swarmNodesOf(account)
        .every((node) => node.subscriptionsOf(account)[0]?.namespaces.includes(5) === true),
    );
    expect(performance.now() - start).toBeLessThan(1000);
  });

  it('registers everything again with a node that was restarted, at once', async () => {
    await build();
    await startLoaded(500);
    const [node] = simulated.nodes;
    if (node === undefined) throw new Error('no nodes');
    const before = simulated.nodes.map(({ entries }) => entries);
    await node.restart();
    expect(isComplete()).toBe(false);
    const start = performance.now();
    await eventually(isComplete);
    expect(performance.now() - start).toBeLessThan(5000);
    expect(simulated.nodes.slice(1).map(({ entries }) => entries)).toEqual(before.slice(1));
  });

  it('does not let a silent node delay the others', async () => {
    await build({ requestTimeoutSeconds: 1 }, { swarms: 1 });
    const [silent, ...others] = simulated.nodes;
    if (silent === undefined) throw new Error('no nodes');
    silent.ignoreNextRequests = 1;
    load(3000);
    await network.start();
    network.loaded();
    await eventually(() => others.every((node) => node.monitoredAccounts === 3000));
    const account = randomAccount();
    subscribe(subscriptionOf(account));
    await eventually(() => others.every((node) => knows(node, account)));
    await eventually(() => metrics.monitorRequests.of('timeout').value === 1);
  });

  it('acts on refusals of the storage nodes', async () => {
    await build({}, { swarms: 1 });
    load(10);
    const bad = accounts[3] ?? Buffer.alloc(0);
    for (const node of simulated.nodes) {
      node.refusals.set(bad.toString('hex'), { errcode: 5, error: 'Signature verification failed' });
    }
    await network.start();
    network.loaded();
    // Nodes that are connected only after the second refusal are not told any more.
    await eventually(() => refusals.length > 0 && metrics.monitorEntries.of('accepted').value === 45);
    expect(metrics.monitorEntries.of('invalid').value).toBeGreaterThanOrEqual(2);
    expect(refusals).toEqual([{ slot: index.slotOf(bad), reason: 'invalid', errcode: 5, isWhole: true }]);
  });

  it('registers everything although nodes fail whole requests at first', async () => {
    await build({}, { swarms: 1 });
    for (const node of simulated.nodes) node.failNextRequests = 2;
    await startLoaded(50);
    expect(refusals).toEqual([]);
  });

  it('follows nodes that move, come and go with the blocks', async () => {
    await build({}, { swarms: 3, nodesPerSwarm: 2 });
    await startLoaded(300);
    await eventually(() => simulated.oxend.blockSubscribers > 0);
    const [moving, leaving] = simulated.nodes;
    const target = simulated.swarmIds[2] ?? 0n;
    if (moving === undefined || leaving === undefined) throw new Error('no nodes');
    simulated.moveNode(moving, target);
    const members = accounts.filter((account) => simulated.swarmOf(account) === target);
    await eventually(() => members.every((account) => knows(moving, account)));

    simulated.removeNode(leaving);
    await eventually(() => network.status().nodes === 5);

    const added = await simulated.addNode(0x1234_5678_9abc_def1n);
    await eventually(() => network.status().linksUp === 6);
    await eventually(() =>
      accounts
        .filter((account) => simulated.swarmOf(account) === 0x1234_5678_9abc_def1n)
        .every((account) => knows(added, account)),
    );
    expect(network.status()).toMatchObject({ nodes: 6 });
  });

  it('reads broken lists without losing nodes', async () => {
    await build({}, { swarms: 1 });
    simulated.extraEntries = [{}, { raw: '"swarm_id":"text"' }, { public_ip: '0.0.0.0', swarm_id: 5n }];
    simulated.newBlock();
    load(10);
    await network.start();
    network.loaded();
    await eventually(() => network.status().linksUp === 5);
    expect(network.status()).toMatchObject({ nodes: 5, swarms: 2 });
    expect(metrics.nodeListUpdates.of('partial').value).toBeGreaterThan(0);
  });

  it('survives a restart of oxend and subscribes to blocks again', async () => {
    await build({ subscriptionCheckIntervalSeconds: 1 }, { swarms: 1 });
    await startLoaded(10);
    await simulated.oxend.restart();
    await eventually(() => simulated.oxend.blockSubscribers === 1);
    await eventually(() => network.status().oxendUp);
    const node = await simulated.addNode(simulated.swarmIds[0] ?? 0n);
    await eventually(() => accounts.every((account) => knows(node, account)));
  });

  it('moves twenty thousand accounts without stalling the event loop', async () => {
    await build();
    await startLoaded(20_000);
    const delay = monitorEventLoopDelay({ resolution: 5 });
    delay.enable();
    const id = (simulated.swarmIds[0] ?? 0n) + (1n << 60n);
    const node = await simulated.addNode(id);
    const members = accounts.filter((account) => simulated.swarmOf(account) === id);
    expect(members.length).toBeGreaterThan(100);
    await eventually(() => members.every((account) => knows(node, account)));
    delay.disable();
    expect(metrics.accountsMoved.value).toBe(members.length);
    // The simulator, which lives in this process, has its part in this.
    expect(delay.max / 1e6).toBeLessThan(200);
  });
});

const frameLink = (): NodeLink => {
  const [frame] = frames;
  if (frame === undefined) throw new Error('no frame');
  return frame.link;
};
function* liveSlots(): Generator<number> {
  for (let slot = 0; slot < index.slotLimit; slot += 1) yield slot;
}
