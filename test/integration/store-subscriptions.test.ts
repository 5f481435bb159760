import { expect, test } from 'vitest';
import type { Subscription } from '../../src/domain/subscription.js';
import type { Database } from '../../src/store/database.js';
import { StoreQueryError, StoreUnavailable } from '../../src/store/errors.js';
import { migrate } from '../../src/store/migrate.js';
import { statement } from '../../src/store/statement.js';
import { StatisticsStore } from '../../src/store/statistics.js';
import { defaultSubscriptionWriter, SubscriptionStore } from '../../src/store/subscriptions.js';
import { silentLog } from '../../src/telemetry/log.js';
import { describeWithDatabases, describeWithPostgres, databaseOptions } from '../simulators/databases.js';
import { openDatabase } from '../../src/store/database.js';
import {
  exampleSubscription,
  accountOf,
  encryptionKeyOf,
  serviceIdOf,
  serviceNamed,
} from '../simulators/store-examples.js';

const NOW_MS = 1_700_000_100_000;

const storeOn = (database: Database, writer = defaultSubscriptionWriter): SubscriptionStore =>
  new SubscriptionStore({ database, log: silentLog(), writer });

async function loadAll(store: SubscriptionStore, pageSize = 100): Promise<Subscription[]> {
  const all: Subscription[] = [];
  await store.load((page) => all.push(...page), pageSize);
  return all;
}

