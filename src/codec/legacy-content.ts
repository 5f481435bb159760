/**
 * What a push of an older client's message shows and carries. As stored in a push (`LegacyContent.payload`): the
 * bencoded dict `b` alert body, `d` data (left out when there is none), `t` alert title.
 */
export interface LegacyMessage {
  readonly alertTitle: string;
  readonly alertBody: string;
  /** Base64 of the sender's; null when it was too long for the server: the device then shows the alert alone. */
  readonly data: string | null;
}

const COLON = 0x3a;
const DICT = 0x64;
const END = 0x65;
const ONE = 0x31;
const ZERO = 0x30;
const NINE = 0x39;
const KEY_BODY = 0x62;
const KEY_DATA = 0x64;
const KEY_TITLE = 0x74;
/** More than any buffer of ours has; keeps the sum of digits exact. */
const MAX_LENGTH_DIGITS = 9;

/**
 * The dict of a message, keys in ascending order, texts as UTF-8 (half a surrogate pair becomes U+FFFD). Written by
 * hand because it is made for every notice.
 */
export function encodeLegacyContent({ alertTitle, alertBody, data }: LegacyMessage): Buffer {
  const carried = data === null ? '' : `1:d${Buffer.byteLength(data)}:${data}`;
  return Buffer.from(
    `d1:b${Buffer.byteLength(alertBody)}:${alertBody}${carried}1:t${Buffer.byteLength(alertTitle)}:${alertTitle}e`,
  );
}

/** The message of a dict that `encodeLegacyContent` wrote; null for anything else. Never throws. */
export function readLegacyContent(payload: Buffer): LegacyMessage | null {
  if (payload[0] !== DICT) return null;
  const body = readEntry(payload, 1, KEY_BODY);
  if (body === null) return null;
  const data = readEntry(payload, body.end, KEY_DATA);
  const title = readEntry(payload, data?.end ?? body.end, KEY_TITLE);
  if (title === null || title.end !== payload.length - 1 || payload[title.end] !== END) return null;
  return { alertTitle: title.text, alertBody: body.text, data: data?.text ?? null };
}

/** `1:<key><length>:<text>` at `start`; null when it is not there. */
function readEntry(payload: Buffer, start: number, key: number): { text: string; end: number } | null {
  if (payload[start] !== ONE || payload[start + 1] !== COLON || payload[start + 2] !== key) return null;
  const digits = start + 3;
  let position = digits;
  let length = 0;
  for (;;) {
    const byte = payload[position];
    if (byte === COLON && position > digits) break;
    if (byte === undefined || byte < ZERO || byte > NINE) return null;
    if (position - digits >= MAX_LENGTH_DIGITS || (length === 0 && position > digits)) return null;
    length = length * 10 + byte - ZERO;
    position += 1;
  }
  const end = position + 1 + length;
  return end > payload.length ? null : { text: payload.utf8Slice(position + 1, end), end };
}
