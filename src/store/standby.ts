import { StoreUnavailable } from './errors.js';
import { booleanCell, type Row } from './statement.js';

/** SQLSTATE of what a standby says to those who write. */
const READ_ONLY = '25006';

/** A column. */
export const isStandby = 'pg_is_in_recovery()';

/**
 * A standby answers what is asked, but may not have heard of the last changes: in a failover, connections may lead to it
 * before it takes over. Where it counts that somebody is not there, it knows as little as a database that is away. Throws
 * `StoreUnavailable`; `column` is that of `isStandby`.
 */
export function refuseStandby(row: Row | undefined, column: number): void {
  if (booleanCell(row, column)) throw new StoreUnavailable('refused', READ_ONLY);
}
