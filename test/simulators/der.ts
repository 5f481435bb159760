/* The few forms of DER (ITU-T X.690) that test certificates need; contents of up to 64 kB. */

export const INTEGER = 0x02;
export const OCTET_STRING = 0x04;

export function tlv(tag: number, ...contents: readonly Buffer[]): Buffer {
  const content = Buffer.concat(contents);
  if (content.length < 0x80) return Buffer.concat([Buffer.from([tag, content.length]), content]);
  const length = Buffer.from([content.length >> 8, content.length & 0xff]);
  return Buffer.concat([Buffer.from([tag, 0x82]), length, content]);
}

export const NULL = tlv(0x05);
export const TRUE = tlv(0x01, Buffer.from([0xff]));
export const sequence = (...contents: readonly Buffer[]): Buffer => tlv(0x30, ...contents);
/** 0 to 127. */
export const integer = (value: number): Buffer => tlv(INTEGER, Buffer.from([value]));
export const bitString = (bytes: Buffer): Buffer => tlv(0x03, Buffer.from([0]), bytes);

export function objectIdentifier(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  return tlv(0x06, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]));
}

function base128(value: number): number[] {
  const digits = [value & 0x7f];
  for (let left = value >>> 7; left > 0; left >>>= 7) digits.unshift((left & 0x7f) | 0x80);
  return digits;
}
