/**
 * Arrays of one length as the rows of a table, with their `position` from 1. The planner is told of a narrow range of
 * positions, which is all of them and which it takes for one row: so it looks every row up by an index. Else it would
 * rather read a table whole while that is small, and keep the plan while it grows. See `legacy-statements.ts`.
 */
export const arrayRows = (arrays: string, columns: string): string =>
  `(SELECT ${columns}, position FROM unnest(${arrays}) WITH ORDINALITY AS array_rows(${columns}, position)
    WHERE position BETWEEN 1 AND 1000000000 OFFSET 0)`;
