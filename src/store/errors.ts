/**
 * Why the database could not be asked. `unreachable`: no connection, or it broke (the server restarts, the network is
 * gone); `busy`: no free connection or no room in a queue of ours; `timeout`: the statement took too long; `refused`:
 * the server does not let us in or has no room (password, disk, too many connections, read-only).
 */
export type UnavailableReason = 'unreachable' | 'busy' | 'timeout' | 'refused';

/** The database cannot do it now; the same call may succeed later. Holds no SQL and no values. */
export class StoreUnavailable extends Error {
  override readonly name = 'StoreUnavailable';

  constructor(
    readonly reason: UnavailableReason,
    /** SQLSTATE or the system's error code where there is one. */
    readonly code: string | null = null,
  ) {
    super(`the database is not available: ${reason}${code === null ? '' : ` (${code})`}`);
  }
}

/**
 * The database refused the statement or its values: a bug of ours or data that it cannot hold; trying again does not
 * help. Holds no values: PostgreSQL's own text quotes them, so it is kept only for errors in our SQL (class 42).
 */
export class StoreQueryError extends Error {
  override readonly name = 'StoreQueryError';

  constructor(
    readonly statement: string,
    /** SQLSTATE. */
    readonly code: string,
    detail: string | null,
  ) {
    super(`the database refused "${statement}" (${code})${detail === null ? '' : `: ${detail}`}`);
  }
}

/** The schema of the database does not fit this program: newer, altered, or on a server that is too old. */
export class SchemaError extends Error {
  override readonly name = 'SchemaError';
}

/** Another process has the embedded database open. */
export class DatabaseInUse extends Error {
  override readonly name = 'DatabaseInUse';
}

const refusedCodes = new Set(['28000', '28P01', '3D000', '25006', '42501']);

/**
 * Turns whatever pg, pg-promise or PGlite threw into one of ours. The original is never kept as `cause`: pg-promise
 * hangs the values of the statement (tokens, keys) on it, and a log would print them.
 */
export function storeErrorFrom(error: unknown, statement: string): Error {
  if (error instanceof StoreUnavailable || error instanceof StoreQueryError || error instanceof SchemaError) {
    return error;
  }
  if (!(error instanceof Error)) return new StoreUnavailable('unreachable');
  if (error instanceof TypeError || error instanceof RangeError || error instanceof ReferenceError)
    return error;
  const code = 'code' in error && typeof error.code === 'string' ? error.code : null;
  // pg's own complaints about a connection ("terminated unexpectedly", "is not queryable") carry no code.
  if (code === null) {
    return new StoreUnavailable(
      /^timeout exceeded when trying to connect/.test(error.message) ? 'busy' : 'unreachable',
    );
  }
  // SQLSTATEs are five characters; everything else is the system's (ECONNREFUSED, ENOTFOUND, ...) or TLS's.
  if (!/^[0-9A-Z]{5}$/.test(code) || /^E[A-Z]{4}$/.test(code))
    return new StoreUnavailable('unreachable', code);
  // 25P03: we stood still in the middle of a transaction, and the server ended it.
  if (code === '57014' || code === '25P03') return new StoreUnavailable('timeout', code);
  if (code.startsWith('08') || code.startsWith('57')) return new StoreUnavailable('unreachable', code);
  // Two transactions got into each other's way: nothing is wrong with the statement.
  if (code.startsWith('40') || code === '55P03') return new StoreUnavailable('busy', code);
  if (code.startsWith('53') || code.startsWith('58') || refusedCodes.has(code)) {
    return new StoreUnavailable('refused', code);
  }
  return new StoreQueryError(statement, code, code.startsWith('42') ? error.message : null);
}
