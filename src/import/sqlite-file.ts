import { open, readFile, stat } from 'node:fs/promises';
import type { Database, InitSqlJsStatic } from 'sql.js';
import { fail, ok, type Result } from '../domain/result.js';

export type SqliteValue = number | string | Uint8Array | null;

/** A SQLite file, read into memory as a whole. */
export interface SqliteFile {
  /** Names of the table's columns; empty when there is no such table. */
  columnsOf(table: string): ReadonlySet<string>;
  /** One by one; each row as an array of columns. Throws `SqliteDamaged`. */
  rows(sql: string): Generator<readonly SqliteValue[]>;
  close(): void;
}

/** What SQLite says while it reads. Its texts hold names of tables, no values. */
export class SqliteDamaged extends Error {
  override readonly name = 'SqliteDamaged';
}

const MAGIC = Buffer.from('SQLite format 3\0', 'latin1');
/** A journal that was never rolled back begins with this; one that is finished is empty or begins with zeros. */
const JOURNAL_MAGIC = Buffer.from('d9d505f920a163d7', 'hex');
/** Of the library's 2 GiB of memory the pages, and what is read from them, take their part. */
const FILE_MAX_BYTES = 1024 ** 3;

/**
 * Opens a file that nobody writes to at this moment. The error is a sentence for the operator: what is not SQLite, is
 * too large, was caught in the middle of a change, or is damaged. Source: SQLite's file format, 1.3 and 3.
 */
export async function openSqliteFile(path: string): Promise<Result<SqliteFile, string>> {
  let bytes: Buffer;
  try {
    const before = await stat(path);
    if (!before.isFile()) return fail(`${path} is not a file`);
    if (before.size > FILE_MAX_BYTES) {
      return fail(`${path} is larger than 1 GiB: it is read into memory as a whole`);
    }
    const unfinished = await unfinishedChange(path);
    if (unfinished !== null) return fail(unfinished);
    bytes = await readFile(path);
    const after = await stat(path);
    if (after.mtimeMs !== before.mtimeMs || after.size !== before.size || bytes.length !== after.size) {
      return fail(`${path} was written to while it was read: stop the old server, or import its backup`);
    }
    const begun = await unfinishedChange(path);
    if (begun !== null) return fail(begun);
  } catch (error) {
    return fail(`${path} cannot be read (${codeOf(error)})`);
  }
  if (!bytes.subarray(0, MAGIC.length).equals(MAGIC)) return fail(`${path} is not a SQLite database`);
  return openBytes(path, bytes);
}

/** Beside the file lies a change that it does not hold yet, or holds only half. */
async function unfinishedChange(path: string): Promise<string | null> {
  const howTo = `stop the old server, run "sqlite3 ${path} 'PRAGMA wal_checkpoint(TRUNCATE)'" and import again`;
  const wal = await startOf(`${path}-wal`);
  if (wal.length > 0) return `${path}-wal holds changes that are not yet in the file: ${howTo}`;
  const journal = await startOf(`${path}-journal`);
  return journal.equals(JOURNAL_MAGIC)
    ? `${path}-journal belongs to a change that was not finished: ${howTo}`
    : null;
}

/** Its first eight bytes at most; none when there is no such file. */
async function startOf(path: string): Promise<Buffer> {
  let file;
  try {
    file = await open(path, 'r');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return Buffer.alloc(0);
    throw error;
  }
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(JOURNAL_MAGIC.length), 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

async function openBytes(path: string, bytes: Buffer): Promise<Result<SqliteFile, string>> {
  const sqlite = await loadSqlite();
  const database = new sqlite.Database(bytes);
  try {
    const [check] = cells(database, 'PRAGMA quick_check(1)');
    const [encoding] = cells(database, 'PRAGMA encoding');
    if (check === 'ok' && encoding === 'UTF-8') return ok(new LoadedFile(database));
    database.close();
    return fail(check === 'ok' ? `${path} is not in UTF-8` : `${path} is damaged: import the backup`);
  } catch {
    database.close();
    return fail(`${path} is damaged: import the backup`);
  }
}

const cells = (database: Database, sql: string): readonly SqliteValue[] =>
  database.exec(sql)[0]?.values[0] ?? [];

/** The library is loaded when the first file is opened: most runs of the program need none. */
async function loadSqlite(): ReturnType<InitSqlJsStatic> {
  const { default: initialise } = await import('sql.js');
  return initialise();
}

class LoadedFile implements SqliteFile {
  constructor(private readonly database: Database) {}

  columnsOf(table: string): ReadonlySet<string> {
    const names = this.database.exec('SELECT name FROM pragma_table_info(:table)', { ':table': table });
    return new Set((names[0]?.values ?? []).map(([name]) => String(name)));
  }

  *rows(sql: string): Generator<readonly SqliteValue[]> {
    let statement;
    try {
      statement = this.database.prepare(sql);
      while (statement.step()) yield statement.get();
    } catch (error) {
      throw new SqliteDamaged(error instanceof Error ? error.message : 'cannot be read');
    } finally {
      statement?.free();
    }
  }

  close(): void {
    this.database.close();
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string'
    ? error.code
    : 'unknown error';
}
