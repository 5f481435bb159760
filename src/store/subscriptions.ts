import { setImmediate as nextTurn } from 'node:timers/promises';
import {
  parseAccountId,
  parseServiceId,
  parseServiceName,
  type AccountId,
  type ServiceId,
  type ServiceName,
} from '../domain/ids.js';
import {
  SIGNATURE_LIFETIME_SECONDS,
  type Subscription,
  type SubscriptionKey,
} from '../domain/subscription.js';
import type { Log } from '../telemetry/log.js';
import { BatchWriter, type BatchWriterOptions } from './batch-writer.js';
import { bigintArray, booleanArray, byteaArray, textArray } from './binary-arrays.js';
import type { Database } from './database.js';
import {
  bytesCell,
  nullableNumberCell,
  numberCell,
  textCell,
  type Parameter,
  type Row,
} from './statement.js';
import { SubscriptionPageReader } from './subscription-pages.js';
import {
  absentSubscriptions,
  accountsOfDevice,
  countSubscriptions,
  findSubscriptions,
  removeExpiredSubscriptions,
  removeSubscriptions,
  subscriptionPage,
  upsertSubscriptions,
} from './subscription-statements.js';

export type UpsertResult = 'added' | 'updated' | 'stale';

export interface SubscriptionStoreOptions {
  readonly database: Database;
  readonly log: Log;
  /** For upserts and for removals alike. */
  readonly writer: BatchWriterOptions;
}

export const defaultSubscriptionWriter: BatchWriterOptions = {
  maxRows: 200,
  gatherMs: 1,
  maxInFlight: 2,
  maxQueued: 20_000,
};

interface Upsert {
  readonly subscription: Subscription;
  readonly nowMs: number;
}

interface Removal {
  readonly key: SubscriptionKey;
  readonly renewedBeforeMs: number;
  /** Null: nothing is kept of it. */
  readonly tombstone: Tombstone | null;
}

interface Tombstone {
  readonly reason: 'dead-token';
  readonly removedAtMs: number;
}

export interface SubscriptionPage {
  readonly subscriptions: readonly Subscription[];
  /** For the next page. */
  readonly lastId: number;
}

/** Each may come with 100 kB of service data. */
const FIND_MAX_ROWS = 100;
const ALWAYS_MS = Number.MAX_SAFE_INTEGER;
const PAGE_DATA_MAX_BYTES = 8 * 1024 * 1024;

/**
 * The subscriptions as they outlive us. Every call rejects with `StoreUnavailable` while the database is away or too
 * busy; then it is not known whether a write took place, and the same call may be repeated without harm.
 */
export class SubscriptionStore {
  readonly #database: Database;
  readonly #log: Log;
  readonly #upserts: BatchWriter<Upsert, UpsertResult>;
  readonly #removals: BatchWriter<Removal, boolean>;
  /** Questions are gathered like writes. */
  readonly #finds: BatchWriter<SubscriptionKey, Subscription | null>;

