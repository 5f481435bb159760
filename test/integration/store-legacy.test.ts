import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { LegacyDevice, LegacyDeviceType } from '../../src/legacy/device.js';
import type { DirectoryChange, LegacyPeriod } from '../../src/legacy/port.js';
import type { Database } from '../../src/store/database.js';
import { StoreQueryError, StoreUnavailable } from '../../src/store/errors.js';
import { PostgresLegacyPeriods } from '../../src/store/legacy-periods.js';
import { commitChanges } from '../../src/store/legacy-statements.js';
import { PostgresLegacyTombstones } from '../../src/store/legacy-tombstones.js';
import { PostgresLegacyStore } from '../../src/store/legacy.js';
import { statement, textCell } from '../../src/store/statement.js';
import { describeWithDatabases, describeWithPostgres, databaseOptions } from '../simulators/databases.js';
import { LegacyModel, loadLegacy } from '../simulators/legacy-model.js';
import { openDatabase } from '../../src/store/database.js';
import { migrate } from '../../src/store/migrate.js';

const BRAND = 'session';

const device = (token: string, changes: Partial<LegacyDevice> = {}): LegacyDevice => ({
  token,
  account: 'alice',
  type: 'ios',
  groupsOnly: false,
  registeredAtMs: 1000,
  ...changes,
});
const set = (token: string, changes: Partial<LegacyDevice> = {}): DirectoryChange => ({
  kind: 'set-device',
  device: device(token, changes),
});
const died = (token: string, sinceMs: number, nowMs: number): DirectoryChange => ({
  kind: 'device-died',
  token,
  sinceMs,
  nowMs,
});
const join = (group: string, account: string): DirectoryChange => ({ kind: 'add-member', group, account });
const leave = (group: string, account: string): DirectoryChange => ({
  kind: 'remove-member',
  group,
  account,
});

const types: readonly LegacyDeviceType[] = ['ios', 'android', 'huawei', 'unknown'];
const everything = { brand: BRAND, types, sinceMs: 0, untilMs: Number.MAX_SAFE_INTEGER };

const tombstonesIn = statement(
  'tombstones_of_test',
  "SELECT token || ' ' || removed_at_ms FROM legacy_devices WHERE removed_at_ms IS NOT NULL AND brand = $1::text",
);
const deadIn = async (database: Database, brand: string): Promise<string[]> =>
  (await database.rows(tombstonesIn, [brand])).map((row) => textCell(row, 0)).sort();

const oneOf = (...texts: string[]): fc.Arbitrary<string> => fc.constantFrom(...texts);
const token = oneOf('t1', 't2', 't3', "t'4", 'ü\u{1F41D}');
const account = oneOf('alice', 'bob', 'carol');
const timeMs = fc.integer({ min: 1, max: 8 });
const anyDevice = fc.record<LegacyDevice>({
  token,
  account,
  type: fc.constantFrom(...types),
  groupsOnly: fc.boolean(),
  registeredAtMs: timeMs,
});
const anyChange: fc.Arbitrary<DirectoryChange> = fc.oneof(
  fc.record({ kind: fc.constant('set-device' as const), device: anyDevice }),
  fc.record({ kind: fc.constant('remove-device' as const), token }),
  fc.record({ kind: fc.constant('device-died' as const), token, sinceMs: timeMs, nowMs: fc.nat(100) }),
  fc.record({
    kind: fc.constantFrom('add-member' as const, 'remove-member' as const),
    group: oneOf('g1', 'g2'),
    account,
  }),
);
const anyBatches = fc.array(
  fc.record({ changes: fc.array(anyChange, { maxLength: 12 }), times: fc.integer({ min: 1, max: 2 }) }),
  { maxLength: 6 },
);

