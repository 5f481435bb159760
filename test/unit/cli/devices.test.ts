import { createServer, type AddressInfo, type Server } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDeletedDevices } from '../../../src/actors/undelete.js';
import { createAdminServer, type AdminServer } from '../../../src/http/admin.js';
import { openDatabase, type Database } from '../../../src/store/database.js';
import { createLegacyDeletedDevices } from '../../../src/legacy/deleted-devices.js';
import { PostgresLegacyTombstones } from '../../../src/store/legacy-tombstones.js';
import { PostgresLegacyStore } from '../../../src/store/legacy.js';
import { migrate, readMigrations } from '../../../src/store/migrate.js';
import { defaultSubscriptionWriter, SubscriptionStore } from '../../../src/store/subscriptions.js';
import { PostgresXmppDeviceStore } from '../../../src/store/xmpp-devices.js';
import { Tombstones } from '../../../src/store/tombstones.js';
import { silentLog } from '../../../src/telemetry/log.js';
import { Metrics } from '../../../src/telemetry/metrics.js';
import { createXmppDeletedDevices } from '../../../src/xmpp-devices/deleted-devices.js';
import { databaseOptionsFor } from '../../simulators/database-options.js';
import { exampleSubscription, serviceNamed } from '../../simulators/store-examples.js';
import { createTestDirectory } from '../config/support.js';
import { deviceOf, exampleTypes, tokenOf, v1Key } from '../xmpp-devices/support.js';
import { run } from './support.js';

const directory = createTestDirectory();
afterAll(() => directory.remove());

const REMOVED_AT_MS = Date.parse('2026-05-01T10:30:00Z');
const open = (): Promise<Database> => openDatabase(databaseOptionsFor(null, directory.path));

async function bury(database: Database, seeds: readonly string[], service = 'apns'): Promise<void> {
  const store = new SubscriptionStore({ database, log: silentLog(), writer: defaultSubscriptionWriter });
  for (const seed of seeds) {
    const changes = { service: serviceNamed(service) };
    const subscription = exampleSubscription(seed, changes, Math.floor(Date.now() / 1000));
    await store.upsert(subscription, 1);
    await store.removeIfNotRenewedSince(subscription, 2, REMOVED_AT_MS);
  }
}

async function buryLegacy(
  database: Database,
  brand: string,
  type: 'ios' | 'android' | 'unknown',
): Promise<void> {
  const device = { token: `${brand} ${type}`, account: 'a', type, groupsOnly: false, registeredAtMs: 1 };
  await new PostgresLegacyStore(database).commit(brand, [
    { kind: 'set-device', device },
    { kind: 'device-died', token: device.token, sinceMs: 2, nowMs: REMOVED_AT_MS },
  ]);
}

/** By their nodes. */
async function buryXmpp(database: Database, nodes: readonly string[], type = 'apns'): Promise<void> {
  const store = new PostgresXmppDeviceStore(database);
  for (const node of nodes) {
    const key = v1Key(node);
    const token = tokenOf(`token of ${node}`);
    const offer = deviceOf(key, { type, token });
    await store.change({ kind: 'register', offer, replacesSecret: false, nowMs: 1 });
    await store.change({ kind: 'token-died', key, token, sinceMs: 2, nowMs: REMOVED_AT_MS });
  }
}

const devices = (action: string, port: number, ...more: string[]) =>
  run(['devices', action, '--admin.port', `${port}`, '--database.dataDir', directory.path, ...more]);

describe('waggle devices', () => {
  it('ends with 64 on wrong usage', async () => {
    const cases = [
      [[], 'devices undelete'],
      [['restore'], 'devices undelete'],
      [['deleted', '--service', 'apns'], '--service'],
      [['undelete', '--servise', 'apns'], '--service'],
      [['undelete', '--service', ''], '--service'],
      [['undelete', '--since', 'yesterday'], '--since'],
      [['undelete', '--since', '2026-05-01T10:30:00'], '--since'],
      [['undelete', '--since', '2026-13-01'], '--since'],
      [['undelete', '--since', '1746095400000'], '--since'],
    ] as const;
    for (const [argv, hint] of cases) {
      const { code, stderr, stdout } = await run(['devices', ...argv]);
      expect([code, stdout], argv.join(' ')).toEqual([64, '']);
      expect(stderr).toContain(hint);
    }
  });

  it('ends with 78 on a wrong configuration', async () => {
    expect((await run(['devices', 'deleted', '--http.port', 'x'])).code).toBe(78);
  });
});