  constructor({ database, log, writer }: SubscriptionStoreOptions) {
    this.#database = database;
    this.#log = log;
    this.#upserts = new BatchWriter(
      ({ subscription }) => keyText(subscription),
      (batch) => this.#write(batch),
      writer,
    );
    this.#removals = new BatchWriter(
      ({ key }) => keyText(key),
      (batch) => this.#remove(batch),
      writer,
    );
    this.#finds = new BatchWriter(keyText, (batch) => this.#find(batch), {
      ...writer,
      maxRows: Math.min(writer.maxRows, FIND_MAX_ROWS),
      maxInFlight: 1,
    });
  }

  /**
   * Adds the subscription or changes the one with the same key; resolves when that is committed. `stale`: the stored
   * signature is newer and the row was left alone. Upserts of one key take effect in the order of the calls; the order
   * of an upsert and a removal of one key is the caller's business (await the first).
   */
  upsert(subscription: Subscription, nowMs: number): Promise<UpsertResult> {
    return this.#upserts.add({ subscription, nowMs });
  }

  /** Whether it was there. */
  remove(key: SubscriptionKey): Promise<boolean> {
    return this.#removals.add({ key, renewedBeforeMs: ALWAYS_MS, tombstone: null });
  }

  /**
   * For a dead token: removes it unless a subscribe came at `sinceMs` (unix milliseconds) or later; what is removed is
   * kept as a tombstone, from which `Tombstones.restore` brings it back.
   */
  removeIfNotRenewedSince(key: SubscriptionKey, sinceMs: number, nowMs: number): Promise<boolean> {
    const tombstone = { reason: 'dead-token', removedAtMs: Math.floor(nowMs) } as const;
    return this.#removals.add({ key, renewedBeforeMs: Math.ceil(sinceMs), tombstone });
  }

  /** As it is in the table now; null when it is not there. Buffers are views into an answer: copy what is kept. */
  find(key: SubscriptionKey): Promise<Subscription | null> {
    return this.#finds.add(key);
  }

  /** Those of the keys that have no row. */
  async absent(keys: readonly SubscriptionKey[]): Promise<SubscriptionKey[]> {
    const rows = await this.#database.rows(absentSubscriptions, keyParameters(keys));
    const absent = new Set(rows.map((row) => numberCell(row, 0)));
    return keys.filter((_key, index) => absent.has(index + 1));
  }

  /** Up to `limit` rows after an id, in the order of the ids; null at the end. Buffers are views, see `find`. */
  async page(afterId: number, limit: number): Promise<SubscriptionPage | null> {
    const [row] = await this.#database.rows(subscriptionPage, [afterId, limit, PAGE_DATA_MAX_BYTES]);
    const lastId = nullableNumberCell(row, 0);
    if (lastId === null) return null;
    return { subscriptions: readPacked(textCell(row, 2)), lastId };
  }

  async accountsOfDevice(service: ServiceName, serviceId: ServiceId): Promise<AccountId[]> {
    const rows = await this.#database.rows(accountsOfDevice, [service, serviceId]);
    return rows.map((row) => parseAccountId(bytesCell(row, 0))).filter((account) => account !== null);
  }

  /** Removes up to `limit` whose signature is 14 days old or older; which. Fewer than `limit` = no more are left. */
  async removeExpired(nowSeconds: number, limit: number): Promise<SubscriptionKey[]> {
    const rows = await this.#database.rows(removeExpiredSubscriptions, [
      nowSeconds - SIGNATURE_LIFETIME_SECONDS,
      limit,
    ]);
    return rows.map(keyOfRow).filter((key) => key !== null);
  }

  /**
   * Shows all subscriptions to `visit`, page by page in the order in which they were first added; how many. Buffers are
   * views into a page: copy what is kept. While one page is visited the database prepares the next; between pages the
   * event loop turns.
   */
  async load(visit: (page: Subscription[]) => void, pageSize: number): Promise<number> {
    const reader = new SubscriptionPageReader();
    const ask = (afterId: number): Promise<readonly Row[]> => {
      const page = this.#database.rows(subscriptionPage, [afterId, pageSize, PAGE_DATA_MAX_BYTES]);
      // Its failure is met where it is awaited, after the visit of the page before.
      page.catch(() => {});
      return page;
    };
    let next = ask(0);
    let loaded = 0;
    let unreadable = 0;
    for (;;) {
      const [row] = await next;
      const lastId = nullableNumberCell(row, 0);
      if (lastId === null) break;
      next = ask(lastId);
      await nextTurn();
      const page = reader.read(Buffer.from(textCell(row, 2), 'hex'));
      unreadable += numberCell(row, 1) - page.length;
      loaded += page.length;
      visit(page);
    }
    if (unreadable > 0)
      this.#log.warn({ rows: unreadable }, 'subscriptions in the database that cannot be read');
    return loaded;
  }

  async countByService(): Promise<ReadonlyMap<ServiceName, number>> {
    const counts = new Map<ServiceName, number>();
    for (const row of await this.#database.rows(countSubscriptions)) {
      const service = parseServiceName(textCell(row, 0));
      if (service !== null) counts.set(service, numberCell(row, 1));
    }
    return counts;
  }

  /** Resolves when every write has been answered; for a stop. */
  async idle(): Promise<void> {
    await Promise.all([this.#upserts.idle(), this.#removals.idle(), this.#finds.idle()]);
  }

  async #write(batch: readonly Upsert[]): Promise<readonly UpsertResult[]> {
    const [row] = await this.#database.rows(upsertSubscriptions, upsertParameters(batch));
    return Array.from(textCell(row, 0), (letter) =>
      letter === 'a' ? 'added' : letter === 'u' ? 'updated' : 'stale',
    );
  }

  async #remove(batch: readonly Removal[]): Promise<readonly boolean[]> {
    const rows = await this.#database.rows(removeSubscriptions, [
      ...keyParameters(batch.map(({ key }) => key)),
      bigintArray(batch.map(({ renewedBeforeMs }) => renewedBeforeMs)),
      textArray(batch.map(({ tombstone }) => tombstone?.reason ?? null)),
      bigintArray(batch.map(({ tombstone }) => tombstone?.removedAtMs ?? 0)),
    ]);
    const removed = new Set(rows.map((row) => numberCell(row, 0)));
    return batch.map((_, index) => removed.has(index + 1));
  }

  async #find(batch: readonly SubscriptionKey[]): Promise<readonly (Subscription | null)[]> {
    const [row] = await this.#database.rows(findSubscriptions, keyParameters(batch));
    if (row?.[0] === null) return batch.map(() => null);
    const found = new Map(readPacked(textCell(row, 0)).map((found) => [keyText(found), found]));
    return batch.map((key) => found.get(keyText(key)) ?? null);
  }
}

