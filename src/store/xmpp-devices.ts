import { setImmediate as nextTurn } from 'node:timers/promises';
import { keyText, type DeviceKey, type RemovalReason, type StoredDevice } from '../xmpp-devices/device.js';
import type { DeadDevicesFilter, DeviceChange, PushNote, XmppDeviceStore } from '../xmpp-devices/port.js';
import { BatchWriter, type BatchWriterOptions } from './batch-writer.js';
import { bigintArray, byteaArray, textArray } from './binary-arrays.js';
import { againAfterCollision } from './collisions.js';
import type { Database, Transaction } from './database.js';
import { refuseStandby } from './standby.js';
import { nullableNumberCell, numberCell, textCell, type Parameter } from './statement.js';
import { isStorable } from './storable.js';
import { changeParameters, checkChange, keyHashOf, keyOfChange } from './xmpp-devices-changes.js';
import { keyOf, nullableTextCell, XmppDeviceReader } from './xmpp-devices-rows.js';
import {
  changeDevices,
  countDeadDevices,
  devicePage,
  drawnRevision,
  dropRemovedDevices,
  findDevices,
  lastRevision,
  listDeadDevices,
  lockDevices,
  noteDevices,
} from './xmpp-devices-statements.js';

/** One statement at a time: a second one would only wait for the lock. */
export const defaultXmppDeviceWriter: BatchWriterOptions = {
  maxRows: 200,
  gatherMs: 1,
  maxInFlight: 1,
  maxQueued: 20_000,
};

/** Of a page of the load: some milliseconds of the event loop. */
const PAGE_ROWS = 1000;
/** Of a page; each device may have 100 kB of it. */
const PAGE_DATA_MAX_BYTES = 8 * 1024 * 1024;
/** Of a statement that holds the lock: meanwhile nobody registers. */
const LOCKED_ROWS = 500;
const FIND_MAX_NODES = 500;
const NEVER_MS = -1;

interface DevicePage {
  readonly devices: readonly StoredDevice[];
  readonly lastRevision: number;
}

/**
 * Devices of XMPP users in PostgreSQL. What a change does is decided by the row as it is, under a lock of all processes
 * that is held until the commit. A standby counts as away. Rejects as the port says, and with `StoreQueryError` for what the database cannot
 * hold (a zero byte, half a surrogate pair, something too long): then for that change alone.
 */
export class PostgresXmppDeviceStore implements XmppDeviceStore {
  readonly #writer: BatchWriter<DeviceChange, StoredDevice | null>;
  readonly #reader = new XmppDeviceReader();

