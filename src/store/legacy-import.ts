import type { LegacyDevice } from '../legacy/device.js';
import type { LegacyPeriod } from '../legacy/port.js';
import { bigintArray, booleanArray, textArray } from './binary-arrays.js';
import type { Database } from './database.js';
import { readCounts, type ImportCounts } from './import-counts.js';
import { statement, type Parameter, type Statement } from './statement.js';
import { of } from './subscription-statements.js';

/** Since when it is registered, nobody knows; so whatever was registered here is newer. */
const REGISTERED_AT_MS = 0;

const givenDevices = `given AS (
  SELECT * FROM unnest($2::text[], $3::text[], $4::text[], $5::boolean[])
    WITH ORDINALITY AS given(token, account, type, groups_only, position)
)`;
const deviceValues = 'account, type, groups_only';

/** A tombstone too: it is later knowledge than the file's. */
const isNewerHere = `(stored.registered_at_ms > ${REGISTERED_AT_MS} OR stored.removed_at_ms IS NOT NULL)`;
const countNewerDevices = `(SELECT count(*) FROM given JOIN legacy_devices AS stored USING (token)
  WHERE stored.brand = $1::text AND ${isNewerHere})`;

/** New rows are numbered in the order of the arrays. */
const writeDevices = statement(
  'legacy_import_devices',
  `WITH ${givenDevices}, written AS (
     INSERT INTO legacy_devices AS stored (brand, token, ${deviceValues}, registered_at_ms)
     SELECT $1::text, token, ${deviceValues}, ${REGISTERED_AT_MS} FROM given ORDER BY position
     ON CONFLICT (brand, token) DO UPDATE SET (${deviceValues}) = (${of('excluded', deviceValues)})
       WHERE NOT ${isNewerHere}
         AND (${of('stored', deviceValues)}) IS DISTINCT FROM (${of('excluded', deviceValues)})
     RETURNING stored.xmax = 0 AS added
   )
   SELECT count(*) FILTER (WHERE added), count(*) FILTER (WHERE NOT added), ${countNewerDevices} FROM written`,
);

const compareDevices = statement(
  'legacy_import_compare_devices',
  `WITH ${givenDevices}
   SELECT count(*) FILTER (WHERE stored.id IS NULL),
          count(*) FILTER (WHERE stored.id IS NOT NULL AND NOT ${isNewerHere}
            AND (${of('stored', deviceValues)}) IS DISTINCT FROM (${of('given', deviceValues)})),
          count(*) FILTER (WHERE ${isNewerHere})
   FROM given LEFT JOIN legacy_devices AS stored ON stored.brand = $1::text AND stored.token = given.token`,
);

const givenMembers = 'unnest($2::text[], $3::text[]) AS given(group_id, account)';

const writeMembers = statement(
  'legacy_import_members',
  `WITH written AS (
     INSERT INTO legacy_members (brand, group_id, account)
     SELECT $1::text, group_id, account FROM ${givenMembers} ORDER BY group_id, account
     ON CONFLICT DO NOTHING RETURNING 1
   )
   SELECT count(*), 0, 0 FROM written`,
);

const compareMembers = statement(
  'legacy_import_compare_members',
  `SELECT count(*), 0, 0 FROM ${givenMembers} WHERE NOT EXISTS (
     SELECT FROM legacy_members AS stored WHERE stored.brand = $1::text
       AND stored.group_id = given.group_id AND stored.account = given.account)`,
);

const counterColumns =
  'ios_pushes, android_pushes, messages, group_messages, untracked_messages, account_messages';
const givenPeriods = `unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[],
  $8::bigint[], $9::bigint[]) AS given(start_ms, end_ms, ${counterColumns})`;

/** The older server goes on with its last row every three minutes: a later copy of it is the same period, longer. */
const writePeriods = statement(
  'legacy_import_periods',
  `WITH written AS (
     INSERT INTO legacy_periods AS stored (brand, start_ms, end_ms, ${counterColumns})
     SELECT $1::text, start_ms, end_ms, ${counterColumns} FROM ${givenPeriods} ORDER BY start_ms
     ON CONFLICT (brand, start_ms) DO UPDATE SET
       (end_ms, ${counterColumns}) = (excluded.end_ms, ${of('excluded', counterColumns)})
       WHERE stored.end_ms < excluded.end_ms
     RETURNING stored.xmax = 0 AS added
   )
   SELECT count(*) FILTER (WHERE added), count(*) FILTER (WHERE NOT added),
     (SELECT count(*) FROM ${givenPeriods} JOIN legacy_periods AS stored USING (start_ms)
      WHERE stored.brand = $1::text AND stored.end_ms > given.end_ms)
   FROM written`,
);

const comparePeriods = statement(
  'legacy_import_compare_periods',
  `SELECT count(*) FILTER (WHERE stored.end_ms IS NULL),
          count(*) FILTER (WHERE stored.end_ms < given.end_ms),
          count(*) FILTER (WHERE stored.end_ms > given.end_ms)
   FROM ${givenPeriods}
   LEFT JOIN legacy_periods AS stored ON stored.brand = $1::text AND stored.start_ms = given.start_ms`,
);

/**
 * Takes over what an older server of one brand stored, each call in a transaction of its own. Whatever a client said to
 * us stays; imported rows may be imported again, and the last time counts. No call may hold one key twice. Rejects with
 * `StoreUnavailable` while the database is away.
 */
export class LegacyImport {
  /** `dryRun`: counts what would be done. */
  constructor(
    private readonly database: Database,
    private readonly brand: string,
    private readonly dryRun: boolean,
  ) {}

  devices(devices: readonly Omit<LegacyDevice, 'registeredAtMs'>[]): Promise<ImportCounts> {
    return this.#run(writeDevices, compareDevices, [
      textArray(devices.map(({ token }) => token)),
      textArray(devices.map(({ account }) => account)),
      textArray(devices.map(({ type }) => type)),
      booleanArray(devices.map(({ groupsOnly }) => groupsOnly)),
    ]);
  }

  members(members: readonly { readonly group: string; readonly account: string }[]): Promise<ImportCounts> {
    return this.#run(writeMembers, compareMembers, [
      textArray(members.map(({ group }) => group)),
      textArray(members.map(({ account }) => account)),
    ]);
  }

  periods(periods: readonly LegacyPeriod[]): Promise<ImportCounts> {
    return this.#run(writePeriods, comparePeriods, [
      bigintArray(periods.map(({ startMs }) => startMs)),
      bigintArray(periods.map(({ endMs }) => endMs)),
      bigintArray(periods.map(({ iosPushes }) => iosPushes)),
      bigintArray(periods.map(({ androidPushes }) => androidPushes)),
      bigintArray(periods.map(({ messages }) => messages)),
      bigintArray(periods.map(({ groupMessages }) => groupMessages)),
      bigintArray(periods.map(({ untrackedMessages }) => untrackedMessages)),
      bigintArray(periods.map(({ accountMessages }) => accountMessages)),
    ]);
  }

  async #run(write: Statement, compare: Statement, values: readonly Parameter[]): Promise<ImportCounts> {
    const [row] = await this.database.rows(this.dryRun ? compare : write, [this.brand, ...values]);
    return readCounts(row);
  }
}
