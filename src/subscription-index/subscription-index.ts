import type { Device } from '../domain/device.js';
import { ACCOUNT_BYTES, type AccountId, type EncryptionKey, type ServiceName } from '../domain/ids.js';
import { isSignatureExpired, type Subscription, type SubscriptionKey } from '../domain/subscription.js';
import { AccountTable } from './account-table.js';
import { Arena, type Handle } from './arena.js';
import type { AccountSlot, MonitorEntrySink, MonitoredAccounts } from './port.js';
import { isPackable, RecordCursor, storedServiceId, writeRecord } from './record.js';

/** What the pipeline needs to know of one subscription that a notice concerns. */
export interface MatchedDevice {
  readonly service: ServiceName;
  readonly device: Device;
  readonly encryptionKey: EncryptionKey;
  readonly wantData: boolean;
}

export interface IndexUpsert {
  readonly slot: AccountSlot;
  /** Whether storage nodes must be told at once: a new account, or one that wants to hear more than before. */
  readonly monitorChanged: boolean;
}

export type IndexRemoval =
  | { readonly kind: 'absent' }
  /** `monitorChanged`: another subscription, hidden behind the removed one, has to be registered now. */
  | { readonly kind: 'removed'; readonly slot: AccountSlot; readonly monitorChanged: boolean }
  /** The last one of its account: the slot is free again. */
  | { readonly kind: 'account-removed'; readonly slot: AccountSlot };

/** So many different entries of one account are compared with each other. */
const MERGED_MAX = 16;

const idOf = (key: SubscriptionKey): string =>
  `${key.account.hexSlice(0, ACCOUNT_BYTES)} ${key.service} ${key.serviceId}`;

/**
 * All subscriptions, packed in memory: what the `match` stage and the swarm actors read without asking anybody. The
 * database is the truth; this is changed after a commit only, by the subscription actors and the first load.
 */
export class SubscriptionIndex implements MonitoredAccounts {
  readonly #arena = new Arena();
  readonly #accounts: AccountTable;
  readonly #services: ServiceName[] = [];
  readonly #serviceNumbers = new Map<ServiceName, number>();
  readonly #countByService: number[] = [];
  readonly #cursor = new RecordCursor(this.#arena);
  readonly #other = new RecordCursor(this.#arena);
  /** Of one account, while it is encoded. */
  readonly #kept: Handle[] = [];
  #size = 0;
  #removedWhileLoading: Set<string> | null = null;

  /** `seed`: any 32-bit number that outsiders cannot know. */
  constructor(seed: number) {
    this.#accounts = new AccountTable(seed);
  }

  get size(): number {
    return this.#size;
  }

  get accountCount(): number {
    return this.#accounts.count;
  }

  get slotLimit(): number {
    return this.#accounts.slotLimit;
  }

  /** Bytes taken from the system for records (accounts and tables come on top). */
  get reservedBytes(): number {
    return this.#arena.reservedBytes;
  }

