import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Database } from './database.js';
import { statement, textCell } from './statement.js';

/** Quoted by the database itself. */
const ourTables = statement(
  'vacuum_tables',
  `SELECT quote_ident(relname) FROM pg_catalog.pg_class
   WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace ORDER BY relname`,
);

/**
 * What a server's autovacuum does by itself: rows that were deleted give their room to new ones. In the embedded
 * database nobody does it, and a table through which pushes come and go would grow for ever. Table by table, for each
 * of them stops the event loop. Rejects with `StoreUnavailable`.
 */
export async function vacuumTables(database: Pick<Database, 'rows'>): Promise<void> {
  for (const row of await database.rows(ourTables)) {
    const table = textCell(row, 0);
    await database.rows(statement(`vacuum_${table}`, `VACUUM ${table}`));
    await nextTurn();
  }
}
