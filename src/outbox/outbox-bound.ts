import type { Clock } from '../domain/clock.js';
import type { Database } from '../store/database.js';
import { booleanCell, numberCell, textCell } from '../store/statement.js';
import type { Log } from '../telemetry/log.js';
import type { Metrics } from '../telemetry/metrics.js';
import { SampledLog } from '../telemetry/sampled-log.js';
import { evictionShares } from './eviction.js';
import { countRows, countWaiting, evictRows, tryRoomLock } from './outbox-statements.js';

export interface OutboxBoundOptions {
  /** Rows in the table at most. */
  readonly maxRows: number;
}

interface Parts extends OutboxBoundOptions {
  readonly database: Database;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
}

const TRANSACTION_ROWS = 20_000;
/** Counting a million rows takes a while: not more often while it does not help. */
const PAUSE_MS = 1000;
/** Room is made for some more than the next one, so that not every second has its count. */
const SLACK = 0.01;

/**
 * The bound of the table. When more rows wait than it allows, the oldest go first, of the services that have most: who
 * has waited longest is most likely served by something newer. Counting is dear, so between the counts of the sweep there is an estimate from what
 * this process has added and removed; several instances on one database each enforce the same bound on the whole.
 */
export class OutboxBound {
  readonly #parts: Parts;
  readonly #sampled: SampledLog;
  #estimate = 0;
  #enforcing: Promise<void> | null = null;
  #nextAtMs = 0;
  #isFull = false;
  #reached = false;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#sampled = new SampledLog(parts.clock);
  }

  /** Whether the table has reached its bound since the sweep before the last one. */
  get isFull(): boolean {
    return this.#isFull;
  }

  /** So many rows were committed; makes room when it seems that there are too many. */
  added(rows: number): void {
    this.#estimate += rows;
    const { maxRows, clock } = this.#parts;
    if (this.#estimate <= maxRows || this.#enforcing !== null) return;
    const nowMs = clock.nowMs();
    // Further away than the pause is long: then the clock was put back.
    if (nowMs < this.#nextAtMs && this.#nextAtMs - nowMs <= PAUSE_MS) return;
    // While the database is away nothing is added; the sweep or the next rows try again.
    this.#enforceOnce().catch(() => {});
  }

  removed(rows: number): void {
    this.#estimate = Math.max(0, this.#estimate - rows);
  }

  /** To be called now and then. Rejects with `StoreUnavailable`. */
  async sweep(): Promise<void> {
    await this.#enforceOnce();
    if (!this.#reached) this.#isFull = false;
    this.#reached = false;
  }

  /** Counts, and evicts what is too much. */
  #enforceOnce(): Promise<void> {
    this.#enforcing ??= this.#enforce().finally(() => {
      this.#enforcing = null;
      // Still too many (claimed ones, or another instance is at it): then not with every row that is added.
      const pauseMs = this.#estimate > this.#parts.maxRows ? PAUSE_MS : 0;
      this.#nextAtMs = this.#parts.clock.nowMs() + pauseMs;
    });
    return this.#enforcing;
  }

  async #enforce(): Promise<void> {
    const { database, maxRows } = this.#parts;
    this.#estimate = await this.#count();
    if (this.#estimate <= maxRows) return;
    this.#isFull = true;
    this.#reached = true;
    const lowRows = maxRows - Math.floor(maxRows * SLACK);
    while (this.#estimate > lowRows) {
      // Counted again under the lock: another instance may have made room meanwhile.
      const evicted = await database.transaction(async (transaction) => {
        const [lock] = await transaction.rows(tryRoomLock);
        if (!booleanCell(lock, 0)) return null;
        const counts = await transaction.rows(countWaiting);
        const waiting = new Map(counts.map((row) => [textCell(row, 0), numberCell(row, 1)]));
        let rows = counts.reduce((sum, row) => sum + numberCell(row, 2), 0);
        const byService = new Map<string, number>();
        for (const [service, share] of evictionShares(waiting, Math.min(rows - lowRows, TRANSACTION_ROWS))) {
          const gone = await transaction.execute(evictRows, [service, share]);
          if (gone > 0) byService.set(service, gone);
          rows -= gone;
        }
        return { byService, rows };
      });
      if (evicted === null) return;
      this.#note(evicted.byService);
      const isStuck = evicted.byService.size === 0;
      this.#estimate = evicted.rows;
      if (isStuck) return;
    }
  }

  async #count(): Promise<number> {
    const [row] = await this.#parts.database.rows(countRows);
    return numberCell(row, 0);
  }

  #note(byService: ReadonlyMap<string, number>): void {
    const { metrics, log, maxRows } = this.#parts;
    let total = 0;
    for (const [service, rows] of byService) {
      metrics.outboxEvicted.of(service).add(rows);
      total += rows;
    }
    if (total === 0) return;
    this.#sampled.note('full', () =>
      log.error({ pushes: total, maxRows }, 'the outbox is full: the oldest pushes in it are lost'),
    );
  }
}
