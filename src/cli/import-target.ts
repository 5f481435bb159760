import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../config/types.js';
import { fail, type Result } from '../domain/result.js';
import { acquireInstanceLock } from '../lifecycle/lock.js';
import type { Database } from '../store/database.js';
import { migrate } from '../store/migrate.js';
import { isInUse } from '../store/other-programs.js';
import type { World } from './command.js';
import { openConfiguredDatabase } from './open-database.js';

const STOP_FIRST =
  'stop it first: it keeps in memory what it read at its start, and would not learn of the import';
const IMPORT_LOCK = Buffer.from('import');

/**
 * Our database for an import, with this version's schema, and with no server on it from here to the end of `work`. For
 * a dry run nothing is made or locked: then it is null when there is no database yet. The error is a sentence for the
 * operator.
 */
export async function withImportTarget<Value>(
  config: Config,
  world: World,
  dryRun: boolean,
  work: (database: Database | null) => Promise<Result<Value, string>>,
): Promise<Result<Value, string>> {
  if (dryRun) return withDatabaseToLookAt(config, world, work);
  const lock = await acquireInstanceLock(config.keys.server);
  if (!lock.ok) return fail(`a server runs with the key ${config.keys.server}; ${STOP_FIRST}`);
  try {
    const database = await openConfiguredDatabase(config, world);
    try {
      return await withLocks(database, work);
    } finally {
      await database.close();
    }
  } finally {
    await lock.value.release();
  }
}

/**
 * As `withImportTarget`, but servers of ours may run meanwhile: for what they ask the database for whenever they need it,
 * or hear of by its changes. Only the schema may not change under them.
 */
export async function withSharedImportTarget<Value>(
  config: Config,
  world: World,
  dryRun: boolean,
  work: (database: Database | null) => Promise<Result<Value, string>>,
): Promise<Result<Value, string>> {
  if (dryRun) return withDatabaseToLookAt(config, world, work);
  const database = await openConfiguredDatabase(config, world);
  try {
    const { applied } = await migrate(database, { dryRun: true });
    if (applied.length > 0 && (await isInUse(database))) {
      return fail(
        'the database has an older schema, and a server works with it: stop it first, then run "waggle migrate"',
      );
    }
    return await withImportLock(database, work);
  } finally {
    await database.close();
  }
}

async function withLocks<Value>(
  database: Database,
  work: (database: Database) => Promise<Result<Value, string>>,
): Promise<Result<Value, string>> {
  if (await isInUse(database)) {
    return fail(`another server, or another import, works with this database; ${STOP_FIRST}`);
  }
  return withImportLock(database, work);
}

async function withImportLock<Value>(
  database: Database,
  work: (database: Database) => Promise<Result<Value, string>>,
): Promise<Result<Value, string>> {
  // When it is lost with its connection, so are the connections of the writes.
  const lock = await database.holdAdvisoryLock(IMPORT_LOCK, () => {});
  if (!lock.ok) return fail('another import works with this database');
  try {
    await migrate(database);
    return await work(database);
  } finally {
    await lock.value.release();
  }
}

async function withDatabaseToLookAt<Value>(
  config: Config,
  world: World,
  work: (database: Database | null) => Promise<Result<Value, string>>,
): Promise<Result<Value, string>> {
  const { url, dataDir } = config.database;
  // Opening the embedded database would make it, and a dry run makes nothing.
  if (url === null && !existsSync(join(dataDir, 'postgres'))) return work(null);
  const database = await openConfiguredDatabase(config, world);
  try {
    const { applied, schemaVersion } = await migrate(database, { dryRun: true });
    if (applied.length === 0) return await work(database);
    return schemaVersion === 0
      ? await work(null)
      : fail('the database has an older schema: run "waggle migrate" first');
  } finally {
    await database.close();
  }
}
