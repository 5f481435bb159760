import { guessDeviceType, ID_MAX_BYTES, ID_MAX_CHARACTERS, TOKEN_MAX_BYTES } from '../legacy/arguments.js';
import type { LegacyDevice, LegacyDeviceType } from '../legacy/device.js';
import type { LegacyPeriod } from '../legacy/port.js';
import type { Rejections } from './rejections.js';
import type { SqliteFile, SqliteValue } from './sqlite-file.js';

const DEVICES = 'token_pubkey_table';
const GROUPS = 'closed_group_table';
const STATISTICS = 'statistics_table';

/** The columns of ours hold no more. */
const counterColumns = [
  'ios_pn_number',
  'android_pn_number',
  'total_message_number',
  'closed_group_message_number',
  'untracked_message_number',
  'deduplicated_1_1_message_number',
] as const;

/** The time of the registration is not in the file: it is that of nobody, so that every registration here is newer. */
export type ImportedDevice = Omit<LegacyDevice, 'registeredAtMs'>;

export interface ImportedMember {
  readonly group: string;
  readonly account: string;
}

/**
 * What the stores of older servers hold, one or several merged: of what two of them say about a token, the later file
 * counts. Ids are taken as they are: the originals look at none. Source: spec session-push-v1, section 5.
 */
export class LegacySnapshot {
  readonly #devices = new Map<string, ImportedDevice>();
  readonly #members = new Map<string, Set<string>>();
  readonly #periods = new Map<number, LegacyPeriod>();
  #memberCount = 0;

  constructor(private readonly rejections: Rejections) {}

  get deviceCount(): number {
    return this.#devices.size;
  }

  get memberCount(): number {
    return this.#memberCount;
  }

  get periodCount(): number {
    return this.#periods.size;
  }

  /** In the order of their rows. */
  devices(): Iterable<ImportedDevice> {
    return this.#devices.values();
  }

  *members(): Generator<ImportedMember> {
    for (const [group, accounts] of this.#members) for (const account of accounts) yield { group, account };
  }

  periods(): Iterable<LegacyPeriod> {
    return this.#periods.values();
  }

  /**
   * Takes a whole file; `source` names it in the list of rejected rows. The error says what the file lacks: then it is
   * not one of the older servers' stores. Throws `SqliteDamaged`.
   */
  add(source: string, file: SqliteFile): string | null {
    const columns = file.columnsOf(DEVICES);
    for (const needed of ['pubKey', 'token']) {
      if (!columns.has(needed)) return `${source} has no column ${needed} in a table ${DEVICES}`;
    }
    this.#addDevices(source, file, columns);
    if (file.columnsOf(GROUPS).size > 0) this.#addMembers(source, file);
    const statistics = file.columnsOf(STATISTICS);
    if (statistics.has('start_date') && statistics.has('end_date')) {
      this.#addPeriods(source, file, statistics);
    }
    return null;
  }

  #addDevices(source: string, file: SqliteFile, columns: ReadonlySet<string>): void {
    const reject = (row: SqliteValue, reason: string): void =>
      this.rejections.add(source, DEVICES, Number(row), reason);
    // The flag is the account's, and the original takes it from the account's first row.
    const groupsOnly = new Map<SqliteValue, boolean>();
    const rowOf = new Map<string, SqliteValue>();
    const optional = (column: string): string => (columns.has(column) ? column : 'NULL');
    const sql =
      `SELECT rowid, pubKey, token, ${optional('device')}, ${optional('legacy_groups_only')}, ` +
      `${hasZero('pubKey')}, ${hasZero('token')} FROM ${DEVICES} ORDER BY rowid`;
    for (const [row = null, account, token, device, flag, zeroInAccount, zeroInToken] of file.rows(sql)) {
      if (typeof account === 'string' && !groupsOnly.has(account)) groupsOnly.set(account, flag === 1);
      if (!isId(account) || zeroInAccount !== 0) reject(row, 'bad-account');
      else if (!isToken(token) || zeroInToken !== 0) reject(row, 'bad-token');
      else {
        const type = deviceType(device, token);
        if (type === null) reject(row, 'bad-device');
        else if (type === 'unknown') reject(row, 'unknown-device');
        else {
          const earlier = rowOf.get(token);
          if (earlier !== undefined) {
            reject(earlier, this.#devices.get(token)?.account === account ? 'duplicate' : 'moved');
          }
          rowOf.set(token, row);
          // Anew at the end: in the order of the rows that count.
          this.#devices.delete(token);
          this.#devices.set(token, { token, account, type, groupsOnly: groupsOnly.get(account) === true });
        }
      }
    }
  }

  #addMembers(source: string, file: SqliteFile): void {
    const seen = new Map<string, Set<string>>();
    const sql =
      `SELECT rowid, closedGroupPublicKey, pubKey, ${hasZero('closedGroupPublicKey')}, ${hasZero('pubKey')} ` +
      `FROM ${GROUPS} ORDER BY rowid`;
    for (const [row = null, group, account, zeroInGroup, zeroInAccount] of file.rows(sql)) {
      if (!isId(group) || zeroInGroup !== 0) {
        this.rejections.add(source, GROUPS, Number(row), 'bad-group');
      } else if (!isId(account) || zeroInAccount !== 0) {
        this.rejections.add(source, GROUPS, Number(row), 'bad-account');
      } else if (!addTo(seen, group, account)) {
        this.rejections.add(source, GROUPS, Number(row), 'duplicate');
      } else if (addTo(this.#members, group, account)) {
        this.#memberCount += 1;
      }
    }
  }

  #addPeriods(source: string, file: SqliteFile, columns: ReadonlySet<string>): void {
    const counters = counterColumns.map((column) => (columns.has(column) ? column : '0'));
    const sql = `SELECT rowid, start_date, end_date, ${counters.join()} FROM ${STATISTICS} ORDER BY rowid`;
    for (const [row = null, start, end, ...values] of file.rows(sql)) {
      const period = readPeriod(start, end, values);
      if (period === null) {
        this.rejections.add(source, STATISTICS, Number(row), 'bad-period');
        continue;
      }
      const known = this.#periods.get(period.startMs);
      if (known === undefined || known.endMs <= period.endMs) this.#periods.set(period.startMs, period);
    }
  }
}

