import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { secretHashOf, SecretKeeper } from '../../src/crypto/secret-keeper.js';
import { openDatabase, type Database } from '../../src/store/database.js';
import { StoreQueryError, StoreUnavailable } from '../../src/store/errors.js';
import { migrate } from '../../src/store/migrate.js';
import { numberCell, statement, textCell, type Statement } from '../../src/store/statement.js';
import { UwpxDeviceImport, type ImportedUwpxDevice } from '../../src/store/uwpx-import.js';
import { findUwpxTargets, lockUwpxDevices, setUwpxAccounts } from '../../src/store/uwpx-statements.js';
import { PostgresUwpxStore, type UwpxStoreOptions } from '../../src/store/uwpx.js';
import type {
  AccountsChange,
  ChannelChange,
  ChannelUri,
  OfferedAccount,
  UwpxAccountId,
  UwpxDeviceId,
} from '../../src/uwpx/port.js';
import { databaseOptions, describeWithDatabases, describeWithPostgres } from '../simulators/databases.js';

const DAY_MS = 86_400_000;
const NOW_MS = 1_700_000_000_000;

const idOf = (text: string): UwpxDeviceId => text as UwpxDeviceId;
const uriOf = (text: string): ChannelUri => `https://x.notify.windows.com/?token=${text}` as ChannelUri;
const channel = (device: string, changes: Partial<ChannelChange> = {}): ChannelChange => ({
  deviceId: idOf(device),
  channelUri: uriOf(device),
  protocolVersion: 2,
  mayCreate: true,
  nowMs: NOW_MS,
  ...changes,
});
const account = (name: string, changes: Partial<OfferedAccount> = {}): OfferedAccount => ({
  accountId: name as UwpxAccountId,
  node: `node ${name}`,
  secret: `secret ${name}`,
  domain: null,
  ...changes,
});
const accounts = (
  device: string,
  list: readonly OfferedAccount[],
  changes: Partial<AccountsChange> = {},
): AccountsChange => ({
  deviceId: idOf(device),
  protocolVersion: 2,
  accounts: list,
  nowMs: NOW_MS,
  ...changes,
});

const secrets = new SecretKeeper(Buffer.alloc(32, 7), randomBytes);
const storeOn = (
  database: UwpxStoreOptions['database'],
  changes: Partial<UwpxStoreOptions> = {},
): PostgresUwpxStore =>
  new PostgresUwpxStore({
    database,
    secrets,
    maxDevices: 1_000_000,
    clock: { nowMs: () => NOW_MS },
    ...changes,
  });

/** Counts the transactions of a database. */
function counted(database: Database): UwpxStoreOptions['database'] & { transactions: number } {
  const counting = {
    transactions: 0,
    rows: database.rows.bind(database),
    execute: database.execute.bind(database),
    transaction: ((work) => {
      counting.transactions += 1;
      return database.transaction(work);
    }) as Database['transaction'],
  };
  return counting;
}

const sorted = <Item extends { readonly node: string }>(items: readonly Item[] | null): Item[] | null =>
  items && items.toSorted((a, b) => (a.node < b.node ? -1 : 1));
const credentials = ({ accountId, node, secret }: OfferedAccount): Partial<OfferedAccount> => ({
  accountId,
  node,
  secret,
});