describe('waggle devices without a server', () => {
  it('makes no database, and refuses one with an older schema', async () => {
    const none = await run(['devices', 'deleted', '--admin.port', '0', '--database.dataDir', '/nowhere']);
    expect(none).toMatchObject({ code: 1, stdout: '' });
    expect(none.stderr).toContain('no database yet');
    const database = await open();
    await migrate(database, { migrations: (await readMigrations()).slice(0, 1) });
    await database.close();
    const older = await devices('undelete', 0);
    expect(older.code).toBe(1);
    expect(older.stderr).toContain('waggle migrate');
  });

  it('works on the database itself', async () => {
    const database = await open();
    await migrate(database);
    await bury(database, ['1', '2']);
    await bury(database, ['3'], 'firebase');
    await database.close();
    expect(await devices('deleted', 0)).toMatchObject({ code: 0, stdout: 'apns 2\nfirebase 1' });
    const filter = ['--service', 'apns', '--since', '2026-05-01'];
    expect(await devices('undelete', 0, ...filter, '--dry-run')).toMatchObject({
      code: 0,
      stdout: 'would restore 2 subscriptions',
    });
    expect(await devices('undelete', 0, '--since', '2026-05-01T12:30:01+02:00')).toMatchObject({
      code: 0,
      stdout: 'restored 0 subscriptions',
    });
    expect(await devices('undelete', 0, ...filter)).toMatchObject({
      code: 0,
      stdout: 'restored 2 subscriptions',
    });
    expect(await devices('deleted', 0)).toMatchObject({ code: 0, stdout: 'firebase 1' });
    expect(await devices('undelete', 0)).toMatchObject({ code: 0, stdout: 'restored 1 subscriptions' });
    expect((await devices('deleted', 0)).stdout).toContain('no subscriptions of dead devices');
  });

  it('shows and brings back devices of older clients, by the service that their brand means', async () => {
    const database = await open();
    for (const brand of ['session', 'bchat', 'gone']) {
      for (const type of ['ios', 'android', 'unknown'] as const) await buryLegacy(database, brand, type);
    }
    await database.close();
    const brands = ['--brands.session.apns', 'apns-legacy', '--brands.bchat.enabled', 'true'];
    const line = (service: string, brand: string): string =>
      `${service} 1 devices of older clients (${brand})`;
    expect(await devices('deleted', 0, ...brands)).toMatchObject({
      code: 0,
      stdout: [
        line('firebase', 'bchat'),
        line('apns', 'bchat'),
        line('firebase', 'session'),
        line('apns-legacy', 'session'),
      ].join('\n'),
    });
    const filter = ['--since', '2026-05-01', '--service', 'apns-legacy'];
    expect(await devices('undelete', 0, ...brands, ...filter, '--dry-run')).toMatchObject({
      code: 0,
      stdout: 'would restore 0 subscriptions\nwould restore 1 devices of older clients',
    });
    expect(await devices('undelete', 0, ...brands, ...filter)).toMatchObject({
      code: 0,
      stdout: 'restored 0 subscriptions\nrestored 1 devices of older clients',
    });
    expect(await devices('undelete', 0, ...brands)).toMatchObject({
      code: 0,
      stdout: 'restored 0 subscriptions\nrestored 3 devices of older clients',
    });
  });

  it('shows and brings back devices of XMPP users, by the service that their type means', async () => {
    const database = await open();
    await buryXmpp(database, ['a', 'b']);
    await buryXmpp(database, ['c'], 'fcm');
    await buryXmpp(database, ['d'], 'ios');
    await buryXmpp(database, ['e'], 'gone');
    await database.close();
    const none = 'no subscriptions of dead devices, and no dead devices of older clients or XMPP users';
    expect(await devices('deleted', 0)).toMatchObject({ code: 0, stdout: none });
    expect(await devices('undelete', 0)).toMatchObject({ code: 0, stdout: 'restored 0 subscriptions' });
    const xmpp = ['--xmpp.enabled', 'true', '--xmpp.types.ios.service', 'apns'];
    xmpp.push('--xmpp.types.fcm.service', 'google');
    expect(await devices('deleted', 0, ...xmpp)).toMatchObject({
      code: 0,
      stdout: 'apns 3 devices of XMPP users\ngoogle 1 devices of XMPP users',
    });
    const filter = ['--since', '2026-05-01', '--service', 'apns'];
    expect(await devices('undelete', 0, ...xmpp, ...filter, '--dry-run')).toMatchObject({
      code: 0,
      stdout: 'would restore 0 subscriptions\nwould restore 3 devices of XMPP users',
    });
    expect(await devices('undelete', 0, ...xmpp, '--since', '2026-05-02')).toMatchObject({
      code: 0,
      stdout: 'restored 0 subscriptions',
    });
    expect(await devices('undelete', 0, ...xmpp, ...filter)).toMatchObject({
      code: 0,
      stdout: 'restored 0 subscriptions\nrestored 3 devices of XMPP users',
    });
    expect(await devices('deleted', 0, ...xmpp)).toMatchObject({
      code: 0,
      stdout: 'google 1 devices of XMPP users',
    });
  });
});

