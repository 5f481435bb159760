import type { ServiceId } from '../domain/ids.js';
import { RECORD_BYTES } from './device-columns.js';
import type { DeviceKey } from './device.js';

/** A word that many devices share, in memory once, and how many do. */
export interface Shared {
  readonly word: string;
  count: number;
}

/** A device as the directory holds it; what has a fixed size is in the columns. */
export interface Entry {
  /** In the columns. */
  readonly place: number;
  /** What `p2KeyOf` says; null for a key of v1, which is the node. */
  readonly p2Key: string | null;
  readonly node: string;
  readonly type: Shared;
  readonly domain: Shared | null;
  readonly token: ServiceId;
  readonly serviceData: Buffer | null;
}

/** Device and channel in one text, from which `keyOf` reads them again: one string in memory in place of three. */
export const p2KeyOf = (device: string, channel: string): string => `${device}/${channel}`;

export function keyOf({ p2Key, node }: Entry): DeviceKey {
  if (p2Key === null) return { kind: 'v1', node };
  const end = p2Key.indexOf('/');
  return { kind: 'p2', device: p2Key.slice(0, end), channel: p2Key.slice(end + 1) };
}

/** Words by themselves, for as long as anything has them. */
export class SharedWords {
  readonly #words = new Map<string, Shared>();

  take(word: string): Shared {
    let shared = this.#words.get(word);
    if (shared === undefined) {
      shared = { word, count: 0 };
      this.#words.set(word, shared);
    }
    shared.count += 1;
    return shared;
  }

  release(shared: Shared): void {
    shared.count -= 1;
    if (shared.count === 0) this.#words.delete(shared.word);
  }

  countOf(word: string): number {
    return this.#words.get(word)?.count ?? 0;
  }

  counts(): readonly (readonly [string, number])[] {
    return [...this.#words.values()].map(({ word, count }) => [word, count]);
  }
}

/** Entries by something that is nearly always one's own, and yet may be that of a hundred thousand. */
export class EntriesBy {
  readonly #entries = new Map<string, Entry | Set<Entry>>();

  add(name: string, entry: Entry): void {
    const known = this.#entries.get(name);
    if (known === undefined) this.#entries.set(name, entry);
    else if (known instanceof Set) known.add(entry);
    else this.#entries.set(name, new Set([known, entry]));
  }

  delete(name: string, entry: Entry): void {
    const known = this.#entries.get(name);
    if (known instanceof Set) {
      known.delete(entry);
      if (known.size > 1) return;
      for (const last of known) this.#entries.set(name, last);
    } else if (known === entry) {
      this.#entries.delete(name);
    }
  }

  of(name: string): readonly Entry[] {
    const known = this.#entries.get(name);
    if (known === undefined) return none;
    return known instanceof Set ? [...known] : [known];
  }
}

const none: readonly Entry[] = [];

/* What things cost in memory, about, with their places in maps (measured, Node 20). Bytes. */
const ENTRY_BYTES = 220;
const P2_KEY_BYTES = 200;
const SERVICE_DATA_BYTES = 180;

export const bytesOfEntry = ({ p2Key, node, token, serviceData }: Entry): number =>
  ENTRY_BYTES +
  RECORD_BYTES +
  textBytes(node) +
  (p2Key === null ? 0 : P2_KEY_BYTES) +
  bytesOfToken(token, serviceData);

/** The part of it that a renewal may change. */
export const bytesOfToken = (token: string, serviceData: Buffer | null): number =>
  textBytes(token) + (serviceData === null ? 0 : SERVICE_DATA_BYTES + serviceData.length);

/** As the engine holds it: two for each character as soon as one of them is not of Latin-1. */
const textBytes = (text: string): number => (/[^\0-\xff]/.test(text) ? 2 : 1) * text.length;
