import type { Clock } from '../domain/clock.js';
import type { Random } from '../domain/random.js';
import { EncodeTurns } from '../network/encode-turns.js';
import { FrameAuthority } from '../network/frame-authority.js';
import { BatchEncoder, EncodedBatches } from '../network/monitor-batch.js';
import type { NodeLink } from '../network/node-link.js';
import { NodeLinks } from '../network/node-links.js';
import type { Daemon, NodeList } from '../network/node-list.js';
import { Oxend } from '../network/oxend.js';
import { SwarmMap } from '../network/swarm-map.js';
import { SwarmMembership } from '../network/swarm-membership.js';
import type { AccountRefusal } from '../network/swarm-monitor.js';
import type { OxenmqAddress, OxenmqClient } from '../oxenmq/port.js';
import type { AccountSlot, MonitoredAccounts } from '../subscription-index/port.js';
import type { Log } from '../telemetry/log.js';
import type { Metrics } from '../telemetry/metrics.js';
import { SampledLog } from '../telemetry/sampled-log.js';
import type { ActorSystem } from './spawn.js';
import { spawnSwarmActor } from './swarm.js';
import { SwarmDirectory } from './swarm-directory.js';

export interface NetworkOptions {
  /** What answers at `oxend`: Session's chain daemon or that of a fork. */
  readonly daemon: Daemon;
  /** Connection attempts at once; 0 = no links at all. */
  readonly maxPendingConnects: number;
  /** How often `sub.block` is renewed. */
  readonly subscriptionCheckIntervalSeconds: number;
  /** How old the node list may become when no block is reported. */
  readonly nodePollIntervalSeconds: number;
  readonly requestTimeoutSeconds: number;
  readonly connectTimeoutSeconds: number;
  /** Entries of one `monitor.messages` request. */
  readonly monitorBatchEntries: number;
  /** Registrations last 65 minutes; each is renewed after a random time between these two. */
  readonly renewMinSeconds: number;
  readonly renewMaxSeconds: number;
  /** How long new subscriptions are gathered before they are registered. */
  readonly newSubscriptionDelayMs: number;
  /** How long after a swarm change nodes of the swarm from before are believed. */
  readonly swarmGraceSeconds: number;
}

export const defaultNetworkOptions: NetworkOptions = {
  daemon: 'oxend',
  maxPendingConnects: 1000,
  subscriptionCheckIntervalSeconds: 10,
  nodePollIntervalSeconds: 120,
  requestTimeoutSeconds: 30,
  connectTimeoutSeconds: 10,
  monitorBatchEntries: 2000,
  renewMinSeconds: 2700,
  renewMaxSeconds: 3300,
  newSubscriptionDelayMs: 100,
  swarmGraceSeconds: 600,
};

export interface NetworkDeps {
  readonly client: OxenmqClient;
  /** Null: no swarm connections at all. */
  readonly oxend: OxenmqAddress | null;
  readonly accounts: MonitoredAccounts;
  readonly system: ActorSystem;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
  /** The hot path: one `notify.message` dict; a view, copy what is kept. Must not throw. */
  readonly onFrame: (link: NodeLink, frame: Buffer) => void;
  /** Storage nodes (two, where there are two) refuse the account's entries. */
  readonly onRefused: (refusal: AccountRefusal) => void;
}

export interface NetworkStatus {
  readonly firstListIn: boolean;
  readonly oxendUp: boolean;
  /** 64 hex digits; empty before the first list. */
  readonly blockHash: string;
  readonly blockHeight: number;
  readonly lastListAtMs: number | null;
  readonly swarms: number;
  /** Usable nodes of the list. */
  readonly nodes: number;
  readonly linksUp: number;
  /** Connection attempts under way. */
  readonly linksPending: number;
  /** Accounts that have a swarm. */
  readonly accountsMonitored: number;
}

export interface Network {
  start(): Promise<void>;
  stop(): Promise<void>;
  /** After the index took in a new account, or entries of an old one changed. */
  accountChanged(slot: AccountSlot): void;
  /** The account has left the index; before its slot can be used again. */
  accountRemoved(slot: AccountSlot): void;
  /** The first load of the index is complete. */
  loaded(): void;
  /** Whether this node may report messages of this (live) account. */
  acceptsFrame(link: NodeLink, slot: AccountSlot): boolean;
  status(): NetworkStatus;
}

const ENCODED_MAX_BYTES = 32 * 1024 * 1024;
const ENCODED_MAX_AGE_MS = 10_000;

