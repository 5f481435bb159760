import type { Clock } from '../domain/clock.js';
import { parseServiceName, type ServiceName } from '../domain/ids.js';
import type { Push } from '../domain/push.js';
import { uuidArray } from '../store/binary-arrays.js';
import type { Database } from '../store/database.js';
import { numberCell, textCell, type Row } from '../store/statement.js';
import type { Log } from '../telemetry/log.js';
import type { Metrics } from '../telemetry/metrics.js';
import { OutboxBound, type OutboxBoundOptions } from './outbox-bound.js';
import { OutboxWriter, type OutboxWriterOptions } from './outbox-writer.js';
import { pushOfRow, waitingRow, weightOf } from './outbox-rows.js';
import {
  claimRows,
  dropExpiredRows,
  endLeases,
  nextDueRow,
  outboxStats,
  recoverClaims,
  releaseRows,
  renewLeases,
} from './outbox-statements.js';
import type { Outbox, OutboxEntry, OutboxStats } from './port.js';
import { RowIds, parseRowId, rowIdText } from './row-id.js';

export interface PostgresOutboxOptions extends OutboxWriterOptions, OutboxBoundOptions {
  readonly database: Database;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  /**
   * The same for every run of this instance and different from every other's. Only one process may use it at a time
   * (it holds the instance lock): at the start it takes back what it finds claimed under this name.
   */
  readonly instanceId: string;
  /** How long a claim holds without being renewed; ours are renewed when half of it is left, at the latest. */
  readonly leaseMs: number;
}

export const defaultOutboxOptions = {
  maxBufferedEntries: 50_000,
  maxBufferedBytes: 128 * 1024 * 1024,
  maxRowsPerStatement: 500,
  maxBytesPerStatement: 4 * 1024 * 1024,
  gatherMs: 5,
  retryMinMs: 100,
  retryMaxMs: 2000,
  leaseMs: 60_000,
  maxRows: 1_000_000,
} as const;

/** Of the memory for new rows. */
const REPEATABLE_SHARE = 0.5;
const DROP_SLICE = 2000;
const LEASE_LOOKS = 4;
/** For rows that this program cannot read. */
const PUT_OFF_MS = 10 * 60_000;
/** A row that is still in our memory cannot be claimed yet: nobody should come for it sooner than this. */
const COMMIT_ALLOWANCE_MS = 50;

/**
 * The outbox in the table `outbox`. A row's way:
 *
 *   put → buffer → waiting (claimed_by null) → claimed by an instance until its lease ends
 *   put as claimed → buffer ─────────────────► claimed (about to be sent: the journal)
 *        claimed → settled: deleted · put again: waiting, with its next due time · released or lease ended: waiting
 *        waiting → expired, or evicted because too many wait: deleted
 *
 * What this process has claimed is also held in memory, from the claim (or the put) until the end of the row is
 * committed. A held row is never handed out again here, so the database being away between sending and settling causes
 * no second push.
 */
export class PostgresOutbox implements Outbox {
  readonly #options: PostgresOutboxOptions;
  readonly #ids: RowIds;
  readonly #writer: OutboxWriter;
  readonly #bound: OutboxBound;
  readonly #held = new Map<string, Buffer>();
  #leaseTimer: NodeJS.Timeout | null = null;
  #renewing = false;

