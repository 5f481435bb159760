import type { Clock } from '../domain/clock.js';
import { bigintArray, integerArray, uuidArray } from '../store/binary-arrays.js';
import type { Database } from '../store/database.js';
import type { Log } from '../telemetry/log.js';
import { deleteRows, updateRows } from './outbox-statements.js';
import { isAboutTheData, logWriteFailure, tell } from './write-failure.js';
import { WriteLoop, type WriteLoopOptions } from './write-loop.js';

export interface RowChangesOptions extends WriteLoopOptions {
  readonly maxRowsPerStatement: number;
}

export interface RowUpdate {
  readonly id: Buffer;
  /** The id as text. */
  readonly key: string;
  readonly attempts: number;
  readonly dueAtMs: number;
  readonly expiresAtMs: number;
  readonly onStored: (() => void) | null;
  readonly onLost: (() => void) | null;
}

interface Parts extends RowChangesOptions {
  readonly database: Database;
  readonly clock: Clock;
  readonly log: Log;
  readonly instanceId: string;
}

export interface RowChangesEvents {
  /** The end or the update of a claimed row is committed (or given up): it may be claimed again. */
  readonly onDone: (key: string) => void;
  readonly onDeleted: (rows: number) => void;
  readonly onEmpty: () => void;
}

/**
 * What has become of claimed rows and is on its way into the table: back to waiting, or gone. Bounded by what was
 * claimed; tried again until it is committed or, for an update, until its push has expired.
 */
export class RowChanges {
  readonly #parts: Parts;
  readonly #events: RowChangesEvents;
  readonly #loop: WriteLoop;
  readonly #updates = new Map<string, RowUpdate>();
  readonly #settled = new Map<string, Buffer>();
  #turn: Promise<unknown> = Promise.resolve();

  constructor(parts: Parts, events: RowChangesEvents) {
    this.#parts = parts;
    this.#events = events;
    this.#loop = new WriteLoop(parts, {
      hasWork: () => !this.isEmpty,
      isFull: () => Math.max(this.#updates.size, this.#settled.size) >= parts.maxRowsPerStatement,
      write: async () => {
        if (this.#updates.size > 0) await this.alone(() => this.#writeUpdates());
        if (this.#settled.size > 0) await this.#writeSettled();
      },
      onFailure: (error) => {
        logWriteFailure(parts.log, error);
        this.#giveUpExpired();
      },
      onEmpty: events.onEmpty,
    });
  }

  get isEmpty(): boolean {
    return this.#updates.size === 0 && this.#settled.size === 0;
  }

  update(update: RowUpdate): void {
    if (this.#settled.has(update.key)) return;
    this.#updates.set(update.key, update);
    this.#loop.start();
  }

  settle(key: string, id: Buffer): void {
    this.#updates.delete(key);
    this.#settled.set(key, id);
    this.#loop.start();
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

  hurry(): void {
    this.#loop.hurry();
  }

  close(): void {
    this.#loop.close();
  }

  async #writeUpdates(): Promise<void> {
    const { maxRowsPerStatement, database, instanceId, log } = this.#parts;
    const batch = firstOf(this.#updates.values(), maxRowsPerStatement);
    if (batch.length === 0) return;
    try {
      await database.execute(updateRows, [
        uuidArray(batch.map(({ id }) => id)),
        bigintArray(batch.map(({ dueAtMs }) => Math.floor(dueAtMs))),
        integerArray(batch.map(({ attempts }) => attempts)),
        instanceId,
      ]);
    } catch (error) {
      if (!isAboutTheData(error)) throw error;
      // The rows are in the table as they were: they wait again when their leases have ended.
      log.error({ err: error }, 'the outbox could not note an attempt');
    }
    for (const update of batch) {
      if (this.#updates.get(update.key) === update) this.#updates.delete(update.key);
      if (!this.#settled.has(update.key)) this.#events.onDone(update.key);
      tell(log, update.onStored);
    }
  }

  async #writeSettled(): Promise<void> {
    const { maxRowsPerStatement, database } = this.#parts;
    const batch = firstOf(this.#settled.entries(), maxRowsPerStatement);
    this.#events.onDeleted(await database.execute(deleteRows, [uuidArray(batch.map(([, id]) => id))]));
    for (const [key] of batch) {
      this.#settled.delete(key);
      this.#events.onDone(key);
    }
  }

  #giveUpExpired(): void {
    const nowMs = this.#parts.clock.nowMs();
    for (const { key, expiresAtMs, onLost } of this.#updates.values()) {
      if (expiresAtMs > nowMs) continue;
      // Its row is in the table until the lease has ended; then it is dropped as expired.
      this.#updates.delete(key);
      this.#events.onDone(key);
      tell(this.#parts.log, onLost);
    }
  }
}

function firstOf<Value>(values: Iterable<Value>, limit: number): Value[] {
  const first: Value[] = [];
  for (const value of values) {
    if (first.length >= limit) break;
    first.push(value);
  }
  return first;
}
