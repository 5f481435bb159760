import type { ServiceName } from '../../src/domain/ids.js';
import type { Push } from '../../src/domain/push.js';
import type { Outbox, OutboxEntry } from '../../src/outbox/port.js';

/** The outbox's rules without a database, for tests of what stands in front of it. */
export class MemoryOutbox implements Outbox {
  readonly rows = new Map<string, { push: Push; dueAtMs: number; claimed: boolean }>();
  readonly settled: string[] = [];
  isFull = false;
  #next = 1;

  constructor(private readonly clock: { nowMs(): number }) {}

  put(entry: OutboxEntry): boolean {
    if (this.isFull) return false;
    const id = entry.push.outboxId ?? `${this.#next++}`;
    this.rows.set(id, { push: { ...entry.push, outboxId: id }, dueAtMs: entry.dueAtMs, claimed: false });
    return true;
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
  nextDueAtMs = (): Promise<number | null> => Promise.resolve(null);
  stats = (): Promise<ReadonlyMap<ServiceName, never>> => Promise.resolve(new Map<ServiceName, never>());
  flush = (): Promise<void> => Promise.resolve();
}
