import { afterEach, expect, test } from 'vitest';
import { systemClock } from '../../src/domain/clock.js';
import type { ServiceId } from '../../src/domain/ids.js';
import type { Push } from '../../src/domain/push.js';
import {
  defaultOutboxOptions,
  PostgresOutbox,
  type PostgresOutboxOptions,
} from '../../src/outbox/postgres-outbox.js';
import { openDatabase, type Database } from '../../src/store/database.js';
import { StoreUnavailable } from '../../src/store/errors.js';
import { migrate } from '../../src/store/migrate.js';
import { createLog, silentLog } from '../../src/telemetry/log.js';
import { Metrics } from '../../src/telemetry/metrics.js';
import { startChild } from '../simulators/child-process.js';
import { databaseOptions, describeWithDatabases, describeWithPostgres } from '../simulators/databases.js';
import { eventually } from '../simulators/eventually.js';
import { examplePush, serviceNamed } from '../simulators/store-examples.js';

const apns = serviceNamed('apns');
const outboxes: PostgresOutbox[] = [];
afterEach(() => {
  for (const outbox of outboxes.splice(0)) outbox.close();
});

async function outboxOn(
  database: Database,
  changes: Partial<PostgresOutboxOptions> = {},
): Promise<PostgresOutbox> {
  const outbox = new PostgresOutbox({
    ...defaultOutboxOptions,
    database,
    clock: systemClock,
    log: silentLog(),
    metrics: new Metrics(),
    instanceId: 'one',
    ...changes,
  });
  await outbox.start();
  outboxes.push(outbox);
  return outbox;
}

const withoutId = (push: Push): Push => ({ ...push, outboxId: null });
function idOf({ outboxId }: Push): string {
  if (outboxId === null) throw new Error('a claimed push has a row');
  return outboxId;
}
async function claimOne(outbox: PostgresOutbox): Promise<Push> {
  const [push] = await outbox.claim(apns, 1);
  if (push === undefined) throw new Error('nothing to claim');
  return push;
}

