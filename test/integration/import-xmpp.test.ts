import { existsSync, readFileSync } from 'node:fs';
import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { readKeyFile } from '../../src/crypto/key-file.js';
import { isSecret, SecretKeeper } from '../../src/crypto/secret-keeper.js';
import { createRandomBytes } from '../../src/crypto/sodium.js';
import { systemClock } from '../../src/domain/clock.js';
import { findProsodyStores, StoreUnreadable } from '../../src/import/prosody-store.js';
import { importPushAppserver } from '../../src/import/push-appserver-import.js';
import { Rejections } from '../../src/import/rejections.js';
import { openDatabase, type Database } from '../../src/store/database.js';
import { migrate, readMigrations } from '../../src/store/migrate.js';
import { PostgresUwpxStore } from '../../src/store/uwpx.js';
import { XmppDeviceImport } from '../../src/store/xmpp-devices-import.js';
import { PostgresXmppDeviceStore } from '../../src/store/xmpp-devices.js';
import type { UwpxAccountId, UwpxDeviceId } from '../../src/uwpx/port.js';
import { keyText, type XmppDevice } from '../../src/xmpp-devices/device.js';
import {
  databaseOptions,
  describeWithPostgres,
  postgresFixture,
  type DatabaseFixture,
} from '../simulators/databases.js';
import { ProsodyFiles, setPushAppserverDevice } from '../simulators/prosody-store-files.js';
import {
  bareJidHash,
  uwpxChannel,
  uwpxNode,
  UwpxPythonFile,
  uwpxSecret,
  uwpxTime,
} from '../simulators/uwpx-python-files.js';
import { run } from '../unit/cli/support.js';
import { createTestDirectory } from '../unit/config/support.js';

const directory = createTestDirectory();
afterAll(() => directory.remove());
const keyFile = join(directory.path, 'keys', 'registrations.key');
const HOST = 'push.example-host.org';
let files: ProsodyFiles;
beforeEach(async () => {
  await rm(join(directory.path, 'prosody'), { recursive: true, force: true });
  files = new ProsodyFiles(join(directory.path, 'prosody'));
});

const at = (text: string): number => Date.parse(`${text}T00:00:00Z`);

/** The command line, on the fixture's database, which nobody has open meanwhile. */
function importing(fixture: DatabaseFixture, kind: string, ...more: string[]) {
  const { url, dataDir } = fixture.location();
  const database = url === null ? ['--database.dataDir', dataDir] : ['--database.url', url];
  const keys = [
    '--keys.registrations',
    keyFile,
    '--keys.server',
    join(directory.path, 'keys', 'server.x25519'),
  ];
  return run(['import', kind, ...keys, ...database, ...more], { cwd: directory.path });
}

async function withDatabase<Value>(
  fixture: DatabaseFixture,
  work: (database: Database) => Promise<Value>,
): Promise<Value> {
  const { url, dataDir } = fixture.location();
  const database = await openDatabase(databaseOptions(url, dataDir));
  try {
    return await work(database);
  } finally {
    await database.close();
  }
}

async function keeper(): Promise<SecretKeeper> {
  const key = await readKeyFile(keyFile);
  if (!key.ok) throw new Error(key.error.message);
  return new SecretKeeper(key.value.secretKey, createRandomBytes());
}

async function devicesOf(database: Database): Promise<Map<string, XmppDevice>> {
  const devices = new Map<string, XmppDevice>();
  await new PostgresXmppDeviceStore(database).load((page) => {
    for (const { device } of page) devices.set(device.node, device);
  });
  return devices;
}

