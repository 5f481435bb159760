import type { Database } from './database.js';
import { statement } from './statement.js';

/**
 * Servers of ours hold an advisory lock for as long as they run, on a connection that carries our name; so does
 * `holdAdvisoryLock` of commands. The migrations' lock, which ends with its transaction, counts too.
 */
const anyLock = statement(
  'other_programs',
  `SELECT EXISTS (
     SELECT FROM pg_catalog.pg_locks AS locks JOIN pg_catalog.pg_stat_activity AS activity USING (pid)
     WHERE locks.locktype = 'advisory' AND locks.granted AND activity.application_name = 'waggle'
       AND locks.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
   )`,
);

/**
 * Whether another program of ours works with this database now, wherever it runs and whatever its key. Ask before
 * taking a lock of one's own.
 */
export async function isInUse(database: Database): Promise<boolean> {
  // Of the embedded one we are the only process.
  if (database.kind === 'embedded') return false;
  const [row] = await database.rows(anyLock);
  return row?.[0] === true;
}
