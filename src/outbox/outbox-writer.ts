import type { Clock } from '../domain/clock.js';
import type { Database } from '../store/database.js';
import { StoreUnavailable } from '../store/errors.js';
import type { Log } from '../telemetry/log.js';
import { RowChanges, type RowChangesEvents, type RowChangesOptions } from './row-changes.js';
import { RowInserts, type RowInsertsOptions } from './row-inserts.js';

export type OutboxWriterOptions = RowInsertsOptions & RowChangesOptions;

export type OutboxWriterParts = OutboxWriterOptions & {
  readonly database: Database;
  readonly clock: Clock;
  readonly log: Log;
  readonly instanceId: string;
  readonly leaseMs: number;
};

export interface OutboxWriterEvents extends Pick<RowChangesEvents, 'onDone' | 'onDeleted'> {
  readonly onInserted: (rows: number) => void;
}

/**
 * Everything that is on its way into the table. New rows and changes of claimed ones have a loop each: a push that
 * waits for its row before it is sent does not wait for the ends of others.
 */
export class OutboxWriter {
  readonly inserts: RowInserts;
  readonly changes: RowChanges;
  #whenEmpty: (() => void)[] = [];

  constructor(parts: OutboxWriterParts, { onInserted, onDone, onDeleted }: OutboxWriterEvents) {
    const onEmpty = (): void => {
      if (this.#isEmpty()) for (const resolve of this.#whenEmpty.splice(0)) resolve();
    };
    this.inserts = new RowInserts(parts, onInserted, onEmpty);
    this.changes = new RowChanges(parts, { onDone, onDeleted, onEmpty });
  }

  /** Rejects with `StoreUnavailable` when not everything is committed in time. */
  async flush(timeoutMs: number): Promise<void> {
    if (this.#isEmpty()) return;
    this.inserts.hurry();
    this.changes.hurry();
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

  close(): void {
    this.inserts.close();
    this.changes.close();
  }

  #isEmpty(): boolean {
    return this.inserts.isEmpty && this.changes.isEmpty;
  }
}
