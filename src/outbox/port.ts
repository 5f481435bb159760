import type { ServiceName } from '../domain/ids.js';
import type { Push } from '../domain/push.js';

export interface OutboxEntry {
  readonly push: Push;
  /** Unix milliseconds: not to be offered earlier. */
  readonly dueAtMs: number;
  /**
   * A new row only: it stays claimed by this process, which is about to send the push (`delivery.durability: journal`).
   * Ends like a row of `claim`: by `settle`, by another `put`, or, after a crash, by waiting again.
   */
  readonly claimed?: boolean;
  /**
   * A new row only: its source comes again when it is refused, so the last of the room is kept for what cannot come
   * again. One notice of ten kilobytes for a group of thousands would otherwise take all of it.
   */
  readonly isRepeatable?: boolean;
  /** Called once when it is committed, with the row's id. */
  readonly onStored?: (outboxId: string) => void;
  /**
   * Called once, instead of `onStored`, if the entry could not be stored (the database stays away until the push
   * expires or the outbox is closed, or refuses the row). A push that came back from the outbox may then still wait in its old row.
   */
  readonly onLost?: () => void;
}

export interface OutboxStats {
  readonly waiting: number;
  readonly oldestDueAtMs: number | null;
}

/** The durable waiting room. A claimed row stays in the table until it is settled, so a crash only delays it. */
export interface Outbox {
  /**
   * Takes responsibility for an entry, synchronously: true = it is (or will shortly be) committed, or `onLost` is
   * called; false = no room, nothing was taken. An entry whose push has an `outboxId` updates its row (due time,
   * attempts) instead of adding one. Neither callback is called before `put` has returned.
   */
  put(entry: OutboxEntry): boolean;
  /**
   * Up to `limit` rows of a service that are due, in order of due time, claimed for this process; fewer when these
   * hold `maxBytes` (payload and service data) or, by one row, more.
   */
  claim(service: ServiceName, limit: number, maxBytes?: number): Promise<Push[]>;
  /** A push that came from the outbox has ended: its row goes. Batched; never rejects. */
  settle(outboxId: string): void;
  /** Gives claimed rows back unsent (at a stop). */
  release(outboxIds: readonly string[]): Promise<void>;
  /** Deletes rows whose push has expired; how many. */
  dropExpired(): Promise<number>;
  /** Unix ms of the earliest due row of a service, null when none waits. */
  nextDueAtMs(service: ServiceName): Promise<number | null>;
  stats(): Promise<ReadonlyMap<ServiceName, OutboxStats>>;
  /** Commits everything that was put; rejects when the database stays away longer than `timeoutMs`. */
  flush(timeoutMs: number): Promise<void>;
}
