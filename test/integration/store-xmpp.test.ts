import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseAnyServiceId, type ServiceId } from '../../src/domain/ids.js';
import type { Database } from '../../src/store/database.js';
import { StoreQueryError, StoreUnavailable } from '../../src/store/errors.js';
import { numberCell, statement, textCell, type Statement } from '../../src/store/statement.js';
import { defaultXmppDeviceWriter, PostgresXmppDeviceStore } from '../../src/store/xmpp-devices.js';
import {
  changeDevices,
  devicePage,
  findDevices,
  noteDevices,
} from '../../src/store/xmpp-devices-statements.js';
import { keyText, type DeviceKey, type StoredDevice } from '../../src/xmpp-devices/device.js';
import type { DeviceChange, DeviceOffer } from '../../src/xmpp-devices/port.js';
import { describeWithDatabases } from '../simulators/databases.js';
import { MemoryXmppStore } from '../simulators/memory-xmpp-store.js';

function tokenOf(text: string): ServiceId {
  const token = parseAnyServiceId(text);
  if (token === null) throw new Error('not a token');
  return token;
}
const v1 = (node: string): DeviceKey => ({ kind: 'v1', node });
const p2 = (device: string, channel = ''): DeviceKey => ({ kind: 'p2', device, channel });

/** Everything that is offered differs by `seed`. */
const offerOf = (key: DeviceKey, seed: string, changes: Partial<DeviceOffer> = {}): DeviceOffer => ({
  key,
  node: key.kind === 'v1' ? key.node : `node ${seed}`,
  type: 'apns',
  token: tokenOf(`token ${seed}`),
  serviceData: null,
  secretHash: Buffer.alloc(32, seed),
  sealedSecret: Buffer.from(`sealed ${seed}`),
  accountDomain: null,
  ...changes,
});
const register = (offer: DeviceOffer, nowMs: number, replacesSecret = false): DeviceChange => ({
  kind: 'register',
  offer,
  replacesSecret,
  nowMs,
});
const unregister = (key: DeviceKey, type = 'apns', nowMs = 9000): DeviceChange => ({
  kind: 'unregister',
  key,
  type,
  nowMs,
});
const died = (key: DeviceKey, token: string, sinceMs: number, nowMs = 9000): DeviceChange => ({
  kind: 'token-died',
  key,
  token: tokenOf(token),
  sinceMs,
  nowMs,
});
const restore = (key: DeviceKey): DeviceChange => ({ kind: 'restore', key });

async function loaded(
  store: PostgresXmppDeviceStore,
): Promise<{ devices: StoredDevice[]; revision: number }> {
  const devices: StoredDevice[] = [];
  const revision = await store.load((page) => devices.push(...page));
  return { devices, revision };
}
const allOf = (store: PostgresXmppDeviceStore): Promise<readonly StoredDevice[]> =>
  store.changesSince(0, 1_000_000);
const everything = { types: null, sinceMs: 0 };

/** Counts the transactions of a database. */
function counted(database: Database): Pick<Database, 'rows' | 'transaction'> & { transactions: number } {
  const counting = {
    transactions: 0,
    rows: database.rows.bind(database),
    transaction: ((work) => {
      counting.transactions += 1;
      return database.transaction(work);
    }) as Database['transaction'],
  };
  return counting;
}

const key = fc.constantFrom(v1('n1'), v1('n2'), v1('ü \u{1F41D}'), p2('d1'), p2('d1', 'c1'), p2('d2'));
const type = fc.constantFrom('apns', 'fcm');
const timeMs = fc.integer({ min: 1, max: 8 });
const token = fc.constantFrom('t1', 't2').map(tokenOf);
const anyOffer = fc
  .record({
    key,
    node: fc.constantFrom('p2 node 1', 'p2 node 2', 'n1'),
    type,
    token,
    serviceData: fc.constantFrom(null, Buffer.alloc(0), Buffer.from('data')),
    secretHash: fc.constantFrom(Buffer.alloc(32, 1), Buffer.alloc(32, 2)),
    sealedSecret: fc.constantFrom(Buffer.from('one'), Buffer.from('another')),
    accountDomain: fc.constantFrom(null, 'a.example', 'b.example'),
  })
  .map((offer) => (offer.key.kind === 'v1' ? { ...offer, node: offer.key.node } : offer));
