import type { Log } from '../telemetry/log.js';
import { bigintArray, textArray } from './binary-arrays.js';
import type { Database } from './database.js';
import { nullableNumberCell, statement, textCell } from './statement.js';

export interface StatisticsStoreOptions {
  readonly database: Database;
  readonly log: Log;
  readonly flushIntervalMs: number;
}

/** A counter of all time. `service` is '' for totals. */
export interface Statistic {
  readonly service: string;
  readonly name: string;
  readonly value: number;
}

/** Different counters that wait for the database at most; service and counter names come from fixed sets of ours. */
const MAX_COUNTERS = 10_000;

const addStatistics = statement(
  'statistics_add',
  `INSERT INTO service_stats AS stored (service, name, val_int)
   SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[]) AS given(service, name, delta) ORDER BY service, name
   ON CONFLICT (service, name) DO UPDATE
     SET val_int = coalesce(stored.val_int, 0) + excluded.val_int, val_str = NULL`,
);
const loadStatistics = statement('statistics_load', 'SELECT service, name, val_int FROM service_stats');

/**
 * Counters that survive a restart (spec session-push-v2, sections 13 and 14): added up in memory, written from time to
 * time. What could not be written stays for the next time; only a kill loses what came since the last one.
 */
export class StatisticsStore {
  readonly #options: StatisticsStoreOptions;
  #pending = new Map<string, { readonly service: string; readonly name: string; delta: number }>();
  #timer: NodeJS.Timeout | null = null;
  #flushing: Promise<void> | null = null;

  constructor(options: StatisticsStoreOptions) {
    this.#options = options;
  }

  /** Starts the timer. */
  start(): void {
    this.#timer ??= setInterval(() => {
      this.flush().catch(() => this.#options.log.debug('statistics wait for the database'));
    }, this.#options.flushIntervalMs);
    this.#timer.unref();
  }

  add(service: string, name: string, delta: number): void {
    if (delta === 0) return;
    const key = `${service}\0${name}`;
    const pending = this.#pending.get(key);
    if (pending !== undefined) pending.delta += delta;
    else if (this.#pending.size < MAX_COUNTERS) this.#pending.set(key, { service, name, delta });
  }

  /** What is in the database: without what was added since the last flush. */
  async load(): Promise<Statistic[]> {
    const statistics: Statistic[] = [];
    for (const row of await this.#options.database.rows(loadStatistics)) {
      const value = nullableNumberCell(row, 2);
      if (value !== null) statistics.push({ service: textCell(row, 0), name: textCell(row, 1), value });
    }
    return statistics;
  }

  /** Rejects with `StoreUnavailable`; then everything is kept for the next time. */
  async flush(): Promise<void> {
    while (this.#flushing !== null) await this.#flushing.catch(() => {});
    if (this.#pending.size === 0) return;
    this.#flushing = this.#write().finally(() => {
      this.#flushing = null;
    });
    await this.#flushing;
  }

  /** Stops the timer and writes what is left; rejects like `flush`. */
  async close(): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    await this.flush();
  }

  async #write(): Promise<void> {
    const batch = [...this.#pending.values()];
    this.#pending = new Map();
    try {
      await this.#options.database.execute(addStatistics, [
        textArray(batch.map(({ service }) => service)),
        textArray(batch.map(({ name }) => name)),
        bigintArray(batch.map(({ delta }) => delta)),
      ]);
    } catch (error) {
      for (const { service, name, delta } of batch) this.add(service, name, delta);
      throw error;
    }
  }
}