describeWithDatabases('the outbox', (fixture) => {
  test('gives back what was put, in order of due time, when it is due', async () => {
    const outbox = await outboxOn(await fixture.open());
    const nowMs = Date.now();
    const data = examplePush('data', { priority: 'normal', attempts: 3 });
    const pushes = [
      examplePush('late'),
      examplePush('early'),
      { ...data, device: { ...data.device, serviceData: Buffer.from([0, 1]) } },
    ];
    for (const [index, dueAtMs] of [nowMs - 10, nowMs - 30, nowMs - 20].entries()) {
      expect(outbox.put({ push: pushes[index] ?? data, dueAtMs })).toBe(true);
    }
    outbox.put({ push: examplePush('future'), dueAtMs: nowMs + 60_000 });
    outbox.put({ push: examplePush('other', { service: serviceNamed('firebase') }), dueAtMs: nowMs });
    await outbox.flush(5000);
    expect(await outbox.nextDueAtMs(apns)).toBe(nowMs - 30);
    const claimed = [...(await outbox.claim(apns, 2)), ...(await outbox.claim(apns, 10))];
    expect(claimed.map(withoutId)).toEqual([pushes[1], pushes[2], pushes[0]]);
    expect(await outbox.claim(apns, 10)).toEqual([]);
    expect(await outbox.nextDueAtMs(apns)).toBe(nowMs + 60_000);
    expect((await outbox.stats()).get(apns)).toEqual({ waiting: 4, oldestDueAtMs: nowMs - 30 });
  });

  test('keeps the order of pushes that are due together', async () => {
    const outbox = await outboxOn(await fixture.open());
    const seeds = Array.from({ length: 1200 }, (_, index) => `${index}`);
    for (const seed of seeds) outbox.put({ push: examplePush(seed), dueAtMs: 1000 });
    await outbox.flush(10_000);
    const claimed = await outbox.claim(apns, 5000);
    expect(claimed.map(({ dedupeKey }) => dedupeKey)).toEqual(
      seeds.map((seed) => examplePush(seed).dedupeKey),
    );
  });

  test('what is settled never comes back; what is put again comes back with its attempts', async () => {
    const database = await fixture.open();
    const outbox = await outboxOn(database);
    for (const seed of ['1', '2', '3']) outbox.put({ push: examplePush(seed), dueAtMs: Number(seed) });
    await outbox.flush(5000);
    const [first, second, third] = await outbox.claim(apns, 3);
    if (first === undefined || second === undefined || third === undefined) throw new Error('three were put');
    outbox.settle(idOf(first));
    outbox.put({ push: { ...second, attempts: 1 }, dueAtMs: 7 });
    await outbox.flush(5000);
    expect(await outbox.claim(apns, 3)).toEqual([{ ...second, attempts: 1 }]);
    await outbox.release([idOf(third)]);
    expect(await outbox.claim(apns, 3)).toEqual([third]);
    outbox.close();
    const later = await outboxOn(database);
    expect((await later.claim(apns, 9)).map(idOf)).toEqual([idOf(third), idOf(second)]);
  });

  test('refuses what it has no room for, by number and by size', async () => {
    const database = await fixture.open();
    const few = await outboxOn(database, { maxBufferedEntries: 2 });
    const put = (outbox: PostgresOutbox): boolean => outbox.put({ push: examplePush('x'), dueAtMs: 1 });
    expect([put(few), put(few), put(few)]).toEqual([true, true, false]);
    const small = await outboxOn(database, { maxBufferedBytes: 1900 });
    expect([put(small), put(small), put(small)]).toEqual([true, false, false]);
    await Promise.all([few.flush(5000), small.flush(5000)]);
    expect([put(few), put(small)]).toEqual([true, true]);
    await Promise.all([few.flush(5000), small.flush(5000)]);
    expect(await few.claim(apns, 10)).toHaveLength(5);
  });

  test('keeps half of its room for what cannot come again', async () => {
    const outbox = await outboxOn(await fixture.open(), { maxBufferedEntries: 4 });
    const put = (isRepeatable: boolean): boolean =>
      outbox.put({ push: examplePush('x'), dueAtMs: 1, isRepeatable });
    expect([put(true), put(true), put(true)]).toEqual([true, true, false]);
    expect([put(false), put(true), put(false), put(false)]).toEqual([true, false, true, false]);
    await outbox.flush(5000);
    expect(await outbox.claim(apns, 10)).toHaveLength(4);
  });

  test('a push that the table cannot hold is lost alone', async () => {
    const outbox = await outboxOn(await fixture.open());
    const lost: string[] = [];
    const bad = examplePush('bad');
    const zero = `${'x'.repeat(40)}\0` as ServiceId;
    outbox.put({ push: examplePush('1'), dueAtMs: 1, onLost: () => lost.push('1') });
    outbox.put({
      push: { ...bad, device: { ...bad.device, serviceId: zero } },
      dueAtMs: 2,
      onLost: () => lost.push('zero'),
    });
    outbox.put({ push: bad, dueAtMs: Number.NaN, onLost: () => lost.push('NaN') });
    outbox.put({ push: examplePush('2'), dueAtMs: 3, onLost: () => lost.push('2') });
    await outbox.flush(5000);
    expect(lost).toEqual(['zero', 'NaN']);
    expect(await outbox.claim(apns, 10)).toHaveLength(2);
  });

  test("a claimed entry is nobody else's before it is settled, and waits again after a crash", async () => {
    const database = await fixture.open();
    const one = await outboxOn(database);
    const other = await outboxOn(database, { instanceId: 'other' });
    const stored: string[] = [];
    const put = (seed: string, claimed: boolean): boolean =>
      one.put({
        push: examplePush(seed),
        dueAtMs: 1,
        claimed,
        onStored: (id) => stored.push(id),
        onLost: () => stored.push('lost'),
      });
    expect([put('settled', true), put('again', true), put('crash', true), put('waits', false)]).toEqual(
      Array(4).fill(true),
    );
    expect(stored).toEqual([]);
    expect(await one.nextDueAtMs(apns)).not.toBeNull();
    await one.flush(5000);
    expect(new Set(stored).size).toBe(4);
    const [settled = '', again = '', crash = '', waits = ''] = stored;
    const [only, ...others] = await other.claim(apns, 10);
    expect([only?.outboxId, others]).toEqual([waits, []]);
    expect(await one.claim(apns, 10)).toEqual([]);
    one.settle(settled);
    one.put({
      push: { ...examplePush('again'), attempts: 1, outboxId: again },
      dueAtMs: 2,
      onStored: (id) => stored.push(id),
    });
    await one.flush(5000);
    expect(stored.slice(4)).toEqual([again]);
    expect((await one.claim(apns, 10)).map(({ outboxId, attempts }) => [outboxId, attempts])).toEqual([
      [again, 1],
    ]);
    one.close();
    const later = await outboxOn(database);
    expect((await later.claim(apns, 10)).map(idOf).sort()).toEqual([again, crash].sort());
  });

  test('a claimed entry that the table cannot hold is lost, not stored, and not held', async () => {
    const outbox = await outboxOn(await fixture.open());
    const told: string[] = [];
    const entry = { claimed: true, onStored: () => told.push('stored'), onLost: () => told.push('lost') };
    outbox.put({ ...entry, push: examplePush('bad'), dueAtMs: Number.NaN });
    outbox.put({ ...entry, push: examplePush('late', { expiresAtMs: Date.now() - 1 }), dueAtMs: 1 });
    outbox.put({ ...entry, push: examplePush('good'), dueAtMs: 1 });
    await outbox.flush(5000);
    expect(told.sort()).toEqual(['lost', 'lost', 'stored']);
  });

  test('when too many wait the oldest go, of the services that have most, and they are counted for each service', async () => {
    const database = await fixture.open();
    const metrics = new Metrics();
    const lines: string[] = [];
    const log = createLog({ level: 'error' }, { write: (line) => lines.push(line) });
    const outbox = await outboxOn(database, { maxRows: 300, metrics, log });
    const put = (seed: string, service: string, claimed = false): boolean =>
      outbox.put({ push: examplePush(seed, { service: serviceNamed(service) }), dueAtMs: 1, claimed });
    for (let index = 0; index < 20; index += 1) put(`in flight ${index}`, 'apns', true);
    for (let index = 0; index < 100; index += 1) put(`old ${index}`, 'firebase');
    for (let index = 0; index < 180; index += 1) put(`new ${index}`, 'apns');
    await outbox.flush(5000);
    await outbox.sweep();
    expect(outbox.isFull).toBe(false);
    for (let index = 0; index < 120; index += 1) put(`newest ${index}`, 'apns');
    await outbox.flush(5000);
    // Without waiting for the sweep.
    await eventually(() => outbox.isFull && metrics.outboxEvicted.of('apns').value > 0);
    expect(metrics.outboxEvicted.of('firebase').value).toBe(0);
    expect(metrics.outboxEvicted.of('apns').value).toBe(123);
    const claimed = await outbox.claim(apns, 1000);
    expect(claimed.map(({ dedupeKey }) => dedupeKey)).toEqual([
      ...Array.from({ length: 57 }, (_, index) => examplePush(`new ${index + 123}`).dedupeKey),
      ...Array.from({ length: 120 }, (_, index) => examplePush(`newest ${index}`).dedupeKey),
    ]);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain('the outbox is full');
    await outbox.sweep();
    expect(outbox.isFull).toBe(true);
    await outbox.sweep();
    expect(outbox.isFull).toBe(false);
  });

  test('two instances that make room at once evict no more than one would', async () => {
    const database = await fixture.open();
    const metrics = new Metrics();
    const all = await Promise.all(
      ['one', 'two', 'three'].map((instanceId) => outboxOn(database, { instanceId, maxRows: 1000, metrics })),
    );
    for (const [number, outbox] of all.entries()) {
      for (let index = 0; index < 600; index += 1) {
        outbox.put({ push: examplePush(`${number} ${index}`), dueAtMs: 1 });
      }
    }
    await Promise.all(all.map((outbox) => outbox.flush(5000)));
    await Promise.all(all.map((outbox) => outbox.sweep()));
    await Promise.all(all.map((outbox) => outbox.sweep()));
    expect(metrics.outboxEvicted.of('apns').value).toBe(810);
    expect((await all[0]?.stats())?.get(apns)?.waiting).toBe(990);
  });

  test('drops and counts what has expired, never offers it, and says so of what expired unwritten', async () => {
    let nowMs = 1_700_000_000_000;
    const metrics = new Metrics();
    const outbox = await outboxOn(await fixture.open(), { clock: { nowMs: () => nowMs }, metrics });
    for (const seed of ['1', '2', '3']) {
      outbox.put({ push: examplePush(seed, { expiresAtMs: nowMs + Number(seed) * 1000 }), dueAtMs: nowMs });
    }
    await outbox.flush(5000);
    nowMs += 2000;
    expect(await outbox.nextDueAtMs(apns)).toBe(nowMs - 2000);
    const [left, ...others] = await outbox.claim(apns, 10);
    expect(left?.dedupeKey).toEqual(examplePush('3').dedupeKey);
    expect(others).toEqual([]);
    expect(await outbox.dropExpired()).toBe(2);
    expect(metrics.pushesExpired.of('apns').value).toBe(2);
    let lost = 0;
    outbox.put({ push: examplePush('4', { expiresAtMs: nowMs }), dueAtMs: nowMs, onLost: () => (lost += 1) });
    await outbox.flush(5000);
    expect(lost).toBe(1);
  });

  test('keeps its own claims, and gives away those of another instance whose lease has ended', async () => {
    const database = await fixture.open();
    const one = await outboxOn(database, { leaseMs: 300 });
    for (const seed of ['1', '2']) one.put({ push: examplePush(seed), dueAtMs: Number(seed) });
    await one.flush(5000);
    const held = await one.claim(apns, 1);
    const dead = await outboxOn(database, { instanceId: 'dead', leaseMs: 300 });
    expect(await dead.claim(apns, 1)).toHaveLength(1);
    dead.close();
    const [taken] = await eventually(async () => {
      const claimed = await one.claim(apns, 10);
      return claimed.length > 0 && claimed;
    });
    expect(taken?.dedupeKey).toEqual(examplePush('2').dedupeKey);
    await new Promise((resolve) => setTimeout(resolve, 700));
    const other = await outboxOn(database, { instanceId: 'other', leaseMs: 300 });
    expect(await other.claim(apns, 10)).toEqual([]);
    expect(held).toHaveLength(1);
  });

  test('kill -9 loses nothing that was committed, and its claims are taken back at the next start', async () => {
    const database = await fixture.open();
    const { url, dataDir } = fixture.location();
    if (fixture.kind === 'embedded') await database.close();
    const child = startChild('./outbox-child.ts', [url ?? '', dataDir, 'the instance']);
    expect(await child.line()).toBe('claimed 2');
    await child.kill9();
    const reopened = await openDatabase(databaseOptions(url, dataDir));
    try {
      await migrate(reopened);
      const outbox = await outboxOn(reopened, { instanceId: 'the instance' });
      const claimed = await outbox.claim(apns, 10);
      expect(claimed.map(({ dedupeKey }) => dedupeKey)).toEqual(
        ['1', '2', '3'].map((seed) => examplePush(seed).dedupeKey),
      );
      outbox.close();
    } finally {
      await reopened.close();
    }
  });
});

