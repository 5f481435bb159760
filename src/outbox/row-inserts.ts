import type { Clock } from '../domain/clock.js';
import type { ServiceName } from '../domain/ids.js';
import type { Database } from '../store/database.js';
import { StoreQueryError } from '../store/errors.js';
import type { Log } from '../telemetry/log.js';
import { SampledLog } from '../telemetry/sampled-log.js';
import { insertParameters, type WaitingRow } from './outbox-rows.js';
import { insertRows } from './outbox-statements.js';
import { isAboutTheData, logWriteFailure, tell } from './write-failure.js';
import { WriteLoop, type WriteLoopOptions } from './write-loop.js';

export interface RowInsertsOptions extends WriteLoopOptions {
  /** New rows in memory at most, while the database is slow or away. */
  readonly maxBufferedEntries: number;
  readonly maxBufferedBytes: number;
  readonly maxRowsPerStatement: number;
  readonly maxBytesPerStatement: number;
}

interface Parts extends RowInsertsOptions {
  readonly database: Database;
  readonly clock: Clock;
  readonly log: Log;
  readonly instanceId: string;
  /** For rows that are claimed from the first moment. */
  readonly leaseMs: number;
}

/**
 * New rows on their way into the table, in batches, the first ones first; while the database is away they wait until
 * their pushes expire. Bounded by number and bytes.
 */
export class RowInserts {
  readonly #parts: Parts;
  readonly #refusals: SampledLog;
  readonly #loop: WriteLoop;
  #rows: WaitingRow[] = [];
  #bytes = 0;
  /** The first ones, which the database is being given at this moment. */
  #writing = 0;

  constructor(
    parts: Parts,
    private readonly onInserted: (rows: number) => void,
    onEmpty: () => void,
  ) {
    this.#parts = parts;
    this.#refusals = new SampledLog(parts.clock);
    this.#loop = new WriteLoop(parts, {
      hasWork: () => this.#rows.length > 0,
      isFull: () => this.#rows.length >= parts.maxRowsPerStatement,
      write: () => this.#write(),
      onFailure: (error) => {
        logWriteFailure(parts.log, error);
        if (this.#loop.isClosed) this.#lose(this.#rows.splice(0));
        else this.#giveUpExpired();
      },
      onEmpty,
    });
  }

  get waiting(): readonly WaitingRow[] {
    return this.#rows;
  }

  get isEmpty(): boolean {
    return this.#rows.length === 0;
  }

  /** `share`: how much of the room may be taken by then, above 0 to 1. */
  hasRoomFor(bytes: number, share = 1): boolean {
    const { maxBufferedEntries, maxBufferedBytes } = this.#parts;
    return (
      !this.#loop.isClosed &&
      this.#rows.length < maxBufferedEntries * share &&
      this.#bytes + bytes <= maxBufferedBytes * share
    );
  }

  add(row: WaitingRow): void {
    this.#rows.push(row);
    this.#bytes += row.bytes;
    this.#loop.start();
  }

  /** Of those that wait to be sent, not of those that are about to be sent already. */
  earliestDueAtMs(service: ServiceName): number | null {
    let earliest: number | null = null;
    for (const row of this.#rows) {
      if (row.claimed || row.service !== service) continue;
      if (earliest === null || row.dueAtMs < earliest) earliest = row.dueAtMs;
    }
    return earliest;
  }

  hurry(): void {
    this.#loop.hurry();
  }

  /**
   * What the database has not taken by now goes with the process; its owners and the log are told. What it is being
   * given is told when it has answered.
   */
  close(): void {
    if (this.#loop.isClosed) return;
    if (this.#rows.length > 0) {
      this.#parts.log.error(
        { pushes: this.#rows.length },
        'the outbox is closed before the database took these pushes: they are lost',
      );
    }
    this.#loop.close();
    this.#lose(this.#rows.splice(this.#writing));
  }

  async #write(): Promise<void> {
    const batch = this.#nextBatch();
    const nowMs = this.#parts.clock.nowMs();
    const good = batch.filter(({ expiresAtMs }) => expiresAtMs > nowMs);
    this.#writing = batch.length;
    const outcomes = await this.#insert(good).finally(() => (this.#writing = 0));
    // Only this loop takes rows out, and always the first ones.
    this.#rows.splice(0, batch.length);
    for (const { bytes } of batch) this.#bytes -= bytes;
    for (const row of batch) if (row.expiresAtMs <= nowMs) tell(this.#parts.log, row.onLost);
    this.onInserted(outcomes.filter(Boolean).length);
    for (const [index, row] of good.entries()) {
      tell(this.#parts.log, outcomes[index] === true ? row.onStored : row.onLost);
    }
  }

  #nextBatch(): WaitingRow[] {
    const { maxRowsPerStatement, maxBytesPerStatement } = this.#parts;
    const batch: WaitingRow[] = [];
    let bytes = 0;
    for (const row of this.#rows) {
      bytes += row.bytes;
      if (batch.length >= maxRowsPerStatement || (bytes > maxBytesPerStatement && batch.length > 0)) break;
      batch.push(row);
    }
    return batch;
  }

  /** Which of them are in the table now. */
  async #insert(batch: readonly WaitingRow[]): Promise<readonly boolean[]> {
    if (batch.length === 0) return [];
    try {
      await this.#execute(batch);
      return batch.map(() => true);
    } catch (error) {
      if (!isAboutTheData(error)) throw error;
    }
    // One of them holds what the table cannot: it alone is lost. Repeating the others is harmless.
    const outcomes: boolean[] = [];
    for (const row of batch) {
      try {
        await this.#execute([row]);
        outcomes.push(true);
      } catch (error) {
        if (!isAboutTheData(error)) throw error;
        outcomes.push(false);
        const code = error instanceof StoreQueryError ? error.code : 'fault';
        this.#refusals.note('refused', (occurrences) =>
          this.#parts.log.error({ code, occurrences }, 'pushes that the outbox cannot hold are lost'),
        );
      }
    }
    return outcomes;
  }

  async #execute(batch: readonly WaitingRow[]): Promise<void> {
    const { database, instanceId, leaseMs } = this.#parts;
    await database.execute(insertRows, insertParameters(batch, { instanceId, leaseMs }));
  }

  #giveUpExpired(): void {
    const nowMs = this.#parts.clock.nowMs();
    const expired = this.#rows.filter(({ expiresAtMs }) => expiresAtMs <= nowMs);
    if (expired.length === 0) return;
    this.#rows = this.#rows.filter(({ expiresAtMs }) => expiresAtMs > nowMs);
    this.#lose(expired);
  }

  /** Taken out of the buffer already. */
  #lose(rows: readonly WaitingRow[]): void {
    for (const { bytes, onLost } of rows) {
      this.#bytes -= bytes;
      tell(this.#parts.log, onLost);
    }
  }
}