/** SQLite's texts end at a zero byte when they are read: what comes behind it would be lost without a word. */
const hasZero = (column: string): string => `coalesce(instr(CAST(${column} AS BLOB), x'00'), 0)`;

/** U+FFFD is what bytes that are no UTF-8 become. */
const isText = (value: SqliteValue | undefined): value is string =>
  typeof value === 'string' && value !== '' && !value.includes('\uFFFD');

const isId = (value: SqliteValue | undefined): value is string =>
  isText(value) && value.length <= ID_MAX_CHARACTERS && Buffer.byteLength(value) <= ID_MAX_BYTES;

const isToken = (value: SqliteValue | undefined): value is string =>
  isText(value) && Buffer.byteLength(value) <= TOKEN_MAX_BYTES;

/** Null: a word that the original would not start with. Spec session-push-v1, 3.1. */
function deviceType(device: SqliteValue | undefined, token: string): LegacyDeviceType | null {
  switch (device) {
    case null:
      return guessDeviceType(token);
    case 'ios':
    case 'android':
    case 'huawei':
    case 'unknown':
      return device;
    default:
      return null;
  }
}

/** Whether it was not in there. */
function addTo(groups: Map<string, Set<string>>, group: string, account: string): boolean {
  const accounts = groups.get(group) ?? new Set();
  if (accounts.has(account)) return false;
  groups.set(group, accounts.add(account));
  return true;
}

function readPeriod(
  start: SqliteValue | undefined,
  end: SqliteValue | undefined,
  values: readonly SqliteValue[],
): LegacyPeriod | null {
  const startMs = readTime(start);
  const endMs = readTime(end);
  const counts = values.map((value) => (value === null ? 0 : value));
  if (startMs === null || endMs === null || endMs < startMs || !counts.every(isCount)) return null;
  const [
    iosPushes = 0,
    androidPushes = 0,
    messages = 0,
    groupMessages = 0,
    untrackedMessages = 0,
    accountMessages = 0,
  ] = counts;
  return {
    startMs,
    endMs,
    iosPushes,
    androidPushes,
    messages,
    groupMessages,
    untrackedMessages,
    accountMessages,
  };
}

/** Unix seconds with a fraction to unix milliseconds. */
function readTime(value: SqliteValue | undefined): number | null {
  const ms = typeof value === 'number' ? Math.round(value * 1000) : Number.NaN;
  return Number.isSafeInteger(ms) && ms >= 0 ? ms : null;
}

const isCount = (value: SqliteValue): value is number =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
