const AMPERSAND = 0x26;
const EQUALS = 0x3d;
const PERCENT = 0x25;
const PLUS = 0x2b;
const SPACE = 0x20;

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * The parameters of an `application/x-www-form-urlencoded` text as the original reads it: of one that is repeated the
 * last counts, a piece without `=` is none, and a `%` without two hex digits behind it stands for itself. Null: no
 * parameter at all, or one that is no UTF-8. Source: spec xmpp-push, section 7.
 */
export function parseForm(body: Buffer): ReadonlyMap<string, string> | null {
  const fields = new Map<string, string>();
  for (let start = 0; start <= body.length;) {
    const found = body.indexOf(AMPERSAND, start);
    const end = found < 0 ? body.length : found;
    const piece = body.subarray(start, end);
    start = end + 1;
    const equals = piece.indexOf(EQUALS);
    if (equals < 0) continue;
    const name = decode(piece.subarray(0, equals));
    const value = decode(piece.subarray(equals + 1));
    if (name === null || value === null) return null;
    fields.set(name, value);
  }
  return fields.size === 0 ? null : fields;
}

function decode(piece: Buffer): string | null {
  const bytes = Buffer.allocUnsafe(piece.length);
  let length = 0;
  for (let index = 0; index < piece.length; index += 1) {
    let byte = piece.readUInt8(index);
    if (byte === PLUS) byte = SPACE;
    else if (byte === PERCENT) {
      const digits = piece.toString('latin1', index + 1, index + 3);
      if (/^[0-9a-f]{2}$/i.test(digits)) {
        byte = Number.parseInt(digits, 16);
        index += 2;
      }
    }
    length = bytes.writeUInt8(byte, length);
  }
  try {
    return utf8.decode(bytes.subarray(0, length));
  } catch {
    return null;
  }
}
