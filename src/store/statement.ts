/** One SQL text with `$1`-style parameters, prepared under its name on each connection that runs it. */
export interface Statement {
  /** Unique per text; also the value of the metric label `operation`. */
  readonly name: string;
  readonly text: string;
}

export const statement = (name: string, text: string): Statement => ({ name, text });

/** A Buffer travels in PostgreSQL's binary form (so a `bytea` as it is, an array as `binary-arrays.ts` builds it). */
export type Parameter = string | number | boolean | null | Buffer;

/** The columns of one row, in the order of the statement. */
export type Row = readonly unknown[];

export interface Queries {
  /** The rows, each as an array of columns. Rejects with `StoreUnavailable` or `StoreQueryError`. */
  rows(statement: Statement, values?: readonly Parameter[]): Promise<readonly Row[]>;
  /** How many rows it changed. Rejects like `rows`. */
  execute(statement: Statement, values?: readonly Parameter[]): Promise<number>;
}

export interface Transaction extends Queries {
  /** Several statements without parameters, as in a migration. */
  script(sql: string): Promise<void>;
}

/** An `integer`, a `bigint` within the safe range, or a `count(*)`. */
export function numberCell(row: Row | undefined, column: number): number {
  const value = row?.[column];
  if (typeof value !== 'number') throw new TypeError(`column ${column} is not a number`);
  return value;
}

export function nullableNumberCell(row: Row | undefined, column: number): number | null {
  return row?.[column] === null ? null : numberCell(row, column);
}

export function textCell(row: Row | undefined, column: number): string {
  const value = row?.[column];
  if (typeof value !== 'string') throw new TypeError(`column ${column} is not text`);
  return value;
}

export function bytesCell(row: Row | undefined, column: number): Buffer {
  const value = row?.[column];
  if (!Buffer.isBuffer(value)) throw new TypeError(`column ${column} is not bytes`);
  return value;
}

export function nullableBytesCell(row: Row | undefined, column: number): Buffer | null {
  return row?.[column] === null ? null : bytesCell(row, column);
}

export function booleanCell(row: Row | undefined, column: number): boolean {
  const value = row?.[column];
  if (typeof value !== 'boolean') throw new TypeError(`column ${column} is not a boolean`);
  return value;
}
