import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../simulators/eventually.js';
import { ServerProcess } from '../simulators/server-process.js';
import type { SimulatedStorageNode } from '../simulators/storage-network/storage-node.js';
import { accountKeyOf } from '../simulators/storage-network/stored-message.js';
import { makeMessage, startWorld, type World } from '../simulators/world.js';
import {
  added,
  insertSubscriptions,
  insertedAccount,
  isRegistered,
  newSubscriber,
  pause,
  subscribe,
  untilRegistered,
  type Subscriber,
} from './support.js';

const ACCOUNTS = 10_000;
/** The bound. */
const STALL_MAX_SECONDS = 0.2;

describe('a network that changes under ten thousand accounts', () => {
  let world: World;
  let server: ServerProcess;
  let witness: Subscriber;
  let accounts: Buffer[];

  beforeAll(async () => {
    world = await startWorld({ record: false });
    await insertSubscriptions({ url: null, dataDir: join(world.directory, 'data') }, ACCOUNTS);
    server = await ServerProcess.start(world.configFile);
    accounts = Array.from({ length: ACCOUNTS }, (_, index) => insertedAccount(index));
    witness = newSubscriber('android');
    expect(await subscribe(server.httpAddress, witness)).toEqual(added);
    await untilRegistered(world.network, [...accounts, witness.account.id]);
  });
  afterAll(async () => {
    await server.close();
    await world.close();
  });

  const entries = (): number => world.network.nodes.reduce((sum, node) => sum + node.entries, 0);

  /** Swarm of each account, to tell afterwards who moved. */
  const homes = (): Map<string, bigint> =>
    new Map(
      [...accounts, witness.account.id].map((account) => [
        accountKeyOf(account),
        world.network.swarmOf(account),
      ]),
    );

  /** Pushes to one phone go on while `change` works itself out; afterwards nothing has stalled. */
  async function whilePushing(change: () => unknown, isSettled: () => boolean): Promise<void> {
    // Reading starts the measurement anew.
    await server.metric('waggle_event_loop_longest_stall_seconds');
    const before = world.fcm.accepted;
    let sent = 0;
    let isChanging = true;
    const pushing = (async () => {
      while (isChanging) {
        if (world.network.deliver(makeMessage(witness.account, 'meanwhile')) > 0) sent += 1;
        await pause(20);
      }
    })();
    // Nothing may be under way from a node that the change switches off: that message would go down with it.
    await eventually(() => sent > 0 && world.fcm.accepted - before >= sent, {
      what: 'the first push',
      everyMs: 1,
    });
    await change();
    await eventually(isSettled, { timeoutMs: 30_000, everyMs: 50, what: 'every registration' });
    isChanging = false;
    await pushing;
    await eventually(() => world.fcm.accepted - before >= sent, { what: `${sent} pushes meanwhile` });
    expect(world.fcm.accepted - before).toBe(sent);
    const stall = await server.metric('waggle_event_loop_longest_stall_seconds');
    expect(stall).toBeGreaterThan(0);
    expect(stall).toBeLessThan(STALL_MAX_SECONDS);
    expect(await server.metric('waggle_frames_foreign_total')).toBe(0);
  }

  const allRegistered = (): boolean =>
    isRegistered(world.network, witness.account.id) &&
    accounts.every((account) => isRegistered(world.network, account));

  it('registers nothing anew for a block that changes nothing', async () => {
    const before = entries();
    const { oxend } = world.network;
    await whilePushing(
      () => void world.network.newBlock(),
      () => true,
    );
    await eventually(async () => (await server.metric('waggle_block_height')) === oxend.height);
    expect(entries()).toBe(before);
  });

  it('gives a node that restarts all its accounts again, and no other node any', async () => {
    const [node] = world.network.nodesOfSwarm(world.network.swarmOf(insertedAccount(0)));
    if (node === undefined) throw new Error('a swarm has nodes');
    const others = world.network.nodes.filter((other) => other !== node);
    const sum = (nodes: readonly SimulatedStorageNode[]): number =>
      nodes.reduce((total, { entries: count }) => total + count, 0);
    const before = sum(others);
    const ownBefore = node.entries;
    const own = node.monitoredAccounts;
    await whilePushing(
      () => node.restart(),
      () => node.monitoredAccounts === own,
    );
    expect(node.entries - ownBefore).toBe(own);
    expect(sum(others)).toBe(before);
  });

  it('tells a node that joins another swarm only of the accounts there', async () => {
    const from = world.network.swarmIds.find((id) => id !== world.network.swarmOf(witness.account.id));
    const to = world.network.swarmIds.find(
      (id) => id !== from && id !== world.network.swarmOf(witness.account.id),
    );
    const [node] = world.network.nodesOfSwarm(from ?? 0n);
    if (node === undefined || to === undefined) throw new Error('there are four swarms of five');
    const before = entries();
    const [peer] = world.network.nodesOfSwarm(to);
    const there = peer?.monitoredAccounts ?? 0;
    await whilePushing(
      () => world.network.moveNode(node, to),
      () => allRegistered(),
    );
    expect(entries() - before).toBe(there);
    expect(await server.metric('waggle_accounts_moved_total')).toBe(0);
  });

  it('moves to a new swarm exactly the accounts that belong there', async () => {
    const before = homes();
    const entriesBefore = entries();
    const ids = world.network.swarmIds;
    const newId = ((ids[0] ?? 0n) + (ids[1] ?? 0n)) / 2n + 1n;
    await whilePushing(
      async () => {
        for (let nodes = 0; nodes < 3; nodes += 1) await world.network.addNode(newId, { announce: false });
        world.network.newBlock();
      },
      () => allRegistered(),
    );
    const moved = [...homes()].filter(([account, swarm]) => before.get(account) !== swarm).length;
    expect(moved).toBeGreaterThan(ACCOUNTS / 10);
    expect(await server.metric('waggle_accounts_moved_total')).toBe(moved);
    expect(entries() - entriesBefore).toBe(moved * 3);
  });

  it('moves them back when the swarm is dissolved', async () => {
    const before = homes();
    const entriesBefore = entries();
    const movedBefore = await server.metric('waggle_accounts_moved_total');
    const gone = world.network.nodes.slice(-3);
    const entriesOfGone = gone.reduce((sum, node) => sum + node.entries, 0);
    await whilePushing(
      () => {
        for (const node of gone) world.network.removeNode(node, { announce: false });
        world.network.newBlock();
      },
      () => allRegistered(),
    );
    await eventually(async () => (await server.metric('waggle_nodes')) === world.network.nodes.length);
    const moved = [...homes()].filter(([account, swarm]) => before.get(account) !== swarm);
    await eventually(
      async () => (await server.metric('waggle_accounts_moved_total')) - movedBefore === moved.length,
    );
    // The nodes that they came from may have been told to go on telling; none is told of anybody else.
    const told = entries() - (entriesBefore - entriesOfGone);
    expect(told).toBeLessThanOrEqual(
      moved.reduce(
        (sum, [account]) => sum + world.network.swarmNodesOf(Buffer.from(account, 'latin1')).length,
        0,
      ),
    );
  });
});
