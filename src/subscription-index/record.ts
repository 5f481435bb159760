import { SERVICE_DATA_MAX_BYTES, USER_PREFIX, type ServiceId } from '../domain/ids.js';
import type { Subscription } from '../domain/subscription.js';
import type { Arena, Handle } from './arena.js';
import { encodeMonitorEntry, tagOffset } from './monitor-entry.js';

/*
 * One subscription, packed:
 *
 *    0 u32  next record of the same account (a Handle, 0 = last)
 *    4 u32  length of this record
 *    8 u32  signature time, unix seconds
 *   12 u16  number of the service in the index's list
 *   14 u8   flags
 *   15 u8   the monitor entry has an Ed25519 key, because the account is a user's (1), or not (0)
 *   16 u16  how many namespaces
 *   18 u16  length of the stored service id
 *   20 u32  length of the service data
 *   24 u32  length of the monitor entry
 *   28 32   encryption key
 *   60      namespaces (i16 each), service id, service data, monitor entry
 *
 * The monitor entry is kept as it goes over the wire: it holds the signature, the Ed25519 key and the subaccount, so
 * a renewal of 100,000 accounts is copying, not encoding.
 */
const NEXT = 0;
const LENGTH = 4;
const SIGNED_AT = 8;
const SERVICE = 12;
const FLAGS = 14;
const HAS_ED25519_KEY = 15;
const NAMESPACES = 16;
const SERVICE_ID_LENGTH = 18;
const SERVICE_DATA_LENGTH = 20;
const ENTRY_LENGTH = 24;
const KEY = 28;
const VARIABLE = 60;

const WANT_DATA = 1;
/** A service id of lower-case hex digits (every APNs token is one) takes half the room. */
const PACKED_HEX = 2;
const HAS_SERVICE_DATA = 4;
const HAS_SUBACCOUNT = 8;
const REJECTED = 16;

const LOWER_HEX = /^(?:[0-9a-f]{2})+$/;

const UINT32_MAX = 0xffff_ffff;

/**
 * Whether `writeRecord` can write it and storage nodes may take it; true for everything that came in by a checked
 * request. Whether an account is a user's shows by its Ed25519 key, whatever its network. Without one, 05 at least is
 * certain to be refused (spec storage-server, 4.2).
 */
export function isPackable({ account, authorisation, serviceData }: Subscription): boolean {
  const { ed25519Key, signedAtSeconds } = authorisation;
  if (account[0] === USER_PREFIX && ed25519Key === null) return false;
  if (serviceData !== null && serviceData.length > SERVICE_DATA_MAX_BYTES) return false;
  return signedAtSeconds >= 0 && signedAtSeconds <= UINT32_MAX;
}

/** Writes a subscription into the arena, not yet linked to others. Throws for one that is not packable. */
export function writeRecord(arena: Arena, subscription: Subscription, serviceNumber: number): Handle {
  const entry = encodeMonitorEntry(subscription);
  const packed = LOWER_HEX.test(subscription.serviceId);
  const serviceId = Buffer.from(subscription.serviceId, packed ? 'hex' : 'utf8');
  const serviceData = subscription.serviceData;
  const namespacesBytes = subscription.namespaces.length * 2;
  const length = VARIABLE + namespacesBytes + serviceId.length + (serviceData?.length ?? 0) + entry.length;

  const handle = arena.allocate(length);
  const chunk = arena.chunkOf(handle);
  const at = arena.offsetOf(handle);
  chunk.writeUInt32LE(0, at + NEXT);
  chunk.writeUInt32LE(length, at + LENGTH);
  chunk.writeUInt32LE(subscription.authorisation.signedAtSeconds, at + SIGNED_AT);
  chunk.writeUInt16LE(serviceNumber, at + SERVICE);
  chunk[at + FLAGS] =
    (subscription.wantData ? WANT_DATA : 0) |
    (packed ? PACKED_HEX : 0) |
    (serviceData === null ? 0 : HAS_SERVICE_DATA) |
    (subscription.authorisation.subaccount === null ? 0 : HAS_SUBACCOUNT);
  chunk[at + HAS_ED25519_KEY] = subscription.authorisation.ed25519Key === null ? 0 : 1;
  chunk.writeUInt16LE(subscription.namespaces.length, at + NAMESPACES);
  chunk.writeUInt16LE(serviceId.length, at + SERVICE_ID_LENGTH);
  chunk.writeUInt32LE(serviceData?.length ?? 0, at + SERVICE_DATA_LENGTH);
  chunk.writeUInt32LE(entry.length, at + ENTRY_LENGTH);
  subscription.encryptionKey.copy(chunk, at + KEY);
  let write = at + VARIABLE;
  for (const namespace of subscription.namespaces) write = chunk.writeInt16LE(namespace, write);
  write += serviceId.copy(chunk, write);
  if (serviceData !== null) write += serviceData.copy(chunk, write);
  entry.copy(chunk, write);
  return handle;
}

/** Reads the record that it was last put on; one cursor serves many records without allocating. */
export class RecordCursor {
  #chunk: Buffer = Buffer.alloc(0);
  #at = 0;

  constructor(private readonly arena: Arena) {}

  moveTo(handle: Handle): this {
    this.#chunk = this.arena.chunkOf(handle);
    this.#at = this.arena.offsetOf(handle);
    return this;
  }

  get next(): Handle {
    return this.#chunk.readUInt32LE(this.#at + NEXT);
  }

  set next(handle: Handle) {
    this.#chunk.writeUInt32LE(handle, this.#at + NEXT);
  }