describeWithPostgres('waggle import mod_push_appserver', (postgres) => {
  const fixture = postgresFixture(postgres);
  beforeEach(async () => {
    await (await fixture.open()).close();
    await rm(join(directory.path, 'keys'), { recursive: true, force: true });
  });

  test('takes over devices with secret and times; a dry run only looks; a second time changes nothing', async () => {
    await setPushAppserverDevice(files, HOST, 'iPhone', {
      secret: 'ab'.repeat(32),
      renewed: '2022-01-01T00:00:00Z',
      last_successful_push: '2022-02-01T00:00:00Z',
      last_push_error: '2022-03-01T00:00:00Z',
    });
    await setPushAppserverDevice(files, HOST, 'Ünï/€', { type: 'fcm', token: 'a:Token_b-c' });
    await setPushAppserverDevice(files, HOST, 'odd', { type: 'tizen', token: 'whatever' });
    const refused = [
      await setPushAppserverDevice(files, HOST, 'no hex', { token: 'no hex' }),
      await setPushAppserverDevice(files, HOST, 'web', { type: 'web', token: 'https://push.example/x' }),
      await setPushAppserverDevice(files, HOST, 'made up', { type: '<script>' }),
      await files.set(HOST, 'push_appserver', 'gone', 'return {};\n'),
      await files.set(HOST, 'push_appserver', 'program', 'os.exit()'),
    ];
    const counts = (text: string): string[] => [
      `store: ${files.storeDirectory(HOST, 'push_appserver')}`,
      text,
      'warning: xmpp.enabled is false: no server here wakes these devices',
      'warning: no notifier firebase in the configuration, which the type fcm needs, for 1 devices',
      'warning: no type tizen in xmpp.types, for 1 devices',
      `left out 5, listed in ${join(directory.path, 'left-out.tsv')}:`,
    ];
    const withTypes = [
      '--notifiers.push.type=webpush',
      '--xmpp.types.web.service=push',
      '--notifiers.apns.type=apns',
    ];
    const more = ['--rejected', 'left-out.tsv', ...withTypes, files.dataDirectory];

    const looked = await importing(fixture, 'mod_push_appserver', '--dry-run', ...more);
    expect(looked, looked.stderr).toMatchObject({ code: 0, stderr: '' });
    expect(looked.stdout.split('\n').slice(0, 6)).toEqual(
      counts('devices: would have added 3, changed 0, 0 were here already'),
    );
    expect(looked.stdout.split('\n').slice(6).sort()).toEqual(
      ['address-type', 'bad-token', 'bad-type', 'empty', 'malformed'].map((reason) => `  ${reason} 1`),
    );
    expect(existsSync(join(directory.path, 'keys'))).toBe(false);
    expect((await withDatabase(fixture, devicesOf)).size).toBe(0);
    const list = readFileSync(join(directory.path, 'left-out.tsv'), 'utf8').split('\n').slice(1, -1).sort();
    const reasons = ['bad-token', 'address-type', 'bad-type', 'empty', 'malformed'];
    const expected = await Promise.all(
      refused.map(async (file, index) => {
        const { ino } = await stat(file);
        return `push%2eexample%2dhost%2eorg\tpush_appserver\t${ino}\t${reasons[index] ?? ''}`;
      }),
    );
    expect(list).toEqual(expected.sort());

    const first = await importing(fixture, 'mod_push_appserver', ...more);
    expect(first, first.stderr).toMatchObject({ code: 0, stderr: '' });
    expect(first.stdout.split('\n').slice(0, 6)).toEqual(
      counts('devices: added 3, changed 0, 0 were here already'),
    );
    expect((await stat(keyFile)).mode & 0o777).toBe(0o600);
    const secrets = await keeper();
    const devices = await withDatabase(fixture, devicesOf);
    expect([...devices.keys()].sort()).toEqual(['iPhone', 'odd', 'Ünï/€']);
    const phone = devices.get('iPhone');
    expect(phone).toMatchObject({
      key: { kind: 'v1', node: 'iPhone' },
      type: 'apns',
      token: 'a'.repeat(64),
      serviceData: null,
      accountDomain: null,
      registeredAtMs: Date.parse('2021-03-04T05:06:07Z'),
      renewedAtMs: at('2022-01-01'),
      lastPushAtMs: at('2022-02-01'),
      lastErrorAtMs: at('2022-03-01'),
    });
    expect(phone && isSecret('ab'.repeat(32), phone.secretHash)).toBe(true);
    expect(phone && secrets.open(phone.sealedSecret, keyText(phone.key))).toBe('ab'.repeat(32));
    expect(devices.get('Ünï/€')).toMatchObject({ type: 'fcm', token: 'a:Token_b-c', renewedAtMs: null });

    const again = await importing(fixture, 'mod_push_appserver', ...more);
    expect(again.stdout.split('\n')[1]).toBe('devices: added 0, changed 0, 3 were here already');
    expect(await withDatabase(fixture, devicesOf)).toEqual(devices);
    for (const { stdout, stderr } of [looked, first, again]) {
      for (const secret of ['ab'.repeat(32), 'a:Token_b-c', 'iPhone', '<script>'])
        expect(stdout + stderr + list.join()).not.toContain(secret);
    }
  });

  test('changes what is newer there, never what a client, or a provider, said here later', async () => {
    for (const node of ['renewed here', 'gone here', 'dead here', 'renewed there'])
      await setPushAppserverDevice(files, HOST, node);
    await importing(fixture, 'mod_push_appserver', files.dataDirectory);
    const later = at('2023-01-01');
    await withDatabase(fixture, async (database) => {
      const store = new PostgresXmppDeviceStore(database);
      const [here] = await store.find(['renewed here']);
      if (here === undefined) throw new Error('not imported');
      const offer = { ...here.device, token: 'b'.repeat(64) as typeof here.device.token };
      await store.change({ kind: 'register', offer, replacesSecret: false, nowMs: later });
      const key = (node: string) => ({ kind: 'v1', node }) as const;
      await store.change({ kind: 'unregister', key: key('gone here'), type: 'apns', nowMs: later });
      const { token } = here.device;
      await store.change({ kind: 'token-died', key: key('dead here'), token, sinceMs: later, nowMs: later });
    });
    for (const node of ['renewed here', 'gone here', 'dead here', 'renewed there']) {
      const renewed = node === 'renewed there' ? '2023-06-01T00:00:00Z' : '2022-06-01T00:00:00Z';
      await setPushAppserverDevice(files, HOST, node, { token: 'c'.repeat(64), renewed });
    }
    await setPushAppserverDevice(files, HOST, 'new');
    for (const more of [['--dry-run'], []]) {
      const { stdout } = await importing(fixture, 'mod_push_appserver', ...more, files.dataDirectory);
      const would = more.length > 0 ? 'would have ' : '';
      expect(stdout).toContain(
        `devices: ${would}added 1, changed 1, left 3 that are newer here, 0 were here`,
      );
    }
    const devices = await withDatabase(fixture, devicesOf);
    expect([...devices].map(([node, { token }]) => `${node} ${token.slice(0, 1)}`).sort()).toEqual([
      'new a',
      'renewed here b',
      'renewed there c',
    ]);
  });

  test('of two hosts takes both; of a node in both the one that was registered later', async () => {
    const other = 'push.other.example';
    await setPushAppserverDevice(files, HOST, 'one');
    await setPushAppserverDevice(files, other, 'two');
    await setPushAppserverDevice(files, HOST, 'both', { token: 'b'.repeat(64) });
    await setPushAppserverDevice(files, other, 'both', {
      token: 'c'.repeat(64),
      registered: '2022-01-01T00:00:00Z',
    });
    const first = await importing(fixture, 'mod_push_appserver', files.dataDirectory);
    expect(first.stdout.split('\n').slice(0, 3)).toEqual([
      `store: ${files.storeDirectory(HOST, 'push_appserver')}`,
      `store: ${files.storeDirectory(other, 'push_appserver')}`,
      'devices: added 3, changed 1, 0 were here already',
    ]);
    const again = await importing(fixture, 'mod_push_appserver', files.dataDirectory);
    expect(again.stdout).toContain(
      'devices: added 0, changed 0, left 1 that are newer here, 3 were here already',
    );
    const devices = await withDatabase(fixture, devicesOf);
    expect([...devices.keys()].sort()).toEqual(['both', 'one', 'two']);
    expect(devices.get('both')?.token).toBe('c'.repeat(64));
  });

  test('goes page by page, and may be begun again after it was broken off', async () => {
    for (let n = 0; n < 50; n += 1) await setPushAppserverDevice(files, HOST, `node${n}`);
    const stores = await findProsodyStores(files.dataDirectory, 'push_appserver');
    if (!stores.ok) throw new Error(stores.error);
    await withDatabase(fixture, async (database) => {
      const told: string[] = [];
      const deps = {
        stores: stores.value,
        target: new XmppDeviceImport(database, false),
        secrets: new SecretKeeper(Buffer.alloc(32, 1), createRandomBytes()),
        judgeToken: () => null,
        rejections: new Rejections(null),
        clock: systemClock,
        pageRows: 7,
      };
      const stopAtHalf = (_what: string, done: number): void => {
        if (done >= 21) throw new Error('killed');
      };
      await expect(importPushAppserver({ ...deps, onProgress: stopAtHalf })).rejects.toThrow('killed');
      expect((await devicesOf(database)).size).toBe(21);
      const report = await importPushAppserver({
        ...deps,
        onProgress: (...said) => told.push(said.join(' ')),
      });
      expect(report).toMatchObject({ taken: 50, devices: { added: 29, changed: 0, newerHere: 0 } });
      expect(told).toHaveLength(8);
      expect(told.at(-1)).toBe('devices 50 50');
      expect((await devicesOf(database)).size).toBe(50);

      await rm(files.dataDirectory, { recursive: true });
      await expect(importPushAppserver({ ...deps, onProgress: () => {} })).rejects.toThrow(StoreUnreadable);
    });
  });

  test('says what is wrong', async () => {
    await files.set(HOST, 'accounts', 'somebody', {});
    for (const [more, code, hint] of [
      [[], 64, 'name one directory'],
      [['a', 'b'], 64, 'name one directory'],
      [['--brand', 'session', 'a'], 64, '--brand is for v1'],
      [['nowhere'], 1, 'nowhere cannot be read (ENOENT)'],
      [[files.dataDirectory], 1, 'holds no push_appserver'],
    ] as const) {
      const { stdout, stderr, ...rest } = await importing(fixture, 'mod_push_appserver', ...more);
      expect([rest.code, stdout]).toEqual([code, '']);
      expect(stderr).toContain(hint);
    }
    await setPushAppserverDevice(files, HOST, 'one');
    directory.write('no.key', 'no key');
    const bad = await importing(
      fixture,
      'mod_push_appserver',
      '--keys.registrations',
      join(directory.path, 'no.key'),
      files.dataDirectory,
    );
    expect(bad).toMatchObject({ code: 1, stdout: '' });
    expect(bad.stderr).toContain('keys.registrations: key file');
    expect((await withDatabase(fixture, devicesOf)).size).toBe(0);
  });
});

