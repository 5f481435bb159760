import type { Clock } from '../domain/clock.js';
import type { ServiceName } from '../domain/ids.js';
import { bigintArray, integerArray, uuidArray } from '../store/binary-arrays.js';
import type { Database } from '../store/database.js';
import { StoreQueryError, StoreUnavailable } from '../store/errors.js';
import type { Log } from '../telemetry/log.js';
import { SampledLog } from '../telemetry/sampled-log.js';
import { insertParameters, type WaitingRow } from './outbox-rows.js';
import { deleteRows, insertRows, updateRows } from './outbox-statements.js';

export interface OutboxWriterOptions {
  /** New rows in memory at most, while the database is slow or away. */
  readonly maxBufferedEntries: number;
  readonly maxBufferedBytes: number;
  readonly maxRowsPerStatement: number;
  readonly maxBytesPerStatement: number;
  /** How long the first of a batch waits for others, milliseconds. */
  readonly gatherMs: number;
  /** Wait after a failed attempt, doubling from the first to the second. */
  readonly retryMinMs: number;
  readonly retryMaxMs: number;
}

export interface RowUpdate {
  readonly id: Buffer;
  /** The id as text. */
  readonly key: string;
  readonly attempts: number;
  readonly dueAtMs: number;
  readonly expiresAtMs: number;
  readonly onLost: (() => void) | null;
}

interface Parts extends OutboxWriterOptions {
  readonly database: Database;
  readonly clock: Clock;
  readonly log: Log;
  readonly instanceId: string;
}

/**
 * What is on its way into the table: new rows, updates of claimed rows, ends of claimed rows. One loop writes them in
 * batches and, while the database is away, tries again until each push has expired. New rows are bounded by number and
 * bytes; updates and ends are bounded by what was claimed.
 */
export class OutboxWriter {
  readonly #parts: Parts;
  readonly #refusals: SampledLog;
  /** Tells that the end or the update of a claimed row is committed (or given up): it may be claimed again. */
  readonly #onDone: (key: string) => void;
  #inserts: WaitingRow[] = [];
  #bytes = 0;
  readonly #updates = new Map<string, RowUpdate>();
  readonly #settled = new Map<string, Buffer>();
  #running = false;
  #closed = false;
  #wake: (() => void) | null = null;
  #whenEmpty: (() => void)[] = [];
  #turn: Promise<unknown> = Promise.resolve();

  constructor(parts: Parts, onDone: (key: string) => void) {
    this.#parts = parts;
    this.#onDone = onDone;
    this.#refusals = new SampledLog(parts.clock);
  }

  get buffered(): readonly WaitingRow[] {
    return this.#inserts;
  }

  hasRoomFor(bytes: number): boolean {
    const { maxBufferedEntries, maxBufferedBytes } = this.#parts;
    return (
      !this.#closed && this.#inserts.length < maxBufferedEntries && this.#bytes + bytes <= maxBufferedBytes
    );
  }

  insert(row: WaitingRow): void {
    this.#inserts.push(row);
    this.#bytes += row.bytes;
    this.#start();
  }

  update(update: RowUpdate): void {
    if (this.#settled.has(update.key)) return;
    this.#updates.set(update.key, update);
    this.#start();
  }

  settle(key: string, id: Buffer): void {
    this.#updates.delete(key);
    this.#settled.set(key, id);
    this.#start();
  }

  earliestDueAtMs(service: ServiceName): number | null {
    let earliest: number | null = null;
    for (const row of this.#inserts) {
      if (row.service === service && (earliest === null || row.dueAtMs < earliest)) earliest = row.dueAtMs;
    }
    return earliest;
  }

  /**
   * Runs `work` while no update is under way. Otherwise a claim could meet a row whose update is committed but not yet
   * known to be, take it for one that is still held, and leave it claimed by nobody in particular.
   */
  alone<Value>(work: () => Promise<Value>): Promise<Value> {
    const result = this.#turn.then(work);
    this.#turn = result.catch(() => {});
    return result;
  }

  /** Rejects with `StoreUnavailable` when not everything is committed in time. */
  async flush(timeoutMs: number): Promise<void> {
    if (this.#isEmpty()) return;
    this.#wake?.();
    let timer: NodeJS.Timeout | undefined;
    const empty = new Promise<void>((resolve) => this.#whenEmpty.push(resolve));
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(new StoreUnavailable('timeout')), timeoutMs);
    });
    try {
      await Promise.race([empty, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** What the database has not taken by now goes with the process; somebody should know. */
  close(): void {
    if (!this.#closed && this.#inserts.length > 0) {
      this.#parts.log.error(
        { pushes: this.#inserts.length },
        'the outbox is closed before the database took these pushes: they are lost',
      );
    }
    this.#closed = true;
    this.#wake?.();
  }

  #isEmpty(): boolean {
    return this.#inserts.length === 0 && this.#updates.size === 0 && this.#settled.size === 0;
  }

  #start(): void {
    if (this.#running || this.#closed) return;
    this.#running = true;
    void this.#loop();
  }

  async #loop(): Promise<void> {
    const { gatherMs, retryMinMs, retryMaxMs, maxRowsPerStatement, log } = this.#parts;
    let pauseMs = retryMinMs;
    while (!this.#isEmpty() && !this.#closed) {
      if (this.#inserts.length < maxRowsPerStatement) await this.#nap(gatherMs);
      this.#giveUpExpired();
      try {
        await this.#writeInserts();
        await this.alone(() => this.#writeUpdates());
        await this.#writeSettled();
        pauseMs = retryMinMs;
      } catch (error) {
        if (!(error instanceof StoreUnavailable)) log.error({ err: error }, 'the outbox cannot be written');
        await this.#nap(pauseMs);
        pauseMs = Math.min(pauseMs * 2, retryMaxMs);
      }
    }
    this.#running = false;
    if (this.#isEmpty()) for (const resolve of this.#whenEmpty.splice(0)) resolve();
  }

  /** Ends early when somebody wants everything written now. */
  #nap(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        this.#wake = null;
        resolve();
      };
      const timer = setTimeout(wake, ms);
      this.#wake = wake;
    });
  }

  async #writeInserts(): Promise<void> {
    const batch = this.#nextBatch();
    if (batch.length === 0) return;
    try {
      await this.#insertBatch(batch);
    } catch (error) {
      if (!isAboutTheData(error)) throw error;
      await this.#insertOneByOne(batch);
    }
    this.#remove(batch);
  }