describeWithDatabases('stored subscriptions', (fixture) => {
  test('come back as they were stored, in pages', async () => {
    const store = storeOn(await fixture.open());
    const plain = Array.from({ length: 23 }, (_, index) => exampleSubscription(`plain ${index}`));
    const group = exampleSubscription('group', {
      namespaces: [-32768, -11, 0, 11, 32767],
      wantData: false,
      service: serviceNamed('ünïcode'),
      serviceData: Buffer.alloc(0),
      authorisation: {
        ed25519Key: null,
        subaccount: { tag: Buffer.alloc(36, 3), signature: Buffer.alloc(64, 4) },
        signature: Buffer.alloc(64, 5),
        signedAtSeconds: 1_700_000_001,
      },
    });
    const large = exampleSubscription('large', { serviceData: Buffer.alloc(99_999, 7) });
    for (const subscription of [...plain, group, large]) {
      expect(await store.upsert(subscription, NOW_MS)).toBe('added');
    }
    for (const pageSize of [1, 7, 25, 1000])
      expect(await loadAll(store, pageSize)).toEqual([...plain, group, large]);
    expect(await store.countByService()).toEqual(
      new Map([
        ['apns', 24],
        ['ünïcode', 1],
      ]),
    );
  });

  test('end a page early when the service data is large, and lose none', async () => {
    const store = storeOn(await fixture.open());
    const many = Array.from({ length: 180 }, (_, index) =>
      exampleSubscription(`${index}`, { serviceData: Buffer.alloc(99_999, index) }),
    );
    await Promise.all(many.map((subscription) => store.upsert(subscription, NOW_MS)));
    const sizes: number[] = [];
    expect(await store.load((page) => sizes.push(page.length), 1000)).toBe(180);
    expect(Math.max(...sizes)).toBeLessThan(100);
  });

  test('an empty table loads nothing', async () => {
    const store = storeOn(await fixture.open());
    expect(await loadAll(store)).toEqual([]);
    expect(await store.countByService()).toEqual(new Map());
  });

  test('a failing visit and a failing page reject the load', async () => {
    const database = await fixture.open();
    const store = storeOn(database);
    await store.upsert(exampleSubscription('one'), NOW_MS);
    const failure = new Error('of the visitor');
    await expect(
      store.load(() => {
        throw failure;
      }, 10),
    ).rejects.toBe(failure);
    await database.close();
    await expect(store.load(() => {}, 10)).rejects.toBeInstanceOf(StoreUnavailable);
  });

  test('a newer signature stays, an equal or newer one replaces everything', async () => {
    const store = storeOn(await fixture.open());
    const stored = exampleSubscription('one', {}, 2000);
    expect(await store.upsert(stored, NOW_MS)).toBe('added');
    const older = {
      ...exampleSubscription('one', { namespaces: [9], wantData: false }, 1999),
      encryptionKey: encryptionKeyOf('other'),
    };
    expect(await store.upsert(older, NOW_MS)).toBe('stale');
    expect(await loadAll(store)).toEqual([stored]);
    const equal = {
      ...older,
      authorisation: {
        ...older.authorisation,
        signedAtSeconds: 2000,
        ed25519Key: null,
        subaccount: { tag: Buffer.alloc(36, 1), signature: Buffer.alloc(64, 2) },
      },
      serviceData: Buffer.from('data'),
    };
    expect(await store.upsert(equal, NOW_MS)).toBe('updated');
    expect(await loadAll(store)).toEqual([equal]);
  });

  test('of many concurrent upserts of one key the first adds and all are answered', async () => {
    const store = storeOn(await fixture.open());
    const results = await Promise.all(
      Array.from({ length: 30 }, (_, index) =>
        store.upsert(exampleSubscription('same', {}, 1000 + index), NOW_MS),
      ),
    );
    expect(results).toEqual(['added', ...Array.from({ length: 29 }, () => 'updated')]);
    const backwards = await Promise.all(
      [5000, 4000, 6000, 6000].map((at) => store.upsert(exampleSubscription('same', {}, at), NOW_MS)),
    );
    expect(backwards).toEqual(['updated', 'stale', 'updated', 'updated']);
    const [only, ...others] = await loadAll(store);
    expect(only?.authorisation.signedAtSeconds).toBe(6000);
    expect(others).toEqual([]);
  });

  test('mixed batches answer each request with its own result', async () => {
    const store = storeOn(await fixture.open());
    const seeds = Array.from({ length: 300 }, (_, index) => `${index}`);
    await Promise.all(
      seeds
        .filter((_, index) => index % 3 !== 0)
        .map((seed, index) =>
          store.upsert(exampleSubscription(seed, {}, index % 2 === 0 ? 1000 : 3000), NOW_MS),
        ),
    );
    const wanted = seeds
      .map((_, index) => index)
      .map((index) => {
        if (index % 3 === 0) return 'added';
        return (index - 1 - Math.floor(index / 3)) % 2 === 0 ? 'updated' : 'stale';
      });
    const results = await Promise.all(
      seeds.map((seed) => store.upsert(exampleSubscription(seed, {}, 2000), NOW_MS)),
    );
    expect(results).toEqual(wanted);
  });

  test('one that the database cannot hold fails alone', async () => {
    const store = storeOn(await fixture.open());
    const bad = { ...exampleSubscription('bad'), serviceId: serviceIdWithZero() };
    const results = await Promise.allSettled(
      [exampleSubscription('a'), bad, exampleSubscription('b')].map((subscription) =>
        store.upsert(subscription, NOW_MS),
      ),
    );
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(results[1]).toMatchObject({ reason: expect.any(StoreQueryError) as unknown });
    expect(await loadAll(store)).toHaveLength(2);
  });

  test('are removed by key; for a dead token only if not renewed since', async () => {
    const store = storeOn(await fixture.open());
    const [one, two, three] = [exampleSubscription('1'), exampleSubscription('2'), exampleSubscription('3')];
    await Promise.all([one, two, three].map((subscription) => store.upsert(subscription, NOW_MS)));
    expect(
      await Promise.all([store.remove(one), store.remove(one), store.remove(exampleSubscription('4'))]),
    ).toEqual([true, false, false]);
    expect(await store.removeIfNotRenewedSince(two, NOW_MS, NOW_MS + 50_000)).toBe(false);
    expect(await store.removeIfNotRenewedSince(two, NOW_MS + 1, NOW_MS + 50_000)).toBe(true);
    await store.upsert(three, NOW_MS + 5000);
    expect(await store.removeIfNotRenewedSince(three, NOW_MS + 5000, NOW_MS + 50_000)).toBe(false);
    expect(
      await store.upsert(
        { ...three, authorisation: { ...three.authorisation, signedAtSeconds: 1 } },
        NOW_MS + 9000,
      ),
    ).toBe('stale');
    expect(await store.removeIfNotRenewedSince(three, NOW_MS + 5001, NOW_MS + 50_000)).toBe(true);
    expect(await loadAll(store)).toEqual([]);
  });

  test('name the accounts of a device', async () => {
    const store = storeOn(await fixture.open());
    const device = serviceIdOf('device');
    for (const seed of ['a', 'b'])
      await store.upsert(exampleSubscription(seed, { serviceId: device }), NOW_MS);
    await store.upsert(
      exampleSubscription('c', { serviceId: device, service: serviceNamed('firebase') }),
      NOW_MS,
    );
    await store.upsert(exampleSubscription('d'), NOW_MS);
    const accounts = await store.accountsOfDevice(serviceNamed('apns'), device);
    expect(accounts.map(String).sort()).toEqual([accountOf('a'), accountOf('b')].map(String).sort());
    expect(await store.accountsOfDevice(serviceNamed('apns'), serviceIdOf('nobody'))).toEqual([]);
  });

  test('are removed in slices when the signature is 14 days old', async () => {
    const store = storeOn(await fixture.open());
    const nowSeconds = 1_800_000_000;
    const limit = nowSeconds - 14 * 24 * 3600;
    for (const [seed, at] of [
      ['0', limit - 5],
      ['1', limit],
      ['2', limit - 9],
      ['3', limit + 1],
    ] as const) {
      await store.upsert(exampleSubscription(seed, {}, at), NOW_MS);
    }
    const first = await store.removeExpired(nowSeconds, 2);
    const second = await store.removeExpired(nowSeconds, 2);
    expect([...first, ...second].map(({ serviceId }) => serviceId).sort()).toEqual(
      ['0', '1', '2'].map(serviceIdOf).sort(),
    );
    expect([first.length, second.length]).toEqual([2, 1]);
    expect(await loadAll(store)).toEqual([exampleSubscription('3', {}, limit + 1)]);
  });

  test('beyond the queue requests are refused as busy, and the others are answered', async () => {
    const store = storeOn(await fixture.open(), { maxRows: 10, gatherMs: 1, maxInFlight: 1, maxQueued: 50 });
    const results = await Promise.allSettled(
      Array.from({ length: 200 }, (_, index) => store.upsert(exampleSubscription(`${index}`), NOW_MS)),
    );
    const refused = results.filter((result) => result.status === 'rejected');
    expect(refused.length).toBeGreaterThan(50);
    for (const result of refused)
      expect(result.reason).toMatchObject({ name: 'StoreUnavailable', reason: 'busy' });
    await store.idle();
    expect(await loadAll(store)).toHaveLength(200 - refused.length);
  });
});

