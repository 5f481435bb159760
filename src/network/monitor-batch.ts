import type { AccountSlot, MonitorEntrySink, MonitoredAccounts } from '../subscription-index/port.js';
import type { Metrics } from '../telemetry/metrics.js';
import type { SwarmMembers, SwarmMembership } from './swarm-membership.js';

/** Some accounts of one swarm that are to be registered. Immutable; shared by the queues of several nodes. */
export class SlotBatch {
  static #last = 0;
  /** Names the batch in the cache of encoded requests. */
  readonly id = `batch/${(SlotBatch.#last += 1)}`;
  #rest: SlotBatch | null = null;

  constructor(
    readonly slots: Int32Array,
    /** Found by halving a request that was refused as a whole (spec storage-server, 4.3). */
    readonly isIsolation = false,
  ) {}

  /** What did not fit a request; null when all did. The same object for every node, so that it is encoded once. */
  restAfter(encoded: EncodedBatch): SlotBatch | null {
    if (encoded.consumed >= this.slots.length) return null;
    const wanted = this.slots.length - encoded.consumed;
    if (this.#rest?.slots.length !== wanted) {
      this.#rest = new SlotBatch(this.slots.subarray(encoded.consumed), this.isIsolation);
    }
    return this.#rest;
  }
}

/** A finished `monitor.messages` request, and what is needed to understand its reply. */
export interface EncodedBatch {
  /** `l` dict... `e`. Never written to again: several nodes are sent the same bytes. */
  readonly bytes: Buffer;
  readonly entries: number;
  /** Accounts with at least one entry, in order. */
  readonly slots: Int32Array;
  /** Per account: the number of entries up to and with its own. */
  readonly entryEnds: Int32Array;
  /** Per account: its stamp when it was encoded. */
  readonly stamps: Uint32Array;
  /** How many of the slots that were offered have been dealt with. */
  readonly consumed: number;
}

/** Far below the storage server's limit of 10 MiB for a frame, and a second of its time (spec storage-server, 4.5). */
const MAX_REQUEST_BYTES = 2_000_000;
const LIST_START = 0x6c;
const LIST_END = 0x65;

/** Turns slots into requests. One scratch buffer for all; the results are exact copies. */
export class BatchEncoder {
  #scratch = Buffer.allocUnsafe(64 * 1024);
  #length = 0;
  readonly #sink: MonitorEntrySink = { append: (bytes) => this.#append(bytes) };

  constructor(
    private readonly accounts: MonitoredAccounts,
    private readonly membership: SwarmMembership,
    private readonly maxEntries: number,
    private readonly metrics: Metrics,
  ) {}

  /**
   * Encodes `slots` from the first on until the request is full. Accounts that have left the swarm meanwhile, or are
   * not to be renewed, are passed over. An account's entries are never divided, so one account alone may exceed the
   * limit.
   */
  encode(swarm: SwarmMembers, slots: Int32Array, nowSeconds: number): EncodedBatch {
    const taken: AccountSlot[] = [];
    const ends: number[] = [];
    let entries = 0;
    let consumed = 0;
    this.#length = 0;
    this.#reserve(1);
    this.#scratch[this.#length++] = LIST_START;
    for (const slot of slots) {
      if (this.membership.isMonitoredBy(slot, swarm) && this.accounts.isLive(slot)) {
        const before = this.#length;
        const added = this.#appendAccount(slot, nowSeconds);
        const isFull = entries + added > this.maxEntries || this.#length > MAX_REQUEST_BYTES;
        if (isFull && entries > 0) {
          this.#length = before;
          break;
        }
        if (added > 0) {
          entries += added;
          taken.push(slot);
          ends.push(entries);
        }
      }
      consumed += 1;
    }
    this.#reserve(1);
    this.#scratch[this.#length++] = LIST_END;
    return {
      bytes: Buffer.from(this.#scratch.subarray(0, this.#length)),
      entries,
      slots: Int32Array.from(taken),
      entryEnds: Int32Array.from(ends),
      stamps: Uint32Array.from(taken, (slot) => this.membership.stampOf(slot)),
      consumed,
    };
  }

  #appendAccount(slot: AccountSlot, nowSeconds: number): number {
    const before = this.#length;
    try {
      return this.accounts.appendMonitorEntries(slot, nowSeconds, this.#sink);
    } catch {
      // A fault of ours about one account must not keep its whole swarm unregistered.
      this.metrics.stageFailures.of('monitor-entry').add();
      this.#length = before;
      return 0;
    }
  }

  #append(bytes: Buffer): void {
    this.#reserve(bytes.length);
    bytes.copy(this.#scratch, this.#length);
    this.#length += bytes.length;
  }

  #reserve(extra: number): void {
    const needed = this.#length + extra;
    if (needed <= this.#scratch.length) return;
    const grown = Buffer.allocUnsafe(Math.max(needed, this.#scratch.length * 2));
    this.#scratch.copy(grown, 0, 0, this.#length);
    this.#scratch = grown;
  }
}

/**
 * The requests encoded last, so that the nodes of a swarm, which need the same one within moments of each other, share
 * one buffer. Bounded in bytes and in age; whoever comes later has it encoded again.
 */
export class EncodedBatches {
  readonly #entries = new Map<string, { readonly batch: EncodedBatch; readonly atMs: number }>();
  #bytes = 0;

  constructor(
    private readonly maxBytes: number,
    private readonly maxAgeMs: number,
  ) {}

  get bytes(): number {
    return this.#bytes;
  }

  get(key: string, nowMs: number): EncodedBatch | null {
    const entry = this.#entries.get(key);
    if (entry === undefined) return null;
    if (nowMs - entry.atMs <= this.maxAgeMs) return entry.batch;
    this.#delete(key);
    return null;
  }

  put(key: string, batch: EncodedBatch, nowMs: number): void {
    this.#delete(key);
    this.#entries.set(key, { batch, atMs: nowMs });
    this.#bytes += batch.bytes.length;
    for (const oldest of this.#entries.keys()) {
      if (this.#bytes <= this.maxBytes) break;
      this.#delete(oldest);
    }
  }

  dropOld(nowMs: number): void {
    for (const [key, entry] of this.#entries) {
      if (nowMs - entry.atMs <= this.maxAgeMs) break;
      this.#delete(key);
    }
  }

  #delete(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#bytes -= entry.batch.bytes.length;
    this.#entries.delete(key);
  }
}
