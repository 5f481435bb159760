import type { ServiceId } from '../domain/ids.js';
import { DeviceColumns } from './device-columns.js';
import { keyText, type DeviceKey, type StoredDevice, type XmppDevice } from './device.js';
import { bytesOfEntry, EntriesBy, keyOf, p2KeyOf, SharedWords, type Entry } from './directory-entries.js';
import type { PushNote } from './port.js';

/** A device without its sealed secret, which only the table has. */
export type KnownDevice = Omit<XmppDevice, 'sealedSecret'>;

/** Removals that are remembered until the poll has passed them; of more, the oldest is forgotten until it comes by poll. */
const REMOVALS_MAX = 100_000;
/** Before the first one. */
const NO_REVISION = -1;

/**
 * All living devices in memory: what the table holds, for publishes to be answered without asking anybody. Rows come from
 * changes of our own, from look-ups and from the poll, in any order; each has its revision, and the newest one wins.
 *
 * What tells an old row of a device that is removed from the row of one that is new: everything up to `revision` was
 * seen here (the poll has passed it). A row that is no newer, of a device that is not here, was removed since.
 * Removals beyond that are remembered until the poll gets there.
 */
export class XmppDirectory {
  readonly #columns = new DeviceColumns();
  /** By their places in the columns. */
  #entries: (Entry | undefined)[] = [];
  #byNode = new EntriesBy();
  #byToken = new EntriesBy();
  #p2 = new Map<string, Entry>();
  #types = new SharedWords();
  #domains = new SharedWords();
  /** Revision of each removal that the poll has not passed yet, by `keyText`. */
  readonly #removed = new Map<string, number>();
  /** Places whose notes are not written yet. */
  readonly #noted = new Set<number>();
  #revision = NO_REVISION;
  #size = 0;
  #bytes = 0;

  /** Everything that was changed up to this revision is in here; -1 before the first load. */
  get revision(): number {
    return this.#revision;
  }

  /** Devices. */
  get size(): number {
    return this.#size;
  }

  /** Memory of everything, about. Nodes and tokens are as long as clients make them. */
  get bytes(): number {
    return this.#bytes;
  }

  countOf(type: string): number {
    return this.#types.countOf(type);
  }

  /** Of every type that has any. */
  counts(): readonly (readonly [type: string, devices: number])[] {
    return this.#types.counts();
  }

  countOfDomain(domain: string): number {
    return this.#domains.countOf(domain);
  }

  /** Several, where a client of one kind chose what we drew for one of the other. */
  find(node: string): readonly KnownDevice[] {
    return this.#byNode.of(node).map((entry) => this.#deviceOf(entry));
  }

  byToken(token: ServiceId): readonly KnownDevice[] {
    return this.#byToken.of(token).map((entry) => this.#deviceOf(entry));
  }

  byKey(key: DeviceKey): KnownDevice | null {
    const entry = this.#entryOf(key);
    return entry === undefined ? null : this.#deviceOf(entry);
  }