describeWithDatabases("older clients' devices and groups", (fixture) => {
  test('come back as they were committed, in pages of any size', async () => {
    const database = await fixture.open();
    const store = new PostgresLegacyStore(database);
    const devices = Array.from({ length: 60 }, (_, index) =>
      device(`token ${index * 7919}`, {
        account: `account ${index % 9}`,
        type: types[index % 4] ?? 'ios',
        groupsOnly: index % 3 === 0,
        registeredAtMs: 1_700_000_000_000 + index,
      }),
    );
    const odd = device('"\\\n\u{1F41D}\u2028', { account: 'ü'.repeat(512) });
    const members = Array.from({ length: 50 }, (_, index) => join(`group ${index % 4}`, `account ${index}`));
    const changes = devices.map((given): DirectoryChange => ({ kind: 'set-device', device: given }));
    await store.commit(BRAND, [...changes, ...members]);
    await store.commit(BRAND, [{ kind: 'set-device', device: odd }, join('"g"', 'ä')]);
    for (const pageRows of [1, 7, 61, 1000]) {
      const loaded: LegacyDevice[] = [];
      const joined: string[] = [];
      await new PostgresLegacyStore(database, pageRows).load(BRAND, {
        device: (given) => loaded.push(given),
        member: (group, of) => joined.push(`${group} ${of}`),
      });
      expect(loaded).toEqual([...devices, odd]);
      expect(joined).toHaveLength(51);
      expect(new Set(joined)).toEqual(
        new Set([
          '"g" ä',
          ...Array.from({ length: 50 }, (_, index) => `group ${index % 4} account ${index}`),
        ]),
      );
    }
    expect(await loadLegacy(store, 'bchat')).toEqual({ devices: [], members: [] });
  });

  test('are what comes of applying every change by itself, however they are batched and repeated', async () => {
    const database = await fixture.open();
    const store = new PostgresLegacyStore(database, 3);
    let run = 0;
    await fc.assert(
      fc.asyncProperty(anyBatches, async (batches) => {
        run += 1;
        const brand = `brand ${run}`;
        const model = new LegacyModel();
        for (const { changes, times } of batches) {
          for (const change of changes) model.apply(change);
          // An answer that got lost: the same once more.
          for (let time = 0; time < times; time += 1) await store.commit(brand, changes);
        }
        expect(await loadLegacy(store, brand)).toEqual(model.living);
        expect(await deadIn(database, brand)).toEqual(model.dead);
      }),
      { numRuns: 120 },
    );
  });

  test('lose the last token and the last member for good, and move a token away from its account', async () => {
    const store = new PostgresLegacyStore(await fixture.open());
    await store.commit(BRAND, [
      set('ios'),
      set('android', { type: 'android' }),
      join('group', 'alice'),
      join('group', 'bob'),
    ]);
    await store.commit(BRAND, [set('android', { type: 'android', account: 'bob', registeredAtMs: 2000 })]);
    expect((await loadLegacy(store, BRAND)).devices).toEqual([
      device('android', { type: 'android', account: 'bob', registeredAtMs: 2000 }),
      device('ios'),
    ]);
    await store.commit(BRAND, [{ kind: 'remove-device', token: 'ios' }, leave('group', 'alice')]);
    await store.commit(BRAND, [{ kind: 'remove-device', token: 'android' }, leave('group', 'bob')]);
    expect(await loadLegacy(store, BRAND)).toEqual({ devices: [], members: [] });
  });

  test('of one brand have nothing to do with those of another', async () => {
    const database = await fixture.open();
    const store = new PostgresLegacyStore(database);
    for (const brand of [BRAND, 'bchat']) await store.commit(brand, [set('t'), set('u'), join('g', 'alice')]);
    await store.commit('bchat', [
      { kind: 'remove-device', token: 't' },
      died('u', 5000, 6000),
      leave('g', 'alice'),
    ]);
    expect(await loadLegacy(store, BRAND)).toMatchObject({ devices: [{ token: 't' }, { token: 'u' }] });
    expect((await loadLegacy(store, BRAND)).members).toHaveLength(1);
    expect(await loadLegacy(store, 'bchat')).toEqual({ devices: [], members: [] });
  });

  test('that the database cannot hold are refused, with everything that came with them', async () => {
    const store = new PostgresLegacyStore(await fixture.open());
    const bad: DirectoryChange[] = [
      set('zero\0byte'),
      set('x'.repeat(1000)),
      set(''),
      set('t', { account: 'a'.repeat(1025) }),
      join('g\0', 'alice'),
      join('ü'.repeat(513), 'alice'),
    ];
    for (const change of bad) {
      await expect(store.commit(BRAND, [set('good'), join('good', 'alice'), change])).rejects.toBeInstanceOf(
        StoreQueryError,
      );
    }
    expect(await loadLegacy(store, BRAND)).toEqual({ devices: [], members: [] });
    // The longest that are allowed, which an index has to hold together, and no compression makes shorter.
    const long = (seed: number): string =>
      Array.from({ length: 512 }, (_, index) =>
        String.fromCharCode(0x80 + ((index * index * seed) % 1900)),
      ).join('');
    await store.commit(BRAND, [join(long(7919), long(104_729)), set('ü'.repeat(499), { account: long(17) })]);
    expect((await loadLegacy(store, BRAND)).members).toHaveLength(1);
  });

  test('are looked up by their keys, also by a plan that was made while there were none', async () => {
    const database = await fixture.open();
    const nulls = Array.from({ length: 16 }, () => 'NULL').join();
    const plan = await database.transaction(async (transaction) => {
      await transaction.script(
        `SET LOCAL plan_cache_mode = force_generic_plan; PREPARE changes AS ${commitChanges.text}`,
      );
      const rows = await transaction.rows(statement('plan_of_test', `EXPLAIN EXECUTE changes(${nulls})`));
      await transaction.script('DEALLOCATE changes');
      return rows.map((row) => textCell(row, 0)).join('\n');
    });
    expect(plan.match(/Index Scan using \w+/g)).toEqual([
      'Index Scan using legacy_devices_brand_token_key',
      'Index Scan using legacy_devices_brand_token_key',
      'Index Scan using legacy_members_pkey',
    ]);
    expect(plan.match(/Index Cond: .*given.*given/g)).toHaveLength(3);
    expect(plan).not.toContain('Seq Scan');
  });

  test('a failing visit and a failing page reject the load', async () => {
    const database = await fixture.open();
    const store = new PostgresLegacyStore(database, 1);
    await store.commit(BRAND, [set('a'), set('b')]);
    const failure = new Error('of the visitor');
    const visitor = {
      device: () => {
        throw failure;
      },
      member: () => {},
    };
    await expect(store.load(BRAND, visitor)).rejects.toBe(failure);
    await database.close();
    await expect(loadLegacy(store, BRAND)).rejects.toBeInstanceOf(StoreUnavailable);
    await expect(store.commit(BRAND, [set('a')])).rejects.toBeInstanceOf(StoreUnavailable);
    await store.commit(BRAND, []);
  });
});

