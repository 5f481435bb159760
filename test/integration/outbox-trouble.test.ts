import { afterEach, expect, test } from 'vitest';
import { systemClock } from '../../src/domain/clock.js';
import type { Push } from '../../src/domain/push.js';
import {
  defaultOutboxOptions,
  PostgresOutbox,
  type PostgresOutboxOptions,
} from '../../src/outbox/postgres-outbox.js';
import { openDatabase, type Database } from '../../src/store/database.js';
import { migrate } from '../../src/store/migrate.js';
import { numberCell, statement } from '../../src/store/statement.js';
import { silentLog } from '../../src/telemetry/log.js';
import { Metrics } from '../../src/telemetry/metrics.js';
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

const spoil = statement('test_spoil', "UPDATE outbox SET content_kind = 'newer' WHERE attempts = 7");
const countClaimed = statement(
  'test_claimed',
  'SELECT count(*)::int FROM outbox WHERE claimed_by IS NOT NULL',
);
const keysOf = (pushes: readonly Push[]): Buffer[] => pushes.map(({ dedupeKey }) => dedupeKey);

describeWithDatabases('the outbox in trouble', (fixture) => {
  test('puts off rows that it cannot read: they stand in nobody’s way and are nobody’s', async () => {
    const database = await fixture.open();
    const clock = { offsetMs: 0, nowMs: () => Date.now() + clock.offsetMs };
    const outbox = await outboxOn(database, { clock });
    const expiresAtMs = Date.now() + 3_600_000;
    for (let i = 0; i < 5; i += 1)
      outbox.put({ push: examplePush(`newer ${i}`, { attempts: 7, expiresAtMs }), dueAtMs: i });
    outbox.put({ push: examplePush('readable', { expiresAtMs }), dueAtMs: 10 });
    await outbox.flush(5000);
    await database.execute(spoil);
    expect(await outbox.claim(apns, 5)).toEqual([]);
    expect(keysOf(await outbox.claim(apns, 5))).toEqual([examplePush('readable').dedupeKey]);
    await outbox.flush(5000);
    const [row] = await database.rows(countClaimed);
    expect(numberCell(row, 0)).toBe(1);
    expect(await outbox.nextDueAtMs(apns)).toBeGreaterThan(Date.now() + 60_000);
    // A program that can read them finds them as they were.
    await database.execute(statement('test_mend', "UPDATE outbox SET content_kind = 'sealed'"));
    clock.offsetMs = 3_000_000;
    expect((await outbox.claim(apns, 9)).map(({ attempts }) => attempts)).toEqual([7, 7, 7, 7, 7]);
  });

  test('brings no more bytes at once than asked for, but always a row', async () => {
    const outbox = await outboxOn(await fixture.open());
    const payload = Buffer.alloc(1000, 1);
    const serviceData = Buffer.alloc(500, 2);
    for (let i = 0; i < 6; i += 1) {
      const push = examplePush(`${i}`);
      const { serviceId } = push.device;
      const large = { ...push, content: { ...push.content, payload }, device: { serviceId, serviceData } };
      outbox.put({ push: large, dueAtMs: i });
    }
    await outbox.flush(5000);
    expect(keysOf(await outbox.claim(apns, 10, 4000))).toEqual(
      ['0', '1', '2'].map((seed) => examplePush(seed).dedupeKey),
    );
    expect(keysOf(await outbox.claim(apns, 10, 1))).toEqual([examplePush('3').dedupeKey]);
    expect(await outbox.claim(apns, 10)).toHaveLength(2);
  });

  test('an instance whose clock is ahead does not take what another one holds', async () => {
    const database = await fixture.open();
    const one = await outboxOn(database);
    const expiresAtMs = Date.now() + 86_400_000;
    one.put({ push: examplePush('claimed', { expiresAtMs }), dueAtMs: 1 });
    await one.flush(5000);
    expect(await one.claim(apns, 1)).toHaveLength(1);
    one.put({ push: examplePush('journal', { expiresAtMs }), dueAtMs: 1, claimed: true });
    await one.flush(5000);
    const clock = { nowMs: () => Date.now() + 3_600_000 };
    const hasty = await outboxOn(database, { instanceId: 'hasty', clock, leaseMs: 40 });
    for (let looks = 0; looks < 10; looks += 1) {
      await new Promise((resolve) => setTimeout(resolve, 15));
      expect(await hasty.claim(apns, 10)).toEqual([]);
    }
  });
});

describeWithPostgres('the outbox that is closed while PostgreSQL is away', (postgres) => {
  test('tells the owner of every push once', async () => {
    const database = await openDatabase(databaseOptions(await postgres().createDatabase(), ''));
    await migrate(database);
    const outbox = await outboxOn(database);
    const told: string[] = [];
    await postgres().stop();
    try {
      for (let i = 0; i < 3; i += 1) {
        outbox.put({
          push: examplePush(`${i}`),
          dueAtMs: 1,
          claimed: i === 1,
          onStored: () => told.push(`stored ${i}`),
          onLost: () => told.push(`lost ${i}`),
        });
      }
      await expect(outbox.flush(150)).rejects.toThrow();
      outbox.close();
      outbox.close();
      expect(outbox.put({ push: examplePush('late'), dueAtMs: 1 })).toBe(false);
      await eventually(() => told.length === 3);
      await database.close();
      expect(told.sort()).toEqual(['lost 0', 'lost 1', 'lost 2']);
    } finally {
      await postgres().start();
    }
  });
});
