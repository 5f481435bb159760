import { BencodeDict, BencodeError, decode, type BencodeValue } from '../codec/bencode.js';

/** What a storage node said about one entry of a `monitor.messages` request (spec storage-server, 4.6). */
export type EntryVerdict =
  | 'accepted'
  /** Can never succeed: arguments, key, namespaces or signature. */
  | 'invalid'
  /** The signature is older than 14 days. */
  | 'expired'
  /** The signature is of the future: one of the clocks is wrong. */
  | 'early'
  /** A code that we do not know: treated as a passing failure. */
  | 'unknown';

export type MonitorReply =
  | { readonly kind: 'all-accepted' }
  | {
      readonly kind: 'verdicts';
      readonly verdicts: readonly EntryVerdict[];
      readonly codes: readonly number[];
    }
  /** A plain dict as the answer to a list: the storage server could not read the request; nothing was registered. */
  | { readonly kind: 'refused-whole'; readonly errcode: number }
  | { readonly kind: 'malformed' };

const LIST = 0x6c;
const DICT = 0x64;
const END = 0x65;
const ACCEPTED_ENTRY = Buffer.from('d7:successi1ee');
/** The longest documented error texts have some 100 bytes. */
const MAX_BYTES_PER_ENTRY = 1024;
const MAX_VALUES_PER_ENTRY = 16;
const MAX_DEPTH = 4;

const MALFORMED: MonitorReply = { kind: 'malformed' };
const ALL_ACCEPTED: MonitorReply = { kind: 'all-accepted' };

/** Reads the reply to a list request of `entries` entries. Never throws; arbitrary bytes are `malformed`. */
export function readMonitorReply(parts: readonly Buffer[], entries: number): MonitorReply {
  const [reply] = parts;
  if (reply === undefined || parts.length !== 1) return MALFORMED;
  if (isAllAccepted(reply, entries)) return ALL_ACCEPTED;
  if (reply.length > 1024 + entries * MAX_BYTES_PER_ENTRY) return MALFORMED;
  const value = decodeReply(reply, entries);
  if (reply[0] === DICT) {
    return value instanceof BencodeDict
      ? { kind: 'refused-whole', errcode: value.getInteger('errcode') ?? 0 }
      : MALFORMED;
  }
  if (!Array.isArray(value) || value.length !== entries) return MALFORMED;
  const verdicts: EntryVerdict[] = [];
  const codes: number[] = [];
  for (const entry of value) {
    if (!(entry instanceof BencodeDict)) return MALFORMED;
    verdicts.push(verdictOf(entry));
    codes.push(entry.getInteger('errcode') ?? 0);
  }
  return { kind: 'verdicts', verdicts, codes };
}

/** The usual reply, known by its bytes: a full batch is read without making an object. */
function isAllAccepted(reply: Buffer, entries: number): boolean {
  const size = ACCEPTED_ENTRY.length;
  if (reply.length !== entries * size + 2 || reply[0] !== LIST || reply[reply.length - 1] !== END)
    return false;
  for (let at = 1; at < reply.length - 1; at += size) {
    if (ACCEPTED_ENTRY.compare(reply, at, at + size) !== 0) return false;
  }
  return true;
}

function decodeReply(reply: Buffer, entries: number): BencodeValue | null {
  try {
    // Lenient, because a storage server can send `errcode` twice; the first one counts.
    return decode(reply, {
      mode: 'lenient',
      maxDepth: MAX_DEPTH,
      maxValues: MAX_VALUES_PER_ENTRY * (entries + 1),
    });
  } catch (error) {
    if (error instanceof BencodeError) return null;
    throw error;
  }
}

function verdictOf(entry: BencodeDict): EntryVerdict {
  const errcode = entry.get('errcode');
  if (errcode === undefined) return entry.getInteger('success') === 1 ? 'accepted' : 'unknown';
  switch (errcode) {
    case 1:
    case 2:
    case 3:
    case 5:
      return 'invalid';
    case 4:
      // The one case where the text decides, because the code does not: too old can never succeed, early can.
      return entry.getBytes('error')?.includes('future') === true ? 'early' : 'expired';
    default:
      return 'unknown';
  }
}
