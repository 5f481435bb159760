/** A process that puts three pushes, commits them, claims two, says so on stdout, and waits to be killed. */
import { systemClock } from '../../src/domain/clock.js';
import { defaultOutboxOptions, PostgresOutbox } from '../../src/outbox/postgres-outbox.js';
import { openDatabase } from '../../src/store/database.js';
import { migrate } from '../../src/store/migrate.js';
import { silentLog } from '../../src/telemetry/log.js';
import { Metrics } from '../../src/telemetry/metrics.js';
import { databaseOptionsFor } from './database-options.js';
import { examplePush, serviceNamed } from './store-examples.js';

const [url, dataDir = '', instanceId = ''] = process.argv.slice(2);
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
for (const seed of ['1', '2', '3']) outbox.put({ push: examplePush(seed), dueAtMs: Number(seed) });
await outbox.flush(5000);
const claimed = await outbox.claim(serviceNamed('apns'), 2);
console.log(`claimed ${claimed.length}`);
setInterval(() => {}, 1000);
