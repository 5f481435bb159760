import { blake2b } from '../crypto/keyed-hash.js';
import { acquireInstanceLock } from '../lifecycle/lock.js';
import { PostgresOutbox } from '../outbox/postgres-outbox.js';
import { openDatabase, type Database } from '../store/database.js';
import { keepAdvisoryLock } from '../store/kept-lock.js';
import { migrate } from '../store/migrate.js';
import { StatisticsStore } from '../store/statistics.js';
import { SubscriptionStore } from '../store/subscriptions.js';
import { vacuumTables } from '../store/vacuum.js';
import { AllTimeCounters } from '../telemetry/statistics.js';
import type { Identity } from './identity.js';
import * as options from './options.js';
import { StartError } from './start-error.js';
import type { Surroundings } from './surroundings.js';

/** What survives us. */
export interface Storage {
  readonly database: Database;
  readonly subscriptions: SubscriptionStore;
  readonly outbox: PostgresOutbox;
  readonly counters: AllTimeCounters;
}

export async function openStorage(around: Surroundings, { server }: Identity): Promise<Storage> {
  const { config, clock, log, metrics, parts, repeat } = around;
  const database = await openDatabase({
    ...options.databaseOptions(config),
    log,
    metrics,
    acquireLock: acquireInstanceLock,
  });
  parts.add(() => database.close());
  await migrate(database);
  if (database.kind === 'embedded') repeat(options.EMBEDDED_VACUUM_SECONDS, () => vacuumTables(database));
  const key = server.publicKey;
  const lock = await keepAdvisoryLock({
    database,
    key,
    what: 'the server key',
    retryMs: options.LOCK_RETRY_MS,
    log,
  });
  if (!lock.ok) throw new StartError('another process uses this server key with this database');
  parts.add(() => lock.value.release());

  const statistics = new StatisticsStore({
    database,
    log,
    flushIntervalMs: options.statisticsFlushMs(config),
  });
  const counters = new AllTimeCounters(await statistics.load(), (service, name, delta) =>
    statistics.add(service, name, delta),
  );
  statistics.start();
  parts.add(() => statistics.close());

  const instanceId = blake2b(16, [server.publicKey]).toString('hex');
  const outbox = new PostgresOutbox({
    ...options.outboxOptions(config),
    instanceId,
    database,
    clock,
    log,
    metrics,
  });
  await outbox.start();
  parts.add(() => outbox.close());
  parts.add(() => outbox.flush(options.FLUSH_TIMEOUT_MS));
  repeat(config.outbox.expirySweepSeconds, () => outbox.sweep());

  const writer = options.subscriptionWriterOptions(config);
  return { database, subscriptions: new SubscriptionStore({ database, log, writer }), outbox, counters };
}