describeWithDatabases('devices of UWPX', (fixture) => {
  test('have one channel, and accounts that keep node and secret for as long as they are named', async () => {
    const store = storeOn(await fixture.open());
    expect(await store.setAccounts(accounts('d', [account('a')]))).toBeNull();
    expect(await store.setChannel(channel('d', { mayCreate: false }))).toBe('refused');
    expect(await store.setChannel(channel('d'))).toBe('created');
    expect(
      await store.setChannel(
        channel('d', { channelUri: uriOf('new'), protocolVersion: 1, mayCreate: false }),
      ),
    ).toBe('changed');
    expect(await store.findDevice(idOf('d'))).toEqual({
      deviceId: 'd',
      channelUri: uriOf('new'),
      protocolVersion: 1,
    });
    expect(await store.setAccounts(accounts('d', []))).toEqual([]);

    const [a, b] = [account('a', { domain: 'a.example' }), account('b')];
    expect(sorted(await store.setAccounts(accounts('d', [b, a])))).toEqual([credentials(a), credentials(b)]);
    expect(await store.findDevice(idOf('d'))).toMatchObject({ protocolVersion: 2 });
    const fresh = (name: string): OfferedAccount =>
      account(name, { node: `other ${name}`, secret: 'another', domain: 'b.example' });
    // The answer was lost, or the list is another one: what is there stays as it was.
    expect(sorted(await store.setAccounts(accounts('d', [fresh('a'), fresh('b'), fresh('c')])))).toEqual(
      sorted([credentials(a), credentials(b), credentials(fresh('c'))] as OfferedAccount[]),
    );
    expect(await store.findTargets([a.node])).toMatchObject([{ domain: 'a.example' }]);
    expect(await store.setAccounts(accounts('d', [fresh('b')]))).toEqual([credentials(b)]);
    expect(await store.findTargets([a.node, fresh('c').node])).toEqual([]);
    // It was removed: it does not come back.
    expect(sorted(await store.setAccounts(accounts('d', [fresh('a'), fresh('b')])))).toEqual([
      credentials(b),
      credentials(fresh('a')),
    ]);
    expect(await store.setAccounts(accounts('d', []))).toEqual([]);
    expect(await store.setChannel(channel('d'))).toBe('changed');
    expect(await store.findDevice(idOf('nobody'))).toBeNull();
    expect(await store.findDevice(idOf('zero\0'))).toBeNull();
  });

  test('stand behind the nodes of their accounts', async () => {
    const database = await fixture.open();
    const store = storeOn(database);
    await store.setChannel(channel('d', { protocolVersion: 1 }));
    await store.setChannel(channel('other'));
    await store.setAccounts(
      accounts('d', [account('a', { domain: 'a.example' }), account('b')], { nowMs: NOW_MS + 5 }),
    );
    await store.setAccounts(accounts('other', [account('c')]));
    const target = {
      deviceId: 'd',
      accountId: 'a',
      node: 'node a',
      secretHash: secretHashOf('secret a'),
      domain: 'a.example',
      channelUri: uriOf('d'),
      protocolVersion: 2,
      channelLostAtMs: null,
      activeAtMs: NOW_MS + 5,
    };
    expect(await store.findTargets(['node a', 'node a', 'nobody', 'zero\0', '\ud800', ''])).toEqual([target]);
    expect(sorted(await store.findTargets(['node c', 'node b']))).toMatchObject([
      { accountId: 'b', deviceId: 'd' },
      { accountId: 'c', deviceId: 'other' },
    ]);
    expect(await store.findTargets([])).toEqual([]);
    expect((await store.nodesOf(idOf('d'))).toSorted()).toEqual(['node a', 'node b']);
    expect(await store.nodesOf(idOf('nobody'))).toEqual([]);
    expect(await store.nodesAfter('', 2)).toEqual(['node a', 'node b']);
    expect(await store.nodesAfter('node b', 2)).toEqual(['node c']);
    expect(await store.nodesSince(NOW_MS, '', 2)).toEqual(['node a', 'node b']);
    expect(await store.nodesSince(NOW_MS, 'node b', 2)).toEqual(['node c']);
    expect(await store.nodesSince(NOW_MS + 5, '', 9)).toEqual(['node a', 'node b']);
    expect(await store.nodesSince(NOW_MS + 6, '', 9)).toEqual([]);
    // Nothing that opens a door is in the table as it is.
    const [row] = await database.rows(
      statement('dump_of_test', 'SELECT string_agg(a::text, chr(10)) FROM uwpx_accounts AS a'),
    );
    expect(textCell(row, 0)).toContain('node a');
    for (const text of ['secret a', Buffer.from('secret a').toString('hex')])
      expect(textCell(row, 0)).not.toContain(text);
  });

  test('lose a channel that died, unless they set it since, and come back to their nodes', async () => {
    const store = storeOn(await fixture.open());
    await store.setChannel(channel('d'));
    await store.setAccounts(accounts('d', [account('a')]));
    const died = (sinceMs: number): Promise<number> =>
      store.channelDied({ channelUri: uriOf('d'), sinceMs, nowMs: NOW_MS + 900 });
    expect(await died(NOW_MS)).toBe(0);
    expect(await store.channelDied({ channelUri: uriOf('x'), sinceMs: NOW_MS + 1, nowMs: NOW_MS })).toBe(0);
    expect(await died(NOW_MS + 0.5)).toBe(1);
    expect(await died(NOW_MS + 1)).toBe(0);
    expect(await store.findDevice(idOf('d'))).toMatchObject({ channelUri: null });
    expect(await store.findTargets(['node a'])).toMatchObject([
      { channelUri: null, channelLostAtMs: NOW_MS + 900 },
    ]);
    expect(await store.setAccounts(accounts('d', []))).toBeNull();
    expect(await store.setChannel(channel('d', { mayCreate: false, nowMs: NOW_MS + 1000 }))).toBe('changed');
    expect(await store.findTargets(['node a'])).toMatchObject([
      { channelUri: uriOf('d'), channelLostAtMs: null },
    ]);
    // The same channel of two devices.
    await store.setChannel(channel('twin', { channelUri: uriOf('d') }));
    expect(await died(NOW_MS + 5000)).toBe(2);
  });

  test('get the secret that is offered when the key of the stored one is lost', async () => {
    const database = await fixture.open();
    const before = storeOn(database, { secrets: new SecretKeeper(Buffer.alloc(32, 1), randomBytes) });
    await before.setChannel(channel('d'));
    await before.setAccounts(accounts('d', [account('a')]));
    const store = storeOn(database);
    const offered = [account('a', { node: 'new', secret: 'new secret' }), account('b')];
    const a = { accountId: 'a', node: 'node a', secret: 'new secret' };
    for (const offer of [offered, [account('a'), account('b')]]) {
      expect(sorted(await store.setAccounts(accounts('d', offer)))).toEqual([a, credentials(account('b'))]);
    }
    expect(await store.findTargets(['node a'])).toMatchObject([{ secretHash: secretHashOf('new secret') }]);
  });

  test('that meet with a node of somebody else are left out alone', async () => {
    const store = storeOn(await fixture.open());
    await Promise.all([store.setChannel(channel('one')), store.setChannel(channel('two'))]);
    await store.setAccounts(accounts('one', [account('a')]));
    const [two, one] = await Promise.all([
      store.setAccounts(accounts('two', [account('b', { node: 'node a' }), account('c')])),
      store.setAccounts(accounts('one', [account('a'), account('d'), account('e', { node: 'node d' })])),
    ]);
    expect(two).toEqual([credentials(account('c'))]);
    expect(sorted(one)).toMatchObject([{ node: 'node a', accountId: 'a' }, { node: 'node d' }]);
    expect(await store.setAccounts(accounts('two', [account('b'), account('c')]))).toHaveLength(2);
  });

  test('share a transaction when they come at once, and one that cannot be stored is refused alone', async () => {
    const database = counted(await fixture.open());
    const store = storeOn(database);
    await store.countDevices();
    const bad = [
      store.setChannel(channel('zero\0')),
      store.setChannel(channel('\ud800')),
      store.setChannel(channel('')),
      store.setChannel(channel('x'.repeat(1025))),
      store.setChannel(channel('d', { channelUri: uriOf('x'.repeat(2049)) })),
      store.setAccounts(accounts('d', [account('zero\0')])),
      store.setAccounts(accounts('d', [account('a', { domain: '\udfff' })])),
      store.setAccounts(accounts('d', [account('a', { node: '' })])),
    ];
    const good = Array.from({ length: 50 }, (_, index) => store.setChannel(channel(`${index}`)));
    for (const result of await Promise.allSettled(bad)) {
      expect(result).toMatchObject({ reason: expect.any(StoreQueryError) as unknown });
    }
    expect(new Set(await Promise.all(good))).toEqual(new Set(['created']));
    expect(database.transactions).toBe(1);
    // Of one device: in the order of the calls.
    expect(
      await Promise.all([
        store.setChannel(channel('new')),
        store.setAccounts(accounts('new', [account('a')])),
        store.setAccounts(accounts('0', [account('b')])),
        store.setAccounts(accounts('new', [])),
        store.setChannel(channel('new', { mayCreate: false })),
      ]),
    ).toMatchObject(['created', [{ node: 'node a' }], [{ node: 'node b' }], [], 'changed']);
    await store.idle();
  });

  test('are no more than there may be, and counted without asking each time', async () => {
    const database = await fixture.open();
    let now = NOW_MS;
    let asked = 0;
    const counting: UwpxStoreOptions['database'] = {
      rows: (asking, values) => {
        if (asking.name === 'uwpx_count') asked += 1;
        return database.rows(asking, values);
      },
      execute: database.execute.bind(database),
      transaction: database.transaction.bind(database),
    };
    const clock = { nowMs: () => now };
    const store = storeOn(counting, { maxDevices: 5, clock });
    const results = await Promise.all(
      Array.from({ length: 7 }, (_, index) =>
        store.setChannel(channel(`${index}`, { mayCreate: index !== 1 })),
      ),
    );
    expect(results).toEqual(['created', 'refused', 'created', 'created', 'created', 'created', 'full']);
    expect(await store.setChannel(channel('6'))).toBe('full');
    expect(await store.setChannel(channel('2'))).toBe('changed');
    expect(await store.countDevices()).toBe(5);
    expect(asked).toBe(1);
    expect(await store.removeOutdated({ idleSinceMs: NOW_MS + 1, lostBeforeMs: 0, limit: 2 })).toBe(2);
    expect(await store.countDevices()).toBe(3);
    expect(await store.setChannel(channel('6'))).toBe('created');
    // What another process did is seen some time later.
    await storeOn(database).removeOutdated({ idleSinceMs: NOW_MS + 1, lostBeforeMs: 0, limit: 100 });
    expect(await store.countDevices()).toBe(4);
    now += 31_000;
    await store.countDevices();
    await expect.poll(() => store.countDevices()).toBe(0);
    expect(asked).toBe(2);
  });

  test('go with their accounts when nobody uses them any more', async () => {
    const store = storeOn(await fixture.open());
    const at = (device: string, nowMs: number): Promise<unknown> =>
      store
        .setChannel(channel(device, { nowMs }))
        .then(() => store.setAccounts(accounts(device, [account(device)], { nowMs })));
    await at('idle', NOW_MS - 300 * DAY_MS);
    await at('pushed', NOW_MS - 300 * DAY_MS);
    await at('lost', NOW_MS - 10 * DAY_MS);
    await at('just lost', NOW_MS - 2 * DAY_MS);
    await at('fine', NOW_MS - 209 * DAY_MS);
    await store.noteActive([idOf('pushed'), idOf('pushed'), idOf('nobody'), idOf('\0')], NOW_MS);
    await store.noteActive([idOf('pushed'), idOf('fine')], NOW_MS - 209 * DAY_MS);
    expect(await store.findTargets(['node pushed'])).toMatchObject([{ activeAtMs: NOW_MS }]);
    await store.channelDied({ channelUri: uriOf('lost'), sinceMs: NOW_MS, nowMs: NOW_MS - 8 * DAY_MS });
    await store.channelDied({ channelUri: uriOf('just lost'), sinceMs: NOW_MS, nowMs: NOW_MS - DAY_MS });
    const times = { idleSinceMs: NOW_MS - 210 * DAY_MS, lostBeforeMs: NOW_MS - 7 * DAY_MS };
    expect(await store.removeOutdated({ ...times, limit: 1 })).toBe(1);
    expect(await store.removeOutdated({ ...times, limit: 1 })).toBe(1);
    expect(await store.removeOutdated({ ...times, limit: 1 })).toBe(0);
    expect(await store.nodesAfter('', 10)).toEqual(['node fine', 'node just lost', 'node pushed']);
    expect(await store.findDevice(idOf('idle'))).toBeNull();
    expect(await store.setAccounts(accounts('lost', []))).toBeNull();
  });

  test('stay in their page, in reach of the same index entries, when they come again on the same day', async () => {
    const database = await fixture.open();
    await storeOn(database).setChannel(channel('d'));
    const inPlace = statement(
      'uwpx_in_place_of_test',
      "SELECT pg_stat_get_xact_tuples_hot_updated('uwpx_devices'::regclass)",
    );
    const hot: number[] = [];
    const watched: UwpxStoreOptions['database'] = {
      rows: database.rows.bind(database),
      execute: database.execute.bind(database),
      transaction: (work) =>
        database.transaction(async (transaction) => {
          const [before] = await transaction.rows(inPlace);
          const value = await work(transaction);
          const [after] = await transaction.rows(inPlace);
          hot.push(numberCell(after, 0) - numberCell(before, 0));
          return value;
        }),
    };
    const store = storeOn(watched);
    await store.setChannel(channel('d', { nowMs: NOW_MS + 1000 }));
    await store.setAccounts(accounts('d', [account('a')], { nowMs: NOW_MS + 2000 }));
    await store.setChannel(channel('d', { nowMs: NOW_MS + DAY_MS }));
    expect(hot).toEqual([1, 1, 0]);
  });

  test('reject with StoreUnavailable while the database is away', async () => {
    const database = await fixture.open();
    const store = storeOn(database);
    await database.close();
    const calls = [
      store.setChannel(channel('d')),
      store.setAccounts(accounts('d', [])),
      store.findDevice(idOf('d')),
      store.findTargets(['n']),
      store.nodesOf(idOf('d')),
      store.nodesAfter('', 1),
      store.channelDied({ channelUri: uriOf('d'), sinceMs: 1, nowMs: 1 }),
      store.countDevices(),
      store.noteActive([idOf('d')], 1),
      store.removeOutdated({ idleSinceMs: 1, lostBeforeMs: 1, limit: 1 }),
    ];
    for (const result of await Promise.allSettled(calls)) {
      expect(result).toMatchObject({ reason: expect.any(StoreUnavailable) as unknown });
    }
  });

  test('are looked up by an index, also by a plan that was made while there were none', async () => {
    const database = await fixture.open();
    const planOf = ({ name, text }: Statement, parameters: number): Promise<string> =>
      database.transaction(async (transaction) => {
        await transaction.script(
          `SET LOCAL plan_cache_mode = force_generic_plan; PREPARE of_test AS ${text}`,
        );
        const nulls = Array.from({ length: parameters }, () => 'NULL').join();
        const rows = await transaction.rows(
          statement(`plan_of_${name}`, `EXPLAIN EXECUTE of_test(${nulls})`),
        );
        await transaction.script('DEALLOCATE of_test');
        return rows.map((row) => textCell(row, 0)).join('\n');
      });
    for (const [asked, parameters] of [
      [lockUwpxDevices, 1],
      [findUwpxTargets, 1],
      [setUwpxAccounts, 10],
    ] as const) {
      expect(await planOf(asked, parameters)).not.toMatch(/Seq Scan on uwpx/);
    }
  });
});

