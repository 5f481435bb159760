import type { SwarmNotice } from '../domain/notice.js';

/*
 * The text that a Session device finds after decrypting: a bencoded list, padded with zero bytes so that its length
 * says little about the message. Source: spec session-push-v2, section 11; the vectors compare it byte by byte.
 */

const PADDING_BYTES = 256;
/** Longer messages are announced without their data: the next step of the padding would not fit an APNs body. */
export const MAX_DATA_BYTES = 2500;
/** Longest list without its data: hash of 99 characters, every one of them escaped. */
const MAX_METADATA_BYTES = 1024;
/** Room for the largest padded list. */
export const MAX_PAYLOAD_TEXT_BYTES =
  Math.ceil((MAX_DATA_BYTES + MAX_METADATA_BYTES) / PADDING_BYTES) * PADDING_BYTES;

const NEEDS_NO_ESCAPE = /^[ !#-[\]-~]*$/;

/** Escapes as Python's `json.dumps` does: everything outside ASCII as \uXXXX. */
function jsonText(text: string): string {
  if (NEEDS_NO_ESCAPE.test(text)) return text;
  const quoted = JSON.stringify(text).slice(1, -1);
  return quoted.replace(
    /[\u007f-\uffff]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

const bencoded = (text: string): string => `${Buffer.byteLength(text)}:${text}`;

/** Metadata as JSON before the data: the form that every client reads. */
function withData(notice: SwarmNotice, dataBytes: number): string {
  const json =
    `{"@": "${notice.account.hexSlice(0, notice.account.length)}", ` +
    `"#": "${jsonText(notice.hash.utf8Slice(0, notice.hash.length))}", "n": ${notice.namespace}, ` +
    `"t": ${notice.timestampMs}, "z": ${notice.expiryMs}, "l": ${dataBytes}}`;
  return `l${json.length}:${json}${dataBytes}:`;
}

/**
 * Metadata as a bencoded dict, when no data goes along. iOS recognises "too long" (`B`) only in this form, and older
 * Android shows a generic notification for it, so it must stay (spec, 16.3).
 */
function withoutData(notice: SwarmNotice, tooLongBytes: number | null): string {
  const hash = bencoded(notice.hash.utf8Slice(0, notice.hash.length));
  const account = bencoded(notice.account.hexSlice(0, notice.account.length));
  const tooLong = tooLongBytes === null ? '' : `1:Bi1e1:li${tooLongBytes}e`;
  return `ld1:#${hash}1:@${account}${tooLong}1:ni${notice.namespace}e1:ti${notice.timestampMs}e1:zi${notice.expiryMs}eee`;
}

/**
 * Writes the padded text for one notice into `out` (at least `MAX_PAYLOAD_TEXT_BYTES` long) and returns its length.
 * `wantData`: whether the subscription asked for the message itself.
 */
export function writeSessionPayload(notice: SwarmNotice, wantData: boolean, out: Buffer): number {
  const data = wantData && notice.data !== null && notice.data.length > 0 ? notice.data : null;
  let length: number;
  if (data !== null && data.length <= MAX_DATA_BYTES) {
    length = out.latin1Write(withData(notice, data.length), 0);
    length += data.copy(out, length);
    out[length] = 0x65; // 'e'
    length += 1;
  } else {
    length = out.write(withoutData(notice, data === null ? null : data.length), 0, 'utf8');
  }
  const padded = Math.ceil(length / PADDING_BYTES) * PADDING_BYTES;
  out.fill(0, length, padded);
  return padded;
}
