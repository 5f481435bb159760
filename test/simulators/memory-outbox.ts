import type { ServiceName } from '../../src/domain/ids.js';
import type { Push } from '../../src/domain/push.js';
import type { Outbox, OutboxEntry, OutboxStats } from '../../src/outbox/port.js';

/** The outbox's rules without a database, for tests of what stands in front of it. */
export class MemoryOutbox implements Outbox {
  /** What is committed. */
  readonly rows = new Map<string, { push: Push; dueAtMs: number; claimed: boolean }>();
  readonly settled: string[] = [];
  /** New entries find no room. Those of claimed rows always do, as in the real one. */
  isFull = false;
  /** The database is slow: what is put waits for `commit` (or `lose`). */
  holdsCommits = false;
  #uncommitted: OutboxEntry[] = [];
  #next = 1;

  constructor(private readonly clock: { nowMs(): number }) {}

  /** Like the real one, it answers `onStored` later than `put` returns, in the order of the puts. */
  put(entry: OutboxEntry): boolean {
    if (this.isFull && entry.push.outboxId === null) return false;
    if (this.holdsCommits) this.#uncommitted.push(entry);
    else this.#store(entry);
    return true;
  }

  /** The database has answered: everything that was put is stored. */
  commit(): void {
    for (const entry of this.#uncommitted.splice(0)) this.#store(entry);
  }

  /** The database stayed away until everything that was put had expired. */
  lose(): void {
    for (const { onLost } of this.#uncommitted.splice(0)) onLost?.();
  }

  /** Put and not yet committed. */
  get uncommitted(): number {
    return this.#uncommitted.length;
  }

  claim(service: ServiceName, limit: number): Promise<Push[]> {
    const due = [...this.rows.values()]
      .filter((row) => !row.claimed && row.push.service === service && row.dueAtMs <= this.clock.nowMs())
      .sort((a, b) => a.dueAtMs - b.dueAtMs)
      .slice(0, limit);
    for (const row of due) row.claimed = true;
    return Promise.resolve(due.map((row) => row.push));
  }

  settle(outboxId: string): void {
    this.settled.push(outboxId);
    this.rows.delete(outboxId);
  }

  release(outboxIds: readonly string[]): Promise<void> {
    for (const id of outboxIds) {
      const row = this.rows.get(id);
      if (row !== undefined) row.claimed = false;
    }
    return Promise.resolve();
  }

  dropExpired = (): Promise<number> => Promise.resolve(0);

  nextDueAtMs(service: ServiceName): Promise<number | null> {
    const due = [...this.rows.values()]
      .filter((row) => !row.claimed && row.push.service === service)
      .map((row) => row.dueAtMs);
    return Promise.resolve(due.length === 0 ? null : Math.min(...due));
  }

  stats = (): Promise<ReadonlyMap<ServiceName, OutboxStats>> =>
    Promise.resolve(new Map<ServiceName, OutboxStats>());

  flush(): Promise<void> {
    this.commit();
    return Promise.resolve();
  }

  #store({ push, dueAtMs, claimed = false, onStored }: OutboxEntry): void {
    const isNew = push.outboxId === null;
    const id = push.outboxId ?? `${this.#next++}`;
    this.rows.set(id, { push: { ...push, outboxId: id }, dueAtMs, claimed: isNew && claimed });
    if (onStored !== undefined) queueMicrotask(() => onStored(id));
  }
}
