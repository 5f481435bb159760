import { expect, test } from 'vitest';
import { acquireInstanceLock } from '../../src/lifecycle/lock.js';
import {
  bigintArray,
  booleanArray,
  byteaArray,
  integerArray,
  textArray,
  uuidArray,
} from '../../src/store/binary-arrays.js';
import { openDatabase } from '../../src/store/database.js';
import { DatabaseInUse, SchemaError, StoreQueryError, StoreUnavailable } from '../../src/store/errors.js';
import { vacuumTables } from '../../src/store/vacuum.js';
import { migrate, readMigrations, type Migration } from '../../src/store/migrate.js';
import { numberCell, statement } from '../../src/store/statement.js';
import { databaseOptions, describeWithDatabases, describeWithPostgres } from '../simulators/databases.js';
import { eventually } from '../simulators/eventually.js';

describeWithDatabases('the database', (fixture) => {
  test('answers with typed columns', async () => {
    const database = await fixture.openBlank();
    expect(database.kind).toBe(fixture.kind);
    expect(database.serverVersion).toBeGreaterThanOrEqual(130_000);
    const read = statement(
      'read',
      "SELECT 9007199254740991::bigint, '\\x00ff'::bytea, true, null, 'ä', $1::bytea",
    );
    const [row] = await database.rows(read, [Buffer.from([1, 0, 255])]);
    expect(row).toEqual([
      Number.MAX_SAFE_INTEGER,
      Buffer.from([0, 255]),
      true,
      null,
      'ä',
      Buffer.from([1, 0, 255]),
    ]);
    await expect(database.rows(statement('big', 'SELECT 9007199254740993::bigint'))).rejects.toThrow(
      RangeError,
    );
  });

  test('takes arrays in binary form', async () => {
    const database = await fixture.openBlank();
    const read = statement(
      'arrays',
      `SELECT encode(a, 'hex'), b, c, d, e, f::text
       FROM unnest($1::bytea[], $2::text[], $3::bigint[], $4::boolean[], $5::integer[], $6::uuid[]) t(a, b, c, d, e, f)`,
    );
    const id = Buffer.from('0190a5e47c1b7abc8def0123456789ab', 'hex');
    const rows = await database.rows(read, [
      byteaArray([Buffer.from([0, 1, 255]), null, Buffer.alloc(0)]),
      textArray(['', 'NULL', null]),
      bigintArray([Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER, -1]),
      booleanArray([true, false, true]),
      integerArray([-1, 2_147_483_647, 0]),
      uuidArray([id, id, id]),
    ]);
    const uuid = '0190a5e4-7c1b-7abc-8def-0123456789ab';
    expect(rows).toEqual([
      ['0001ff', '', Number.MAX_SAFE_INTEGER, true, -1, uuid],
      [null, 'NULL', Number.MIN_SAFE_INTEGER, false, 2_147_483_647, uuid],
      ['', null, -1, true, 0, uuid],
    ]);
    expect(
      await database.rows(read, [
        byteaArray([]),
        textArray([]),
        bigintArray([]),
        booleanArray([]),
        integerArray([]),
        uuidArray([]),
      ]),
    ).toEqual([]);
  });

  test('rolls a transaction back with the error of its work', async () => {
    const database = await fixture.openBlank();
    await database.transaction((transaction) => transaction.script('CREATE TABLE things (thing text)'));
    const failure = new Error('of the caller');
    const insert = statement('insert', 'INSERT INTO things VALUES ($1)');
    const attempt = database.transaction(async (transaction) => {
      expect(await transaction.execute(insert, ['one'])).toBe(1);
      throw failure;
    });
    await expect(attempt).rejects.toBe(failure);
    expect(await database.rows(statement('all', 'SELECT thing FROM things'))).toEqual([]);
  });

  test('says what the server refused without the values', async () => {
    const database = await fixture.openBlank();
    const refused = database.rows(statement('number', 'SELECT $1::text::integer'), ['very secret']);
    const error = await refused.catch((error: unknown) => error);
    expect(error).toBeInstanceOf(StoreQueryError);
    expect(JSON.stringify([error, String(error), Object.entries(error as object)])).not.toContain('secret');
    expect((error as Error).cause).toBeUndefined();
    expect(database.isReachable()).toBe(true);
  });

  test('is unavailable after close', async () => {
    const database = await fixture.openBlank();
    await database.close();
    await database.close();
    await expect(database.rows(statement('one', 'SELECT 1'))).rejects.toBeInstanceOf(StoreUnavailable);
  });

  test('migrates once, also when several start together', async () => {
    const database = await fixture.openBlank();
    const names = (await readMigrations()).map(({ name }) => name);
    expect(await migrate(database, { dryRun: true })).toEqual({ applied: names, schemaVersion: 0 });
    const reports = await Promise.all([migrate(database), migrate(database), migrate(database)]);
    // They may take turns: each migration is a transaction of its own.
    expect(reports.flatMap(({ applied }) => applied).sort()).toEqual(names);
    expect(await migrate(database)).toEqual({ applied: [], schemaVersion: names.length });
    expect(await migrate(database, { dryRun: true })).toEqual({ applied: [], schemaVersion: names.length });
  });

  test('migrates once, although connections have looked before there was anything', async () => {
    for (let round = 0; round < 5; round += 1) {
      const database = await fixture.openBlank();
      const names = (await readMigrations()).map(({ name }) => name);
      // Every connection of the pool has then asked for the table, and remembers the answer in its own way.
      await Promise.all(Array.from({ length: 4 }, () => migrate(database, { dryRun: true })));
      const reports = await Promise.all(Array.from({ length: 4 }, () => migrate(database)));
      expect(reports.flatMap(({ applied }) => applied).sort()).toEqual(names);
      await database.close();
    }
  });

  test('refuses a newer schema, and a migration that was changed after it was applied', async () => {
    const database = await fixture.open();
    const ours = await readMigrations();
    const next: Migration = {
      number: ours.length + 1,
      name: '9999_next.sql',
      sql: 'CREATE TABLE next ()',
      sha256: 'x',
    };
    await migrate(database, { migrations: [...ours, next] });
    await expect(migrate(database)).rejects.toThrow(/newer version/);
    await expect(migrate(database, { dryRun: true })).rejects.toBeInstanceOf(SchemaError);
    const changed = { ...next, sha256: 'y' };
    await expect(migrate(database, { migrations: [...ours, changed] })).rejects.toThrow(
      /9999_next.sql was changed/,
    );
  });

  test('gives the room of deleted rows to new ones', async () => {
    const database = await fixture.open();
    const put = statement(
      'vacuum_put',
      "INSERT INTO service_stats SELECT 's', n::text, NULL, 1 FROM generate_series(1, 5000) n",
    );
    const drop = statement('vacuum_drop', 'DELETE FROM service_stats');
    const size = statement('vacuum_size', "SELECT pg_relation_size('service_stats')");
    const sizes: unknown[] = [];
    for (let round = 0; round < 6; round += 1) {
      await database.execute(put);
      await database.execute(drop);
      await vacuumTables(database);
      sizes.push((await database.rows(size))[0]?.[0]);
    }
    expect(Number(sizes.at(-1))).toBeLessThanOrEqual(2 * Number(sizes[0]) + 8192);
  });

  test('looks a key up by its index, also when the statement is older than the rows', async () => {
    const database = await fixture.open();
    if (database.kind !== 'embedded') return; // a server's autovacuum ends such plans
    const find = statement(
      'plan_find',
      'SELECT count(*) FROM unnest($1::text[]) AS k JOIN service_stats ON service = k AND name = k',
    );
    for (let round = 0; round < 10; round += 1) await database.rows(find, ['{x}']);
    await database.execute(
      statement(
        'plan_put',
        'INSERT INTO service_stats SELECT n::text, n::text, NULL, 1 FROM generate_series(1, 20000) n',
      ),
    );
    const plan = await database.rows(statement('plan_show', "EXPLAIN EXECUTE plan_find('{x}')"));
    expect(plan.flat().join('\n')).toContain('Index');
  });

  test('leaves nothing of a migration that fails', async () => {
    const database = await fixture.open();
    const ours = await readMigrations();
    const bad: Migration = {
      number: ours.length + 1,
      name: 'bad',
      sql: 'CREATE TABLE half (); SELECT 1/0',
      sha256: 'x',
    };
    await expect(migrate(database, { migrations: [...ours, bad] })).rejects.toBeInstanceOf(StoreQueryError);
    expect(await database.rows(statement('half', "SELECT to_regclass('half') IS NULL"))).toEqual([[true]]);
    expect(await migrate(database)).toEqual({ applied: [], schemaVersion: ours.length });
  });

  test('keeps a second process out of the embedded directory', async () => {
    if (fixture.kind !== 'embedded') return;
    await fixture.openBlank();
    await expect(openDatabase(databaseOptions(null, fixture.location().dataDir))).rejects.toBeInstanceOf(
      DatabaseInUse,
    );
    expect((await acquireInstanceLock(`${fixture.location().dataDir}/postgres`)).ok).toBe(false);
  });
});

