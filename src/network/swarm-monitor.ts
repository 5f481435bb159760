import { assertNever } from '../domain/assert-never.js';
import type { Random } from '../domain/random.js';
import type { Result } from '../domain/result.js';
import type { RequestError } from '../oxenmq/port.js';
import type { AccountSlot } from '../subscription-index/port.js';
import type { Metrics } from '../telemetry/metrics.js';
import { SlotBatch, type BatchEncoder, type EncodedBatch, type EncodedBatches } from './monitor-batch.js';
import { readMonitorReply, type MonitorReply } from './monitor-reply.js';
import { NodePlan, type MonitorPeer, type MonitorRequest, type Work } from './node-plan.js';
import { RefusalVotes } from './refusal-votes.js';
import type { SwarmMembers, SwarmMembership } from './swarm-membership.js';

export const MONITOR_COMMAND = 'monitor.messages';

/** The storage nodes of an account's swarm refuse what we have signed of it. */
export interface AccountRefusal {
  readonly slot: AccountSlot;
  readonly reason: 'invalid' | 'expired';
  /** Of the first refused entry (spec storage-server, 4.2). */
  readonly errcode: number;
  /** Every entry was refused: the account is not renewed any more until it changes. */
  readonly isWhole: boolean;
}

export interface SwarmMonitorDeps {
  readonly swarm: SwarmMembers;
  readonly membership: SwarmMembership;
  readonly encoder: BatchEncoder;
  /** Shared by all swarms: it bounds the memory of all together. */
  readonly encodedBatches: EncodedBatches;
  readonly metrics: Metrics;
  readonly random: Random;
  readonly onRefused: (refusal: AccountRefusal) => void;
  /** A node could not read a whole request of ours; for the log. */
  readonly onUnreadable: (errcode: number) => void;
  /** Accounts per aligned page of a resync, so that nodes resyncing at different times share requests. */
  readonly pageAccounts: number;
  /** False while accounts move between swarms; `take` is to be called when they have. */
  readonly mayResync: () => boolean;
  /** How many nodes the swarm has in the last list, up or not. */
  readonly listedNodes: () => number;
}

const RETRY_EARLY_SECONDS = 600;
const MAX_VOTES = 10_000;

/**
 * The plan of one swarm: what each of its nodes must be told next. Pure: inputs are method calls, outputs are the
 * requests that `take` returns; somebody else sends them and reports with `replied`.
 * Source: spec storage-server, sections 4 and 8.
 */
export class SwarmMonitor {
  readonly #plans = new Map<MonitorPeer, NodePlan>();
  readonly #votes = new RefusalVotes(MAX_VOTES);
  #wantsTurn = false;

  constructor(private readonly deps: SwarmMonitorDeps) {}

  /** A request could go out, but needs encoding first: `take` wants to be called with `mayEncodeBulk`. */
  get wantsTurn(): boolean {
    return this.#wantsTurn;
  }

  get nodeCount(): number {
    return this.#plans.size;
  }

  /** A node that is up; all accounts are registered with it, because it may have forgotten them. */
  nodeUp(peer: MonitorPeer): void {
    let plan = this.#plans.get(peer);
    if (plan === undefined) {
      plan = new NodePlan(peer);
      this.#plans.set(peer, plan);
    }
    plan.comeUp();
  }

  nodeDown(peer: MonitorPeer): void {
    this.#plans.get(peer)?.goDown();
  }

  removeNode(peer: MonitorPeer): void {
    this.#plans.get(peer)?.goDown();
    this.#plans.delete(peer);
  }