describeWithPostgres('waggle import uwpx', (postgres) => {
  const fixture = postgresFixture(postgres);
  const deviceId = '5486bd868050a620141f4e81c9f1d2c67ab0de27e5e26d218ca41c9394ee806b' as UwpxDeviceId;
  const hash = bareJidHash(deviceId, 'someClient@xmpp.uwpx.org') as UwpxAccountId;
  const path = join(directory.path, 'pushServer.db');
  const storeOn = async (database: Database): Promise<PostgresUwpxStore> =>
    new PostgresUwpxStore({ database, secrets: await keeper(), maxDevices: 100, clock: systemClock });
  const offered = { node: 'fresh', secret: 'fresh', domain: null };

  beforeEach(async () => {
    await (await fixture.open()).close();
    await rm(join(directory.path, 'keys'), { recursive: true, force: true });
    const file = await UwpxPythonFile.create();
    const row = file.setChannel(deviceId, uwpxChannel('one'));
    file.addAccount(row, hash, { domain: 'xmpp.uwpx.org' });
    file.addAccount(row, 'second');
    file.setChannel('app', 'ms-app://s-1-15-2-1');
    file.setChannel('old', uwpxChannel('old'), uwpxTime(Date.now() - 211 * 86_400_000));
    await file.write(path);
  });

  test('keeps node and secret of an account, which its client finds again; a second time changes nothing', async () => {
    const looked = await importing(fixture, 'uwpx', '--dry-run', path);
    expect(looked, looked.stderr).toMatchObject({ code: 0, stderr: '' });
    expect(looked.stdout.split('\n').slice(0, -2)).toEqual([
      'devices: would have added 1, changed 0, 0 were here already',
      'accounts of devices that were added or changed: would have written 2',
      'warning: uwpx.enabled is false: no server here wakes these devices',
      "warning: uwpx.accountJid is not set: publishes to the old server's account reach nobody",
      'left out 2:',
    ]);
    expect(existsSync(join(directory.path, 'keys'))).toBe(false);

    const first = await importing(fixture, 'uwpx', path);
    expect(first, first.stderr).toMatchObject({ code: 0, stderr: '' });
    expect(first.stdout).toContain('devices: added 1, changed 0, 0 were here already');
    expect(first.stdout).toContain('  outdated 1');
    expect(first.stdout).toContain('  bad-channel 1');
    const again = await importing(fixture, 'uwpx', path);
    expect(again.stdout).toContain('devices: added 0, changed 0, 1 were here already');
    await withDatabase(fixture, async (database) => {
      const store = await storeOn(database);
      const [target] = await store.findTargets([uwpxNode(hash)]);
      expect(target).toMatchObject({
        deviceId,
        accountId: hash,
        domain: 'xmpp.uwpx.org',
        channelUri: uwpxChannel('one'),
        protocolVersion: null,
      });
      expect(target && isSecret(uwpxSecret(hash), target.secretHash)).toBe(true);
      const accounts = await store.setAccounts({
        deviceId,
        protocolVersion: 2,
        accounts: [{ ...offered, accountId: hash }],
        nowMs: Date.now(),
      });
      expect(accounts).toEqual([{ accountId: hash, node: uwpxNode(hash), secret: uwpxSecret(hash) }]);
    });
    const later = await importing(fixture, 'uwpx', path);
    expect(later.stdout).toContain(
      'devices: added 0, changed 0, left 1 that are newer here, 0 were here already',
    );
    expect(
      await withDatabase(fixture, async (database) => (await storeOn(database)).nodesOf(deviceId)),
    ).toEqual([uwpxNode(hash)]);
    expect(first.stdout + first.stderr + later.stdout).not.toMatch(/5486bd86|notify\.windows|e5397e96/);
  });

  test('keeps what is old when the configuration says so', async () => {
    const { stdout } = await importing(fixture, 'uwpx', '--uwpx.outdatedDays', '400', path);
    expect(stdout).toContain('devices: added 2, changed 0, 0 were here already');
  });

  test('says what is wrong', async () => {
    directory.write('text.db', 'no database');
    for (const [more, code, hint] of [
      [[], 64, 'name one file'],
      [['a', 'b'], 64, 'name one file'],
      [['--brand', 'session', 'a'], 64, '--brand is for v1'],
      [['nowhere'], 1, 'nowhere cannot be read (ENOENT)'],
      [['text.db'], 1, 'is not a SQLite database'],
    ] as const) {
      const { stdout, stderr, ...rest } = await importing(fixture, 'uwpx', ...more);
      expect([rest.code, stdout]).toEqual([code, '']);
      expect(stderr).toContain(hint);
    }
    expect(await readdir(directory.path)).not.toContain('keys');
  });
});

