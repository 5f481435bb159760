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
  accountsOfDevice,
  countSubscriptions,
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
}

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
    return this.#removals.add({ key, renewedBeforeMs: ALWAYS_MS });
  }

  /** For a dead token: removes it unless a subscribe came at `sinceMs` (unix milliseconds) or later. */
  removeIfNotRenewedSince(key: SubscriptionKey, sinceMs: number): Promise<boolean> {
    return this.#removals.add({ key, renewedBeforeMs: Math.ceil(sinceMs) });
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
    await Promise.all([this.#upserts.idle(), this.#removals.idle()]);
  }

  async #write(batch: readonly Upsert[]): Promise<readonly UpsertResult[]> {
    const [row] = await this.#database.rows(upsertSubscriptions, upsertParameters(batch));
    return Array.from(textCell(row, 0), (letter) =>
      letter === 'a' ? 'added' : letter === 'u' ? 'updated' : 'stale',
    );
  }

  async #remove(batch: readonly Removal[]): Promise<readonly boolean[]> {
    const rows = await this.#database.rows(removeSubscriptions, [
      byteaArray(batch.map(({ key }) => key.account)),
      textArray(batch.map(({ key }) => key.service)),
      textArray(batch.map(({ key }) => key.serviceId)),
      bigintArray(batch.map(({ renewedBeforeMs }) => renewedBeforeMs)),
    ]);
    const removed = new Set(rows.map((row) => numberCell(row, 0)));
    return batch.map((_, index) => removed.has(index + 1));
  }
}

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