  /** New accounts, or such whose entries changed: every node must know at once. */
  accountsChanged(slots: Int32Array): void {
    const batch = new SlotBatch(slots);
    for (const plan of this.#plans.values()) plan.offerUrgent(batch);
  }

  /** Accounts whose renewal is due, or that moved here: after the urgent ones. */
  accountsDue(slots: Int32Array): void {
    const batch = new SlotBatch(slots);
    for (const plan of this.#plans.values()) plan.offerBulk(batch);
  }

  /** Unix ms at which a paused node can be asked again; null when none is paused. */
  nextWakeMs(nowMs: number): number | null {
    let wake: number | null = null;
    for (const { isUp, pausedUntilMs } of this.#plans.values()) {
      if (isUp && pausedUntilMs > nowMs && (wake === null || pausedUntilMs < wake)) wake = pausedUntilMs;
    }
    return wake;
  }

  /** The requests that can go out now; at most one large one is encoded, and that only if `mayEncodeBulk`. */
  take(nowMs: number, mayEncodeBulk: boolean): MonitorRequest[] {
    const requests: MonitorRequest[] = [];
    let mayEncode = mayEncodeBulk;
    this.#wantsTurn = false;
    const mayResync = this.deps.mayResync();
    for (const plan of this.#plans.values()) {
      for (;;) {
        const work = plan.next(nowMs, this.deps.swarm.count, mayResync);
        if (work === null) break;
        let encoded = this.deps.encodedBatches.get(this.#keyOf(work), nowMs);
        if (encoded === null) {
          if (work.kind !== 'urgent' && !mayEncode) {
            this.#wantsTurn = true;
            break;
          }
          if (work.kind !== 'urgent') mayEncode = false;
          encoded = this.#encode(work, nowMs);
        }
        const request = plan.start(work, encoded);
        if (request !== null) requests.push(request);
      }
    }
    return requests;
  }

  /** The outcome of a request that `take` returned. One that the plan has forgotten meanwhile is ignored. */
  replied(request: MonitorRequest, result: Result<readonly Buffer[], RequestError>, nowMs: number): void {
    const { plan } = request;
    if (plan.inFlight !== request) return;
    const { monitorRequests } = this.deps.metrics;
    if (!result.ok) {
      monitorRequests.of(result.error.kind).add();
      plan.failed(request, nowMs, this.deps.random);
      return;
    }
    const reply = readMonitorReply(result.value, request.encoded.entries);
    monitorRequests.of(reply.kind).add();
    switch (reply.kind) {
      case 'all-accepted':
        this.deps.metrics.monitorEntries.of('accepted').add(request.encoded.entries);
        plan.succeeded(request);
        return;
      case 'verdicts':
        plan.succeeded(request);
        this.#judge(request, reply, nowMs);
        return;
      case 'refused-whole':
        this.deps.onUnreadable(reply.errcode);
        if (plan.isolate(request)) this.#judgeUnreadable(request, reply.errcode);
        else plan.pausedUntilMs = nowMs + RETRY_EARLY_SECONDS * 1000;
        return;
      case 'malformed':
        plan.failed(request, nowMs, this.deps.random);
        return;
      default:
        assertNever(reply);
    }
  }

  #judge(request: MonitorRequest, reply: MonitorReply & { kind: 'verdicts' }, nowMs: number): void {
    const { slots, entryEnds } = request.encoded;
    let entry = 0;
    for (let position = 0; position < slots.length; position += 1) {
      const first = entry;
      const end = entryEnds[position] ?? first;
      let refused = 0;
      let firstRefused = -1;
      let isEarly = false;
      for (; entry < end; entry += 1) {
        const verdict = reply.verdicts[entry] ?? 'unknown';
        this.deps.metrics.monitorEntries.of(verdict).add();
        if (verdict === 'early') isEarly = true;
        if (verdict !== 'invalid' && verdict !== 'expired') continue;
        if (refused === 0) firstRefused = entry;
        refused += 1;
      }
      if (refused > 0) {
        const reason = reply.verdicts[firstRefused] === 'expired' ? 'expired' : 'invalid';
        const isWhole = refused === end - first;
        this.#refused(request, position, { reason, errcode: reply.codes[firstRefused] ?? 0, isWhole });
      } else if (isEarly && this.#isCarried(request, position, 'early')) {
        const retryAtSeconds = Math.floor(nowMs / 1000) + RETRY_EARLY_SECONDS;
        this.deps.membership.renewBy(slots[position] ?? -1, retryAtSeconds);
      }
    }
  }

  /** Halving has ended at one account that makes a request unreadable. */
  #judgeUnreadable(request: MonitorRequest, errcode: number): void {
    if (request.encoded.slots.length !== 1) return;
    this.deps.metrics.monitorEntries.of('invalid').add(request.encoded.entries);
    this.#refused(request, 0, { reason: 'invalid', errcode, isWhole: true });
  }

  #refused(request: MonitorRequest, position: number, refusal: Omit<AccountRefusal, 'slot'>): void {
    if (!this.#isCarried(request, position, refusal.isWhole ? 'whole' : 'partial')) return;
    const slot = request.encoded.slots[position] ?? -1;
    if (refusal.isWhole) {
      this.deps.membership.stopRenewal(slot);
      this.#votes.forget(slot);
    }
    this.deps.onRefused({ slot, ...refusal });
  }

  /** Whether enough nodes say so, about the account as it is now. */
  #isCarried(request: MonitorRequest, position: number, kind: 'whole' | 'partial' | 'early'): boolean {
    const slot = request.encoded.slots[position] ?? -1;
    const stamp = request.encoded.stamps[position] ?? -1;
    const { membership, swarm } = this.deps;
    if (!membership.isMonitoredBy(slot, swarm) || membership.stampOf(slot) !== stamp) return false;
    // Of those that the swarm has, not of those that are up: the first one to come up may be the one that lies.
    const needed = Math.min(2, this.deps.listedNodes());
    return this.#votes.vote(slot, stamp, kind, request.plan.peer.publicKeyHex, needed);
  }

  #encode(work: Work, nowMs: number): EncodedBatch {
    const { encoder, swarm, encodedBatches } = this.deps;
    const slots = work.kind === 'resync' ? this.#page(work.high) : work.batch.slots;
    const encoded = encoder.encode(swarm, slots, Math.floor(nowMs / 1000));
    encodedBatches.put(this.#keyOf(work), encoded, nowMs);
    return encoded;
  }

  /** The members from position `high - 1` down to the next page boundary. */
  #page(high: number): Int32Array {
    const { swarm, pageAccounts } = this.deps;
    const low = Math.floor((high - 1) / pageAccounts) * pageAccounts;
    return swarm.slots.slice(low, high).reverse();
  }

  #keyOf(work: Work): string {
    if (work.kind !== 'resync') return work.batch.id;
    const { swarm } = this.deps;
    return `${swarm.name}/${swarm.layout}/${work.high}`;
  }
}
