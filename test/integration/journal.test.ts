import { expect, test } from 'vitest';
import { systemClock } from '../../src/domain/clock.js';
import type { Push } from '../../src/domain/push.js';
import { defaultOutboxOptions, PostgresOutbox } from '../../src/outbox/postgres-outbox.js';
import { openDatabase } from '../../src/store/database.js';
import { silentLog } from '../../src/telemetry/log.js';
import { Metrics } from '../../src/telemetry/metrics.js';
import { startChild } from '../simulators/child-process.js';
import { databaseOptions, describeWithDatabases } from '../simulators/databases.js';
import { examplePush, serviceNamed } from '../simulators/store-examples.js';

const INSTANCE = 'the journal';

const keyOf = ({ dedupeKey }: Pick<Push, 'dedupeKey'>): string => dedupeKey.toString('hex');

describeWithDatabases('the journal', (fixture) => {
  const rounds = fixture.kind === 'embedded' ? 3 : 6;

  test('loses no push that was stored, whenever the process is killed', { timeout: 60_000 }, async () => {
    const database = await fixture.open();
    await database.close();
    const { url, dataDir } = fixture.location();
    for (let round = 0; round < rounds; round += 1) {
      const child = startChild('./outbox-child.ts', [url ?? '', dataDir, INSTANCE, 'journal', `${round}`]);
      expect(await child.line()).toBe('ready');
      const first = await child.line();
      // Killed in the middle of whatever it does then: a put, a statement, the time between two.
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 300));
      await child.kill9();
      const stored = [first, ...(await child.rest())]
        .map((line) => line.split(' '))
        .filter(([word]) => word === 'stored')
        .map(([, seed = '']) => keyOf(examplePush(seed)));
      expect(stored.length).toBeGreaterThan(0);

      const reopened = await openDatabase(databaseOptions(url, dataDir));
      try {
        const outbox = new PostgresOutbox({
          ...defaultOutboxOptions,
          database: reopened,
          clock: systemClock,
          log: silentLog(),
          metrics: new Metrics(),
          instanceId: INSTANCE,
        });
        await outbox.start();
        const claimed: Push[] = [];
        for (;;) {
          const batch = await outbox.claim(serviceNamed('apns'), 500);
          if (batch.length === 0) break;
          claimed.push(...batch);
        }
        const keys = claimed.map(keyOf);
        expect(new Set(keys).size).toBe(keys.length);
        expect(stored.filter((key) => !keys.includes(key))).toEqual([]);
        for (const { outboxId } of claimed) outbox.settle(outboxId ?? '');
        await outbox.flush(5000);
        expect((await outbox.stats()).size).toBe(0);
        outbox.close();
      } finally {
        await reopened.close();
      }
    }
  });
});