const anyChange: fc.Arbitrary<DeviceChange> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('register' as const),
      offer: anyOffer,
      replacesSecret: fc.boolean(),
      nowMs: timeMs,
    }),
  },
  fc.record({ kind: fc.constant('unregister' as const), key, type, nowMs: timeMs }),
  fc.record({
    kind: fc.constant('token-died' as const),
    key,
    token,
    sinceMs: fc.oneof(timeMs, fc.double({ min: 1, max: 8, noNaN: true }), fc.constant(Infinity)),
    nowMs: timeMs,
  }),
  fc.record({ kind: fc.constant('restore' as const), key }),
);
const anyNote = fc.record({
  key,
  lastPushAtMs: fc.option(timeMs, { nil: null }),
  lastErrorAtMs: fc.option(timeMs, { nil: null }),
});
const anyStep = fc.oneof(
  { weight: 5, arbitrary: fc.record({ changes: fc.array(anyChange, { minLength: 1, maxLength: 10 }) }) },
  fc.record({ notes: fc.array(anyNote, { maxLength: 5 }) }),
);

const withoutRevision = (stored: StoredDevice | null): Omit<StoredDevice, 'revision'> | null =>
  stored && { device: stored.device, removed: stored.removed };
const byKey = (devices: readonly StoredDevice[]): Map<string, unknown> =>
  new Map(devices.map((stored) => [keyText(stored.device.key), withoutRevision(stored)]));
const revisionsOf = (devices: readonly StoredDevice[]): number[] => devices.map(({ revision }) => revision);

