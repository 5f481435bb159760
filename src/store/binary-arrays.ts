/**
 * PostgreSQL arrays in their binary form, as one parameter of a statement. A Buffer parameter is sent as it is, so a
 * batch costs one copy per value: no hex, no quoting, no text for the server to parse.
 * Layout: int32 dimensions (1), int32 flags (1 = may hold nulls), int32 element type, int32 length, int32 lower bound,
 * then per element int32 length (-1 = null) and its bytes. Source: `array_recv` of PostgreSQL.
 */
const HEADER_BYTES = 20;
const NULL_LENGTH = -1;
const typeOid = {
  boolean: 16,
  bytea: 17,
  bigint: 20,
  smallint: 21,
  integer: 23,
  text: 25,
  uuid: 2950,
} as const;

export function byteaArray(values: readonly (Buffer | null)[]): Buffer {
  return variableArray(typeOid.bytea, values);
}

/** 16 bytes each. */
export function uuidArray(values: readonly Buffer[]): Buffer {
  return variableArray(typeOid.uuid, values);
}

export function textArray(values: readonly (string | null)[]): Buffer {
  let bytes = HEADER_BYTES;
  for (const value of values) bytes += 4 + (value === null ? 0 : Buffer.byteLength(value));
  const array = startArray(typeOid.text, values.length, bytes);
  let offset = HEADER_BYTES;
  for (const value of values) {
    if (value === null) {
      offset = array.writeInt32BE(NULL_LENGTH, offset);
    } else {
      const length = array.write(value, offset + 4);
      array.writeInt32BE(length, offset);
      offset += 4 + length;
    }
  }
  return array;
}

/** Whole numbers within the safe range of a double. */
export function bigintArray(values: readonly number[]): Buffer {
  const array = startArray(typeOid.bigint, values.length, HEADER_BYTES + 12 * values.length);
  let offset = HEADER_BYTES;
  for (const value of values) {
    if (!Number.isSafeInteger(value)) throw new RangeError('not a whole number in the safe range');
    offset = array.writeInt32BE(8, offset);
    offset = array.writeInt32BE(Math.floor(value / 0x1_0000_0000), offset);
    offset = array.writeUInt32BE(value >>> 0, offset);
  }
  return array;
}

export function integerArray(values: readonly number[]): Buffer {
  const array = startArray(typeOid.integer, values.length, HEADER_BYTES + 8 * values.length);
  let offset = HEADER_BYTES;
  for (const value of values) {
    offset = array.writeInt32BE(4, offset);
    offset = array.writeInt32BE(value, offset);
  }
  return array;
}

export function booleanArray(values: readonly boolean[]): Buffer {
  const array = startArray(typeOid.boolean, values.length, HEADER_BYTES + 5 * values.length);
  let offset = HEADER_BYTES;
  for (const value of values) {
    offset = array.writeInt32BE(1, offset);
    offset = array.writeUInt8(value ? 1 : 0, offset);
  }
  return array;
}

function variableArray(oid: number, values: readonly (Buffer | null)[]): Buffer {
  let bytes = HEADER_BYTES;
  for (const value of values) bytes += 4 + (value === null ? 0 : value.length);
  const array = startArray(oid, values.length, bytes);
  let offset = HEADER_BYTES;
  for (const value of values) {
    offset = array.writeInt32BE(value === null ? NULL_LENGTH : value.length, offset);
    if (value !== null) offset += value.copy(array, offset);
  }
  return array;
}

function startArray(oid: number, length: number, bytes: number): Buffer {
  const array = Buffer.allocUnsafe(bytes);
  array.writeInt32BE(1, 0);
  array.writeInt32BE(1, 4);
  array.writeInt32BE(oid, 8);
  array.writeInt32BE(length, 12);
  array.writeInt32BE(1, 16);
  return array;
}
