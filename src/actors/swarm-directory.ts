import type { Clock } from '../domain/clock.js';
import { nowSeconds } from '../domain/clock.js';
import type { Random } from '../domain/random.js';
import type { EncodedBatches } from '../network/monitor-batch.js';
import type { MonitorPeer } from '../network/node-plan.js';
import { SlicedWalk } from '../network/sliced-walk.js';
import type { SwarmMap } from '../network/swarm-map.js';
import type { SwarmMembers, SwarmMembership } from '../network/swarm-membership.js';
import type { AccountSlot, MonitoredAccounts } from '../subscription-index/port.js';
import type { Metrics } from '../telemetry/metrics.js';
import type { SwarmActor, SwarmMessage } from './swarm.js';

export interface SwarmDirectoryOptions {
  readonly monitorBatchEntries: number;
  readonly renewMinSeconds: number;
  readonly renewMaxSeconds: number;
  readonly newSubscriptionDelayMs: number;
}

export interface SwarmDirectoryDeps {
  readonly accounts: MonitoredAccounts;
  readonly membership: SwarmMembership;
  readonly encodedBatches: EncodedBatches;
  readonly clock: Clock;
  readonly random: Random;
  readonly metrics: Metrics;
  readonly spawnSwarm: (swarm: SwarmMembers) => SwarmActor;
}

/** A renewal may come this part of its interval late; what falls due meanwhile shares requests. */
const RENEWAL_CHECK_PART = 1 / 270;
const CLOCK_SLACK_SECONDS = 60;

/**
 * All swarms: one actor for each, which accounts each has, and what of them changed. Accounts move between swarms in
 * slices, so that a new map stalls nothing however many accounts there are; a newer map begins the walk again.
 */
export class SwarmDirectory {
  #map: SwarmMap;
  readonly #actors = new Map<SwarmMembers, SwarmActor>();
  readonly #walk = new SlicedWalk();
  readonly #changed = new Map<SwarmMembers, Set<AccountSlot>>();
  readonly #moved = new Map<SwarmMembers, AccountSlot[]>();
  #changedTimer: NodeJS.Timeout | null = null;
  #renewalTimer: NodeJS.Timeout | null = null;
  /** Before this the index is incomplete: accounts would be registered with half of their entries. */
  #isLoaded = false;
  /** The walk also announces accounts that have their swarm already. */
  #announcesAll = false;
  #isStopped = false;

  constructor(
    private readonly deps: SwarmDirectoryDeps,
    private readonly options: SwarmDirectoryOptions,
    map: SwarmMap,
  ) {
    this.#map = map;
  }

  get swarmCount(): number {
    return this.#map.size;
  }

  /** Whether accounts are being moved just now. */
  get isMoving(): boolean {
    return this.#walk.isRunning;
  }