describeWithDatabases('statistics', (fixture) => {
  test('add up over flushes and restarts, and none is lost while the database is away', async () => {
    const database = await fixture.open();
    const statistics = new StatisticsStore({ database, log: silentLog(), flushIntervalMs: 60_000 });
    statistics.start();
    statistics.add('', 'subscription', 2);
    statistics.add('apns', 'subscription', 1);
    await Promise.all([statistics.flush(), statistics.flush()]);
    statistics.add('', 'subscription', 3);
    statistics.add('', 'gone', 5);
    statistics.add('', 'gone', -5);
    await statistics.close();
    const read = async (): Promise<unknown> =>
      (await statistics.load()).sort((a, b) => (a.service + a.name < b.service + b.name ? -1 : 1));
    const expected = [
      { service: 'apns', name: 'subscription', value: 1 },
      { service: '', name: 'gone', value: 0 },
      { service: '', name: 'subscription', value: 5 },
    ].sort((a, b) => (a.service + a.name < b.service + b.name ? -1 : 1));
    expect(await read()).toEqual(expected);

    await database.transaction((transaction) =>
      transaction.script('ALTER TABLE service_stats RENAME TO hidden'),
    );
    statistics.add('apns', 'subscription', 10);
    await expect(statistics.flush()).rejects.toBeInstanceOf(StoreQueryError);
    statistics.add('apns', 'subscription', 1);
    await database.transaction((transaction) =>
      transaction.script('ALTER TABLE hidden RENAME TO service_stats'),
    );
    await statistics.flush();
    expect(await statistics.load()).toContainEqual({ service: 'apns', name: 'subscription', value: 12 });
  });
});