  #nextBatch(): WaitingRow[] {
    const { maxRowsPerStatement, maxBytesPerStatement } = this.#parts;
    const batch: WaitingRow[] = [];
    let bytes = 0;
    for (const row of this.#inserts) {
      bytes += row.bytes;
      if (batch.length >= maxRowsPerStatement || (bytes > maxBytesPerStatement && batch.length > 0)) break;
      batch.push(row);
    }
    return batch;
  }

  async #insertBatch(batch: readonly WaitingRow[]): Promise<void> {
    await this.#parts.database.execute(insertRows, insertParameters(batch));
  }

  /** One of them holds what the table cannot: it alone is lost. Repeating the others is harmless. */
  async #insertOneByOne(batch: readonly WaitingRow[]): Promise<void> {
    for (const row of batch) {
      try {
        await this.#insertBatch([row]);
      } catch (error) {
        if (!isAboutTheData(error)) throw error;
        const code = error instanceof StoreQueryError ? error.code : 'fault';
        this.#refusals.note('refused', (occurrences) =>
          this.#parts.log.error({ code, occurrences }, 'pushes that the outbox cannot hold are lost'),
        );
        this.#lost(row.onLost);
      }
    }
  }

  /** Only this loop takes rows out, and always the first ones. */
  #remove(batch: readonly WaitingRow[]): void {
    this.#inserts.splice(0, batch.length);
    for (const { bytes } of batch) this.#bytes -= bytes;
  }

  async #writeUpdates(): Promise<void> {
    const batch = firstOf(this.#updates.values(), this.#parts.maxRowsPerStatement);
    if (batch.length === 0) return;
    try {
      await this.#parts.database.execute(updateRows, [
        uuidArray(batch.map(({ id }) => id)),
        bigintArray(batch.map(({ dueAtMs }) => Math.floor(dueAtMs))),
        integerArray(batch.map(({ attempts }) => attempts)),
        this.#parts.instanceId,
      ]);
    } catch (error) {
      if (!isAboutTheData(error)) throw error;
      // The rows are in the table as they were: they wait again when their leases have ended.
      this.#parts.log.error({ err: error }, 'the outbox could not note an attempt');
    }
    for (const update of batch) {
      if (this.#updates.get(update.key) === update) this.#updates.delete(update.key);
      if (!this.#settled.has(update.key)) this.#onDone(update.key);
    }
  }

  async #writeSettled(): Promise<void> {
    const batch = firstOf(this.#settled.entries(), this.#parts.maxRowsPerStatement);
    if (batch.length === 0) return;
    await this.#parts.database.execute(deleteRows, [uuidArray(batch.map(([, id]) => id))]);
    for (const [key] of batch) {
      this.#settled.delete(key);
      this.#onDone(key);
    }
  }

  #giveUpExpired(): void {
    const nowMs = this.#parts.clock.nowMs();
    if (this.#inserts.some(({ expiresAtMs }) => expiresAtMs <= nowMs)) {
      const expired = this.#inserts.filter(({ expiresAtMs }) => expiresAtMs <= nowMs);
      this.#inserts = this.#inserts.filter(({ expiresAtMs }) => expiresAtMs > nowMs);
      for (const { bytes } of expired) this.#bytes -= bytes;
      for (const { onLost } of expired) this.#lost(onLost);
    }
    for (const { key, expiresAtMs, onLost } of this.#updates.values()) {
      if (expiresAtMs > nowMs) continue;
      // Its row is in the table until the lease has ended; then it is dropped as expired.
      this.#updates.delete(key);
      this.#onDone(key);
      this.#lost(onLost);
    }
  }

  #lost(onLost: (() => void) | null): void {
    try {
      onLost?.();
    } catch (error) {
      this.#parts.log.error({ err: error }, 'the owner of a lost push failed to hear of it');
    }
  }
}

/** The same again would fail again; anything else (the database is away, its schema is being repaired) may pass. */
function isAboutTheData(error: unknown): boolean {
  if (error instanceof StoreQueryError) return error.code.startsWith('22') || error.code.startsWith('23');
  return !(error instanceof StoreUnavailable);
}

function firstOf<Value>(values: Iterable<Value>, limit: number): Value[] {
  const first: Value[] = [];
  for (const value of values) {
    if (first.length >= limit) break;
    first.push(value);
  }
  return first;
}
