import { expect, test } from 'vitest';
import { SchemaError, StoreQueryError } from '../../src/store/errors.js';
import { migrate, readMigrations } from '../../src/store/migrate.js';
import { statement } from '../../src/store/statement.js';
import { describeWithDatabases } from '../simulators/databases.js';

describeWithDatabases('the database', (fixture) => {
  test('answers with typed columns', async () => {
    const database = await fixture.openBlank();
    expect(database.kind).toBe(fixture.kind);
    expect(database.serverVersion).toBeGreaterThanOrEqual(130_000);
    const read = statement('read', "SELECT 9007199254740991::bigint, '\\x00ff'::bytea, true, null, 'ä', $1::bytea");
    const [row] = await database.rows(read, [Buffer.from([1, 0, 255])]);
    expect(row).toEqual([
      9007199254740991,
      Buffer.from([0, 255]),
      true,
      null,
      'ä',
      Buffer.from([1, 0, 255]),
    ]);
  });
});
