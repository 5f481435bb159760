import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, test } from 'vitest';
import { openDatabase, type Database, type DatabaseOptions } from '../../src/store/database.js';
import { migrate } from '../../src/store/migrate.js';
import { databaseOptionsFor } from './database-options.js';
import { findPostgres, startPostgres, type TestPostgres } from './postgres.js';

const HOW_TO_GET_POSTGRES = 'skipped on PostgreSQL, which is not installed: apt-get install postgresql';

/** A database for a suite; everything that was opened is closed after each test. */
export interface DatabaseFixture {
  readonly kind: Database['kind'];
  /** Empty tables, newest schema. */
  open(options?: Partial<DatabaseOptions>): Promise<Database>;
  /** Without migrations, and with nothing in it. */
  openBlank(options?: Partial<DatabaseOptions>): Promise<Database>;
  /** What `openDatabase` needs to reach the database that was opened last, for another process. */
  location(): { readonly url: string | null; readonly dataDir: string };
}

export const databaseOptions = databaseOptionsFor;

/** Runs the suite on the embedded database and, where it is installed (always under CI=true), on real PostgreSQL. */
export function describeWithDatabases(name: string, suite: (fixture: DatabaseFixture) => void): void {
  describe(`${name} (embedded)`, () => suite(embeddedFixture()));
  describeWithPostgres(name, (postgres) => suite(postgresFixture(postgres)));
}

/** As above, for what only a real server can show; `postgres()` is the running server. */
export function describeWithPostgres(name: string, suite: (postgres: () => TestPostgres) => void): void {
  describe(`${name} (PostgreSQL)`, async () => {
    const bin = await findPostgres();
    if (bin === null) {
      if (process.env.CI === 'true')
        test('finds PostgreSQL', () => Promise.reject(new Error(HOW_TO_GET_POSTGRES)));
      else {
        console.log(`${name}: ${HOW_TO_GET_POSTGRES}`);
        test.skip(HOW_TO_GET_POSTGRES, () => {});
      }
      return;
    }
    let postgres: TestPostgres | undefined;
    beforeAll(async () => {
      postgres = await startPostgres(bin);
    });
    afterAll(() => postgres?.remove());
    suite(() => {
      if (postgres === undefined) throw new Error('PostgreSQL is started before the first test');
      return postgres;
    });
  });
}

export function postgresFixture(postgres: () => TestPostgres): DatabaseFixture {
  const opened = closeAfterEach();
  let url: string | null = null;
  const openBlank = async (options: Partial<DatabaseOptions> = {}): Promise<Database> => {
    url = await postgres().createDatabase();
    return opened.add(await openDatabase({ ...databaseOptions(url, ''), ...options }));
  };
  return {
    kind: 'postgresql',
    openBlank,
    open: async (options) => {
      const database = await openBlank(options);
      await migrate(database);
      return database;
    },
    location: () => ({ url, dataDir: '' }),
  };
}

/** One embedded database for the suite, emptied before each use: a fresh one takes seconds. */
function embeddedFixture(): DatabaseFixture {
  const opened = closeAfterEach();
  let dataDir = '';
  beforeAll(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'waggle-embedded-'));
    // Making it takes seconds on an idle machine: not on the first test's time.
    await (await openDatabase(databaseOptions(null, dataDir))).close();
  });
  afterAll(() => rm(dataDir, { recursive: true, force: true }));
  const openBlank = async (options: Partial<DatabaseOptions> = {}): Promise<Database> => {
    const database = opened.add(await openDatabase({ ...databaseOptions(null, dataDir), ...options }));
    await database.transaction((transaction) =>
      transaction.script('DROP SCHEMA public CASCADE; CREATE SCHEMA public'),
    );
    return database;
  };
  return {
    kind: 'embedded',
    openBlank,
    open: async (options) => {
      const database = await openBlank(options);
      await migrate(database);
      return database;
    },
    location: () => ({ url: null, dataDir }),
  };
}

function closeAfterEach(): { add(database: Database): Database } {
  const databases: Database[] = [];
  afterEach(async () => {
    await Promise.all(databases.splice(0).map((database) => database.close()));
  });
  return {
    add: (database) => {
      databases.push(database);
      return database;
    },
  };
}