const readPacked = (hex: string): Subscription[] =>
  new SubscriptionPageReader().read(Buffer.from(hex, 'hex'));

const keyParameters = (keys: readonly SubscriptionKey[]): Parameter[] => [
  byteaArray(keys.map(({ account }) => account)),
  textArray(keys.map(({ service }) => service)),
  textArray(keys.map(({ serviceId }) => serviceId)),
];

function upsertParameters(batch: readonly Upsert[]): Parameter[] {
  const subscriptions = batch.map(({ subscription }) => subscription);
  return [
    byteaArray(subscriptions.map(({ account }) => account)),
    textArray(subscriptions.map(({ service }) => service)),
    textArray(subscriptions.map(({ serviceId }) => serviceId)),
    byteaArray(subscriptions.map(({ authorisation }) => authorisation.ed25519Key)),
    byteaArray(subscriptions.map(({ authorisation }) => authorisation.subaccount?.tag ?? null)),
    byteaArray(subscriptions.map(({ authorisation }) => authorisation.subaccount?.signature ?? null)),
    byteaArray(subscriptions.map(({ authorisation }) => authorisation.signature)),
    bigintArray(subscriptions.map(({ authorisation }) => authorisation.signedAtSeconds)),
    booleanArray(subscriptions.map(({ wantData }) => wantData)),
    byteaArray(subscriptions.map(({ encryptionKey }) => encryptionKey)),
    byteaArray(subscriptions.map(({ serviceData }) => serviceData)),
    bigintArray(batch.map(({ nowMs }) => Math.floor(nowMs))),
    textArray(subscriptions.map(({ namespaces }) => `{${namespaces.join()}}`)),
  ];
}

/** The account has a fixed length, so the parts cannot run into each other; a service name holds no zero byte. */
const keyText = ({ account, service, serviceId }: SubscriptionKey): string =>
  `${account.toString('latin1')}${service}\0${serviceId}`;

function keyOfRow(row: Row): SubscriptionKey | null {
  const account = parseAccountId(bytesCell(row, 0));
  const service = parseServiceName(textCell(row, 1));
  const serviceId = parseServiceId(textCell(row, 2));
  return account === null || service === null || serviceId === null ? null : { account, service, serviceId };
}