  countsByService(): Map<ServiceName, number> {
    return new Map(this.#services.map((service, number) => [service, this.#countByService[number] ?? 0]));
  }

  countOf(service: ServiceName): number {
    const number = this.#serviceNumbers.get(service);
    return number === undefined ? 0 : (this.#countByService[number] ?? 0);
  }

  isLive(slot: AccountSlot): boolean {
    return this.#accounts.head(slot) !== 0;
  }

  slotOf(account: Buffer): AccountSlot {
    return this.#accounts.find(account);
  }

  accountAt(slot: AccountSlot): AccountId {
    return Buffer.from(this.#accounts.keyView(slot)) as AccountId;
  }

  /** XOR of the four big-endian 64-bit words behind the prefix (spec storage-server, section 3). */
  swarmSpaceOf(slot: AccountSlot): bigint {
    const key = this.#accounts.keyView(slot);
    let space = 0n;
    for (let at = 1; at < ACCOUNT_BYTES; at += 8) space ^= key.readBigUInt64BE(at);
    return space;
  }

  /** Adds a subscription or puts it in the place of the one with the same key. */
  upsert(subscription: Subscription): IndexUpsert {
    // First what may throw: an account without a record is none.
    const handle = writeRecord(this.#arena, subscription, this.#serviceNumber(subscription.service));
    const { slot, added } = this.#accounts.findOrAdd(subscription.account);
    if (added) {
      this.#accounts.setHead(slot, handle);
      this.#count(subscription.service, 1);
      return { slot, monitorChanged: true };
    }
    const monitorChanged = !this.#isCoveredByAnother(slot, handle);
    const place = this.#find(slot, subscription);
    if (place === null) {
      this.#cursor.moveTo(handle).next = this.#accounts.head(slot);
      this.#accounts.setHead(slot, handle);
      this.#count(subscription.service, 1);
    } else {
      this.#cursor.moveTo(handle).next = this.#other.moveTo(place.handle).next;
      this.#link(slot, place.previous, handle);
      this.#arena.free(place.handle, this.#other.length);
    }
    return { slot, monitorChanged };
  }

  /** Until `finishLoad`, rows may arrive by `load` that were read before a change that came by `upsert` or `remove`. */
  startLoad(): void {
    this.#removedWhileLoading = new Set();
  }

  /**
   * A row of the database: what is here already, or was removed meanwhile, was committed later and stays so. False for
   * one that no client of ours can have made (put there by another hand): it is left out.
   */
  load(subscription: Subscription): boolean {
    if (!isPackable(subscription)) return false;
    if (this.#removedWhileLoading !== null && this.#removedWhileLoading.size > 0) {
      if (this.#removedWhileLoading.has(idOf(subscription))) return true;
    }
    const slot = this.#accounts.find(subscription.account);
    if (slot < 0 || this.#find(slot, subscription) === null) this.upsert(subscription);
    return true;
  }

  finishLoad(): void {
    this.#removedWhileLoading = null;
  }

  remove(key: SubscriptionKey): IndexRemoval {
    this.#removedWhileLoading?.add(idOf(key));
    const slot = this.#accounts.find(key.account);
    if (slot < 0) return { kind: 'absent' };
    const place = this.#find(slot, key);
    if (place === null) return { kind: 'absent' };
    const removed = this.#other.moveTo(place.handle);
    const next = removed.next;
    this.#count(key.service, -1);
    if (place.previous === 0 && next === 0) {
      this.#arena.free(place.handle, removed.length);
      this.#accounts.delete(slot);
      return { kind: 'account-removed', slot };
    }
    this.#link(slot, place.previous, next);
    const monitorChanged = this.#coversAny(slot, place.handle);
    this.#arena.free(place.handle, this.#other.moveTo(place.handle).length);
    return { kind: 'removed', slot, monitorChanged };
  }

  /** Whether the subscription is here, the same in everything. */
  holds(subscription: Subscription): boolean {
    const slot = this.#accounts.find(subscription.account);
    const place = slot < 0 || !isPackable(subscription) ? null : this.#find(slot, subscription);
    return place !== null && this.#other.moveTo(place.handle).equals(subscription);
  }

  /** The keys of an account's subscriptions; empty for a slot that is not in use. */
  keysAt(slot: AccountSlot): SubscriptionKey[] {
    const keys: SubscriptionKey[] = [];
    const cursor = this.#cursor;
    for (let handle = this.#accounts.head(slot); handle !== 0; handle = cursor.next) {
      const service = this.#services[cursor.moveTo(handle).serviceNumber];
      if (service === undefined) continue;
      keys.push({ account: this.accountAt(slot), service, serviceId: cursor.serviceId });
    }
    return keys;
  }

  /** Whether an account has room for the subscription: it is here already, or there are fewer than `max`. */
  hasRoomFor(key: SubscriptionKey, max: number): boolean {
    const slot = this.#accounts.find(key.account);
    if (slot < 0) return true;
    let count = 0;
    for (let handle = this.#accounts.head(slot); handle !== 0; handle = this.#cursor.moveTo(handle).next)
      count += 1;
    return count < max || this.#find(slot, key) !== null;
  }

  /** Whether the subscription is here with a signature that has run out. */
  isExpired(key: SubscriptionKey, nowSeconds: number): boolean {
    const slot = this.#accounts.find(key.account);
    const place = slot < 0 ? null : this.#find(slot, key);
    return place !== null && isSignatureExpired(this.#other.moveTo(place.handle).signedAtSeconds, nowSeconds);
  }

  /** The devices that asked for an account's messages of one namespace; empty for an account nobody knows. */
  match(account: Buffer, namespace: number): MatchedDevice[] {
    const slot = this.#accounts.find(account);
    return slot < 0 ? [] : this.matchSlot(slot, namespace);
  }

  matchSlot(slot: AccountSlot, namespace: number): MatchedDevice[] {
    const matches: MatchedDevice[] = [];
    const cursor = this.#cursor;
    for (let handle = this.#accounts.head(slot); handle !== 0; handle = cursor.next) {
      cursor.moveTo(handle);
      if (!cursor.hasNamespace(namespace)) continue;
      const service = this.#services[cursor.serviceNumber];
      if (service === undefined) continue;
      matches.push({
        service,
        device: { serviceId: cursor.serviceId, serviceData: cursor.serviceData },
        encryptionKey: cursor.encryptionKey as EncryptionKey,
        wantData: cursor.wantData,
      });
    }
    return matches;
  }

  appendMonitorEntries(slot: AccountSlot, nowSeconds: number, sink: MonitorEntrySink): number {
    const kept = this.#kept;
    kept.length = 0;
    const cursor = this.#cursor;
    for (let handle = this.#accounts.head(slot); handle !== 0; handle = cursor.next) {
      if (this.#isSendable(cursor.moveTo(handle), nowSeconds)) this.#merge(handle);
    }
    for (const handle of kept) sink.append(cursor.moveTo(handle).monitorEntry);
    return kept.length;
  }

  /** Storage nodes refuse this account's signatures: they are not sent again until a client brings new ones. */
  rejectMonitorEntries(slot: AccountSlot): void {
    for (let handle = this.#accounts.head(slot); handle !== 0; handle = this.#cursor.next) {
      this.#cursor.moveTo(handle).reject();
    }
  }

  #isSendable(cursor: RecordCursor, nowSeconds: number): boolean {
    return !cursor.isRejected && !isSignatureExpired(cursor.signedAtSeconds, nowSeconds);
  }

  /**
   * The merge rule of spec session-push-v2, 9.6: of equal ones the newest, and none that another one covers. The cursor
   * is on the record. Clients want a handful of different things; whoever makes up thousands gets them unmerged, because
   * comparing all with all would hold up everybody.
   */
  #merge(handle: Handle): void {
    const kept = this.#kept;
    const mine = this.#cursor;
    const other = this.#other;
    for (let at = 0; at < kept.length && at < MERGED_MAX; at += 1) {
      const otherHandle = kept[at] ?? 0;
      other.moveTo(otherHandle);
      const isCovered = other.covers(mine);
      const covers = mine.covers(other);
      if (isCovered && covers) {
        const newer = mine.signedAtSeconds - other.signedAtSeconds;
        if (newer < 0 || (newer === 0 && otherHandle < handle)) return;
      } else if (isCovered) return;
      if (!covers) continue;
      kept.splice(at, 1);
      at -= 1;
    }
    kept.push(handle);
  }

  #isCoveredByAnother(slot: AccountSlot, handle: Handle): boolean {
    const mine = this.#cursor.moveTo(handle);
    const other = this.#other;
    for (let at = this.#accounts.head(slot); at !== 0; at = other.next) {
      // What has run out is not registered any more, though it may still be here. A signature is as old as its request.
      if (other.moveTo(at).isRejected || isSignatureExpired(other.signedAtSeconds, mine.signedAtSeconds))
        continue;
      if (other.covers(mine)) return true;
    }
    return false;
  }

  #coversAny(slot: AccountSlot, handle: Handle): boolean {
    const mine = this.#cursor.moveTo(handle);
    const other = this.#other;
    for (let at = this.#accounts.head(slot); at !== 0; at = other.next) {
      if (mine.covers(other.moveTo(at))) return true;
    }
    return false;
  }

  #find(slot: AccountSlot, key: SubscriptionKey): { handle: Handle; previous: Handle } | null {
    const service = this.#serviceNumbers.get(key.service);
    if (service === undefined) return null;
    const stored = storedServiceId(key.serviceId);
    let previous: Handle = 0;
    const cursor = this.#other;
    for (let handle = this.#accounts.head(slot); handle !== 0; handle = cursor.next) {
      cursor.moveTo(handle);
      if (cursor.serviceNumber === service && cursor.hasStoredServiceId(stored)) return { handle, previous };
      previous = handle;
    }
    return null;
  }

  #link(slot: AccountSlot, previous: Handle, handle: Handle): void {
    if (previous === 0) this.#accounts.setHead(slot, handle);
    else this.#cursor.moveTo(previous).next = handle;
  }

  #serviceNumber(service: ServiceName): number {
    let number = this.#serviceNumbers.get(service);
    if (number === undefined) {
      number = this.#services.length;
      this.#services.push(service);
      this.#serviceNumbers.set(service, number);
      this.#countByService.push(0);
    }
    return number;
  }

  #count(service: ServiceName, change: number): void {
    const number = this.#serviceNumber(service);
    this.#countByService[number] = (this.#countByService[number] ?? 0) + change;
    this.#size += change;
  }
}
