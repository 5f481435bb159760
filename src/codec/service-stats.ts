import { isUtf8 } from 'node:buffer';
import { BencodeDict, BencodeError, decode, type BencodeValue } from './bencode.js';

/** One entry of a notifier's report: a value that replaces the former one, or a number to add to it. */
export interface ServiceStatistic {
  readonly kind: 'set' | 'add';
  readonly name: string;
  /** A text only with `set`. */
  readonly value: number | string;
}

/** A notifier of the original reports six. */
export const SERVICE_STATISTICS_MAX = 64;
const NAME_MAX_BYTES = 100;
const TEXT_MAX_BYTES = 1000;

/**
 * The dict of `admin.service_stats`: a key with `+` before it adds, another one replaces. Null for a report that is
 * to be discarded: one bad entry spoils the whole of it, as in the original. So do a text that is no UTF-8 or holds
 * NUL, an integer beyond 2^53, and more or longer entries than any notifier has.
 * Source: spec session-push-v2, 8.4.
 */
export function parseServiceStatistics(report: Buffer): readonly ServiceStatistic[] | null {
  let dict: BencodeValue;
  try {
    dict = decode(report, { mode: 'lenient', maxDepth: 1, maxValues: 2 * SERVICE_STATISTICS_MAX + 1 });
  } catch (error) {
    if (error instanceof BencodeError) return null;
    throw error;
  }
  if (!(dict instanceof BencodeDict)) return null;
  const statistics: ServiceStatistic[] = [];
  for (const [key, value] of dict.entries) {
    const statistic = parseEntry(key, value);
    if (statistic === null) return null;
    statistics.push(statistic);
  }
  return statistics;
}

function parseEntry(key: Buffer, value: BencodeValue): ServiceStatistic | null {
  const word = parseText(key, NAME_MAX_BYTES);
  if (word === null) return null;
  const adds = word.startsWith('+');
  const name = adds ? word.slice(1) : word;
  if (name === '') return null;
  if (typeof value === 'number') return { kind: adds ? 'add' : 'set', name, value };
  const shown = Buffer.isBuffer(value) && !adds ? parseText(value, TEXT_MAX_BYTES) : null;
  return shown === null ? null : { kind: 'set', name, value: shown };
}

function parseText(bytes: Buffer, maxBytes: number): string | null {
  if (bytes.length > maxBytes || !isUtf8(bytes) || bytes.includes(0)) return null;
  return bytes.toString('utf8');
}