  get length(): number {
    return this.#chunk.readUInt32LE(this.#at + LENGTH);
  }

  get signedAtSeconds(): number {
    return this.#chunk.readUInt32LE(this.#at + SIGNED_AT);
  }

  get serviceNumber(): number {
    return this.#chunk.readUInt16LE(this.#at + SERVICE);
  }

  get wantData(): boolean {
    return (this.#flags & WANT_DATA) !== 0;
  }

  get isRejected(): boolean {
    return (this.#flags & REJECTED) !== 0;
  }

  reject(): void {
    this.#chunk[this.#at + FLAGS] = this.#flags | REJECTED;
  }

  /** A copy. */
  get encryptionKey(): Buffer {
    return Buffer.from(this.#chunk.subarray(this.#at + KEY, this.#at + KEY + 32));
  }

  hasNamespace(namespace: number): boolean {
    const count = this.#namespaceCount;
    for (let index = 0, at = this.#at + VARIABLE; index < count; index += 1, at += 2) {
      if (this.#chunk.readInt16LE(at) === namespace) return true;
    }
    return false;
  }

  get serviceId(): ServiceId {
    const start = this.#serviceIdStart;
    const end = start + this.#serviceIdLength;
    return (
      (this.#flags & PACKED_HEX) !== 0 ? this.#chunk.hexSlice(start, end) : this.#chunk.utf8Slice(start, end)
    ) as ServiceId;
  }

  /** Whether this is the service id, given in its stored form (see `storedServiceId`). */
  hasStoredServiceId(stored: { readonly bytes: Buffer; readonly packed: boolean }): boolean {
    const start = this.#serviceIdStart;
    return (
      stored.packed === ((this.#flags & PACKED_HEX) !== 0) &&
      stored.bytes.length === this.#serviceIdLength &&
      stored.bytes.compare(this.#chunk, start, start + stored.bytes.length) === 0
    );
  }

  /** A copy. */
  get serviceData(): Buffer | null {
    if ((this.#flags & HAS_SERVICE_DATA) === 0) return null;
    const start = this.#serviceIdStart + this.#serviceIdLength;
    return Buffer.from(this.#chunk.subarray(start, start + this.#serviceDataLength));
  }

  /** A view: good until the record is freed. */
  get monitorEntry(): Buffer {
    const start = this.#entryStart;
    return this.#chunk.subarray(start, start + this.#chunk.readUInt32LE(this.#at + ENTRY_LENGTH));
  }

  /** Whether the record is what `writeRecord` makes of the subscription, whose key is the same. */
  equals(subscription: Subscription): boolean {
    const { namespaces, encryptionKey, serviceData, wantData } = subscription;
    const key = this.#at + KEY;
    const mine = this.serviceData;
    return (
      this.wantData === wantData &&
      this.#namespaceCount === namespaces.length &&
      namespaces.every(
        (namespace, index) => this.#chunk.readInt16LE(this.#at + VARIABLE + 2 * index) === namespace,
      ) &&
      encryptionKey.compare(this.#chunk, key, key + encryptionKey.length) === 0 &&
      (mine === null || serviceData === null ? mine === serviceData : mine.equals(serviceData)) &&
      this.monitorEntry.equals(encodeMonitorEntry(subscription))
    );
  }

  /** Whether whatever the other subscription makes storage nodes report, this one makes them report too. */
  covers(other: RecordCursor): boolean {
    if (other.wantData && !this.wantData) return false;
    if (!this.#hasSameSubaccount(other)) return false;
    const count = other.#namespaceCount;
    for (let index = 0, at = other.#at + VARIABLE; index < count; index += 1, at += 2) {
      if (!this.hasNamespace(other.#chunk.readInt16LE(at))) return false;
    }
    return true;
  }

  #hasSameSubaccount(other: RecordCursor): boolean {
    const mine = (this.#flags & HAS_SUBACCOUNT) !== 0;
    const theirs = (other.#flags & HAS_SUBACCOUNT) !== 0;
    if (!mine || !theirs) return mine === theirs;
    const start = this.#tagStart;
    const otherStart = other.#tagStart;
    return this.#chunk.compare(other.#chunk, otherStart, otherStart + 36, start, start + 36) === 0;
  }

  get #tagStart(): number {
    return this.#entryStart + tagOffset(this.#chunk[this.#at + HAS_ED25519_KEY] === 1);
  }

  get #flags(): number {
    return this.#chunk[this.#at + FLAGS] ?? 0;
  }

  get #namespaceCount(): number {
    return this.#chunk.readUInt16LE(this.#at + NAMESPACES);
  }

  get #serviceIdStart(): number {
    return this.#at + VARIABLE + this.#namespaceCount * 2;
  }

  get #serviceIdLength(): number {
    return this.#chunk.readUInt16LE(this.#at + SERVICE_ID_LENGTH);
  }

  get #serviceDataLength(): number {
    return this.#chunk.readUInt32LE(this.#at + SERVICE_DATA_LENGTH);
  }

  get #entryStart(): number {
    return this.#serviceIdStart + this.#serviceIdLength + this.#serviceDataLength;
  }
}

/** A service id as records keep it, for comparing without making strings. */
export function storedServiceId(serviceId: ServiceId): { readonly bytes: Buffer; readonly packed: boolean } {
  const packed = LOWER_HEX.test(serviceId);
  return { bytes: Buffer.from(serviceId, packed ? 'hex' : 'utf8'), packed };
}
