import { createDelivery } from './actors/delivery.js';
import { DeadTokenGuard } from './actors/dead-token-guard.js';
import { createDeadTokenReporter } from './actors/dead-tokens.js';
import { removeExpiredSubscriptions } from './actors/expiry.js';
import { createNetwork } from './actors/network.js';
import { createActorSystem } from './actors/spawn.js';
import { createSubscriptionActors } from './actors/subscription.js';
import * as options from './app-options.js';
import { openKey, StartError, type ServerIdentity } from './app-keys.js';
import { decodeNotifyMessage } from './codec/notify-message.js';
import type { Config } from './config/types.js';
import { blake2b } from './crypto/keyed-hash.js';
import { createOnionOpener } from './crypto/onion.js';
import { randomNonces } from './crypto/seal.js';
import { createRandomBytes } from './crypto/sodium.js';
import { nowSeconds, systemClock as clock } from './domain/clock.js';
import type { ServiceName } from './domain/ids.js';
import type { Subscription } from './domain/subscription.js';
import { systemRandom as random } from './domain/random.js';
import { createAdminServer } from './http/admin.js';
import { createHttpServer } from './http/server.js';
import { createSubscriptionService, defaultSubscriptionLimits } from './http/subscription-service.js';
import { acquireInstanceLock } from './lifecycle/lock.js';
import { Parts } from './lifecycle/parts.js';
import { every, type Schedule } from './lifecycle/schedule.js';
import { releaseStartUpMemory } from './lifecycle/start-up-memory.js';
import type { NodeLink } from './network/node-link.js';
import { createNotifiers } from './notifiers/registry.js';
import { PostgresOutbox } from './outbox/postgres-outbox.js';
import { createOxenmqClient } from './oxenmq/client.js';
import { openDatabase } from './store/database.js';
import { keepAdvisoryLock } from './store/kept-lock.js';
import { migrate } from './store/migrate.js';
import { StatisticsStore } from './store/statistics.js';
import { SubscriptionStore } from './store/subscriptions.js';
import { DuplicateFilter } from './streams/duplicate-filter.js';
import { createPipeline } from './streams/pipeline.js';
import { SubscriptionIndex } from './subscription-index/subscription-index.js';
import type { Log } from './telemetry/log.js';
import { Metrics, registerGauges } from './telemetry/metrics.js';
import { SampledLog } from './telemetry/sampled-log.js';
import { AllTimeCounters, Statistics } from './telemetry/statistics.js';

export interface App {
  /** `http://HOST:PORT` as bound. */
  readonly httpAddress: string;
  readonly adminAddress: string;
  /** Stops the intake, drains for `shutdown.drainSeconds`, leaves the rest in the outbox. Idempotent. */
  stop(): Promise<void>;
}

/**
 * The whole program: every part, built and started in order, stopped in the opposite one. Rejects with `StartError`,
 * or an error of the store, when something outside keeps it from starting; what was started is stopped again.
 */
export async function startApp(config: Config, io: { readonly log: Log }): Promise<App> {
  const parts = new Parts((error) =>
    io.log.error({ fault: faultName(error) }, 'a part did not stop as it should'),
  );
  try {
    return await start(config, io.log, parts);
  } catch (error) {
    await parts.stop();
    throw error;
  }
}

