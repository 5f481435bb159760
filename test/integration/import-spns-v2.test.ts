import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { systemClock } from '../../src/domain/clock.js';
import type { AccountId } from '../../src/domain/ids.js';
import { SIGNATURE_LIFETIME_SECONDS, type Subscription } from '../../src/domain/subscription.js';
import { Rejections } from '../../src/import/rejections.js';
import { importSpnsV2, type SpnsV2ImportDeps } from '../../src/import/spns-v2-import.js';
import type { Database } from '../../src/store/database.js';
import { SpnsV2Source } from '../../src/store/spns-v2-source.js';
import { StatisticsStore } from '../../src/store/statistics.js';
import { SubscriptionImport } from '../../src/store/subscription-import.js';
import { defaultSubscriptionWriter, SubscriptionStore } from '../../src/store/subscriptions.js';
import { Tombstones } from '../../src/store/tombstones.js';
import { silentLog } from '../../src/telemetry/log.js';
import { describeWithDatabases, describeWithPostgres, postgresFixture } from '../simulators/databases.js';
import { createSpnsV2Database, type SpnsV2Database } from '../simulators/spns-v2-database.js';
import { exampleSubscription, serviceNamed } from '../simulators/store-examples.js';
import { run } from '../unit/cli/support.js';
import { createTestDirectory } from '../unit/config/support.js';

const directory = createTestDirectory();
afterAll(() => directory.remove());

const now = Math.floor(Date.now() / 1000);
/** As a client may have signed it; with the prefix that asks for an Ed25519 key, or without both. */
function signed(
  seed: string,
  {
    prefix = 0x05,
    at = now - 1000,
    ...changes
  }: Partial<Subscription> & { readonly prefix?: number; readonly at?: number } = {},
): Subscription {
  const plain = exampleSubscription(seed, changes, at);
  plain.account[0] = prefix;
  return prefix === 0x03 ? { ...plain, authorisation: { ...plain.authorisation, ed25519Key: null } } : plain;
}

const withSubaccount = (subscription: Subscription): Subscription => ({
  ...subscription,
  namespaces: [-11, 11, 12],
  wantData: false,
  serviceData: Buffer.from([0, 1, 255]),
  authorisation: {
    ...subscription.authorisation,
    subaccount: { tag: Buffer.alloc(36, 3), signature: Buffer.alloc(64, 4) },
  },
});

const storeOn = (database: Database): SubscriptionStore =>
  new SubscriptionStore({ database, log: silentLog(), writer: defaultSubscriptionWriter });

async function all(database: Database): Promise<Subscription[]> {
  const found: Subscription[] = [];
  await storeOn(database).load((page) => found.push(...page), 50);
  return sorted(found);
}

const sorted = (subscriptions: readonly Subscription[]): Subscription[] =>
  [...subscriptions].sort((a, b) => a.serviceId.localeCompare(b.serviceId));

const none = { added: 0, changed: 0, newerHere: 0 };

