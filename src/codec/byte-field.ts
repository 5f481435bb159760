/**
 * Byte fields of the JSON interface: raw, hex or base64, told apart by length alone.
 * Source: spec session-push-v2, section 2.
 */

const base64Alphabet = /^[A-Za-z0-9+/]+$/;

/**
 * The `byteCount` bytes that a string stands for; null when it fits none of the three forms. Raw wins over hex and
 * hex over base64; base64url is refused; any number of trailing `=` is fine, and unused bits are not looked at.
 */
export function decodeByteField(value: string, byteCount: number): Buffer | null {
  const utf8Length = Buffer.byteLength(value);
  if (utf8Length === byteCount) return Buffer.from(value, 'utf8');
  // Only ASCII may reach Node's decoders: they look at the low byte of a character, so that U+0130 passes for "0".
  if (utf8Length !== value.length) return null;
  if (utf8Length === byteCount * 2) {
    // Node stops at the first character that is no hex digit.
    const decoded = Buffer.from(value, 'hex');
    if (decoded.length === byteCount) return decoded;
  }
  return decodeBase64(value, byteCount);
}

function decodeBase64(value: string, byteCount: number): Buffer | null {
  // A loop, not /=+$/: that pattern takes quadratic time on a long row of "=" that does not reach the end.
  let end = value.length;
  while (end > 0 && value.charCodeAt(end - 1) === 0x3d) end -= 1;
  if (end !== base64Length(byteCount)) return null;
  const digits = end === value.length ? value : value.slice(0, end);
  return base64Alphabet.test(digits) ? Buffer.from(digits, 'base64') : null;
}

/** Characters of `byteCount` bytes in base64 without padding. */
const base64Length = (byteCount: number): number => Math.floor((4 * byteCount + 2) / 3);