describeWithPostgres('subscriptions while PostgreSQL is away', (postgres) => {
  test('upserts fail promptly and succeed when repeated; nothing answered is lost', async () => {
    const database = await openDatabase(databaseOptions(await postgres().createDatabase(), ''));
    try {
      await migrate(database);
      const store = storeOn(database);
      const answered = new Set<string>();
      const failures: unknown[] = [];
      let running = true;
      let slowestMs = 0;
      const client = async (number: number): Promise<void> => {
        for (let index = 0; running; index += 1) {
          const subscription = exampleSubscription(`${number} ${index}`);
          for (let done = false; !done && running;) {
            const before = Date.now();
            try {
              await store.upsert(subscription, Date.now());
              answered.add(subscription.serviceId);
              done = true;
            } catch (error) {
              failures.push(error);
              slowestMs = Math.max(slowestMs, Date.now() - before);
              await new Promise((resolve) => setTimeout(resolve, 20));
            }
          }
        }
      };
      const clients = Array.from({ length: 8 }, (_, number) => client(number));
      const answeredMore = async (count: number): Promise<void> => {
        const goal = answered.size + count;
        while (answered.size < goal) await new Promise((resolve) => setTimeout(resolve, 5));
      };
      await answeredMore(200);
      await postgres().stop();
      while (failures.length < 50) await new Promise((resolve) => setTimeout(resolve, 5));
      await postgres().start();
      await answeredMore(200);
      await postgres().kill9();
      await postgres().start();
      await answeredMore(200);
      running = false;
      await Promise.all(clients);
      for (const failure of failures) expect(failure).toBeInstanceOf(StoreUnavailable);
      expect(slowestMs).toBeLessThan(3000);
      const stored = new Set((await loadAll(store, 1000)).map(({ serviceId }) => serviceId as string));
      expect([...answered].filter((serviceId) => !stored.has(serviceId))).toEqual([]);
    } finally {
      await database.close();
    }
  });

  test('two processes that write the same keys in different orders do not fail', async () => {
    const url = await postgres().createDatabase();
    const databases = await Promise.all([
      openDatabase(databaseOptions(url, '')),
      openDatabase(databaseOptions(url, '')),
    ]);
    try {
      const [one, two] = databases;
      await migrate(one);
      const seeds = Array.from({ length: 100 }, (_, index) => `${index}`);
      const [first, second] = [storeOn(one), storeOn(two)];
      for (let round = 0; round < 10; round += 1) {
        const now = NOW_MS + round;
        await Promise.all([
          ...seeds.map((seed) => first.upsert(exampleSubscription(seed), now)),
          ...seeds.toReversed().map((seed) => second.upsert(exampleSubscription(seed), now)),
          ...seeds
            .toReversed()
            .map((seed) => first.removeIfNotRenewedSince(exampleSubscription(seed), now, now)),
        ]);
      }
      expect(await one.rows(statement('all', 'SELECT count(*) FROM subscriptions'))).toEqual([[100]]);
    } finally {
      await Promise.all(databases.map((database) => database.close()));
    }
  });
});

/** A zero byte is good UTF-8, but not for PostgreSQL. */
function serviceIdWithZero(): Subscription['serviceId'] {
  return `${'x'.repeat(32)}\0` as Subscription['serviceId'];
}