describeWithDatabases('subscriptions of another server', (fixture) => {
  test('come in once; the newer signature wins; what died here does not come back', async () => {
    const database = await fixture.open();
    const store = storeOn(database);
    const target = new SubscriptionImport(database, false);
    const older = signed('older');
    const newer = signed('newer', { at: now - 10 });
    const dead = signed('dead');
    const revived = signed('revived');
    for (const subscription of [signed('older', { at: now - 5000 }), signed('newer', { at: now }), dead]) {
      await store.upsert(subscription, now * 1000);
    }
    await store.upsert(signed('revived', { at: now - 5000 }), 1);
    for (const key of [dead, revived]) {
      expect(await store.removeIfNotRenewedSince(key, now * 1000 + 1, now * 1000)).toBe(true);
    }
    const whole = withSubaccount(signed('whole', { prefix: 0x03 }));
    const given = [older, newer, dead, revived, whole];
    const expected = { added: 2, changed: 1, newerHere: 2 };
    expect(await new SubscriptionImport(database, true).subscriptions(given, now * 1000)).toEqual(expected);
    expect(await target.subscriptions(given, now * 1000)).toEqual(expected);
    expect(await target.subscriptions(given, now * 1000)).toEqual({ ...none, newerHere: 2 });
    expect(await store.find(older)).toEqual(older);
    expect(await store.find(newer)).toEqual(signed('newer', { at: now }));
    expect(await store.find(dead)).toBe(null);
    expect(await store.find(revived)).toEqual(revived);
    expect(await store.find(whole)).toEqual(whole);
    expect(await new Tombstones(database).countByService()).toEqual(new Map([['apns', 1]]));
  });

  test('of one key in one page: the newer', async () => {
    const database = await fixture.open();
    const target = new SubscriptionImport(database, false);
    const given = [signed('a', { at: now - 5 }), signed('a', { at: now - 1 }), signed('a', { at: now - 3 })];
    expect(await target.subscriptions(given, now * 1000)).toEqual({ ...none, added: 1 });
    expect(await all(database)).toEqual([given[1]]);
  });

  test('were renewed, as far as we know, when they were signed', async () => {
    const database = await fixture.open();
    const store = storeOn(database);
    const past = signed('past');
    const future = signed('future', { at: now + 3600 });
    await new SubscriptionImport(database, false).subscriptions([past, future], now * 1000);
    for (const { subscription, renewedMs } of [
      { subscription: past, renewedMs: (now - 1000) * 1000 },
      { subscription: future, renewedMs: now * 1000 },
    ]) {
      expect(await store.removeIfNotRenewedSince(subscription, renewedMs, 1)).toBe(false);
      expect(await store.removeIfNotRenewedSince(subscription, renewedMs + 1, 1)).toBe(true);
    }
  });
});