  constructor(
    private readonly database: Pick<Database, 'rows' | 'transaction'>,
    writer: BatchWriterOptions = defaultXmppDeviceWriter,
    private readonly pageRows = PAGE_ROWS,
  ) {
    this.#writer = new BatchWriter(
      (change) => keyText(keyOfChange(change)),
      (batch) => this.#change(batch),
      writer,
    );
  }

  async change(change: DeviceChange): Promise<StoredDevice | null> {
    checkChange(change, changeDevices.name);
    return this.#writer.add(change);
  }

  /** Resolves when every change has been answered; for a stop. */
  idle(): Promise<void> {
    return this.#writer.idle();
  }

  /**
   * In the order of revisions. A device that changes meanwhile moves to the end, and is seen twice or, when it is
   * removed, by `changesSince` alone: hence the revision of the start. While one page is visited the database prepares
   * the next; between pages the event loop turns.
   */
  async load(visit: (page: readonly StoredDevice[]) => void): Promise<number> {
    const [row] = await this.database.rows(lastRevision);
    let page = await this.#page(0, this.pageRows);
    while (page !== null) {
      const next = this.#page(page.lastRevision, this.pageRows);
      // Its failure is met where it is awaited, after the visit of this page.
      next.catch(() => {});
      await nextTurn();
      const living = page.devices.filter(isLiving);
      if (living.length > 0) visit(living);
      page = await next;
    }
    return nullableNumberCell(row, 0) ?? 0;
  }

  async changesSince(revision: number, limit: number): Promise<readonly StoredDevice[]> {
    return (await this.#page(revision, limit))?.devices ?? [];
  }

  async drawnRevision(): Promise<number> {
    const [row] = await this.database.rows(drawnRevision);
    refuseStandby(row, 1);
    return numberCell(row, 0);
  }

  async find(nodes: readonly string[]): Promise<readonly StoredDevice[]> {
    const found: StoredDevice[] = [];
    for (const slice of slicesOf([...new Set(nodes)].filter(isStorable), FIND_MAX_NODES)) {
      const keys = slice.map((node) => keyHashOf({ kind: 'v1', node }));
      const [row] = await this.database.rows(findDevices, [byteaArray(keys), textArray(slice)]);
      refuseStandby(row, 1);
      found.push(...this.#reader.read(nullableTextCell(row, 0)).filter(isLiving));
    }
    return found;
  }

  async note(notes: readonly PushNote[]): Promise<void> {
    for (const slice of slicesOf([...newestOf(notes).values()], LOCKED_ROWS)) {
      const values = [
        byteaArray(slice.map(({ key }) => keyHashOf(key))),
        bigintArray(slice.map(({ lastPushAtMs }) => wholeMs(lastPushAtMs))),
        bigintArray(slice.map(({ lastErrorAtMs }) => wholeMs(lastErrorAtMs))),
      ];
      await this.#locked((transaction) => transaction.execute(noteDevices, values));
    }
  }

  async countDead(filter: DeadDevicesFilter): Promise<ReadonlyMap<string, number>> {
    const rows = await this.database.rows(countDeadDevices, filterParameters(filter));
    return new Map(rows.map((row) => [textCell(row, 0), numberCell(row, 1)]));
  }

  async dead(filter: DeadDevicesFilter, limit: number): Promise<readonly DeviceKey[]> {
    const rows = await this.database.rows(listDeadDevices, [...filterParameters(filter), limit]);
    return rows.map((row) => keyOf(textCell(row, 0), nullableTextCell(row, 1), nullableTextCell(row, 2)));
  }

  async dropRemoved(reason: RemovalReason, beforeMs: number): Promise<number> {
    let dropped = 0;
    for (;;) {
      const values = [Math.ceil(beforeMs), reason, LOCKED_ROWS];
      const slice = await this.#locked((transaction) => transaction.execute(dropRemovedDevices, values));
      dropped += slice;
      if (slice < LOCKED_ROWS) return dropped;
    }
  }

  async #change(batch: readonly DeviceChange[]): Promise<readonly (StoredDevice | null)[]> {
    const values = changeParameters(batch);
    const [row] = await this.#locked((transaction) => transaction.rows(changeDevices, values));
    const written = new Map(
      this.#reader.read(nullableTextCell(row, 0)).map((stored) => [keyText(stored.device.key), stored]),
    );
    return batch.map((change) => written.get(keyText(keyOfChange(change))) ?? null);
  }

  /**
   * The lock comes first, in a statement of its own: the next one sees what the last holder committed. A COMMIT of its
   * own too: of a connection that was given up, a statement may reach the database after later changes did, but
   * nobody commits it then.
   */
  #locked<Value>(work: (transaction: Transaction) => Promise<Value>): Promise<Value> {
    return againAfterCollision(() =>
      this.database.transaction(async (transaction) => {
        await transaction.rows(lockDevices);
        return work(transaction);
      }),
    );
  }

  async #page(after: number, limit: number): Promise<DevicePage | null> {
    const [row] = await this.database.rows(devicePage, [after, limit, PAGE_DATA_MAX_BYTES]);
    refuseStandby(row, 2);
    const last = nullableNumberCell(row, 0);
    if (last === null) return null;
    return {
      devices: this.#reader.read(nullableTextCell(row, 1)),
      lastRevision: last,
    };
  }
}

const isLiving = ({ removed }: StoredDevice): boolean => removed === null;

const filterParameters = ({ types, sinceMs }: DeadDevicesFilter): Parameter[] => [
  types === null ? null : textArray(types),
  Math.ceil(sinceMs),
];

const wholeMs = (ms: number | null): number => (ms === null ? NEVER_MS : Math.floor(ms));

const later = (a: number | null, b: number | null): number | null =>
  a === null || b === null ? (a ?? b) : Math.max(a, b);

/** One for each key: a statement changes a row once. */
function newestOf(notes: readonly PushNote[]): Map<string, PushNote> {
  const newest = new Map<string, PushNote>();
  for (const note of notes) {
    const text = keyText(note.key);
    const known = newest.get(text);
    newest.set(text, {
      key: note.key,
      lastPushAtMs: later(note.lastPushAtMs, known?.lastPushAtMs ?? null),
      lastErrorAtMs: later(note.lastErrorAtMs, known?.lastErrorAtMs ?? null),
    });
  }
  return newest;
}

function* slicesOf<Item>(items: readonly Item[], size: number): Generator<readonly Item[]> {
  for (let start = 0; start < items.length; start += size) yield items.slice(start, start + size);
}
