import { parseAnyServiceId } from '../domain/ids.js';
import type { DeviceKey, RemovalReason, StoredDevice } from '../xmpp-devices/device.js';
import { textCell, type Row } from './statement.js';

/** Of int32 column count, then per column int32 type, int32 length (-1 = null), bytes. Source: `record_send`. */
const COLUMNS = 15;
/** Texts that most devices share: types and domains. */
const SHARED_MAX = 1000;

/**
 * Reads packed rows of `xmpp-devices-statements.ts`. The bytes of a device are copied out of the answer, into one block
 * of memory per device: whoever keeps it keeps nothing else alive.
 */
export class XmppDeviceReader {
  readonly #shared = new Map<string, string>();

  /** `hex`: null for no rows. Throws on anything that the statements do not write. */
  read(hex: string | null): StoredDevice[] {
    if (hex === null) return [];
    const rows = new PackedRows(Buffer.from(hex, 'hex'));
    const devices: StoredDevice[] = [];
    while (rows.next()) devices.push(this.#device(rows));
    return devices;
  }

  #device(rows: PackedRows): StoredDevice {
    const node = required(rows.text());
    const key = keyOf(node, rows.text(), rows.text());
    const type = this.#sharedText(required(rows.text()));
    const token = required(parseAnyServiceId(required(rows.text())));
    const [serviceData, secretHash, sealedSecret] = copyTogether(
      rows.bytes(),
      required(rows.bytes()),
      required(rows.bytes()),
    );
    const domain = rows.text();
    return {
      device: {
        key,
        node,
        type,
        token,
        serviceData,
        secretHash,
        sealedSecret,
        accountDomain: domain === null ? null : this.#sharedText(domain),
        registeredAtMs: required(rows.number()),
        renewedAtMs: rows.number(),
        lastPushAtMs: rows.number(),
        lastErrorAtMs: rows.number(),
      },
      revision: required(rows.number()),
      removed: parseReason(rows.text()),
    };
  }

  /** One string for all devices, up to a bound. */
  #sharedText(text: string): string {
    const known = this.#shared.get(text);
    if (known !== undefined) return known;
    if (this.#shared.size < SHARED_MAX) this.#shared.set(text, text);
    return text;
  }
}

export const nullableTextCell = (row: Row | undefined, column: number): string | null =>
  row?.[column] === null ? null : textCell(row, column);

/** Both null for a device whose node is its key. */
export const keyOf = (node: string, device: string | null, channel: string | null): DeviceKey =>
  device === null || channel === null ? { kind: 'v1', node } : { kind: 'p2', device, channel };

function parseReason(text: string | null): RemovalReason | null {
  if (text === null || text === 'unregistered' || text === 'dead') return text;
  throw new TypeError('not a reason of removal');
}

function required<Value>(value: Value | null): Value {
  if (value === null) throw new TypeError('a packed device lacks a column');
  return value;
}

function copyTogether(data: Buffer | null, hash: Buffer, sealed: Buffer): [Buffer | null, Buffer, Buffer] {
  const sealedStart = hash.length;
  const dataStart = sealedStart + sealed.length;
  // Not from Node's shared pool: one small piece that is kept would keep eight kilobytes.
  const block = Buffer.allocUnsafeSlow(dataStart + (data?.length ?? 0));
  hash.copy(block, 0);
  sealed.copy(block, sealedStart);
  data?.copy(block, dataStart);
  return [
    data === null ? null : block.subarray(dataStart),
    block.subarray(0, sealedStart),
    block.subarray(sealedStart, dataStart),
  ];
}

/** A walk over packed rows, column by column. */
class PackedRows {
  #offset = 0;

  constructor(private readonly rows: Buffer) {}

  /** To the first column of the next row; false: there is none. */
  next(): boolean {
    if (this.#offset === this.rows.length) return false;
    if (this.rows.readInt32BE(this.#offset) !== COLUMNS) throw new TypeError('not a packed device');
    this.#offset += 4;
    return true;
  }

  text(): string | null {
    const length = this.#length();
    return length < 0 ? null : this.rows.toString('utf8', this.#offset, (this.#offset += length));
  }

  /** A `bigint`. */
  number(): number | null {
    const length = this.#length();
    if (length < 0) return null;
    const high = this.rows.readInt32BE(this.#offset);
    const low = this.rows.readUInt32BE(this.#offset + 4);
    this.#offset += length;
    return high * 0x1_0000_0000 + low;
  }

  /** A view. */
  bytes(): Buffer | null {
    const length = this.#length();
    return length < 0 ? null : this.rows.subarray(this.#offset, (this.#offset += length));
  }

  /** The next column: its length, -1 for null; the offset is then at its bytes. */
  #length(): number {
    const length = this.rows.readInt32BE(this.#offset + 4);
    this.#offset += 8;
    return length;
  }
}