describe('waggle devices with a server', () => {
  let database: Database;
  let server: AdminServer;
  let port = 0;
  beforeAll(async () => {
    database = await open();
    await migrate(database);
    const metrics = new Metrics();
    const clock = { nowMs: () => Date.now() };
    const tombstones = new Tombstones(database);
    const services = { apns: 'apns', firebase: 'firebase', huawei: 'huawei' };
    const store = new PostgresLegacyStore(database);
    const legacy = createLegacyDeletedDevices({
      tombstones: new PostgresLegacyTombstones(database),
      brands: [{ name: 'session', services }],
      changeInTurn: async (brand, choose) => store.commit(brand, await choose()),
      clock,
    });
    const xmpp = createXmppDeletedDevices({
      store: new PostgresXmppDeviceStore(database),
      types: exampleTypes.values(),
      registry: null,
    });
    server = createAdminServer(
      { host: '127.0.0.1', port: 0, token: 's3cret' },
      {
        metrics,
        stats: () => null,
        notifiers: () => ({}),
        health: { live: () => true, ready: () => ({ ready: true, parts: {} }) },
        devices: createDeletedDevices({ tombstones, subscriptions: null, legacy, xmpp, clock, metrics }),
      },
    );
    port = Number(new URL((await server.listen()).url).port);
  });
  afterAll(async () => {
    await server.close();
    await database.close();
  });

  it('asks it', async () => {
    await bury(database, ['4', '5']);
    await buryLegacy(database, 'session', 'ios');
    await buryXmpp(database, ['f', 'g', 'h']);
    const token = ['--admin.token', 's3cret'];
    const before = await devices('deleted', port, ...token);
    expect(before).toMatchObject({ code: 0, stderr: '' });
    expect(before.stdout).toContain('apns 2\n');
    expect(before.stdout).toContain(
      'apns 1 devices of older clients (session)\napns 3 devices of XMPP users',
    );
    expect(await devices('undelete', port, ...token, '--service', 'apns')).toMatchObject({
      code: 0,
      stdout:
        'restored 2 subscriptions\nrestored 1 devices of older clients\nrestored 3 devices of XMPP users',
      stderr: '',
    });
  });

  it('says that the token is another one', async () => {
    const refused = await devices('deleted', port);
    expect(refused).toMatchObject({ code: 1, stdout: '' });
    expect(refused.stderr).toContain('admin.token');
  });

  it('does not touch the database that it has open', async () => {
    const inUse = await devices('undelete', 0);
    expect(inUse).toMatchObject({ code: 1, stdout: '' });
    expect(inUse.stderr).toContain('another process has the embedded database');
  });

  it('takes the answers of an older one', async () => {
    const answers = ['{"services":{"apns":2}}', '{"restored":2,"skipped":0,"legacyRestored":1}'];
    const older = createServer((socket) => {
      socket.on('error', () => undefined);
      const text = answers.shift() ?? '';
      const head = `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${text.length}`;
      socket.once('data', () => socket.end(`${head}\r\n\r\n${text}`));
    });
    await new Promise<void>((resolve) => older.listen(0, '127.0.0.1', resolve));
    const olderPort = (older.address() as AddressInfo).port;
    expect(await devices('deleted', olderPort)).toMatchObject({ code: 0, stdout: 'apns 2' });
    expect(await devices('undelete', olderPort)).toMatchObject({
      code: 0,
      stdout: 'restored 2 subscriptions\nrestored 1 devices of older clients',
    });
    await new Promise((resolve) => older.close(resolve));
  });

  it('does not take somebody else for it, nor silence for success', async () => {
    const answers = ['HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello', ''];
    const other: Server = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.once('data', () => socket.end(answers.shift() ?? ''));
    });
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const otherPort = (other.address() as AddressInfo).port;
    const wrong = await devices('undelete', otherPort);
    expect(wrong).toMatchObject({ code: 1, stdout: '' });
    expect(wrong.stderr).toContain('not this server');
    const silent = await devices('undelete', otherPort);
    expect(silent).toMatchObject({ code: 1, stdout: '' });
    expect(silent.stderr).toContain('did not answer');
    await new Promise((resolve) => other.close(resolve));
  });
});
