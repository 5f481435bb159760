import { parseChannelUri, type ChannelUri } from '../codec/wns-channel-uri.js';
import type { ImportedUwpxDevice } from '../store/uwpx-import.js';
import { domainOfBareJid } from '../uwpx/identifiers.js';
import type { OfferedAccount, UwpxAccountId, UwpxDeviceId } from '../uwpx/port.js';
import type { Rejections } from './rejections.js';
import type { SqliteFile, SqliteValue } from './sqlite-file.js';

const DEVICES = 'ChannelUri';
const ACCOUNTS = 'PushAccount';

/** As the tables have room for; those of the original have 64, 171 and 256 characters. In UTF-8. */
const ID_MAX_BYTES = 1024;
const NODE_MAX_BYTES = 1024;
const SECRET_MAX_BYTES = 512;
const DOMAIN_MAX_BYTES = 4096;

export interface UwpxSnapshotOptions {
  readonly rejections: Rejections;
  /** Unix milliseconds. Devices that were last heard of before are of no use: they would be removed at once. */
  readonly outdatedBeforeMs: number;
  readonly nowMs: number;
  /** Of devices in a file that has no times: when it was written last. Unix milliseconds. */
  readonly fileAtMs: number;
}

interface Device {
  readonly row: SqliteValue;
  readonly channelUri: ChannelUri;
  readonly updatedAtMs: number;
  readonly accounts: Map<string, { readonly row: SqliteValue; readonly account: OfferedAccount }>;
}

/**
 * What the UWPX push server's Python versions keep in SQLite. Their ids of accounts are made as those of later clients,
 * which so find node and secret again. Source: spec uwpx-push, 5.2.
 */
export class UwpxSnapshot {
  readonly #devices = new Map<string, Device>();

  constructor(private readonly options: UwpxSnapshotOptions) {}

  get deviceCount(): number {
    return this.#devices.size;
  }

  get accountCount(): number {
    let count = 0;
    for (const { accounts } of this.#devices.values()) count += accounts.size;
    return count;
  }

  *devices(): Generator<ImportedUwpxDevice> {
    for (const [deviceId, { channelUri, updatedAtMs, accounts }] of this.#devices) {
      yield {
        deviceId: deviceId as UwpxDeviceId,
        channelUri,
        // They spoke version 1, but the client may have been updated since.
        protocolVersion: null,
        updatedAtMs,
        accounts: [...accounts.values()].map(({ account }) => account),
      };
    }
  }

  /**
   * Takes a whole file; `source` names it in the list of rejected rows. The error says what the file lacks: then it is
   * not the push server's. Throws `SqliteDamaged`.
   */
  add(source: string, file: SqliteFile): string | null {
    const devices = file.columnsOf(DEVICES);
    const accounts = file.columnsOf(ACCOUNTS);
    const link = ['channelUri_id', 'channelUri'].find((column) => accounts.has(column)) ?? 'channelUri_id';
    for (const [table, columns, needed] of [
      [DEVICES, devices, ['id', 'deviceId', 'channelUri']],
      [ACCOUNTS, accounts, [link, 'bareJidHash', 'domainPart', 'node', 'secret']],
    ] as const) {
      const lack = needed.find((column) => !columns.has(column));
      if (lack !== undefined) return `${source} has no column ${lack} in a table ${table}`;
    }
    const idOf = this.#addDevices(source, file, devices.has('timeStamp') ? 'timeStamp' : null);
    this.#addAccounts(source, file, link, idOf);
    return null;
  }

  /** Answers the devices by their rows' ids. */
  #addDevices(source: string, file: SqliteFile, timeColumn: string | null): Map<SqliteValue, string> {
    const { rejections, outdatedBeforeMs, nowMs, fileAtMs } = this.options;
    const idOf = new Map<SqliteValue, string>();
    const reject = (row: SqliteValue, reason: string): void =>
      rejections.add(source, DEVICES, Number(row), reason);
    const sql =
      `SELECT id, deviceId, channelUri, ${timeColumn ?? 'NULL'}, ${hasZero('deviceId')}, ` +
      `${hasZero('channelUri')} FROM ${DEVICES} ORDER BY id`;
    for (const [row = null, deviceId, channel, time, zeroInId, zeroInChannel] of file.rows(sql)) {
      const channelUri = typeof channel === 'string' && zeroInChannel === 0 ? parseChannelUri(channel) : null;
      const updatedAtMs = timeColumn === null ? fileAtMs : readTime(time);
      if (!isText(deviceId, ID_MAX_BYTES) || zeroInId !== 0) reject(row, 'bad-device');
      else if (channelUri === null) reject(row, 'bad-channel');
      else if (updatedAtMs === null || updatedAtMs > nowMs) reject(row, 'bad-time');
      else if (updatedAtMs < outdatedBeforeMs) reject(row, 'outdated');
      else {
        const earlier = this.#devices.get(deviceId);
        if (earlier !== undefined) {
          reject(earlier.row, 'duplicate');
          idOf.delete(earlier.row);
        }
        idOf.set(row, deviceId);
        this.#devices.set(deviceId, { row, channelUri, updatedAtMs, accounts: new Map() });
      }
    }
    return idOf;
  }