describeWithDatabases('devices of XMPP users', (fixture) => {
  test('are what the rules make of any changes, however many come at once', async () => {
    const database = await fixture.open();
    await fc.assert(
      fc.asyncProperty(fc.array(anyStep, { maxLength: 8 }), async (steps) => {
        await database.transaction((transaction) => transaction.script('DELETE FROM xmpp_devices'));
        const store = new PostgresXmppDeviceStore(database, { ...defaultXmppDeviceWriter, gatherMs: 0 }, 2);
        const model = new MemoryXmppStore();
        model.pace = () => Promise.resolve();
        for (const step of steps) {
          if ('notes' in step) {
            await Promise.all([store.note(step.notes), model.note(step.notes)]);
            continue;
          }
          const answers = await Promise.all(step.changes.map((change) => store.change(change)));
          const expected = await Promise.all(step.changes.map((change) => model.change(change)));
          expect(answers.map(withoutRevision)).toEqual(expected.map(withoutRevision));
        }
        const all = await allOf(store);
        expect(byKey(all)).toEqual(byKey(await model.changesSince(0, 1000)));
        expect(revisionsOf(all)).toEqual(revisionsOf(all).toSorted((a, b) => a - b));
        const { devices, revision } = await loaded(store);
        expect(byKey(devices)).toEqual(byKey(model.living()));
        expect(revision).toBe(Math.max(0, ...revisionsOf(all)));
        const nodes = ['n1', 'n2', 'p2 node 1', 'p2 node 2', 'nobody', 'n1'];
        expect(byKey(await store.find(nodes))).toEqual(byKey(await model.find(nodes)));
        for (const filter of [everything, { types: ['apns'], sinceMs: 4 }]) {
          expect(await store.countDead(filter)).toEqual(await model.countDead(filter));
          const dead = await store.dead(filter, 100);
          expect(dead.map(keyText).toSorted()).toEqual(
            (await model.dead(filter, 100)).map(keyText).toSorted(),
          );
        }
        for (const reason of ['dead', 'unregistered'] as const)
          expect(await store.dropRemoved(reason, 5)).toBe(await model.dropRemoved(reason, 5));
        expect(byKey(await allOf(store))).toEqual(byKey(await model.changesSince(0, 1000)));
      }),
      { numRuns: 40 },
    );
  });

  test('keep node, secret and time of registration when they register again', async () => {
    const store = new PostgresXmppDeviceStore(await fixture.open());
    const first = offerOf(p2('d'), '1');
    const created = await store.change(register(first, 1000));
    expect(created).toEqual({
      device: { ...first, registeredAtMs: 1000, renewedAtMs: null, lastPushAtMs: null, lastErrorAtMs: null },
      revision: 1,
      removed: null,
    });
    await store.note([{ key: p2('d'), lastPushAtMs: 1500, lastErrorAtMs: null }]);
    const second = offerOf(p2('d'), '2', { serviceData: Buffer.from('keys'), accountDomain: 'a.example' });
    const renewed = {
      ...first,
      token: second.token,
      serviceData: second.serviceData,
      accountDomain: 'a.example',
      registeredAtMs: 1000,
      renewedAtMs: 2000,
      lastPushAtMs: 1500,
      lastErrorAtMs: null,
    };
    expect((await store.change(register(second, 2000)))?.device).toEqual(renewed);
    // The answer was lost: the same once more.
    expect((await store.change(register(second, 2000)))?.device).toEqual(renewed);
    const other = offerOf(p2('d'), '3', { accountDomain: 'b.example' });
    expect((await store.change(register(other, 3000, true)))?.device).toEqual({
      ...renewed,
      token: other.token,
      serviceData: null,
      secretHash: other.secretHash,
      sealedSecret: other.sealedSecret,
      renewedAtMs: 3000,
    });
    const anew = offerOf(p2('d'), '4', { type: 'fcm' });
    expect(await store.change(register(anew, 4000))).toEqual({
      device: { ...anew, registeredAtMs: 4000, renewedAtMs: null, lastPushAtMs: null, lastErrorAtMs: null },
      revision: 5,
      removed: null,
    });
    expect((await allOf(store)).map(({ revision }) => revision)).toEqual([5]);
  });

  test('come back with their secret after a provider called them dead, and not after they said goodbye', async () => {
    const store = new PostgresXmppDeviceStore(await fixture.open());
    const key = v1('n');
    await store.change(register(offerOf(key, '1'), 1000));
    expect(await store.change(died(key, 'token 1', 1000))).toBeNull();
    expect(await store.change(died(key, 'token other', 5000))).toBeNull();
    expect((await store.change(died(key, 'token 1', 1000.5)))?.removed).toBe('dead');
    expect(await store.find(['n'])).toEqual([]);
    expect(await store.change(unregister(key))).toBeNull();
    expect((await store.change(restore(key)))?.device).toMatchObject({ token: 'token 1', renewedAtMs: null });
    expect(await store.change(restore(key))).toBeNull();
    await store.change(died(key, 'token 1', 2000));
    const back = await store.change(register(offerOf(key, '2'), 3000));
    expect(back).toMatchObject({
      removed: null,
      device: {
        token: 'token 2',
        sealedSecret: Buffer.from('sealed 1'),
        registeredAtMs: 1000,
        renewedAtMs: 3000,
      },
    });
    expect(await store.change(unregister(key, 'fcm'))).toBeNull();
    expect(await store.change(unregister(key))).toMatchObject({
      removed: 'unregistered',
      device: { sealedSecret: Buffer.from('sealed 1') },
    });
    expect(await store.change(restore(key))).toBeNull();
    expect((await store.change(register(offerOf(key, '3'), 4000)))?.device).toMatchObject({
      sealedSecret: Buffer.from('sealed 3'),
      registeredAtMs: 4000,
      renewedAtMs: null,
    });
  });

  test('are found by any node, however long, and of either kind', async () => {
    const store = new PostgresXmppDeviceStore(await fixture.open());
    // Random, so that no compression makes it fit into an index.
    const long = Array.from({ length: 1024 }, (_, index) =>
      String.fromCodePoint(0x10000 + ((index * index * 7919) % 60_000)),
    ).join('');
    expect(Buffer.byteLength(long)).toBe(4096);
    const offers = [
      offerOf(v1(long), '1'),
      offerOf(v1('same'), '2'),
      offerOf(p2('d'), '3', { node: 'same' }),
      offerOf(p2('d', 'c'), '4', { node: '+/==' }),
    ];
    await Promise.all(offers.map((offer) => store.change(register(offer, 1000))));
    const found = async (...nodes: string[]): Promise<string[]> =>
      (await store.find(nodes)).map(({ device }) => keyText(device.key)).toSorted();
    expect(await found(long)).toEqual([`v1 ${long}`]);
    expect(await found('same')).toEqual(['p2 d/', 'v1 same']);
    expect(await found('+/==', 'x'.repeat(4097), 'zero\0', '\ud800', '')).toEqual(['p2 d/c']);
    expect(await store.find([])).toEqual([]);
    const many = Array.from({ length: 1200 }, (_, index) => `nobody ${index}`);
    expect(await found(...many, 'same')).toHaveLength(2);
  });

  test('that the database cannot hold are refused alone, without a second look at the others', async () => {
    const database = counted(await fixture.open());
    const store = new PostgresXmppDeviceStore(database);
    const bad = [
      offerOf(v1('zero\0byte'), '1'),
      offerOf(v1('half \ud800 pair'), '1'),
      offerOf(v1('x'.repeat(4097)), '1'),
      offerOf(v1(''), '1'),
      offerOf(p2('d', 'c'.repeat(1025)), '1'),
      offerOf(p2('d'), '1', { node: 'n'.repeat(1025) }),
      offerOf(v1('a'), '1', { type: 'apns\0' }),
      offerOf(v1('a'), '1', { type: 't'.repeat(101) }),
      offerOf(v1('a'), '1', { accountDomain: 'zero\0' }),
      offerOf(v1('a'), '1', { token: tokenOf('\udc00') }),
      offerOf(v1('a'), '1', { serviceData: Buffer.alloc(100_000) }),
      offerOf(v1('a'), '1', { secretHash: Buffer.alloc(31) }),
      offerOf(v1('a'), '1', { sealedSecret: Buffer.alloc(1025) }),
    ];
    const good = Array.from({ length: 10 }, (_, index) => offerOf(v1(`good ${index}`), '1'));
    const results = await Promise.allSettled(
      [...bad, ...good].map((offer) => store.change(register(offer, 1000))),
    );
    for (const [index, result] of results.entries()) {
      if (index < bad.length)
        expect(result).toMatchObject({ reason: expect.any(StoreQueryError) as unknown });
      else expect(result.status).toBe('fulfilled');
    }
    expect(database.transactions).toBe(1);
    expect(await allOf(store)).toHaveLength(10);
    await expect(store.change(unregister(v1('zero\0')))).rejects.toBeInstanceOf(StoreQueryError);
    await expect(store.change(died(v1('a'), 'zero\0', 1))).rejects.toBeInstanceOf(StoreQueryError);
  });

  test('share a statement when they come at once, but for those of one key', async () => {
    const database = counted(await fixture.open());
    const store = new PostgresXmppDeviceStore(database);
    const keys = Array.from({ length: 50 }, (_, index) => v1(`${index}`));
    await Promise.all(keys.map((key) => store.change(register(offerOf(key, 'x'), 1000))));
    expect(database.transactions).toBe(1);
    const key = v1('0');
    const answers = await Promise.all([
      store.change(unregister(key)),
      store.change(register(offerOf(key, 'y'), 2000)),
      store.change(died(key, 'token y', 3000)),
      store.change(register(offerOf(key, 'z'), 4000)),
    ]);
    expect(answers.map((answer) => answer?.removed)).toEqual(['unregistered', null, 'dead', null]);
    expect(answers[3]?.device).toMatchObject({ token: 'token z', registeredAtMs: 2000, renewedAtMs: 4000 });
    expect(database.transactions).toBe(5);
    await store.idle();
  });

  test('are loaded in pages of any size, and by bytes when they have much data', async () => {
    const database = await fixture.open();
    const store = new PostgresXmppDeviceStore(database);
    const data = Buffer.alloc(99_999, 7);
    const offers = Array.from({ length: 120 }, (_, index) =>
      offerOf(v1(`${index}`), 'x', { serviceData: data }),
    );
    await Promise.all(offers.map((offer) => store.change(register(offer, 1000))));
    await store.change(unregister(v1('7')));
    for (const pageRows of [1, 50, 1000]) {
      const pages: number[] = [];
      const nodes = new Set<string>();
      const revision = await new PostgresXmppDeviceStore(database, defaultXmppDeviceWriter, pageRows).load(
        (page) => {
          pages.push(page.length);
          for (const { device } of page) nodes.add(device.node);
        },
      );
      expect(revision).toBe(121);
      expect(nodes.size).toBe(119);
      expect(Math.max(...pages)).toBeLessThanOrEqual(Math.min(84, pageRows));
    }
    expect(await store.changesSince(119, 10)).toMatchObject([
      { revision: 120 },
      { revision: 121, removed: 'unregistered' },
    ]);
    expect(revisionsOf(await store.changesSince(3, 4))).toEqual([4, 5, 6, 7]);
    expect(await store.changesSince(121, 10)).toEqual([]);
  });

  test('that change while they are loaded are seen by the load or by what goes on from it', async () => {
    const database = await fixture.open();
    const store = new PostgresXmppDeviceStore(database, defaultXmppDeviceWriter, 2);
    const keys = Array.from({ length: 10 }, (_, index) => v1(`${index}`));
    for (const key of keys) await store.change(register(offerOf(key, '1'), 1000));
    const copy = new Map<string, StoredDevice>();
    const see = (devices: readonly StoredDevice[]): void => {
      for (const stored of devices) {
        const id = keyText(stored.device.key);
        if ((copy.get(id)?.revision ?? 0) < stored.revision) copy.set(id, stored);
      }
    };
    let turns = 0;
    const changes: Promise<unknown>[] = [];
    const revision = await store.load((page) => {
      see(page);
      turns += 1;
      if (turns !== 2) return;
      changes.push(
        store.change(unregister(v1('0'))),
        store.change(unregister(v1('9'))),
        store.change(register(offerOf(v1('1'), '2'), 2000)),
        store.change(register(offerOf(v1('new'), '1'), 2000)),
      );
    });
    await Promise.all(changes);
    expect(revision).toBe(10);
    see(await store.changesSince(revision, 100));
    expect(byKey([...copy.values()])).toEqual(byKey(await allOf(store)));
    expect(copy.get('v1 1')?.device.token).toBe('token 2');
  });

  test('have their times noted without a revision', async () => {
    const database = await fixture.open();
    const store = new PostgresXmppDeviceStore(database);
    const keys = Array.from({ length: 700 }, (_, index) => v1(`${index}`));
    await Promise.all(keys.map((key) => store.change(register(offerOf(key, '1'), 1000))));
    await store.note(
      keys.flatMap((key) => [
        { key, lastPushAtMs: 5000, lastErrorAtMs: null },
        { key, lastPushAtMs: 4000, lastErrorAtMs: 3000.7 },
      ]),
    );
    await store.note([
      { key: v1('3'), lastPushAtMs: 1, lastErrorAtMs: 9000 },
      { key: v1('nobody'), lastPushAtMs: 1, lastErrorAtMs: 1 },
    ]);
    await store.note([]);
    const all = await allOf(store);
    expect(all).toHaveLength(700);
    for (const { device } of all) {
      expect(device).toMatchObject({ lastPushAtMs: 5000, lastErrorAtMs: device.node === '3' ? 9000 : 3000 });
    }
    expect(Math.max(...revisionsOf(all))).toBe(700);
  });

  test('stay in their page, in reach of the same index entries, when their times are noted', async () => {
    const database = await fixture.open();
    const store = new PostgresXmppDeviceStore(database);
    const keys = Array.from({ length: 100 }, (_, index) => v1(`${index}`));
    await Promise.all(keys.map((key) => store.change(register(offerOf(key, '1'), 1000))));
    const inPlace = statement(
      'in_place_of_test',
      `SELECT pg_stat_get_xact_tuples_updated('xmpp_devices'::regclass),
              pg_stat_get_xact_tuples_hot_updated('xmpp_devices'::regclass)`,
    );
    let counts: readonly number[] = [];
    const watched: Pick<Database, 'rows' | 'transaction'> = {
      rows: database.rows.bind(database),
      transaction: (work) =>
        database.transaction(async (transaction) => {
          const [before] = await transaction.rows(inPlace);
          const value = await work(transaction);
          const [after] = await transaction.rows(inPlace);
          counts = [0, 1].map((column) => numberCell(after, column) - numberCell(before, column));
          return value;
        }),
    };
    // As many as the room in their pages is meant for.
    const notes = keys.slice(0, 3).map((key) => ({ key, lastPushAtMs: 5000, lastErrorAtMs: null }));
    await new PostgresXmppDeviceStore(watched).note(notes);
    expect(counts).toEqual([3, 3]);
  });

  test('that are dead are counted, listed oldest first, restored, and dropped after a time with all that was removed', async () => {
    const store = new PostgresXmppDeviceStore(await fixture.open());
    const keys = Array.from({ length: 6 }, (_, index) => v1(`${index}`));
    for (const [index, key] of keys.entries()) {
      const offer = offerOf(key, 'x', { type: index % 2 === 0 ? 'apns' : 'fcm' });
      await store.change(register(offer, 1000));
      await store.change(died(key, 'token x', 2000, 5000 - index));
    }
    await store.change(register(offerOf(v1('gone'), 'x'), 1000));
    await store.change(unregister(v1('gone'), 'apns', 4000));
    expect(await store.countDead(everything)).toEqual(
      new Map([
        ['apns', 3],
        ['fcm', 3],
      ]),
    );
    expect(await store.countDead({ types: ['fcm'], sinceMs: 4996.5 })).toEqual(new Map([['fcm', 2]]));
    expect(await store.countDead({ types: [], sinceMs: 0 })).toEqual(new Map());
    expect(await store.dead(everything, 2)).toEqual([v1('5'), v1('4')]);
    expect(await store.dead({ types: ['apns'], sinceMs: 4998 }, 10)).toEqual([v1('2'), v1('0')]);
    await Promise.all(
      (await store.dead({ types: ['fcm'], sinceMs: 0 }, 10)).map((key) => store.change(restore(key))),
    );
    expect((await loaded(store)).devices.map(({ device }) => device.node).toSorted()).toEqual([
      '1',
      '3',
      '5',
    ]);
    expect(await store.dropRemoved('dead', 4997)).toBe(1);
    expect(await store.dropRemoved('unregistered', 4000)).toBe(0);
    expect(await store.dropRemoved('unregistered', 4001)).toBe(1);
    expect(await store.dropRemoved('dead', Number.MAX_SAFE_INTEGER)).toBe(2);
    expect(await allOf(store)).toHaveLength(3);
  });

  test('reject with StoreUnavailable while the database is away', async () => {
    const database = await fixture.open();
    const store = new PostgresXmppDeviceStore(database);
    await store.change(register(offerOf(v1('a'), '1'), 1000));
    await database.close();
    const calls = [
      store.change(restore(v1('a'))),
      store.load(() => {}),
      store.changesSince(0, 1),
      store.find(['a']),
      store.note([{ key: v1('a'), lastPushAtMs: 1, lastErrorAtMs: null }]),
      store.countDead(everything),
      store.dead(everything, 1),
      store.dropRemoved('dead', 1),
    ];
    for (const result of await Promise.allSettled(calls)) {
      expect(result).toMatchObject({ reason: expect.any(StoreUnavailable) as unknown });
    }
  });

  test('are looked up by their keys, also by a plan that was made while there were none', async () => {
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
      [changeDevices, 14],
      [findDevices, 2],
      [noteDevices, 3],
    ] as const) {
      const plan = await planOf(asked, parameters);
      expect(plan).toMatch(/Index Scan using xmpp_devices_pkey/);
      expect(plan).not.toMatch(/Seq Scan on xmpp_devices/);
    }
    expect(await planOf(findDevices, 2)).toMatch(/xmpp_devices_p2_node/);
    expect(await planOf(devicePage, 3)).toMatch(/Index Scan using xmpp_devices_revision_key/);
  });
});