async function start(config: Config, log: Log, parts: Parts): Promise<App> {
  const metrics = new Metrics();
  metrics.collectProcessMetrics();
  const randomBytes = createRandomBytes();
  const schedules: Schedule[] = [];
  const repeat = (seconds: number, task: () => Promise<unknown>): void => {
    const onFailure = (error: unknown): void => log.warn({ fault: faultName(error) }, 'will be tried again');
    schedules.push(every(seconds * 1000, task, onFailure));
  };

  // Who we are. Two processes with one key would silence each other at the storage nodes (spec oxenmq, 1.2).
  const serverKey: ServerIdentity = await openKey(config.keys.server, randomBytes, log);
  const onionKeys = await Promise.all(config.keys.onion.map((path) => openKey(path, randomBytes, log)));
  const lock = await acquireInstanceLock(config.keys.server);
  if (!lock.ok) throw new StartError(`another process uses the key ${config.keys.server}`);
  parts.add(() => lock.value.release());

  // What survives us.
  const database = await openDatabase({
    ...options.databaseOptions(config),
    log,
    metrics,
    acquireLock: acquireInstanceLock,
  });
  parts.add(() => database.close());
  await migrate(database);
  const key = serverKey.publicKey;
  const databaseLock = await keepAdvisoryLock({ database, key, retryMs: options.LOCK_RETRY_MS, log });
  if (!databaseLock.ok) throw new StartError('another process uses this server key with this database');
  parts.add(() => databaseLock.value.release());
  const store = new SubscriptionStore({ database, log, writer: options.subscriptionWriterOptions(config) });
  const statisticsStore = new StatisticsStore({
    database,
    log,
    flushIntervalMs: config.database.statisticsFlushSeconds * 1000,
  });
  const counters = new AllTimeCounters(await statisticsStore.load(), (service, name, delta) =>
    statisticsStore.add(service, name, delta),
  );
  statisticsStore.start();
  parts.add(() => statisticsStore.close());
  const instanceId = blake2b(16, [serverKey.publicKey]).toString('hex');
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

  // The subscriptions, and those who reach the devices.
  const index = new SubscriptionIndex(randomBytes(4).readInt32LE(0));
  const { entries, unsupported } = options.notifierEntries(config);
  const { notifiers, skipped } = createNotifiers(entries, { clock, log });
  for (const { service, reason } of [...unsupported, ...skipped])
    log.warn({ service, reason }, 'notifier not started');
  const statistics = new Statistics({
    counters,
    metrics,
    clock,
    services: [...notifiers.keys()],
    network: () => network.status(),
    subscriptions: () => index.countsByService(),
  });
  parts.add(() => statistics.collect());
  repeat(config.database.statisticsFlushSeconds, async () => statistics.collect());
  const system = createActorSystem({ log, metrics, clock });
  parts.add(() => system.stop());
  // After the drain: a sweep that waits for the database must not keep the doors open.
  parts.add(() => Promise.all(schedules.map((schedule) => schedule.stop())));
  const subscriptions = createSubscriptionActors(system, {
    store,
    index,
    accountChanged: (slot) => network.accountChanged(slot),
    accountRemoved: (slot) => network.accountRemoved(slot),
    clock,
    metrics,
  });
  const guard = new DeadTokenGuard(
    options.deadTokenGuardOptions(config),
    clock,
    (service) => index.countOf(service),
    (service) => log.error({ service }, 'too many dead tokens at once: subscriptions are kept for now'),
  );
  const reportDeadToken = createDeadTokenReporter({
    accountsOfDevice: (service, serviceId) => store.accountsOfDevice(service, serviceId),
    subscriptions,
    guard,
    log,
    metrics,
  });
  const delivery = createDelivery(
    { system, notifiers, outbox, reportDeadToken, statistics, clock, random, log, metrics },
    options.deliveryOptions(config),
  );

  // The way of a notice: node links → pipeline → notifier actors, or the outbox.
  const stageFaults = new SampledLog(clock);
  const marks = options.duplicateFilterOptions(config, randomBytes);
  const pipeline = createPipeline<NodeLink>({
    decode: decodeNotifyMessage,
    messages: new DuplicateFilter(marks, clock),
    devices: new DuplicateFilter(marks, clock),
    index,
    acceptsFrame: (link, slot) => network.acceptsFrame(link, slot),
    offer: (push) => delivery.offer(push),
    spill: (push, onLost) => delivery.spill(push, onLost),
    nextNonce: randomNonces(),
    pushSecret: blake2b(32, [serverKey.secretKey], Buffer.from('waggle push keys')),
    clock,
    metrics,
    onFault(stage, error) {
      metrics.stageFailures.of(stage).add();
      stageFaults.note(stage, (occurrences) =>
        log.error({ stage, fault: faultName(error), occurrences }, 'a frame was lost to a fault of ours'),
      );
    },
  });
  const client = createOxenmqClient({
    keyPair: serverKey,
    options: options.oxenmqOptions(config),
    clock,
    log,
    metrics,
  });
  parts.add(() => client.close());
  const oxend = options.oxendAddress(config);
  const network = createNetwork(
    {
      client,
      oxend,
      accounts: index,
      system,
      clock,
      random,
      log,
      metrics,
      onFrame: (link, frame) => pipeline.next(link, frame),
      onRefused({ slot, reason, isWhole }) {
        if (reason === 'invalid' && isWhole) index.rejectMonitorEntries(slot);
      },
    },
    options.networkOptions(config),
  );

  // The doors: operators first, so that they see the rest come up.
  const loading = { isDone: false, seconds: 0 };
  const service = createSubscriptionService({
    clock,
    notifier: (name) => notifiers.get(name as ServiceName),
    async subscribe(subscription) {
      const result = await subscriptions.subscribe(subscription);
      statistics.subscribed(subscription.service, result);
      return result;
    },
    unsubscribe: (key) => subscriptions.unsubscribe(key),
    metrics,
    log,
    limits: defaultSubscriptionLimits,
  });
  registerGauges(metrics, {
    index,
    network: () => network.status(),
    actors: delivery.actors,
    outbox,
    clock,
    loadSeconds: () => loading.seconds,
  });
  const admin = createAdminServer(options.adminOptions(config), {
    metrics,
    stats: () => statistics.snapshot(),
    health: {
      live: () => true,
      ready: () =>
        options.readiness({ isLoaded: loading.isDone, database, network: network.status(), oxend }),
    },
  });
  const adminAddress = (await admin.listen()).url;
  parts.add(() => admin.close());
  const drainMs = config.shutdown.drainSeconds * 1000;
  parts.add(() => delivery.drain(AbortSignal.timeout(drainMs)), drainMs + options.DRAIN_GRACE_MS);
  parts.add(() => pipeline.complete());
  index.startLoad();
  await network.start();
  parts.add(() => network.stop());
  const opener = createOnionOpener(onionKeys, randomBytes);
  const http = await createHttpServer(options.httpOptions(config), { service, opener, metrics, log, clock });
  const httpAddress = (await http.listen()).url;
  parts.add(() => http.close());
  log.info({ address: httpAddress }, `http listening on ${httpAddress}`);

  // What was there before us.
  const loadStartedAtMs = clock.nowMs();
  let unusable = 0;
  const visit = (page: readonly Subscription[]): void => {
    for (const subscription of page) if (!index.load(subscription)) unusable += 1;
  };
  await store.load(visit, config.database.loadPageRows);
  if (unusable > 0)
    log.warn({ rows: unusable }, 'subscriptions in the database that no client can have made');
  index.finishLoad();
  network.loaded();
  loading.seconds = (clock.nowMs() - loadStartedAtMs) / 1000;
  loading.isDone = true;
  log.info({ subscriptions: index.size, accounts: index.accountCount, adminAddress }, 'ready');

  const release = releaseStartUpMemory(options.START_UP_MS);
  parts.add(() => release.cancel());
  repeat(config.database.expirySweepSeconds, () => {
    const removeExpired = store.removeExpired.bind(store);
    return removeExpiredSubscriptions({ removeExpired, subscriptions }, nowSeconds(clock));
  });
  repeat(config.outbox.expirySweepSeconds, () => outbox.dropExpired());

  return {
    httpAddress,
    adminAddress,
    async stop() {
      log.info('stopping: no more intake, draining');
      await parts.stop();
      log.info('stopped');
    },
  };
}

/** The kind of a fault: its message may quote what must not be in a log. */
const faultName = (error: unknown): string => (error instanceof Error ? error.name : typeof error);
