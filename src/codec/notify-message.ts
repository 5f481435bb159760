import { ACCOUNT_BYTES } from '../domain/ids.js';
import type { SwarmNotice } from '../domain/notice.js';

/** Why a `notify.message` was refused; a small fixed set, fit for a metric label. */
export type MalformedReason =
  | 'not-a-dict'
  | 'bad-structure'
  | 'unsorted-keys'
  | 'trailing-bytes'
  | 'too-deep'
  | 'missing-key'
  | 'bad-account'
  | 'bad-hash'
  | 'bad-namespace'
  | 'bad-timestamp'
  | 'bad-expiry'
  | 'bad-data';

export const HASH_MIN_BYTES = 32;
export const HASH_MAX_BYTES = 99;
export const MESSAGE_MAX_BYTES = 76_800;

/** Nesting inside an unknown key. */
const MAX_DEPTH = 32;
/** A frame is at most some megabytes long. */
const MAX_LENGTH_DIGITS = 8;
/** 19 digits hold every signed 64-bit integer. */
const MAX_INTEGER_DIGITS = 19;

const ZERO = 0x30;
const NINE = 0x39;
const COLON = 0x3a;
const MINUS = 0x2d;
const INTEGER = 0x69;
const LIST = 0x6c;
const DICT = 0x64;
const END = 0x65;

const KEY_ACCOUNT = 0x40; // @
const KEY_HASH = 0x68; // h
const KEY_NAMESPACE = 0x6e; // n
const KEY_TIMESTAMP = 0x74; // t
const KEY_EXPIRY = 0x7a; // z
const KEY_DATA = 0x7e; // ~

/** What the walkers below return instead of a position. */
const BROKEN = -1;
const TOO_DEEP = -2;

/**
 * Decodes the payload of a storage node's `notify.message` (spec storage-server, section 5). Every message of the
 * network comes through here, so it walks the bytes once and makes nothing but the notice and three views into
 * `frame`. Unknown keys are skipped; keys must ascend, as every positional reader of this format demands. Times
 * beyond 2^53 are taken as 2^53-1. Never throws.
 */
export function decodeNotifyMessage(frame: Buffer): SwarmNotice | MalformedReason {
  if (frame[0] !== DICT) return 'not-a-dict';
  let account: Buffer | null = null;
  let hash: Buffer | null = null;
  let data: Buffer | null = null;
  let namespace = 0;
  let timestampMs = 0;
  let expiryMs = 0;
  // Integers have no value that could stand for "not there".
  let integersSeen = 0;

  let position = 1;
  let previousStart = 0;
  let previousEnd = -1;
  for (;;) {
    const byte = frame[position];
    if (byte === END) break;

    const keyStart = stringStart(frame, position);
    if (keyStart < 0) return 'bad-structure';
    const keyEnd = keyStart + stringLength(frame, position, keyStart);
    if (keyEnd >= frame.length) return 'bad-structure';
    if (previousEnd >= 0 && !ascends(frame, previousStart, previousEnd, keyStart, keyEnd))
      return 'unsorted-keys';
    previousStart = keyStart;
    previousEnd = keyEnd;

    const key = keyEnd - keyStart === 1 ? frame[keyStart] : 0;
    switch (key) {
      case KEY_ACCOUNT:
      case KEY_HASH:
      case KEY_DATA: {
        const start = stringStart(frame, keyEnd);
        const end = start < 0 ? BROKEN : start + stringLength(frame, keyEnd, start);
        if (end < 0 || end > frame.length) {
          return key === KEY_ACCOUNT ? 'bad-account' : key === KEY_HASH ? 'bad-hash' : 'bad-data';
        }
        if (key === KEY_ACCOUNT) {
          if (end - start !== ACCOUNT_BYTES) return 'bad-account';
          account = frame.subarray(start, end);
        } else if (key === KEY_HASH) {
          if (end - start < HASH_MIN_BYTES || end - start > HASH_MAX_BYTES) return 'bad-hash';
          hash = frame.subarray(start, end);
        } else {
          if (end - start > MESSAGE_MAX_BYTES) return 'bad-data';
          data = frame.subarray(start, end);
        }
        position = end;
        break;
      }
      case KEY_NAMESPACE: {
        const end = integerEnd(frame, keyEnd);
        if (end < 0) return 'bad-namespace';
        namespace = integerAt(frame, keyEnd, end);
        if (namespace < -32768 || namespace > 32767) return 'bad-namespace';
        integersSeen += 1;
        position = end;
        break;
      }
      case KEY_TIMESTAMP: {
        const end = integerEnd(frame, keyEnd);
        if (end < 0) return 'bad-timestamp';
        timestampMs = integerAt(frame, keyEnd, end);
        integersSeen += 1;
        position = end;
        break;
      }
      case KEY_EXPIRY: {
        const end = integerEnd(frame, keyEnd);
        if (end < 0) return 'bad-expiry';
        expiryMs = integerAt(frame, keyEnd, end);
        integersSeen += 1;
        position = end;
        break;
      }
      default: {
        const end = skipValue(frame, keyEnd, 1);
        if (end < 0) return end === TOO_DEEP ? 'too-deep' : 'bad-structure';
        position = end;
      }
    }
  }
  if (position !== frame.length - 1) return 'trailing-bytes';
  // Keys ascend strictly, so three integers are the three different ones.
  if (account === null || hash === null || integersSeen !== 3) return 'missing-key';
  return { kind: 'swarm', account, hash, namespace, timestampMs, expiryMs, data };
}

