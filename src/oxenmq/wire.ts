/** The words of OxenMQ's messages and how to tell them apart. Source: spec oxenmq, sections 3 and 4. */

export const HI = 'HI';
export const HELLO = 'HELLO';
export const BYE = 'BYE';
export const REPLY = 'REPLY';
export const UNKNOWN_COMMAND = 'UNKNOWNCOMMAND';
export const FORBIDDEN = 'FORBIDDEN';
export const NO_REPLY_TAG = 'NO_REPLY_TAG';

/** Category (50 bytes), dot, command (200 bytes). */
export const MAX_COMMAND_BYTES = 251;

/** Longest first part that can be one of OxenMQ's own words. */
const MAX_WORD_BYTES = 18;

const errorWords: ReadonlySet<string> = new Set([
  UNKNOWN_COMMAND,
  FORBIDDEN,
  'NOT_A_SERVICE_NODE',
  'FORBIDDEN_SN',
  NO_REPLY_TAG,
]);

/** What a message that is no served command is about. */
export type ControlMessage =
  | { readonly kind: 'hi' }
  | { readonly kind: 'hello' }
  | { readonly kind: 'bye' }
  | { readonly kind: 'reply'; readonly tag: Buffer; readonly data: Buffer[] }
  /** `[WORD, "REPLY", tag]`: the request with this tag was refused. */
  | { readonly kind: 'refused-tag'; readonly word: string; readonly tag: Buffer }
  /** `[WORD, command]`: so was every request for this command; UNKNOWNCOMMAND never names the tag (4.2, quirk 1). */
  | { readonly kind: 'refused-command'; readonly word: string; readonly command: string }
  /** One of our own words, in a shape that means nothing. Never answered. */
  | { readonly kind: 'meaningless' }
  /** Something that we do not serve. Echoed back, so it is bounded. */
  | { readonly kind: 'unknown-command'; readonly name: Buffer };

/** The parts of a message without the route; `parts` is never empty. */
export function classify(name: Buffer, rest: Buffer[]): ControlMessage {
  if (name.length > MAX_WORD_BYTES) return { kind: 'unknown-command', name };
  const word = name.latin1Slice();
  switch (word) {
    case HI:
      return { kind: 'hi' };
    case HELLO:
      return { kind: 'hello' };
    case BYE:
      return { kind: 'bye' };
    case REPLY: {
      const [tag, ...data] = rest;
      return tag === undefined ? { kind: 'meaningless' } : { kind: 'reply', tag, data };
    }
    default:
      return errorWords.has(word) ? classifyError(word, rest) : { kind: 'unknown-command', name };
  }
}

function classifyError(word: string, rest: readonly Buffer[]): ControlMessage {
  const [subject, tag] = rest;
  // Very old peers send the bare word (quirk 2).
  if (subject === undefined || subject.length > MAX_COMMAND_BYTES) return { kind: 'meaningless' };
  const command = subject.latin1Slice();
  if (tag !== undefined && command === REPLY) return { kind: 'refused-tag', word, tag };
  return { kind: 'refused-command', word, command };
}

/** Finds the served command of a first part without making a string of it: this runs for every message. */
export class CommandTable {
  readonly #commands: readonly { readonly bytes: Buffer; readonly name: string }[];

  constructor(names: readonly string[]) {
    this.#commands = names.map((name) => ({ bytes: Buffer.from(name, 'latin1'), name }));
  }

  find(part: Buffer): string | null {
    for (const { bytes, name } of this.#commands) {
      if (sameBytes(bytes, part)) return name;
    }
    return null;
  }
}

/** For a dozen bytes this loop is several times cheaper than the call behind `Buffer.equals`. */
function sameBytes(left: Buffer, right: Buffer): boolean {
  if (left.length !== right.length) return false;
  // From the end: the commands of one category differ there.
  for (let index = left.length - 1; index >= 0; index -= 1) {
    if (left[index] !== right[index]) return false;
  }
  return true;
}
