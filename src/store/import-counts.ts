import { numberCell, type Row } from './statement.js';

/** What came of rows that were imported; the rest is as it was. */
export interface ImportCounts {
  readonly added: number;
  readonly changed: number;
  /** Left alone: what is in the database is newer. */
  readonly newerHere: number;
}

export const NOTHING: ImportCounts = { added: 0, changed: 0, newerHere: 0 };

export const addCounts = (a: ImportCounts, b: ImportCounts): ImportCounts => ({
  added: a.added + b.added,
  changed: a.changed + b.changed,
  newerHere: a.newerHere + b.newerHere,
});

/** The first three columns. */
export const readCounts = (row: Row | undefined): ImportCounts => ({
  added: numberCell(row, 0),
  changed: numberCell(row, 1),
  newerHere: numberCell(row, 2),
});