describeWithDatabases("tombstones of older clients' devices", (fixture) => {
  test('are counted, shown in the order of removal, brought back as they were, and dropped', async () => {
    const database = await fixture.open();
    const store = new PostgresLegacyStore(database);
    const tombstones = new PostgresLegacyTombstones(database);
    const names = Array.from({ length: 7 }, (_, index) => `t${index}`);
    await store.commit(
      BRAND,
      names.map((name, index) =>
        set(name, { type: index < 4 ? 'ios' : 'android', groupsOnly: index % 2 === 0 }),
      ),
    );
    await store.commit('bchat', [set('b', { type: 'huawei' }), died('b', 2000, 9000)]);
    const before = await loadLegacy(store, BRAND);
    // Removed from 5000 on, the last first; two of them at the same time.
    for (const [index, name] of names.entries()) {
      await store.commit(BRAND, [died(name, 2000, 5000 + 10 * Math.floor((6 - index) / 2))]);
    }
    expect((await loadLegacy(store, BRAND)).devices).toEqual([]);
    expect(await tombstones.count(0)).toEqual([
      { brand: 'bchat', type: 'huawei', devices: 1 },
      { brand: BRAND, type: 'android', devices: 3 },
      { brand: BRAND, type: 'ios', devices: 4 },
    ]);
    expect(await tombstones.count(5020)).toEqual([
      { brand: 'bchat', type: 'huawei', devices: 1 },
      { brand: BRAND, type: 'ios', devices: 3 },
    ]);

    const shown: string[] = [];
    let page = await tombstones.page(everything, null, 2);
    while (page !== null) {
      shown.push(...page.devices.map((given) => given.token));
      page = await tombstones.page(everything, page.cursor, 2);
    }
    expect(shown).toEqual(['t5', 't6', 't3', 't4', 't1', 't2', 't0']);
    const narrow = { ...everything, types: ['ios'] as const, sinceMs: 5010, untilMs: 5020 };
    expect((await tombstones.page(narrow, null, 100))?.devices.map((given) => given.token)).toEqual([
      't3',
      't1',
      't2',
    ]);

    expect(await tombstones.restore(narrow)).toBe(3);
    expect(await tombstones.restore({ ...everything, brand: 'nobody' })).toBe(0);
    expect((await loadLegacy(store, BRAND)).devices.map((given) => given.token)).toEqual(['t1', 't2', 't3']);
    expect(await tombstones.drop(5010)).toBe(2);
    expect(await tombstones.restore(everything)).toBe(2);
    expect(await loadLegacy(store, BRAND)).toEqual({
      ...before,
      devices: before.devices.filter(({ token: name }) => !['t5', 't6'].includes(name)),
    });
    expect(await tombstones.drop(Number.MAX_SAFE_INTEGER)).toBe(1);
    expect(await tombstones.count(0)).toEqual([]);
  });

  test('go when the client registers or unregisters', async () => {
    const database = await fixture.open();
    const store = new PostgresLegacyStore(database);
    const tombstones = new PostgresLegacyTombstones(database);
    await store.commit(BRAND, [set('a'), set('b'), died('a', 2000, 3000), died('b', 2000, 3000)]);
    await store.commit(BRAND, [
      set('a', { account: 'bob', registeredAtMs: 4000 }),
      { kind: 'remove-device', token: 'b' },
    ]);
    expect(await tombstones.count(0)).toEqual([]);
    expect(await tombstones.restore(everything)).toBe(0);
    expect((await loadLegacy(store, BRAND)).devices).toEqual([
      device('a', { account: 'bob', registeredAtMs: 4000 }),
    ]);
  });

  test('are brought back and dropped in slices', async () => {
    const database = await fixture.open();
    const store = new PostgresLegacyStore(database);
    const tombstones = new PostgresLegacyTombstones(database);
    const names = Array.from({ length: 4001 }, (_, index) => `${index}`);
    await store.commit(
      BRAND,
      names.flatMap((name) => [set(name), died(name, 2000, 3000)]),
    );
    expect(await tombstones.restore(everything)).toBe(4001);
    await store.commit(
      BRAND,
      names.map((name) => died(name, 2000, 3000)),
    );
    expect(await tombstones.drop(3001)).toBe(4001);
  });
});