/** At a string's length: where its bytes begin, or BROKEN. */
function stringStart(frame: Buffer, position: number): number {
  let at = position;
  for (;;) {
    const byte = frame[at];
    if (byte === undefined) return BROKEN;
    if (byte === COLON) break;
    if (byte < ZERO || byte > NINE || at - position >= MAX_LENGTH_DIGITS) return BROKEN;
    at += 1;
  }
  if (at === position || (frame[position] === ZERO && at - position > 1)) return BROKEN;
  return at + 1;
}

/** The length whose digits lie between `position` and the colon before `start`. */
function stringLength(frame: Buffer, position: number, start: number): number {
  let length = 0;
  for (let at = position; at < start - 1; at += 1) length = length * 10 + ((frame[at] ?? ZERO) - ZERO);
  return length;
}

/** At `i`: the position behind the integer's `e`, or BROKEN. */
function integerEnd(frame: Buffer, position: number): number {
  if (frame[position] !== INTEGER) return BROKEN;
  const negative = frame[position + 1] === MINUS;
  const start = negative ? position + 2 : position + 1;
  let at = start;
  for (;;) {
    const byte = frame[at];
    if (byte === undefined) return BROKEN;
    if (byte === END) break;
    if (byte < ZERO || byte > NINE || at - start >= MAX_INTEGER_DIGITS) return BROKEN;
    at += 1;
  }
  if (at === start || (frame[start] === ZERO && (at - start > 1 || negative))) return BROKEN;
  return at + 1;
}

/** The integer between `position` and `end`, as `integerEnd` found it, clamped to the exact range of numbers. */
function integerAt(frame: Buffer, position: number, end: number): number {
  const negative = frame[position + 1] === MINUS;
  let value = 0;
  for (let at = negative ? position + 2 : position + 1; at < end - 1; at += 1) {
    value = value * 10 + ((frame[at] ?? ZERO) - ZERO);
  }
  if (value > Number.MAX_SAFE_INTEGER) value = Number.MAX_SAFE_INTEGER;
  return negative ? -value : value;
}

/** Whether the second key sorts behind the first, by unsigned bytes. */
function ascends(
  frame: Buffer,
  leftStart: number,
  leftEnd: number,
  rightStart: number,
  rightEnd: number,
): boolean {
  const shared = Math.min(leftEnd - leftStart, rightEnd - rightStart);
  for (let index = 0; index < shared; index += 1) {
    const left = frame[leftStart + index] ?? 0;
    const right = frame[rightStart + index] ?? 0;
    if (left !== right) return left < right;
  }
  return leftEnd - leftStart < rightEnd - rightStart;
}

/** The position behind the value at `position`, BROKEN or TOO_DEEP. Calls itself at most MAX_DEPTH times deep. */
function skipValue(frame: Buffer, position: number, depth: number): number {
  const byte = frame[position];
  if (byte === INTEGER) return skipInteger(frame, position);
  if (byte !== LIST && byte !== DICT) return skipString(frame, position);
  if (depth > MAX_DEPTH) return TOO_DEEP;
  let at = position + 1;
  while (frame[at] !== END) {
    if (byte === DICT) {
      at = skipString(frame, at);
      if (at < 0) return at;
    }
    at = skipValue(frame, at, depth + 1);
    if (at < 0) return at;
  }
  return at + 1;
}

function skipString(frame: Buffer, position: number): number {
  const start = stringStart(frame, position);
  if (start < 0) return BROKEN;
  const end = start + stringLength(frame, position, start);
  return end > frame.length ? BROKEN : end;
}

/** Unlike our own integers, a foreign one may be unsigned: 20 digits. Its value is of no interest. */
function skipInteger(frame: Buffer, position: number): number {
  let at = position + 1;
  if (frame[at] === MINUS) at += 1;
  const start = at;
  for (let byte = frame[at]; byte !== END; byte = frame[at]) {
    if (byte === undefined || byte < ZERO || byte > NINE || at - start > MAX_INTEGER_DIGITS) return BROKEN;
    at += 1;
  }
  return at === start ? BROKEN : at + 1;
}