  start(): void {
    const everyMs = Math.min(Math.max(this.options.renewMinSeconds * RENEWAL_CHECK_PART, 0.1), 10) * 1000;
    this.#renewalTimer = setInterval(() => this.#renew(), everyMs);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#walk.stop();
    if (this.#changedTimer !== null) clearTimeout(this.#changedTimer);
    if (this.#renewalTimer !== null) clearInterval(this.#renewalTimer);
    await Promise.all([...this.#actors.values()].map((actor) => actor.stop()));
    this.#actors.clear();
  }

  /** First half of taking over a new map: every swarm in it has an actor and an index. */
  addSwarms(map: SwarmMap): void {
    for (const id of map.ids()) {
      const swarm = this.deps.membership.addSwarm(id);
      if (!this.#actors.has(swarm)) this.#actors.set(swarm, this.deps.spawnSwarm(swarm));
    }
  }

  /** Second half, when the nodes are in their new swarms: the accounts follow. */
  changeMap(map: SwarmMap): void {
    this.#map = map;
    this.#beginWalk();
  }

  /** The index is complete: every account gets its swarm and is announced there. */
  loaded(): void {
    this.#isLoaded = true;
    this.#announcesAll = true;
    if (this.#map.size > 0) this.#beginWalk();
  }

  /** A new account, or one whose entries changed. */
  accountChanged(slot: AccountSlot): void {
    const swarm = this.#swarmFor(slot);
    if (swarm === null || this.#isStopped) return;
    this.deps.membership.assign(slot, swarm, this.#nextRenewal());
    const changed = this.#changed.get(swarm);
    if (changed === undefined) this.#changed.set(swarm, new Set([slot]));
    else changed.add(slot);
    this.#changedTimer ??= setTimeout(() => this.#flushChanged(), this.options.newSubscriptionDelayMs);
  }

  tellSwarm(swarmId: bigint, kind: 'node-up' | 'node-down' | 'node-removed', peer: MonitorPeer): void {
    const swarm = this.deps.membership.swarmById(swarmId);
    if (swarm !== null) this.#tell(swarm, { kind, peer });
  }

  #beginWalk(): void {
    if (this.#isStopped) return;
    this.#walk.begin({
      limit: () => this.deps.accounts.slotLimit,
      visit: (slot) => this.#visit(slot),
      onSlice: () => this.#flushMoved(this.options.monitorBatchEntries),
      onDone: () => {
        this.#announcesAll = false;
        this.#flushMoved(1);
        this.#removeGoneSwarms();
        // Nodes that came up meanwhile have waited with their resync.
        for (const actor of this.#actors.values()) actor.tell({ kind: 'wake' });
      },
    });
  }

  #visit(slot: AccountSlot): void {
    const { accounts, membership, metrics } = this.deps;
    if (!accounts.isLive(slot)) {
      membership.remove(slot);
      return;
    }
    const before = membership.swarmIndexOf(slot);
    if (before < 0 && !this.#isLoaded) return;
    const swarm = this.#swarmFor(slot);
    if (swarm === null) {
      membership.remove(slot);
      return;
    }
    if (swarm.index === before && !this.#announcesAll) return;
    if (before >= 0 && swarm.index !== before) metrics.accountsMoved.add();
    membership.assign(slot, swarm, this.#nextRenewal());
    const moved = this.#moved.get(swarm);
    if (moved === undefined) this.#moved.set(swarm, [slot]);
    else moved.push(slot);
  }

  #swarmFor(slot: AccountSlot): SwarmMembers | null {
    if (this.#map.size === 0) return null;
    const id = this.#map.swarmOf(this.deps.accounts.swarmSpaceOf(slot));
    return this.deps.membership.swarmById(id);
  }

  #flushMoved(atLeast: number): void {
    for (const [swarm, slots] of this.#moved) {
      if (slots.length < atLeast) continue;
      this.#moved.delete(swarm);
      this.#tell(swarm, { kind: 'accounts-due', slots: Int32Array.from(slots) });
    }
  }

  #flushChanged(): void {
    this.#changedTimer = null;
    for (const [swarm, slots] of this.#changed) {
      this.#tell(swarm, { kind: 'accounts-changed', slots: Int32Array.from(slots) });
    }
    this.#changed.clear();
  }

  #renew(): void {
    const { membership, clock, encodedBatches } = this.deps;
    const due = new Map<SwarmMembers, AccountSlot[]>();
    const now = nowSeconds(clock);
    membership.takeDue(
      now,
      now + this.options.renewMaxSeconds + CLOCK_SLACK_SECONDS,
      () => this.#nextRenewal(),
      (slot, swarm) => {
        const slots = due.get(swarm);
        if (slots === undefined) due.set(swarm, [slot]);
        else slots.push(slot);
      },
    );
    for (const [swarm, slots] of due) {
      this.#tell(swarm, { kind: 'accounts-due', slots: Int32Array.from(slots) });
    }
    encodedBatches.dropOld(clock.nowMs());
  }

  #nextRenewal(): number {
    const { renewMinSeconds, renewMaxSeconds } = this.options;
    const wait = renewMinSeconds + this.deps.random() * (renewMaxSeconds - renewMinSeconds);
    return nowSeconds(this.deps.clock) + Math.round(wait);
  }

  #removeGoneSwarms(): void {
    const kept = new Set(this.#map.ids());
    for (const swarm of [...this.deps.membership.swarms()]) {
      if (kept.has(swarm.swarmId) || swarm.count > 0) continue;
      this.deps.membership.removeSwarm(swarm);
      this.#changed.delete(swarm);
      const actor = this.#actors.get(swarm);
      this.#actors.delete(swarm);
      void actor?.stop();
    }
  }

  #tell(swarm: SwarmMembers, message: SwarmMessage): void {
    this.#actors.get(swarm)?.tell(message);
  }
}