  /**
   * `no-device`: it was left out, or its row is gone. The original replaces the row of a device with a new one for every
   * new channel, and its accounts go on pointing to the old one: they get no pushes there either.
   */
  #addAccounts(source: string, file: SqliteFile, link: string, idOf: ReadonlyMap<SqliteValue, string>): void {
    const reject = (row: SqliteValue, reason: string): void =>
      this.options.rejections.add(source, ACCOUNTS, Number(row), reason);
    const zeros = ['bareJidHash', 'node', 'secret'].map(hasZero).join(' + ');
    const sql = `SELECT rowid, ${link}, bareJidHash, domainPart, node, secret, ${zeros} FROM ${ACCOUNTS} ORDER BY rowid`;
    for (const [row = null, device = null, hash, domain, node, secret, zero] of file.rows(sql)) {
      const accounts = this.#devices.get(idOf.get(device) ?? '')?.accounts;
      if (accounts === undefined) reject(row, 'no-device');
      else if (!isText(hash, ID_MAX_BYTES) || zero !== 0) reject(row, 'bad-account');
      else if (!isText(node, NODE_MAX_BYTES)) reject(row, 'bad-node');
      else if (!isText(secret, SECRET_MAX_BYTES)) reject(row, 'bad-secret');
      else {
        const earlier = accounts.get(hash);
        if (earlier !== undefined) reject(earlier.row, 'duplicate');
        const account = { accountId: hash as UwpxAccountId, node, secret, domain: domainOf(domain) };
        accounts.set(hash, { row, account });
      }
    }
  }
}

/** SQLite's texts end at a zero byte when they are read: what comes behind it would be lost without a word. */
const hasZero = (column: string): string => `coalesce(instr(CAST(${column} AS BLOB), x'00'), 0)`;

/** U+FFFD is what bytes that are no UTF-8 become. */
const isText = (value: SqliteValue | undefined, maxBytes: number): value is string =>
  typeof value === 'string' &&
  value !== '' &&
  !value.includes('\uFFFD') &&
  Buffer.byteLength(value) <= maxBytes;

/** Early versions kept the whole address there. Null: not known, then servers of any domain may publish. */
function domainOf(value: SqliteValue | undefined): string | null {
  const domain = isText(value, DOMAIN_MAX_BYTES) ? domainOfBareJid(value) : '';
  return domain === '' ? null : domain;
}

const TIME = /^(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(\.\d{1,3})?\d*(?:([+-]\d\d):?(\d\d))?$/;

/** `2021-06-01 12:00:00.123456+0000`, in unix milliseconds; without an offset it is in UTC. */
function readTime(value: SqliteValue | undefined): number | null {
  const match = typeof value === 'string' ? TIME.exec(value) : null;
  if (match === null) return null;
  const [, date = '', time = '', fraction = '', hours = '+00', minutes = '00'] = match;
  const ms = Date.parse(`${date}T${time}${fraction}${hours}:${minutes}`);
  return ms >= 0 ? ms : null;
}