  /**
   * Nodes of those that come after `after` (null: from the start), about in the order of registration; none when there is no
   * such node any more.
   */
  nodes(after: string | null, limit: number): readonly string[] {
    const nodes: string[] = [];
    const start = after === null ? -1 : (this.#byNode.of(after)[0]?.place ?? this.#entries.length);
    for (let place = start + 1; place < this.#entries.length && nodes.length < limit; place += 1) {
      const entry = this.#entries[place];
      // One of several devices stands for their node.
      if (entry !== undefined && this.#byNode.of(entry.node)[0] === entry) nodes.push(entry.node);
    }
    return nodes;
  }

  /** False: something newer, or the same, is here already. */
  apply({ device, revision, removed }: StoredDevice): boolean {
    const entry = this.#entryOf(device.key);
    const known = entry === undefined ? null : this.#columns.number(entry.place, 'revision');
    if (known !== null && revision <= known) return false;
    if (removed !== null) {
      this.#rememberRemoval(device.key, revision);
      if (entry === undefined) return false;
      this.#drop(entry);
      return true;
    }
    if (entry === undefined && revision <= this.#revision) return false;
    const id = keyText(device.key);
    if (revision <= (this.#removed.get(id) ?? NO_REVISION)) return false;
    this.#removed.delete(id);
    this.#put(device, revision, entry);
    return true;
  }

  /** Everything that was changed after `revision` and up to `upTo`; the rows in the order of their revisions. */
  applyPoll(rows: readonly StoredDevice[], upTo: number): void {
    for (const row of rows) this.apply(row);
    if (upTo <= this.#revision) return;
    this.#revision = upTo;
    for (const [id, revision] of this.#removed) if (revision <= upTo) this.#removed.delete(id);
  }

  /** Whether the row is that from which the device here is. Of a table that was put back, another one may have its revision. */
  isFrom({ device, revision }: StoredDevice): boolean {
    const entry = this.#entryOf(device.key);
    if (entry === undefined || this.#columns.number(entry.place, 'revision') !== revision) return false;
    const { token, secretHash, registeredAtMs, renewedAtMs } = this.#deviceOf(entry);
    return (
      token === device.token &&
      secretHash.equals(device.secretHash) &&
      registeredAtMs === device.registeredAtMs &&
      renewedAtMs === device.renewedAtMs
    );
  }

  /**
   * The table is not the one any more from which all this came: it was put back. Whatever it has from now on counts as new.
   * What only memory knows stays until then: its device, and its user's server, know nothing of that.
   */
  startOver(): void {
    this.#revision = NO_REVISION;
    this.#removed.clear();
    for (const entry of this.#entries) {
      if (entry !== undefined) this.#columns.set(entry.place, 'revision', NO_REVISION);
    }
  }

  /** The table does not have it: then it goes, unless it was seen since `startOver`. */
  dropUnseen(key: DeviceKey): void {
    const entry = this.#entryOf(key);
    if (entry !== undefined && this.#columns.number(entry.place, 'revision') === NO_REVISION)
      this.#drop(entry);
  }

  /** What became of a push. Nothing happens when the device is gone. */
  note(key: DeviceKey, what: 'push' | 'error', nowMs: number): void {
    const entry = this.#entryOf(key);
    if (entry === undefined) return;
    this.#columns.set(entry.place, what === 'push' ? 'lastPushAtMs' : 'lastErrorAtMs', nowMs);
    this.#noted.add(entry.place);
  }

  /** Notes that are not written yet; they count as written then. */
  takeNotes(limit: number): readonly PushNote[] {
    const notes: PushNote[] = [];
    for (const place of this.#noted) {
      if (notes.length === limit) break;
      this.#noted.delete(place);
      const entry = this.#entries[place];
      if (entry === undefined) continue;
      notes.push({
        key: keyOf(entry),
        lastPushAtMs: this.#columns.get(place, 'lastPushAtMs'),
        lastErrorAtMs: this.#columns.get(place, 'lastErrorAtMs'),
      });
    }
    return notes;
  }

  /** They could not be written. */
  giveNotesBack(notes: readonly PushNote[]): void {
    for (const { key } of notes) {
      const entry = this.#entryOf(key);
      if (entry !== undefined) this.#noted.add(entry.place);
    }
  }

  clear(): void {
    for (const entry of this.#entries) if (entry !== undefined) this.#drop(entry);
    this.#entries = [];
    this.#removed.clear();
    this.#revision = NO_REVISION;
  }

  #entryOf(key: DeviceKey): Entry | undefined {
    if (key.kind === 'p2') return this.#p2.get(p2KeyOf(key.device, key.channel));
    return this.#byNode.of(key.node).find(({ p2Key }) => p2Key === null);
  }

  #deviceOf(entry: Entry): KnownDevice {
    const { place } = entry;
    return {
      key: keyOf(entry),
      node: entry.node,
      type: entry.type.word,
      token: entry.token,
      serviceData: entry.serviceData,
      secretHash: this.#columns.secretHash(place),
      accountDomain: entry.domain?.word ?? null,
      registeredAtMs: this.#columns.number(place, 'registeredAtMs'),
      renewedAtMs: this.#columns.get(place, 'renewedAtMs'),
      lastPushAtMs: this.#columns.get(place, 'lastPushAtMs'),
      lastErrorAtMs: this.#columns.get(place, 'lastErrorAtMs'),
    };
  }

  /** Keeps its place, and so its turn among `nodes`, and the strings that are held already. */
  #put(device: XmppDevice, revision: number, before: Entry | undefined): void {
    const columns = this.#columns;
    const place = before?.place ?? columns.allocate();
    const { key } = device;
    const entry: Entry = {
      place,
      p2Key: key.kind === 'v1' ? null : (before?.p2Key ?? p2KeyOf(key.device, key.channel)),
      node: before?.node === device.node ? before.node : device.node,
      type: this.#types.take(device.type),
      domain: device.accountDomain === null ? null : this.#domains.take(device.accountDomain),
      token: before?.token === device.token ? before.token : device.token,
      serviceData: device.serviceData === null ? null : ownCopy(device.serviceData),
    };
    // What was noted here may be newer than what the table had, unless the record began anew.
    const isSame =
      before?.type === entry.type && columns.number(place, 'registeredAtMs') === device.registeredAtMs;
    const latest = (column: 'lastPushAtMs' | 'lastErrorAtMs'): number | null =>
      later(device[column], isSame ? columns.get(place, column) : null);
    const lastPushAtMs = latest('lastPushAtMs');
    const lastErrorAtMs = latest('lastErrorAtMs');
    if (before !== undefined) this.#unlink(before);
    if (!isSame) this.#noted.delete(place);
    columns.setSecretHash(place, device.secretHash);
    columns.set(place, 'registeredAtMs', device.registeredAtMs);
    columns.set(place, 'renewedAtMs', device.renewedAtMs);
    columns.set(place, 'lastPushAtMs', lastPushAtMs);
    columns.set(place, 'lastErrorAtMs', lastErrorAtMs);
    columns.set(place, 'revision', revision);
    this.#entries[place] = entry;
    this.#byNode.add(entry.node, entry);
    this.#byToken.add(entry.token, entry);
    if (entry.p2Key !== null) this.#p2.set(entry.p2Key, entry);
    this.#size += 1;
    this.#bytes += bytesOfEntry(entry);
  }

  #drop(entry: Entry): void {
    this.#unlink(entry);
    this.#entries[entry.place] = undefined;
    this.#noted.delete(entry.place);
    this.#columns.free(entry.place);
  }

  #unlink(entry: Entry): void {
    this.#byNode.delete(entry.node, entry);
    this.#byToken.delete(entry.token, entry);
    if (entry.p2Key !== null) this.#p2.delete(entry.p2Key);
    this.#types.release(entry.type);
    if (entry.domain !== null) this.#domains.release(entry.domain);
    this.#size -= 1;
    this.#bytes -= bytesOfEntry(entry);
  }

  #rememberRemoval(key: DeviceKey, revision: number): void {
    if (revision <= this.#revision) return;
    const id = keyText(key);
    const known = this.#removed.get(id) ?? NO_REVISION;
    if (revision > known) this.#removed.set(id, revision);
    if (this.#removed.size <= REMOVALS_MAX) return;
    const [oldest = ''] = this.#removed.keys();
    this.#removed.delete(oldest);
  }
}

const later = (a: number | null, b: number | null): number | null =>
  a === null || b === null ? (a ?? b) : Math.max(a, b);

/** A window into a packet or a pool would keep all of that. */
function ownCopy(bytes: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(bytes.length);
  bytes.copy(copy);
  return copy;
}
