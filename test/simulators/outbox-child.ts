/**
 * A process that uses the outbox, says on stdout what is committed, and waits to be killed.
 * `claim`: puts three pushes and claims two. `journal`: puts claimed pushes, named `PREFIX-NUMBER`, without end.
 */
import { systemClock } from '../../src/domain/clock.js';
import { defaultOutboxOptions, PostgresOutbox } from '../../src/outbox/postgres-outbox.js';
import { openDatabase } from '../../src/store/database.js';
import { migrate } from '../../src/store/migrate.js';
import { silentLog } from '../../src/telemetry/log.js';
import { Metrics } from '../../src/telemetry/metrics.js';
import { databaseOptionsFor } from './database-options.js';
import { examplePush, serviceNamed } from './store-examples.js';

const [url, dataDir = '', instanceId = '', mode = 'claim', prefix = ''] = process.argv.slice(2);
const database = await openDatabase(
  databaseOptionsFor(url === undefined || url === '' ? null : url, dataDir),
);
await migrate(database);
const outbox = new PostgresOutbox({
  ...defaultOutboxOptions,
  database,
  clock: systemClock,
  log: silentLog(),
  metrics: new Metrics(),
  instanceId,
});
await outbox.start();
if (mode === 'journal') journal();
else await claimTwoOfThree();

async function claimTwoOfThree(): Promise<void> {
  for (const seed of ['1', '2', '3']) outbox.put({ push: examplePush(seed), dueAtMs: Number(seed) });
  await outbox.flush(5000);
  const claimed = await outbox.claim(serviceNamed('apns'), 2);
  console.log(`claimed ${claimed.length}`);
  setInterval(() => {}, 1000);
}

/** Ten at a time; every third is settled as soon as it is stored, as a push that was delivered. */
function journal(): void {
  let next = 0;
  console.log('ready');
  setInterval(() => {
    for (let count = 0; count < 10; count += 1) {
      const seed = `${prefix}-${next++}`;
      const isDelivered = next % 3 === 0;
      outbox.put({
        push: examplePush(seed),
        dueAtMs: systemClock.nowMs(),
        claimed: true,
        onStored: (outboxId) => {
          console.log(`${isDelivered ? 'settled' : 'stored'} ${seed}`);
          if (isDelivered) outbox.settle(outboxId);
        },
      });
    }
  }, 2);
}