describeWithPostgres('imports that a running server hears of', (postgres) => {
  const fixture = postgresFixture(postgres);
  test('are refused on an older schema while somebody works with it, else bring it up to date', async () => {
    await setPushAppserverDevice(files, HOST, 'one');
    const database = await fixture.openBlank();
    await migrate(database, { migrations: (await readMigrations()).slice(0, 1) });
    const lock = await database.holdAdvisoryLock(Buffer.from('a server'), () => {});
    const refused = await importing(fixture, 'mod_push_appserver', files.dataDirectory);
    expect(refused).toMatchObject({ code: 1, stdout: '' });
    expect(refused.stderr).toContain('stop it first, then run "waggle migrate"');
    if (lock.ok) await lock.value.release();
    await database.close();
    expect((await importing(fixture, 'mod_push_appserver', files.dataDirectory)).stdout).toContain('added 1');
  });

  test('are one at a time', async () => {
    await setPushAppserverDevice(files, HOST, 'one');
    const database = await fixture.open();
    const lock = await database.holdAdvisoryLock(Buffer.from('import'), () => {});
    const refused = await importing(fixture, 'mod_push_appserver', files.dataDirectory);
    expect(refused).toMatchObject({ code: 1, stdout: '' });
    expect(refused.stderr).toContain('another import works with this database');
    if (lock.ok) await lock.value.release();
  });
});