  constructor(options: PostgresOutboxOptions) {
    this.#options = options;
    this.#ids = new RowIds(options.clock);
    this.#bound = new OutboxBound(options);
    this.#writer = new OutboxWriter(options, {
      onInserted: (rows) => this.#bound.added(rows),
      onDeleted: (rows) => this.#bound.removed(rows),
      onDone: (id) => this.#held.delete(id),
    });
  }

  /** Whether the table has reached its bound of late. */
  get isFull(): boolean {
    return this.#bound.isFull;
  }

  /** New rows that the database has not committed yet: a crash would lose them. */
  get unwritten(): number {
    return this.#writer.inserts.waiting.length;
  }

  /** Takes back what the previous run had claimed (how many) and keeps the leases from now on. */
  async start(): Promise<number> {
    const { database, instanceId, leaseMs } = this.#options;
    const recovered = await database.execute(recoverClaims, [instanceId]);
    this.#leaseTimer ??= setInterval(() => void this.#keepLeases(), leaseMs / LEASE_LOOKS);
    this.#leaseTimer.unref();
    return recovered;
  }

  put({ push, dueAtMs, claimed = false, isRepeatable = false, onStored, onLost }: OutboxEntry): boolean {
    const { attempts, expiresAtMs } = push;
    if (push.outboxId !== null) {
      const key = push.outboxId;
      // Never refused: there are only as many of these as were claimed, and the payload is in the table.
      this.#writer.changes.update({
        id: rowIdOf(key),
        key,
        attempts,
        dueAtMs,
        expiresAtMs,
        onStored: onStored === undefined ? null : () => onStored(key),
        onLost: onLost ?? null,
      });
      return true;
    }
    if (!this.#writer.inserts.hasRoomFor(weightOf(push), isRepeatable ? REPEATABLE_SHARE : 1)) return false;
    const id = this.#ids.next();
    const key = claimed || onStored !== undefined ? rowIdText(id) : '';
    if (claimed) this.#held.set(key, id);
    this.#writer.inserts.add(
      waitingRow(push, {
        id,
        dueAtMs,
        claimed,
        onStored: onStored === undefined ? null : () => onStored(key),
        onLost: () => {
          this.#held.delete(key);
          onLost?.();
        },
      }),
    );
    return true;
  }

  /** Rejects with `StoreUnavailable` while the database is away. */
  claim(service: ServiceName, limit: number, maxBytes: number = Number.MAX_SAFE_INTEGER): Promise<Push[]> {
    const { database, clock, instanceId, leaseMs } = this.#options;
    return this.#writer.changes.alone(async () => {
      const values = [service, clock.nowMs(), limit, instanceId, Math.floor(leaseMs), Math.floor(maxBytes)];
      const rows = await database.rows(claimRows, values);
      const pushes: Push[] = [];
      const unreadable: Row[] = [];
      for (const row of rows) {
        const key = textCell(row, 0);
        if (this.#held.has(key)) continue;
        const push = pushOfRow(row);
        if (push === null) {
          unreadable.push(row);
          continue;
        }
        this.#held.set(key, rowIdOf(key));
        pushes.push(push);
      }
      if (unreadable.length > 0) this.#putOff(unreadable);
      return pushes;
    });
  }

  /** They may be a newer program's, which will be back; until then they must not stand in front of the others. */
  #putOff(rows: readonly Row[]): void {
    const { clock, log } = this.#options;
    const dueAtMs = clock.nowMs() + PUT_OFF_MS;
    for (const row of rows) {
      const key = textCell(row, 0);
      const [expiresAtMs, attempts] = [numberCell(row, 8), numberCell(row, 11)];
      const nobody = { onStored: null, onLost: null };
      this.#writer.changes.update({ id: rowIdOf(key), key, attempts, dueAtMs, expiresAtMs, ...nobody });
    }
    log.warn({ rows: rows.length }, 'outbox rows that this program cannot read are put off');
  }

  settle(outboxId: string): void {
    this.#writer.changes.settle(outboxId, rowIdOf(outboxId));
  }

  /** Rejects with `StoreUnavailable`; then the rows come back when their leases end or at the next start. */
  async release(outboxIds: readonly string[]): Promise<void> {
    if (outboxIds.length === 0) return;
    const { database, instanceId } = this.#options;
    try {
      await this.#writer.changes.alone(() =>
        database.execute(releaseRows, [uuidArray(outboxIds.map(rowIdOf)), instanceId]),
      );
    } finally {
      for (const id of outboxIds) this.#held.delete(id);
    }
  }

  async dropExpired(): Promise<number> {
    const { database, clock, metrics } = this.#options;
    let dropped = 0;
    for (;;) {
      let slice = 0;
      for (const row of await database.rows(dropExpiredRows, [clock.nowMs(), DROP_SLICE])) {
        slice += numberCell(row, 1);
        metrics.pushesExpired.of(textCell(row, 0)).add(numberCell(row, 1));
      }
      dropped += slice;
      this.#bound.removed(slice);
      if (slice < DROP_SLICE) return dropped;
    }
  }

  /** What has expired goes, and what is more than the table may hold. Rejects with `StoreUnavailable`. */
  async sweep(): Promise<void> {
    await this.dropExpired();
    await this.#bound.sweep();
  }

  async nextDueAtMs(service: ServiceName): Promise<number | null> {
    const { database, clock } = this.#options;
    const [row] = await database.rows(nextDueRow, [service, clock.nowMs()]);
    const stored = row === undefined ? null : numberCell(row, 0);
    const buffered = this.#writer.inserts.earliestDueAtMs(service);
    if (buffered === null) return stored;
    const soonest = Math.max(buffered, clock.nowMs() + COMMIT_ALLOWANCE_MS);
    return stored === null ? soonest : Math.min(stored, soonest);
  }

  /** With what is still in memory. */
  async stats(): Promise<ReadonlyMap<ServiceName, OutboxStats>> {
    const stats = new Map<ServiceName, OutboxStats>();
    const count = (service: ServiceName, waiting: number, dueAtMs: number): void => {
      const before = stats.get(service);
      stats.set(service, {
        waiting: waiting + (before?.waiting ?? 0),
        oldestDueAtMs: Math.min(dueAtMs, before?.oldestDueAtMs ?? dueAtMs),
      });
    };
    for (const row of await this.#options.database.rows(outboxStats)) {
      const service = parseServiceName(textCell(row, 0));
      if (service !== null) count(service, numberCell(row, 1), numberCell(row, 2));
    }
    for (const { service, dueAtMs } of this.#writer.inserts.waiting) count(service, 1, dueAtMs);
    return stats;
  }

  flush(timeoutMs: number): Promise<void> {
    return this.#writer.flush(timeoutMs);
  }

  /** Stops the timers; call `flush` first. What is put afterwards is refused. */
  close(): void {
    if (this.#leaseTimer !== null) clearInterval(this.#leaseTimer);
    this.#leaseTimer = null;
    this.#writer.close();
  }

  /** Ours are renewed first, so that ending leases takes only what nobody works on any more. */
  async #keepLeases(): Promise<void> {
    if (this.#renewing) return;
    this.#renewing = true;
    const { database, instanceId, leaseMs, log } = this.#options;
    try {
      if (this.#held.size > 0) {
        const ids = uuidArray([...this.#held.values()]);
        const soonMs = leaseMs - leaseMs / LEASE_LOOKS;
        await database.execute(renewLeases, [ids, instanceId, Math.floor(leaseMs), Math.floor(soonMs)]);
      }
      const ended = await database.execute(endLeases);
      if (ended > 0) log.info({ rows: ended }, 'outbox rows whose lease had ended wait again');
    } catch {
      log.debug('outbox leases wait for the database');
    } finally {
      this.#renewing = false;
    }
  }
}

function rowIdOf(outboxId: string): Buffer {
  const id = parseRowId(outboxId);
  if (id === null) throw new TypeError('not the id of an outbox row');
  return id;
}