describeWithDatabases("another server's devices of UWPX", (fixture) => {
  const imported = (
    device: string,
    updatedAtMs: number,
    list: readonly OfferedAccount[],
  ): ImportedUwpxDevice => ({
    deviceId: idOf(device),
    channelUri: uriOf(device),
    protocolVersion: null,
    updatedAtMs,
    accounts: list,
  });

  test('are taken over once, and never in the place of something newer', async () => {
    const database = await fixture.open();
    const store = storeOn(database);
    const importer = new UwpxDeviceImport(database, secrets, false);
    const dryRun = new UwpxDeviceImport(database, secrets, true);
    const first = [
      imported('here', NOW_MS - 500, [account('a')]),
      imported('there', NOW_MS - 500, [account('b'), account('c', { domain: 'c.example' })]),
      { ...imported('lost', NOW_MS - 500, []), channelUri: null },
    ];
    const none = { added: 0, changed: 0, newerHere: 0 };
    const added = { devices: { ...none, added: 3 }, accounts: 3, accountsRefused: 0 };
    expect(await dryRun.devices(first)).toEqual(added);
    expect(await store.findDevice(idOf('here'))).toBeNull();
    expect(await importer.devices(first)).toEqual(added);
    expect(await importer.devices(first)).toEqual({ devices: none, accounts: 0, accountsRefused: 0 });
    expect(await store.findDevice(idOf('here'))).toEqual({
      deviceId: 'here',
      channelUri: uriOf('here'),
      protocolVersion: null,
    });
    expect(await store.findTargets(['node c'])).toMatchObject([
      {
        secretHash: secretHashOf('secret c'),
        domain: 'c.example',
        protocolVersion: null,
        activeAtMs: NOW_MS - 500,
      },
    ]);
    // It is told the secret that it had.
    expect(
      await store.setAccounts(accounts('here', [account('a', { secret: 'other', node: 'other' })])),
    ).toEqual([credentials(account('a'))]);

    const second = [
      imported('here', NOW_MS - 100, [account('x')]),
      imported('there', NOW_MS - 100, [account('b', { node: 'renewed' }), account('d', { node: 'node a' })]),
      imported('new', NOW_MS, []),
    ];
    const counts = { added: 1, changed: 1, newerHere: 1 };
    expect(await dryRun.devices(second)).toMatchObject({ devices: counts });
    expect(await importer.devices(second)).toEqual({ devices: counts, accounts: 1, accountsRefused: 1 });
    expect(await store.nodesOf(idOf('here'))).toEqual(['node a']);
    expect(await store.nodesOf(idOf('there'))).toEqual(['renewed']);
    // That its channel died here is news that the file does not have.
    await store.channelDied({ channelUri: uriOf('there'), sinceMs: NOW_MS, nowMs: NOW_MS + 50 });
    expect(await importer.devices(second)).toMatchObject({ devices: { ...none, newerHere: 2 } });
    expect(await importer.devices([])).toMatchObject({ devices: none });
  });

  test('come by the thousand', async () => {
    const database = await fixture.open();
    const devices = Array.from({ length: 3000 }, (_, index) =>
      imported(`device ${index}`, NOW_MS, [account(`a${index}`), account(`b${index}`)]),
    );
    expect(await new UwpxDeviceImport(database, secrets, false).devices(devices)).toMatchObject({
      accounts: 6000,
    });
    expect(await storeOn(database).countDevices()).toBe(3000);
  });
});

