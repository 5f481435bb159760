import type { Result } from '../domain/result.js';
import type { Random } from '../domain/random.js';
import type { RequestError } from '../oxenmq/port.js';
import { backOffMs } from './back-off.js';
import { SlotBatch, type EncodedBatch } from './monitor-batch.js';

/** A storage node as the plan of its swarm sees it: somebody to ask, known by identity. */
export interface MonitorPeer {
  readonly publicKeyHex: string;
  request(
    command: string,
    parts: readonly Buffer[],
    timeoutMs: number,
  ): Promise<Result<Buffer[], RequestError>>;
}

export type Work =
  /** New and changed accounts, ahead of everything else. */
  | { readonly kind: 'urgent'; readonly batch: SlotBatch }
  /** Renewals, and accounts that moved here. */
  | { readonly kind: 'bulk'; readonly batch: SlotBatch }
  /** A part of everybody: the members below position `high`. */
  | { readonly kind: 'resync'; readonly high: number };

export interface MonitorRequest {
  readonly plan: NodePlan;
  readonly work: Work;
  readonly encoded: EncodedBatch;
}

/** The whole member list, wherever it will end when the resync begins. */
const EVERYBODY = Infinity;
const MAX_BULK_BATCHES = 64;
const MAX_URGENT_ACCOUNTS = 4000;
const PAUSE_STEPS_SECONDS = [10, 30, 60, 120];
const MAX_ISOLATIONS = 64;
/** A pause that seems longer comes from a clock that was put back. */
const MAX_PAUSE_MS = 900_000;

/**
 * What one storage node has still to be told.
 *
 *   down ──comeUp──► up, free ──start──► in flight ──succeeded──► up, free
 *    ▲                  ▲                    │
 *    │                  └──────paused◄──failed (10, 30, 60, 120 s; the work goes back to the front)
 *    └──goDown── from anywhere: everything is forgotten, because comeUp begins a resync of all accounts
 *
 * One request in flight. The queues are bounded: what does not fit turns into a resync, which needs no memory.
 */
export class NodePlan {
  isUp = false;
  inFlight: MonitorRequest | null = null;
  pausedUntilMs = 0;
  #failures = 0;
  #urgent: SlotBatch[] = [];
  #bulk: SlotBatch[] = [];
  /** Members below this position still wait for a resync; 0 = none does. */
  #resyncHigh = 0;
  #isolationsLeft = MAX_ISOLATIONS;

  constructor(readonly peer: MonitorPeer) {}

  get isResyncing(): boolean {
    return this.#resyncHigh > 0;
  }

  comeUp(): void {
    this.#forget();
    this.isUp = true;
    this.#resyncHigh = EVERYBODY;
  }

  goDown(): void {
    this.#forget();
    this.isUp = false;
  }

  offerUrgent(batch: SlotBatch): void {
    if (!this.isUp) return;
    this.#urgent.push(batch);
    if (accountsOf(this.#urgent) > MAX_URGENT_ACCOUNTS) this.#collapse();
  }

  offerBulk(batch: SlotBatch): void {
    // A resync that has not begun will meet these accounts anyway.
    if (!this.isUp || this.#resyncHigh === EVERYBODY) return;
    this.#bulk.push(batch);
    if (this.#bulk.length > MAX_BULK_BATCHES) this.#collapse();
  }

  /**
   * What to send next; null when there is nothing or the node is not ready. `memberCount` bounds a resync; while
   * accounts are moving (`mayResync` false) it waits, or those that arrive later would be sent twice.
   */
  next(nowMs: number, memberCount: number, mayResync: boolean): Work | null {
    if (!this.isUp || this.inFlight !== null) return null;
    const pauseMs = this.pausedUntilMs - nowMs;
    if (pauseMs > 0 && pauseMs <= MAX_PAUSE_MS) return null;
    if (this.#urgent.length > 1) this.#urgent = [merged(this.#urgent)];
    const [urgent] = this.#urgent;
    if (urgent !== undefined) return { kind: 'urgent', batch: urgent };
    const [bulk] = this.#bulk;
    if (bulk !== undefined) return { kind: 'bulk', batch: bulk };
    if (!mayResync || this.#resyncHigh === 0) return null;
    const high = Math.min(this.#resyncHigh, memberCount);
    if (high === 0) this.#resyncHigh = 0;
    return high > 0 ? { kind: 'resync', high } : null;
  }

  /** The work that `next` returned goes out as `encoded`. An empty request is not sent: it has succeeded already. */
  start(work: Work, encoded: EncodedBatch): MonitorRequest | null {
    switch (work.kind) {
      case 'urgent':
        this.#urgent.shift();
        break;
      case 'bulk':
        this.#bulk.shift();
        break;
      case 'resync':
        this.#resyncHigh = work.high - encoded.consumed;
        break;
    }
    const request = { plan: this, work, encoded };
    if (encoded.entries > 0) {
      this.inFlight = request;
      return request;
    }
    this.#putRestBack(work, encoded);
    return null;
  }

  succeeded(request: MonitorRequest): void {
    this.inFlight = null;
    this.#failures = 0;
    this.#putRestBack(request.work, request.encoded);
  }

  /** The request is to be repeated, but not at once: a node that does not answer has enough to do. */
  failed(request: MonitorRequest, nowMs: number, random: Random): void {
    this.inFlight = null;
    this.#failures += 1;
    this.pausedUntilMs = nowMs + backOffMs(this.#failures, PAUSE_STEPS_SECONDS, random);
    const { work } = request;
    if (work.kind === 'urgent') this.#urgent.unshift(work.batch);
    else if (work.kind === 'bulk') this.#bulk.unshift(work.batch);
    else this.#resyncHigh = Math.max(this.#resyncHigh, work.high);
  }

  /**
   * The node could not read the request as a whole. Its halves are tried, and theirs, until the account at fault is
   * alone; bounded, because a node may give this answer to everything. Returns false when the bound is reached: then
   * the rest waits for its renewal.
   */
  isolate(request: MonitorRequest): boolean {
    this.inFlight = null;
    this.#putRestBack(request.work, request.encoded);
    const { slots } = request.encoded;
    if (slots.length < 2 || this.#isolationsLeft < 2) return slots.length < 2;
    this.#isolationsLeft -= 2;
    const middle = slots.length >>> 1;
    this.#bulk.unshift(
      new SlotBatch(slots.subarray(0, middle), true),
      new SlotBatch(slots.subarray(middle), true),
    );
    return true;
  }

  #putRestBack(work: Work, encoded: EncodedBatch): void {
    if (work.kind === 'resync') return;
    const rest = work.batch.restAfter(encoded);
    if (rest === null) return;
    if (work.kind === 'urgent') this.#urgent.unshift(rest);
    else this.#bulk.unshift(rest);
  }

  #collapse(): void {
    this.#urgent = [];
    this.#bulk = [];
    this.#resyncHigh = EVERYBODY;
  }

  #forget(): void {
    this.#collapse();
    this.#resyncHigh = 0;
    this.inFlight = null;
    this.pausedUntilMs = 0;
    this.#failures = 0;
    this.#isolationsLeft = MAX_ISOLATIONS;
  }
}

const accountsOf = (batches: readonly SlotBatch[]): number =>
  batches.reduce((sum, batch) => sum + batch.slots.length, 0);

/** A node that was busy for a while gets what has gathered in one request, each account once. */
const merged = (batches: readonly SlotBatch[]): SlotBatch =>
  new SlotBatch(Int32Array.from(new Set(batches.flatMap((batch) => [...batch.slots]))));