describeWithPostgres('the outbox while PostgreSQL is away', (postgres) => {
  const opened: Database[] = [];
  const open = async (): Promise<Database> => {
    const database = await openDatabase(databaseOptions(await postgres().createDatabase(), ''));
    opened.push(database);
    await migrate(database);
    return database;
  };
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((database) => database.close()));
  });

  test('what is put, settled and put again survives and is committed afterwards', async () => {
    const outbox = await outboxOn(await open());
    for (const seed of ['settled', 'again']) outbox.put({ push: examplePush(seed), dueAtMs: 1 });
    await outbox.flush(5000);
    const settled = await claimOne(outbox);
    const again = await claimOne(outbox);
    await postgres().stop();
    outbox.settle(idOf(settled));
    outbox.put({ push: { ...again, attempts: 5 }, dueAtMs: 2 });
    let lost = 0;
    for (let index = 0; index < 300; index += 1) {
      expect(
        outbox.put({ push: examplePush(`${index}`), dueAtMs: 10 + index, onLost: () => (lost += 1) }),
      ).toBe(true);
    }
    const soon = {
      push: examplePush('soon', { expiresAtMs: Date.now() + 200 }),
      dueAtMs: 1,
      onLost: () => (lost += 1),
    };
    expect(outbox.put(soon)).toBe(true);
    await expect(outbox.flush(300)).rejects.toBeInstanceOf(StoreUnavailable);
    await expect(outbox.claim(apns, 1)).rejects.toBeInstanceOf(StoreUnavailable);
    await eventually(() => lost === 1);
    await postgres().start();
    await outbox.flush(10_000);
    const claimed = await outbox.claim(apns, 1000);
    expect(claimed).toHaveLength(301);
    expect(claimed[0]).toEqual({ ...again, attempts: 5 });
    expect(lost).toBe(1);
  });

  test('two processes share the rows and none is claimed twice, also over a crash of the server', async () => {
    const database = await open();
    const one = await outboxOn(database, { instanceId: 'one' });
    const two = await outboxOn(database, { instanceId: 'two' });
    for (let index = 0; index < 400; index += 1) one.put({ push: examplePush(`${index}`), dueAtMs: index });
    await one.flush(5000);
    const seen: string[] = [];
    const drain = async (outbox: PostgresOutbox, rounds: number): Promise<void> => {
      for (let round = 0; round < rounds; round += 1) {
        for (const push of await outbox.claim(apns, 10)) {
          seen.push(idOf(push));
          outbox.settle(idOf(push));
        }
      }
    };
    await Promise.all([drain(one, 10), drain(two, 10)]);
    await postgres().kill9();
    await postgres().start();
    await eventually(async () => (await one.nextDueAtMs(apns).catch(() => null)) !== null);
    await Promise.all([drain(one, 25), drain(two, 25)]);
    await Promise.all([one.flush(5000), two.flush(5000)]);
    expect(new Set(seen).size).toBe(seen.length);
    expect(seen).toHaveLength(400);
    expect((await one.stats()).size).toBe(0);
  });
});