describeWithPostgres('processes that share devices of UWPX', (postgres) => {
  test('change them one after the other, and none is left with half a list', async () => {
    const url = await postgres().createDatabase();
    const databases = await Promise.all([1, 2].map(() => openDatabase(databaseOptions(url, ''))));
    try {
      const [one] = databases;
      if (one === undefined) throw new Error('a database');
      await migrate(one);
      const writer = { maxRows: 10, gatherMs: 0, maxInFlight: 3, maxQueued: 1000 };
      const stores = databases.map((database) => storeOn(database, { writer }));
      const devices = Array.from({ length: 12 }, (_, index) => `device ${index}`);
      let made = 0;
      const work = async (store: PostgresUwpxStore, worker: number): Promise<void> => {
        for (let round = 0; round < 40; round += 1) {
          const device = devices[(round * (worker + 1)) % devices.length] ?? '';
          if (round % 3 === 0) {
            expect(await store.setChannel(channel(device))).toMatch(/created|changed/);
            continue;
          }
          const names = round % 2 === 0 ? ['x', 'y'] : ['y', 'z'];
          const list = names.map((name) =>
            account(`${device} ${name}`, { node: `n${(made += 1)} ${worker}`, secret: `s${made}` }),
          );
          const stored = await store.setAccounts(accounts(device, list));
          // Never a list that is a mixture of two.
          if (stored !== null) {
            expect(stored.map(({ accountId }) => accountId).toSorted()).toEqual(
              names.map((name) => `${device} ${name}`),
            );
          }
        }
      };
      await Promise.all(
        stores.flatMap((store) => Array.from({ length: 6 }, (_, worker) => work(store, worker))),
      );
      for (const device of devices) {
        const nodes = await stores[0]?.nodesOf(idOf(device));
        expect([0, 2]).toContain(nodes?.length);
      }
      expect(await storeOn(one).countDevices()).toBeLessThanOrEqual(devices.length);
    } finally {
      await Promise.all(databases.map((database) => database.close()));
    }
  });
});