describe('imports into an embedded database', () => {
  const dataDir = join(directory.path, 'data');
  const importingThere = (...argv: string[]) =>
    run(['import', ...argv, '--keys.registrations', keyFile, '--database.dataDir', dataDir], {
      cwd: directory.path,
    });

  test('make it, when nobody has it open, and may be repeated', async () => {
    await setPushAppserverDevice(files, HOST, 'one');
    const file = await UwpxPythonFile.create();
    file.addAccount(file.setChannel('device', uwpxChannel('one')), 'account');
    const path = await file.write(join(directory.path, 'embedded.db'));
    const looked = await importingThere('uwpx', '--dry-run', path);
    expect(looked.stdout).toContain('devices: would have added 1, changed 0, 0 were here already');
    expect(existsSync(dataDir)).toBe(false);
    const first = await importingThere('mod_push_appserver', files.dataDirectory);
    expect(first.stdout, first.stderr).toContain('devices: added 1, changed 0, 0 were here already');
    const second = await importingThere('uwpx', path);
    expect(second.stdout, second.stderr).toContain('devices: added 1, changed 0, 0 were here already');

    const database = await openDatabase(databaseOptions(null, dataDir));
    expect((await devicesOf(database)).get('one')?.token).toBe('a'.repeat(64));
    const refused = await importingThere('mod_push_appserver', files.dataDirectory);
    expect(refused).toMatchObject({ code: 1, stdout: '' });
    expect(refused.stderr).toContain('another process has the embedded database');
    await database.close();
    const again = await importingThere('mod_push_appserver', files.dataDirectory);
    expect(again.stdout).toContain('devices: added 0, changed 0, 1 were here already');
  }, 60_000);
});