describeWithDatabases('statistics of older clients', (fixture) => {
  const period = (startMs: number, messages: number): LegacyPeriod => ({
    startMs,
    endMs: startMs + 100,
    iosPushes: 1,
    androidPushes: 2,
    messages,
    groupMessages: 3,
    untrackedMessages: 4,
    accountMessages: Number.MAX_SAFE_INTEGER,
  });

  test('are written again and again, read by their times, and dropped when they are old', async () => {
    const periods = new PostgresLegacyPeriods(await fixture.open());
    for (const startMs of [300, 100, 200]) await periods.write(BRAND, period(startMs, startMs));
    await periods.write('bchat', period(100, 7));
    const [one, two, three] = [
      period(100, 100),
      period(200, 200),
      { ...period(300, 333), endMs: 350 },
    ] as const;
    await periods.write(BRAND, three);
    const read = (fromMs: number | null, toMs: number | null, limit = 10) =>
      periods.read(BRAND, { fromMs, toMs }, limit);
    expect(await read(null, null)).toEqual([one, two, three]);
    expect(await read(null, null, 2)).toEqual([two, three]);
    expect(await read(200, null)).toEqual([two, three]);
    expect(await read(201, null)).toEqual([three]);
    expect(await read(null, 300)).toEqual([one, two]);
    expect(await read(200, 349)).toEqual([two]);
    expect(await read(301, null)).toEqual([]);
    expect(await periods.dropBefore(BRAND, 200)).toBe(0);
    expect(await periods.dropBefore(BRAND, 301)).toBe(2);
    expect(await read(null, null)).toEqual([three]);
    expect(await periods.read('bchat', { fromMs: null, toMs: null }, 10)).toEqual([period(100, 7)]);
  });
});

describeWithPostgres("older clients' devices", (postgres) => {
  test('two programs that write the same rows in different orders do not fail', async () => {
    const url = await postgres().createDatabase();
    const databases = await Promise.all([
      openDatabase(databaseOptions(url, '')),
      openDatabase(databaseOptions(url, '')),
    ]);
    try {
      const [one, two] = databases;
      await migrate(one);
      const names = Array.from({ length: 100 }, (_, index) => `${index}`);
      const changes = names.flatMap((name) => [set(name), join('g', name)]);
      const [first, second] = [new PostgresLegacyStore(one), new PostgresLegacyStore(two)];
      for (let round = 0; round < 5; round += 1) {
        await Promise.all([first.commit(BRAND, changes), second.commit(BRAND, changes.toReversed())]);
      }
      expect((await loadLegacy(first, BRAND)).devices).toHaveLength(100);
    } finally {
      await Promise.all(databases.map((database) => database.close()));
    }
  });
});
