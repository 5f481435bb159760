import { writeFile } from 'node:fs/promises';
import initSqlJs, { type SqlValue } from 'sql.js';

export interface V1Rows {
  /** pubKey, token, device, legacy_groups_only. */
  readonly devices?: readonly (readonly [SqlValue, SqlValue, SqlValue?, SqlValue?])[];
  /** closedGroupPublicKey, pubKey. */
  readonly members?: readonly (readonly [SqlValue, SqlValue])[];
  /** start_date, end_date, then the six counters: iOS, Android, total, group, untracked, one-to-one. */
  readonly periods?: readonly (readonly SqlValue[])[];
  /** Columns of token_pubkey_table; files of early versions lack the last ones. */
  readonly deviceColumns?: 2 | 3 | 4;
}

const columns = [
  'pubKey TEXT NOT NULL',
  'token TEXT NOT NULL',
  'device TEXT',
  'legacy_groups_only BOOL DEFAULT 0 NOT NULL',
];

/** A store of SPNS v1 or of the Bchat legacy server. Source: spec session-push-v1, section 5. */
export async function v1Database({
  devices = [],
  members = [],
  periods = [],
  deviceColumns = 4,
}: V1Rows): Promise<Buffer> {
  const sqlite = await initSqlJs();
  const database = new sqlite.Database();
  database.run(`CREATE TABLE token_pubkey_table(${columns.slice(0, deviceColumns).join(', ')})`);
  database.run('CREATE TABLE closed_group_table(closedGroupPublicKey TEXT NOT NULL, pubKey TEXT NOT NULL)');
  database.run(`CREATE TABLE statistics_table(start_date REAL, end_date REAL, ios_pn_number INTEGER,
    android_pn_number INTEGER, total_message_number INTEGER, closed_group_message_number INTEGER,
    untracked_message_number INTEGER, deduplicated_1_1_message_number INTEGER)`);
  const insert = (
    table: string,
    rows: readonly (readonly (SqlValue | undefined)[])[],
    defaults: readonly SqlValue[],
  ): void => {
    database.run('BEGIN');
    // The library ends a text at its zero character, SQLite does not: such a one is given as bytes.
    const withZero = (value: SqlValue | undefined): value is string =>
      typeof value === 'string' && value.includes('\0');
    for (const row of rows) {
      const places = defaults.map((_, index) => (withZero(row[index]) ? 'CAST(? AS TEXT)' : '?'));
      const values = defaults.map((value, index) => {
        const given = row[index];
        return withZero(given) ? Buffer.from(given) : (given ?? value);
      });
      database.run(`INSERT INTO ${table} VALUES (${places.join()})`, values);
    }
    database.run('COMMIT');
  };
  insert('token_pubkey_table', devices, [null, null, null, 0].slice(0, deviceColumns));
  insert('closed_group_table', members, [null, null]);
  insert('statistics_table', periods, [null, null, 0, 0, 0, 0, 0, 0]);
  const bytes = Buffer.from(database.export());
  database.close();
  return bytes;
}

export async function writeV1Database(path: string, rows: V1Rows): Promise<string> {
  await writeFile(path, await v1Database(rows));
  return path;
}