describeWithPostgres('the database of SPNS v2', (postgres) => {
  const fixture = postgresFixture(postgres);
  let old: SpnsV2Database;
  let oldUrl = '';
  beforeEach(async () => {
    oldUrl = await postgres().createDatabase();
    old = await createSpnsV2Database(oldUrl);
  });
  afterEach(() => old.close());

  async function copy(target: Database | null, changes: Partial<SpnsV2ImportDeps> = {}) {
    const source = await SpnsV2Source.over(old.database);
    if (!source.ok) throw new Error(source.error);
    const listed: string[] = [];
    const report = await importSpnsV2({
      source: source.value,
      target: target === null ? null : new SubscriptionImport(target, false),
      userPrefixes: new Set([0x05]),
      serviceOf: (_account: AccountId | null, service: string) => service,
      rejections: new Rejections((_source, table, row, reason) => listed.push(`${table} ${row} ${reason}`)),
      clock: systemClock,
      pageRows: 3,
      onProgress: () => undefined,
      ...changes,
    });
    return { ...report, listed };
  }

  test('is copied as it is, page by page', async () => {
    const given = [
      signed('one'),
      withSubaccount(signed('two', { prefix: 0x03 })),
      signed('three', { service: serviceNamed('firebase') }),
      signed('four', { serviceData: Buffer.alloc(99_999, 7) }),
      signed('five', { serviceData: Buffer.alloc(0) }),
      signed('six', { namespaces: [-32_768, 0, 32_767] }),
      signed('seven', { prefix: 0xbd }),
    ];
    for (const subscription of given) await old.add(subscription);
    const target = await fixture.open();
    const told: string[] = [];
    const onProgress = (...said: unknown[]): void => void told.push(said.join(' '));
    const report = await copy(target, { onProgress });
    expect(report).toMatchObject({ read: 7, subscriptions: { ...none, added: 7 }, listed: [] });
    expect(report.byService).toEqual(
      new Map([
        ['apns', 6],
        ['firebase', 1],
      ]),
    );
    expect(told).toEqual(['subscriptions 3 7', 'subscriptions 6 7', 'subscriptions 7 7']);
    // Of an account that is no user's the old server ignores the Ed25519 key.
    const expected = given.map((subscription, index) =>
      index === 6
        ? { ...subscription, authorisation: { ...subscription.authorisation, ed25519Key: null } }
        : subscription,
    );
    expect(await all(target)).toEqual(sorted(expected));
    expect(await copy(target)).toMatchObject({ read: 7, subscriptions: none });
    expect(await all(target)).toEqual(sorted(expected));
  });

  test('is copied to the end after it was broken off between two pages', async () => {
    for (let n = 0; n < 10; n += 1) await old.add(signed(`seed${n}`));
    const target = await fixture.open();
    const onProgress = (_what: string, done: number): void => {
      if (done === 6) throw new Error('killed');
    };
    await expect(copy(target, { onProgress })).rejects.toThrow('killed');
    expect(await all(target)).toHaveLength(6);
    await old.add(signed('seed2', { at: now - 500 }));
    expect(await copy(target)).toMatchObject({ read: 10, subscriptions: { ...none, added: 4, changed: 1 } });
    const other = await fixture.open();
    await copy(other);
    expect(await all(target)).toEqual(await all(other));
    expect(await all(target)).toHaveLength(10);
  });

  test('may hold what cannot be ours: that is left out, with its reason and its row', async () => {
    const expired = now - SIGNATURE_LIFETIME_SECONDS - 5;
    const tooLong = signed('long', { serviceData: Buffer.alloc(200_000) });
    for (const subscription of [signed('expired', { at: expired }), signed('good'), tooLong])
      await old.add(subscription);
    for (const change of [
      "account = '\\x05'",
      "session_ed25519 = '\\x00'",
      'session_ed25519 = NULL',
      "signature = '\\x00'",
      "enc_key = '\\x00'",
      "subaccount_tag = '\\x00'",
      `subaccount_tag = decode(repeat('00', 36), 'hex')`,
      `subaccount_sig = decode(repeat('00', 64), 'hex')`,
      "service = ''",
      `service = repeat('s', 33)`,
      "svcid = 'short'",
      `svcid = repeat('x', 1000)`,
      `signature_ts = ${now + 100_000}`,
      'signature_ts = 9223372036854775807',
      'signature_ts = -1',
    ]) {
      await old.add(signed(change));
      await old.script(`UPDATE subscriptions SET ${change} WHERE id = (SELECT max(id) FROM subscriptions)`);
    }
    await old.add(signed('nowhere'));
    await old.script('DELETE FROM sub_namespaces WHERE subscription = (SELECT max(id) FROM subscriptions)');
    const target = await fixture.open();
    const { listed, read, subscriptions } = await copy(target);
    expect(listed).toEqual([
      'subscriptions 1 expired',
      'subscriptions 3 bad-service-data',
      'subscriptions 4 bad-account',
      'subscriptions 5 bad-ed25519-key',
      'subscriptions 6 bad-ed25519-key',
      'subscriptions 7 bad-signature',
      'subscriptions 8 bad-encryption-key',
      'subscriptions 9 bad-subaccount',
      'subscriptions 10 bad-subaccount',
      'subscriptions 11 bad-subaccount',
      'subscriptions 12 bad-service',
      'subscriptions 13 bad-service',
      'subscriptions 14 bad-service-id',
      'subscriptions 15 bad-service-id',
      'subscriptions 16 bad-time',
      'subscriptions 17 bad-time',
      'subscriptions 18 bad-time',
      'subscriptions 19 no-namespaces',
    ]);
    expect([read, subscriptions]).toEqual([19, { ...none, added: 1 }]);
    expect(await all(target)).toEqual([signed('good')]);
  });

  test('gives its counters too: the larger of both stays', async () => {
    await old.script(`INSERT INTO service_stats VALUES
      ('', 'notifications', NULL, 1000), ('', 'last.apns', NULL, 1700000000), ('apns', 'notifies', NULL, 500),
      ('apns', 'failures', NULL, 3), ('apns', 'version', 'one', NULL), ('apns', 'odd', NULL, 9223372036854775807)`);
    const target = await fixture.open();
    const statistics = new StatisticsStore({ database: target, log: silentLog(), flushIntervalMs: 1000 });
    statistics.add('apns', 'failures', 7);
    await statistics.flush();
    const serviceOf = (_account: AccountId | null, service: string): string =>
      service.replace(/^apns$/, 'other');
    expect(await copy(target, { serviceOf })).toMatchObject({ counters: 3 });
    expect(await copy(target)).toMatchObject({ counters: 1 });
    expect(await copy(target)).toMatchObject({ counters: 0 });
    const byName = (a: { service: string; name: string }, b: typeof a): number =>
      `${a.service} ${a.name}`.localeCompare(`${b.service} ${b.name}`);
    expect((await statistics.load()).sort(byName)).toEqual([
      { service: '', name: 'notifications', value: 1000 },
      { service: 'apns', name: 'failures', value: 7 },
      { service: 'apns', name: 'notifies', value: 500 },
      { service: 'other', name: 'failures', value: 3 },
      { service: 'other', name: 'notifies', value: 500 },
    ]);
  });

  describe('by the command', () => {
    const command = (targetUrl: string, ...more: string[]) =>
      run(
        [
          'import',
          'spns-v2',
          '--database.url',
          targetUrl,
          '--keys.server',
          join(directory.path, 'server.x25519'),
          ...more,
        ],
        { cwd: directory.path },
      );

    test('is looked at, then copied; the list of what is left out tells nobody who', async () => {
      const good = signed('good');
      const group = signed('group', { prefix: 0x03, service: serviceNamed('firebase') });
      const gone = signed('gone', { at: now - SIGNATURE_LIFETIME_SECONDS - 5 });
      for (const subscription of [good, gone, group]) await old.add(subscription);
      const targetUrl = await postgres().createDatabase();
      const dry = await command(targetUrl, '--dry-run', '--rejected', 'left-out.tsv', oldUrl);
      expect(dry, dry.stderr).toMatchObject({ code: 0, stderr: '' });
      expect(dry.stdout.split('\n')).toEqual([
        'subscriptions: would have added 2, changed 0, 0 were here already',
        'warning: no notifier apns in the configuration, for 1 subscriptions',
        'warning: no notifier firebase in the configuration, for 1 subscriptions',
        `left out 1, listed in ${join(directory.path, 'left-out.tsv')}:`,
        '  expired 1',
      ]);
      expect(readFileSync(join(directory.path, 'left-out.tsv'), 'utf8')).toBe(
        'source\ttable\trow\treason\ndatabase\tsubscriptions\t2\texpired\n',
      );
      const done = await command(targetUrl, oldUrl);
      expect(done, done.stderr).toMatchObject({ code: 0 });
      expect(done.stdout).toContain('subscriptions: added 2, changed 0, 0 were here already');
      expect(done.stdout).not.toContain(good.serviceId);
      const again = await command(targetUrl, `file:${directory.write('address', `${oldUrl}\n`)}`);
      expect(again.stdout).toContain('subscriptions: added 0, changed 0, 2 were here already');
    });

    test('gives a brand its own notifiers', async () => {
      await old.add(signed('user', { prefix: 0xbd }));
      await old.add(signed('group', { prefix: 0x03 }));
      const targetUrl = await postgres().createDatabase();
      const wrong = await command(targetUrl, '--brand', 'nobody', oldUrl);
      expect(wrong).toMatchObject({ code: 1 });
      expect(wrong.stderr).toContain('bchat');
      const done = await command(targetUrl, '--brands.bchat.apns', 'bchat-push', '--brand', 'bchat', oldUrl);
      expect(done, done.stderr).toMatchObject({ code: 0 });
      expect(done.stdout).toContain('no notifier bchat-push in the configuration, for 2 subscriptions');
    });

    test('is refused while a server works with our database', async () => {
      const target = await fixture.open();
      const { url } = fixture.location();
      const lock = await target.holdAdvisoryLock(Buffer.from('a server key'), () => undefined);
      if (!lock.ok) throw new Error('held');
      const refused = await command(url ?? '', oldUrl);
      expect(refused).toMatchObject({ code: 1, stdout: '' });
      expect(refused.stderr).toContain('stop it first');
      expect(await command(url ?? '', '--dry-run', oldUrl)).toMatchObject({ code: 0 });
      await lock.value.release();
      expect(await command(url ?? '', oldUrl)).toMatchObject({ code: 0 });
    });

    test('is refused when it is another kind of database, or away', async () => {
      const targetUrl = await postgres().createDatabase();
      const blank = await command(targetUrl, await postgres().createDatabase());
      expect(blank).toMatchObject({ code: 1 });
      expect(blank.stderr).toContain('not one of SPNS v2');
      await old.script('ALTER TABLE subscriptions DROP COLUMN subaccount_tag');
      expect((await command(targetUrl, oldUrl)).stderr).toContain('before October 2023');
      const away = await command(targetUrl, 'postgresql://nobody:pass-word@127.0.0.1:1/spns');
      expect(away).toMatchObject({ code: 1 });
      expect(away.stderr).toContain('the old database');
      expect(away.stderr).not.toContain('pass-word');
    });
  });
});