describeWithPostgres('a PostgreSQL that comes and goes', (postgres) => {
  const one = statement('one', 'SELECT 1');

  test('is reported away and used again by itself', async () => {
    const database = await openDatabase(databaseOptions(await postgres().createDatabase(), ''));
    try {
      await Promise.all(Array.from({ length: 8 }, () => database.rows(one)));
      for (const [end, start] of [
        [() => postgres().stop(), () => postgres().start()],
        [() => postgres().kill9(), () => postgres().start()],
      ] as const) {
        const slow = database
          .rows(statement('sleep', 'SELECT pg_sleep(30)'))
          .catch((error: unknown) => error);
        await eventually(
          async () =>
            (
              await database.rows(
                statement(
                  'sleeping',
                  "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep%' AND pid <> pg_backend_pid()",
                ),
              )
            )[0]?.[0] === 1,
        );
        await end();
        expect(await slow).toBeInstanceOf(StoreUnavailable);
        const before = Date.now();
        await expect(database.rows(one)).rejects.toBeInstanceOf(StoreUnavailable);
        await expect(database.transaction((transaction) => transaction.rows(one))).rejects.toBeInstanceOf(
          StoreUnavailable,
        );
        expect(Date.now() - before).toBeLessThan(2000);
        expect(database.isReachable()).toBe(false);
        await start();
        await eventually(() => database.isReachable());
        expect(await database.rows(one)).toEqual([[1]]);
      }
    } finally {
      await database.close();
    }
  });

  test('is unavailable when a statement takes too long or no connection is free', async () => {
    const url = await postgres().createDatabase();
    const database = await openDatabase({
      ...databaseOptions(url, ''),
      poolSize: 1,
      statementTimeoutMs: 300,
      connectTimeoutMs: 100,
    });
    try {
      const slow = database.rows(statement('sleep', 'SELECT pg_sleep(30)')).catch((error: unknown) => error);
      await expect(database.rows(one)).rejects.toMatchObject({ name: 'StoreUnavailable', reason: 'busy' });
      expect(await slow).toMatchObject({ name: 'StoreUnavailable', reason: 'timeout' });
      expect(await database.rows(one)).toEqual([[1]]);
    } finally {
      await database.close();
    }
  });

  test('gives up on a server that stops answering, and takes a new connection afterwards', async () => {
    const url = await postgres().createDatabase();
    const database = await openDatabase({ ...databaseOptions(url, ''), poolSize: 1, statementTimeoutMs: 0 });
    try {
      const before = numberCell((await database.rows(statement('pid', 'SELECT pg_backend_pid()')))[0], 0);
      await expect(database.rows(statement('sleep', 'SELECT pg_sleep(30)'))).rejects.toMatchObject({
        code: 'no answer',
      });
      expect(database.isReachable()).toBe(false);
      expect(numberCell((await database.rows(statement('pid', 'SELECT pg_backend_pid()')))[0], 0)).not.toBe(
        before,
      );
      expect(database.isReachable()).toBe(true);
    } finally {
      await database.close();
    }
  });

  test('rejects at once when nobody listens', async () => {
    const options = databaseOptions('postgresql://waggle@127.0.0.1:1/none', '');
    await expect(openDatabase(options)).rejects.toMatchObject({
      reason: 'unreachable',
      code: 'ECONNREFUSED',
    });
    const wrong = databaseOptions(postgres().url.replace('/postgres', '/missing'), '');
    await expect(openDatabase(wrong)).rejects.toMatchObject({ reason: 'refused', code: '3D000' });
  });

  test('a server that goes down while we close does not end the process', async () => {
    const uncaught: unknown[] = [];
    const note = (error: unknown): void => void uncaught.push(error);
    process.on('uncaughtException', note);
    try {
      for (let round = 0; round < 5; round += 1) {
        const url = await postgres().createDatabase();
        const database = await openDatabase(databaseOptions(url, ''));
        await Promise.all(Array.from({ length: 8 }, () => database.rows(one)));
        const lock = await database.holdAdvisoryLock(Buffer.from('key'), () => {});
        const released = lock.ok ? lock.value.release() : undefined;
        await Promise.all([released, database.close(), postgres().stop()]);
        await postgres().start();
      }
      expect(uncaught).toEqual([]);
    } finally {
      process.removeListener('uncaughtException', note);
    }
  });

  test('lends an advisory lock to one at a time and tells when it is lost', async () => {
    const url = await postgres().createDatabase();
    const [first, second] = await Promise.all([
      openDatabase(databaseOptions(url, '')),
      openDatabase(databaseOptions(url, '')),
    ]);
    try {
      let lost = 0;
      const key = Buffer.from('a key');
      const lock = await first.holdAdvisoryLock(key, () => (lost += 1));
      expect(lock.ok).toBe(true);
      expect(await second.holdAdvisoryLock(key, () => {})).toEqual({ ok: false, error: 'held' });
      if (lock.ok) await lock.value.release();
      expect(lost).toBe(0);
      const again = await second.holdAdvisoryLock(key, () => (lost += 1));
      expect(again.ok).toBe(true);
      await first.rows(
        statement('end', "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"),
      );
      await eventually(() => lost === 1);
      expect((await first.holdAdvisoryLock(key, () => {})).ok).toBe(true);
    } finally {
      await Promise.all([first.close(), second.close()]);
    }
  });
});
