import { StoreQueryError } from './errors.js';

/** PostgreSQL holds no zero byte, and UTF-8 no half of a surrogate pair: it would silently become another character. */
const unstorable = /[\0\p{Surrogate}]/u;

export const isStorable = (text: string): boolean => !unstorable.test(text);

/** What PostgreSQL itself says of a zero byte, and of a row that a CHECK refuses. */
const NOT_TEXT = '22021';
const CHECK_VIOLATION = '23514';

/** A value (null: none) and the bytes that it may have, as the CHECK of its column says. */
export type BoundedValue = readonly [value: string | Buffer | null, minBytes: number, maxBytes: number];

/**
 * Throws what the database would throw. For values that share a statement with those of others, which would have to be
 * written one by one because of them.
 */
export function refuseUnstorable(statement: string, values: readonly BoundedValue[]): void {
  for (const [value, minBytes, maxBytes] of values) {
    if (value === null) continue;
    if (typeof value === 'string' && !isStorable(value)) throw new StoreQueryError(statement, NOT_TEXT, null);
    const bytes = Buffer.byteLength(value);
    if (bytes < minBytes || bytes > maxBytes) throw new StoreQueryError(statement, CHECK_VIOLATION, null);
  }
}