/** oxend → node list → links and swarms → what every node must be told. */
export function createNetwork(deps: NetworkDeps, options: NetworkOptions): Network {
  const { accounts, clock, random, log, metrics } = deps;
  const trouble = new SampledLog(clock);
  const membership = new SwarmMembership();
  const encoder = new BatchEncoder(accounts, membership, options.monitorBatchEntries, metrics);
  const encodedBatches = new EncodedBatches(ENCODED_MAX_BYTES, ENCODED_MAX_AGE_MS);
  const turns = new EncodeTurns(options.monitorBatchEntries);
  let map = SwarmMap.empty;
  let nodesBySwarm: ReadonlyMap<bigint, number> = new Map();
  // Links wait and graces run by a clock that nobody sets back.
  const monotonic: Clock = { nowMs: () => performance.now() };
  const graceMs = options.swarmGraceSeconds * 1000;
  const authority = new FrameAuthority(membership, accounts, monotonic, graceMs, map);

  const onUnreadable = (errcode: number): void =>
    trouble.note('unreadable', (occurrences) =>
      log.error({ errcode, occurrences }, 'a storage node could not read a whole monitor request of ours'),
    );
  const directory: SwarmDirectory = new SwarmDirectory(
    {
      accounts,
      membership,
      encodedBatches,
      clock,
      random,
      metrics,
      spawnSwarm: (swarm) =>
        spawnSwarmActor({
          system: deps.system,
          swarm,
          membership,
          encoder,
          encodedBatches,
          metrics,
          random,
          clock,
          turns,
          onRefused: deps.onRefused,
          onUnreadable,
          pageAccounts: options.monitorBatchEntries,
          mayResync: () => !directory.isMoving,
          listedNodes: () => nodesBySwarm.get(swarm.swarmId) ?? 0,
          requestTimeoutMs: options.requestTimeoutSeconds * 1000,
        }),
    },
    options,
    map,
  );
  const links = new NodeLinks(
    {
      client: deps.client,
      clock: monotonic,
      random,
      log,
      metrics,
      swarmIndexOf: (swarmId) => membership.swarmById(swarmId)?.index ?? -1,
      handlers: {
        onUp: (link) => directory.tellSwarm(link.swarmId, 'node-up', link),
        onDown: (link) => directory.tellSwarm(link.swarmId, 'node-down', link),
        onFrame: deps.onFrame,
      },
    },
    options,
  );

  const onNodeList = (list: NodeList): void => {
    const isNewMap = !map.sameAs(list.swarms);
    nodesBySwarm = countBySwarm(list.nodes);
    if (isNewMap) directory.addSwarms(list.swarms);
    const change = links.update(list.nodes);
    for (const link of change.removed) directory.tellSwarm(link.swarmId, 'node-removed', link);
    for (const { link, fromSwarmId } of change.moved) {
      directory.tellSwarm(fromSwarmId, 'node-removed', link);
      if (link.isUp) directory.tellSwarm(link.swarmId, 'node-up', link);
    }
    if (isNewMap) {
      map = list.swarms;
      authority.changeMap(map);
      directory.changeMap(map);
    }
    const isNews = isNewMap || change.added.length + change.removed.length + change.moved.length > 0;
    log[isNews ? 'info' : 'debug'](
      {
        height: list.blockHeight,
        nodes: links.size,
        swarms: map.size,
        added: change.added.length,
        removed: change.removed.length,
        moved: change.moved.length,
        skipped: list.skippedEntries,
      },
      'node list taken over',
    );
  };

  const oxend =
    deps.oxend === null
      ? null
      : new Oxend(
          { client: deps.client, address: deps.oxend, clock, random, log, metrics, onNodeList },
          options,
        );

  return {
    async start() {
      directory.start();
      oxend?.start();
    },
    async stop() {
      oxend?.stop();
      links.stop();
      turns.clear();
      await directory.stop();
    },
    accountChanged: (slot) => directory.accountChanged(slot),
    accountRemoved: (slot) => membership.remove(slot),
    loaded: () => directory.loaded(),
    acceptsFrame: (link, slot) => authority.accepts(link, slot),
    status() {
      const known = oxend?.status;
      return {
        firstListIn: known?.firstListIn ?? false,
        oxendUp: known?.isUp ?? false,
        blockHash: known?.blockHash ?? '',
        blockHeight: known?.blockHeight ?? 0,
        lastListAtMs: known?.lastListAtMs ?? null,
        swarms: directory.swarmCount,
        nodes: links.size,
        linksUp: links.upCount,
        linksPending: links.pendingCount,
        accountsMonitored: membership.assignedCount,
      };
    },
  };
}

function countBySwarm(nodes: NodeList['nodes']): ReadonlyMap<bigint, number> {
  const counts = new Map<bigint, number>();
  for (const { swarmId } of nodes) counts.set(swarmId, (counts.get(swarmId) ?? 0) + 1);
  return counts;
}
