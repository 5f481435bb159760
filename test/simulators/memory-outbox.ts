import type { ServiceName } from '../../src/domain/ids.js';
import type { Push } from '../../src/domain/push.js';
import type { Outbox, OutboxEntry, OutboxStats } from '../../src/outbox/port.js';
import { StoreUnavailable } from '../../src/store/errors.js';

/** The outbox's rules without a database, for tests of what stands in front of it. */
export class MemoryOutbox implements Outbox {
  /** What is committed. */
  readonly rows = new Map<string, { push: Push; dueAtMs: number; claimed: boolean }>();
  readonly settled: string[] = [];
  /** New entries find no room. Those of claimed rows always do, as in the real one. */
  isFull = false;
  /** The database is slow: what is put waits for `commit` (or `lose`). */
  holdsCommits = false;
  /** The database is away: claims fail, and what is put waits as with `holdsCommits`. */
  isAway = false;
  /** Claims take place, but their answers come only with `answer`. */
  holdsAnswers = false;
  /** Pushes that ended because their time was over: here, not with whoever put them. */
  expired = 0;
  #uncommitted: OutboxEntry[] = [];
  readonly #unanswered: (() => void)[] = [];
  #next = 1;

  constructor(private readonly clock: { nowMs(): number }) {}

  /** Like the real one, it answers `onStored` later than `put` returns, in the order of the puts. */
  put(entry: OutboxEntry): boolean {
    if (this.isFull && entry.push.outboxId === null) return false;
    if (this.holdsCommits || this.isAway) this.#uncommitted.push(entry);
    else this.#store(entry);
    return true;
  }

  /** The database has answered: everything that was put is stored. */
  commit(): void {
    for (const entry of this.#uncommitted.splice(0)) this.#store(entry);
  }

  /** Claims that wait for their answers get them. */
  answer(): void {
    for (const tell of this.#unanswered.splice(0)) tell();
  }

  /** The database stayed away until everything that was put had expired. */
  lose(): void {
    for (const { onLost } of this.#uncommitted.splice(0)) onLost?.();
  }

  /** The database is still away when the time of some is over: new ones are lost, rows of others wait as they were. */
  giveUpExpired(): void {
    const nowMs = this.clock.nowMs();
    const given = this.#uncommitted;
    this.#uncommitted = given.filter(({ push }) => push.expiresAtMs > nowMs);
    for (const { push, onLost } of given) {
      if (push.expiresAtMs > nowMs) continue;
      const row = push.outboxId === null ? undefined : this.rows.get(push.outboxId);
      if (row !== undefined) row.claimed = false;
      onLost?.();
    }
  }

  /** Put and not yet committed. */
  get uncommitted(): number {
    return this.#uncommitted.length;
  }

  /** Of these, the new ones that are claimed from the start: on their way through the journal. */
  get journaling(): number {
    return this.#uncommitted.filter(({ push, claimed }) => claimed === true && push.outboxId === null).length;
  }

  claim(service: ServiceName, limit: number, maxBytes = Infinity): Promise<Push[]> {
    if (this.isAway) return Promise.reject(new StoreUnavailable('unreachable'));
    const nowMs = this.clock.nowMs();
    let bytes = 0;
    const due = [...this.rows.values()]
      .filter((row) => !row.claimed && row.push.service === service && row.dueAtMs <= nowMs)
      .filter((row) => row.push.expiresAtMs > nowMs)
      .sort((a, b) => a.dueAtMs - b.dueAtMs)
      .slice(0, limit)
      .filter(({ push }) => {
        const isIn = bytes < maxBytes;
        bytes += push.content.payload.length + (push.device.serviceData?.length ?? 0);
        return isIn;
      });
    for (const row of due) row.claimed = true;
    const pushes = due.map((row) => row.push);
    if (!this.holdsAnswers) return Promise.resolve(pushes);
    return new Promise((resolve) => this.#unanswered.push(() => resolve(pushes)));
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

  dropExpired(): Promise<number> {
    const nowMs = this.clock.nowMs();
    const gone = [...this.rows].filter(([, row]) => !row.claimed && row.push.expiresAtMs <= nowMs);
    for (const [id] of gone) this.rows.delete(id);
    this.expired += gone.length;
    return Promise.resolve(gone.length);
  }

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
