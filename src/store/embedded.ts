import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { PGlite } from '@electric-sql/pglite';
import { createPgConfig } from '@electric-sql/pglite/node-postgres';
import type { Result } from '../domain/result.js';
import { DatabaseInUse } from './errors.js';

/** Takes a single-instance lock tied to a path (`lifecycle/lock.ts`). */
export type AcquireLock = (path: string) => Promise<Result<{ release(): Promise<void> }, 'held'>>;

/** PostgreSQL in process, behind the interface of a pg connection. */
export interface EmbeddedDatabase {
  readonly connection: ReturnType<typeof createPgConfig>;
  close(): Promise<void>;
}

/**
 * Opens (or makes, which takes some seconds) the database under `dataDir/postgres`. PGlite itself does not notice a
 * second process in its directory, and two would destroy it: hence the lock.
 */
export async function openEmbedded(dataDir: string, acquireLock: AcquireLock): Promise<EmbeddedDatabase> {
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  const directory = join(dataDir, 'postgres');
  const lock = await acquireLock(directory);
  if (!lock.ok) throw new DatabaseInUse(`another process has the embedded database in ${directory} open`);
  try {
    const pglite = await PGlite.create(directory);
    // Nobody tells this database that a table has grown: a plan that was made for an empty one would be kept for good,
    // and reads it from end to end.
    await pglite.exec('SET plan_cache_mode = force_custom_plan');
    return {
      connection: createPgConfig(pglite),
      close: async () => {
        await pglite.close();
        await lock.value.release();
      },
    };
  } catch (error) {
    await lock.value.release();
    throw error;
  }
}
