import { createHash } from 'node:crypto';
import { readFile, readdir } from 'node:fs/promises';
import type { Database, Transaction } from './database.js';
import { SchemaError } from './errors.js';
import { numberCell, statement, textCell, type Queries } from './statement.js';

export interface Migration {
  readonly number: number;
  /** The file's name, such as `0001_initial.sql`. */
  readonly name: string;
  readonly sql: string;
  /** Of the file, hex. */
  readonly sha256: string;
}

export interface MigrationReport {
  /** Names of those that this run applied, or with `dryRun` would apply. */
  readonly applied: readonly string[];
  /** The number of the last migration in the database after the run (before it, with `dryRun`); 0 = empty. */
  readonly schemaVersion: number;
}

export interface MigrateOptions {
  /** Only look and report. */
  readonly dryRun?: boolean;
  /** The migrations beside this module unless given. */
  readonly migrations?: readonly Migration[];
}

interface AppliedMigration {
  readonly number: number;
  readonly name: string;
  readonly sha256: string;
}

/** "waggle" in ASCII: one lock for everybody who migrates this database. */
const MIGRATION_LOCK = 0x7761_6767_6c65n;

const lock = statement('migration_lock', `SELECT pg_advisory_xact_lock(${MIGRATION_LOCK})`);
/**
 * Read from the catalogue's table, not by `to_regclass`: that one asks a cache of the connection, which does not hear of
 * a table that another program created while this transaction waited for the lock.
 */
const tableExists = statement(
  'migration_table',
  `SELECT EXISTS (SELECT FROM pg_catalog.pg_class
   WHERE relname = 'schema_migrations' AND pg_catalog.pg_table_is_visible(oid))`,
);
const listApplied = statement(
  'migration_list',
  'SELECT number, name, sha256 FROM schema_migrations ORDER BY number',
);
const record = statement(
  'migration_record',
  'INSERT INTO schema_migrations (number, name, sha256) VALUES ($1::integer, $2::text, $3::text)',
);
const createTable = `CREATE TABLE IF NOT EXISTS schema_migrations (
  number integer PRIMARY KEY,
  name text NOT NULL,
  sha256 text NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT now()
)`;

/** The numbered SQL files beside this module, in order. Throws when a number is missing or double. */
export async function readMigrations(
  directory = new URL('./migrations/', import.meta.url),
): Promise<readonly Migration[]> {
  const names = (await readdir(directory)).filter((name) => name.endsWith('.sql')).sort();
  return Promise.all(
    names.map(async (name, index) => {
      const number = Number(/^(\d{4})_[a-z0-9-]+\.sql$/.exec(name)?.[1]);
      if (number !== index + 1) throw new SchemaError(`migration file ${name} is out of order`);
      const sql = await readFile(new URL(name, directory), 'utf8');
      return { number, name, sql, sha256: createHash('sha256').update(sql).digest('hex') };
    }),
  );
}

/**
 * Brings the database to this program's schema: each missing migration in a transaction of its own, under a lock, so
 * that several programs may start at once. Rejects with `SchemaError` when the database has migrations that this
 * program does not know (a newer program was here) or one whose text has changed since.
 */
export async function migrate(
  database: Database,
  { dryRun = false, migrations }: MigrateOptions = {},
): Promise<MigrationReport> {
  const known = migrations ?? (await readMigrations());
  if (dryRun) {
    const done = await readApplied(database);
    check(known, done);
    return { applied: known.slice(done.length).map(({ name }) => name), schemaVersion: done.length };
  }
  const applied: string[] = [];
  for (;;) {
    const next = await database.transaction((transaction) => applyNext(transaction, known), {
      unlimited: true,
    });
    if (next === null) return { applied, schemaVersion: known.length };
    applied.push(next);
  }
}

/** Null when there is nothing left to do. The lock ends with the transaction. */
async function applyNext(transaction: Transaction, known: readonly Migration[]): Promise<string | null> {
  await transaction.rows(lock);
  const done = await readApplied(transaction);
  check(known, done);
  const next = known[done.length];
  if (next === undefined) return null;
  await transaction.script(createTable);
  await transaction.script(next.sql);
  await transaction.execute(record, [next.number, next.name, next.sha256]);
  return next.name;
}

async function readApplied(queries: Queries): Promise<readonly AppliedMigration[]> {
  const [exists] = await queries.rows(tableExists);
  if (exists?.[0] !== true) return [];
  const rows = await queries.rows(listApplied);
  return rows.map((row) => ({
    number: numberCell(row, 0),
    name: textCell(row, 1),
    sha256: textCell(row, 2),
  }));
}

function check(known: readonly Migration[], done: readonly AppliedMigration[]): void {
  for (const [index, { number, name, sha256 }] of done.entries()) {
    const migration = known[index];
    if (migration === undefined) {
      throw new SchemaError(
        `the database has schema ${done.at(-1)?.number ?? number} (${name}), this program knows only ${known.length}: ` +
          'it was used by a newer version; start that one',
      );
    }
    if (migration.number !== number)
      throw new SchemaError(`migration ${migration.name} is missing in the database`);
    if (migration.sha256 !== sha256) {
      throw new SchemaError(
        `migration ${name} was changed after it had been applied; restore the original file`,
      );
    }
  }
}
