import type { Clock } from '../domain/clock.js';
import type { Random } from '../domain/random.js';
import type { OxenmqClient } from '../oxenmq/port.js';
import type { Log } from '../telemetry/log.js';
import type { Metrics } from '../telemetry/metrics.js';
import { backOffMs } from './back-off.js';
import { NodeLink, type NodeLinkHandlers } from './node-link.js';
import type { StorageNode } from './node-list.js';

export interface NodeLinksOptions {
  /** Connection attempts under way at once; 0 = none at all (a dry run). */
  readonly maxPendingConnects: number;
  readonly connectTimeoutSeconds: number;
}

export interface NodeLinksDeps {
  readonly client: OxenmqClient;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly handlers: Omit<NodeLinkHandlers, 'onFailed'>;
  /** The index of a swarm in the columns about accounts; every listed swarm has one when `update` is called. */
  readonly swarmIndexOf: (swarmId: bigint) => number;
}

export interface NodeLinksChange {
  readonly added: readonly NodeLink[];
  readonly moved: readonly { readonly link: NodeLink; readonly fromSwarmId: bigint }[];
  /** Closed by now. */
  readonly removed: readonly NodeLink[];
}

const RETRY_STEPS_SECONDS = [10, 30, 60, 120];
const RECOVERY_MS = 30_000;

/**
 * The links to all storage nodes. At most `maxPendingConnects` attempts run at once; nodes that were never tried come
 * first, then those that have waited longest since their back-off ended, so that dead nodes cannot keep live ones
 * waiting. A new list does not shorten a back-off; a new address does.
 */
export class NodeLinks {
  readonly #links = new Map<string, NodeLink>();
  /** Never tried at their present address, in order of appearance. */
  #fresh: NodeLink[] = [];
  /** Waiting for their next attempt. */
  readonly #waiting = new Set<NodeLink>();
  #pending = 0;
  #up = 0;
  #timer: NodeJS.Timeout | null = null;
  #isStopped = false;
  readonly #handlers: NodeLinkHandlers;

  constructor(
    private readonly deps: NodeLinksDeps,
    private readonly options: NodeLinksOptions,
  ) {
    const { handlers } = deps;
    this.#handlers = {
      onFrame: handlers.onFrame,
      onUp: (link) => {
        link.failures = 0;
        this.#recount();
        handlers.onUp(link);
        this.#pump();
      },
      onDown: (link) => {
        this.#recount();
        handlers.onDown(link);
      },
      onFailed: (link, reason) => this.#failed(link, reason),
    };
  }

  get size(): number {
    return this.#links.size;
  }

  get upCount(): number {
    return this.#up;
  }

  /** Attempts under way. */
  get pendingCount(): number {
    return this.#pending;
  }

  all(): IterableIterator<NodeLink> {
    return this.#links.values();
  }

  /** Takes over a new list of usable nodes; each key occurs once. */
  update(nodes: readonly StorageNode[]): NodeLinksChange {
    const change = { added: [] as NodeLink[], moved: [] as NodeLinksChange['moved'][number][] };
    const listed = new Set<string>();
    for (const node of nodes) {
      listed.add(node.publicKeyHex);
      const link = this.#links.get(node.publicKeyHex);
      if (link === undefined) {
        change.added.push(this.#add(node));
        continue;
      }
      const fromSwarmId = link.swarmId;
      const isMovedAway = !link.hasAddressOf(node);
      if (isMovedAway) link.reset();
      link.describe(node);
      link.swarmIndex = this.deps.swarmIndexOf(node.swarmId);
      if (isMovedAway) this.#queueFresh(link);
      if (fromSwarmId !== node.swarmId) change.moved.push({ link, fromSwarmId });
    }
    const removed = [...this.#links.values()].filter((link) => !listed.has(link.publicKeyHex));
    for (const link of removed) this.#remove(link);
    this.#recount();
    this.#pump();
    return { ...change, removed };
  }

  stop(): void {
    this.#isStopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    for (const link of [...this.#links.values()]) this.#remove(link);
    this.#recount();
  }

  #add(node: StorageNode): NodeLink {
    const { client, metrics, clock } = this.deps;
    const options = {
      connectTimeoutMs: this.options.connectTimeoutSeconds * 1000,
      recoveryMs: RECOVERY_MS,
    };
    const link = new NodeLink(node, client, this.#handlers, options, metrics, () => clock.nowMs());
    link.swarmIndex = this.deps.swarmIndexOf(node.swarmId);
    this.#links.set(node.publicKeyHex, link);
    this.#fresh.push(link);
    return link;
  }

  #remove(link: NodeLink): void {
    this.#links.delete(link.publicKeyHex);
    this.#waiting.delete(link);
    this.#fresh = this.#fresh.filter((other) => other !== link);
    link.close();
  }

  #queueFresh(link: NodeLink): void {
    link.failures = 0;
    this.#waiting.delete(link);
    if (!this.#fresh.includes(link)) this.#fresh.push(link);
  }

  #failed(link: NodeLink, reason: string): void {
    link.failures += 1;
    link.nextAttemptAtMs =
      this.deps.clock.nowMs() + backOffMs(link.failures, RETRY_STEPS_SECONDS, this.deps.random);
    this.#waiting.add(link);
    this.deps.log.debug({ reason, failures: link.failures }, 'storage node link failed');
    this.#recount();
    this.#pump();
  }

  /** Counts instead of keeping count: a few thousand steps per change of state, and never wrong. */
  #recount(): void {
    let pending = 0;
    let up = 0;
    for (const { state } of this.#links.values()) {
      if (state === 'connecting') pending += 1;
      else if (state === 'up') up += 1;
    }
    this.#pending = pending;
    this.#up = up;
  }

  #pump(): void {
    if (this.#isStopped) return;
    const now = this.deps.clock.nowMs();
    while (this.#pending < this.options.maxPendingConnects) {
      const link = this.#fresh.shift() ?? this.#longestWaiting(now);
      if (link === undefined) break;
      this.#waiting.delete(link);
      this.#pending += 1;
      link.connect();
      // An attempt can fail at once; then it has counted itself.
      this.#recount();
    }
    this.#scheduleNext(now);
  }

  #longestWaiting(nowMs: number): NodeLink | undefined {
    let longest: NodeLink | undefined;
    for (const link of this.#waiting) {
      if (link.nextAttemptAtMs > nowMs) continue;
      if (longest === undefined || link.nextAttemptAtMs < longest.nextAttemptAtMs) longest = link;
    }
    return longest;
  }

  #scheduleNext(nowMs: number): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    // With all attempts taken, the end of one of them pumps again.
    if (this.#waiting.size === 0 || this.#pending >= this.options.maxPendingConnects) return;
    let earliest = Infinity;
    for (const { nextAttemptAtMs } of this.#waiting) earliest = Math.min(earliest, nextAttemptAtMs);
    this.#timer = setTimeout(() => this.#pump(), Math.max(earliest - nowMs, 1));
  }
}
