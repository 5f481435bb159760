import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { acquireInstanceLock } from '../../../src/lifecycle/lock.js';
import { openDatabase } from '../../../src/store/database.js';
import { migrate, readMigrations } from '../../../src/store/migrate.js';
import { databaseOptionsFor } from '../../simulators/database-options.js';
import { writeV1Database } from '../../simulators/v1-database.js';
import { createTestDirectory } from '../config/support.js';
import { run } from './support.js';

const directory = createTestDirectory();
afterAll(() => directory.remove());

const key = join(directory.path, 'keys', 'server.x25519');
const dataDir = join(directory.path, 'data');
const importing = (kind: string, ...more: string[]) =>
  run(['import', kind, '--keys.server', key, '--database.dataDir', dataDir, ...more], {
    cwd: directory.path,
  });

const token = 'c0ffee'.repeat(10) + 'abcd';
beforeAll(async () => {
  await writeV1Database(join(directory.path, 'one.db'), {
    devices: [
      ['05aa', token, null, 1],
      ['05bb', 'android-token', 'android'],
      ['05bb', 'no-phone', 'unknown'],
    ],
    members: [['group', '05aa']],
    periods: [[1_650_000_000.5, 1_650_086_400.5, 1, 2, 3, 4, 5, 6]],
  });
  await writeV1Database(join(directory.path, 'two.db'), {
    devices: [['05cc', 'android-token', 'android']],
  });
});

describe('waggle import', () => {
  it('ends with 64 on wrong usage', async () => {
    const cases = [
      [[], 'import v1'],
      [['v3', 'x.db'], 'import v1'],
      [['v1'], 'name the file'],
      [['v1', '--dryrun', 'x.db'], '--dry-run'],
      [['v1', 'x.db', '--brand'], '--brand'],
      [['spns-v2'], 'postgresql://'],
      [['spns-v2', 'postgresql:///a', 'postgresql:///b'], 'name one database'],
    ] as const;
    for (const [argv, hint] of cases) {
      const { code, stderr, stdout } = await run(['import', ...argv]);
      expect([code, stdout], argv.join(' ')).toEqual([64, '']);
      expect(stderr).toContain(hint);
    }
  });

  it('ends with 78 on a wrong configuration', async () => {
    expect((await run(['import', 'v1', '--http.port', 'x', 'x.db'])).code).toBe(78);
  });

  it('says what is wrong with what it is to read', async () => {
    directory.write('text.db', 'no database');
    for (const [kind, source, hint] of [
      ['v1', 'nowhere.db', 'ENOENT'],
      ['v1', 'text.db', 'not a SQLite database'],
      ['spns-v2', 'file:nowhere', 'does not exist'],
      ['spns-v2', 'mysql://localhost/spns', 'postgresql://'],
    ] as const) {
      const { code, stderr, stdout } = await importing(kind, '--dry-run', source);
      expect([code, stdout], source).toEqual([1, '']);
      expect(stderr).toContain(hint);
    }
    const none = await importing('v1', '--brand', 'nobody', 'one.db');
    expect(none).toMatchObject({ code: 1, stdout: '' });
    expect(none.stderr).toContain('no enabled brand nobody');
    const unwritable = await importing('v1', '--dry-run', '--rejected', 'no/such/place', 'one.db');
    expect(unwritable).toMatchObject({ code: 1, stdout: '' });
    expect(unwritable.stderr).toContain('ENOENT');
  });
});

describe('waggle import of files', () => {
  it('makes nothing in a dry run, even where there is no database yet', async () => {
    const looked = await importing('v1', '--dry-run', '--rejected', 'left-out.tsv', 'one.db', 'two.db');
    expect(looked, looked.stderr).toMatchObject({ code: 0, stderr: '' });
    expect(looked.stdout.split('\n')).toEqual([
      'devices: would have added 2, changed 0, 0 were here already',
      'members of groups: would have added 1, changed 0, 0 were here already',
      'periods of statistics: would have added 1, changed 0, 0 were here already',
      `left out 1, listed in ${join(directory.path, 'left-out.tsv')}:`,
      '  unknown-device 1',
    ]);
    expect(existsSync(dataDir)).toBe(false);
    expect(existsSync(join(directory.path, 'keys'))).toBe(false);
    const list = join(directory.path, 'left-out.tsv');
    expect(readFileSync(list, 'utf8')).toBe(
      'source\ttable\trow\treason\none.db\ttoken_pubkey_table\t3\tunknown-device\n',
    );
    expect(statSync(list).mode & 0o777).toBe(0o600);
  });
});

describe('waggle import of files into a database', () => {
  // Making the embedded one takes seconds.
  beforeAll(async () => {
    const database = await openDatabase(databaseOptionsFor(null, dataDir));
    await migrate(database, { migrations: (await readMigrations()).slice(0, 1) });
    await database.close();
  });

  it('refuses one with an older schema in a dry run; otherwise brings it up to date', async () => {
    const looked = await importing('v1', '--dry-run', 'one.db');
    expect(looked).toMatchObject({ code: 1, stdout: '' });
    expect(looked.stderr).toContain('waggle migrate');
    const first = await importing('v1', 'one.db');
    expect(first, first.stderr).toMatchObject({ code: 0, stderr: '' });
    expect(first.stdout).toContain('devices: added 2, changed 0, 0 were here already');
    expect(first.stdout).not.toContain(token);
  });

  it('takes another snapshot, and another brand', async () => {
    const second = await importing('v1', 'one.db', 'two.db');
    expect(second.stdout).toContain('devices: added 0, changed 1, 1 were here already');
    const other = await importing('bchat', 'one.db');
    expect(other.stdout).toContain('devices: added 2, changed 0, 0 were here already');
    const again = await importing('v1', '--brand', 'bchat', 'one.db');
    expect(again.stdout).toContain('devices: added 0, changed 0, 2 were here already');
  });

  it('is refused while a server runs', async () => {
    const server = await acquireInstanceLock(key);
    if (!server.ok) throw new Error('held');
    const refused = await importing('v1', 'one.db');
    expect(refused).toMatchObject({ code: 1, stdout: '' });
    expect(refused.stderr).toContain('stop it first');
    expect((await importing('v1', '--dry-run', 'one.db')).code).toBe(0);
    await server.value.release();

    const database = await openDatabase(databaseOptionsFor(null, dataDir));
    for (const more of [[], ['--dry-run']]) {
      const inUse = await importing('v1', ...more, 'one.db');
      expect(inUse).toMatchObject({ code: 1, stdout: '' });
      expect(inUse.stderr).toContain('another process has the embedded database');
    }
    await database.close();
  });
});
