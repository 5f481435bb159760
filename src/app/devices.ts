import { createDelivery, type Delivery } from '../actors/delivery.js';
import { DeadTokenGuard } from '../delivery-rules/dead-token-guard.js';
import {
  createDeadTokenReporter,
  TokenHolders,
  type ReportDeadToken,
  type WithoutProof,
} from '../actors/dead-tokens.js';
import { removeExpiredSubscriptions } from '../actors/expiry.js';
import type { Network } from '../actors/network.js';
import type { ActorSystem } from '../actors/spawn.js';
import { Reconciliation } from '../actors/reconcile.js';
import { createSubscriptionActors, type SubscriptionActors } from '../actors/subscription.js';
import { nowSeconds } from '../domain/clock.js';
import type { ServiceName } from '../domain/ids.js';
import type { PushContent } from '../domain/push.js';
import type { Notifier } from '../notifiers/port.js';
import { createNotifiers } from '../notifiers/registry.js';
import { Tombstones } from '../store/tombstones.js';
import type { SubscriptionIndex } from '../subscription-index/subscription-index.js';
import { SampledLog } from '../telemetry/sampled-log.js';
import { Statistics } from '../telemetry/statistics.js';
import * as options from './options.js';
import type { Storage } from './storage.js';
import type { Surroundings } from './surroundings.js';

/** Who subscribes, and how they are reached. */
export interface Devices {
  readonly subscriptions: SubscriptionActors;
  readonly notifiers: ReadonlyMap<ServiceName, Notifier>;
  readonly delivery: Delivery;
  /** Who holds tokens; further kinds may be added. */
  readonly holders: TokenHolders;
  readonly deadTokenGuard: DeadTokenGuard;
  readonly reportDeadToken: ReportDeadToken;
  readonly statistics: Statistics;
}

/** Windows of the guard for devices that anybody may register. */
const withoutProof: Partial<Record<PushContent['kind'], WithoutProof>> = {
  legacy: 'older clients',
  wake: 'clients of XMPP servers',
};

/** `network` is asked for when it is needed: it is built after the devices. */
export function createDevices(
  around: Surroundings,
  storage: Storage,
  index: SubscriptionIndex,
  system: ActorSystem,
  network: () => Network,
): Devices {
  const { config, clock, random, log, metrics, parts, repeat } = around;
  const { entries, incomplete } = options.notifierEntries(config);
  const { notifiers, skipped } = createNotifiers(entries, { clock, log });
  for (const { service, reason } of [...incomplete, ...skipped]) {
    log.warn({ service, reason }, 'notifier not started');
  }

  const statistics = new Statistics({
    counters: storage.counters,
    metrics,
    clock,
    services: [...notifiers.keys()],
    network: () => network().status(),
    subscriptions: () => index.countsByService(),
  });
  parts.add(() => statistics.collect());
  repeat(config.database.statisticsFlushSeconds, async () => statistics.collect());

  const store = storage.subscriptions;
  const subscriptions = createSubscriptionActors(system, {
    store,
    index,
    accountChanged: (slot) => network().accountChanged(slot),
    accountRemoved: (slot) => network().accountRemoved(slot),
    clock,
    metrics,
  });
  repeat(config.database.expirySweepSeconds, () => {
    const removeExpired = store.removeExpired.bind(store);
    return removeExpiredSubscriptions({ removeExpired, subscriptions }, nowSeconds(clock));
  });

  const tombstones = new Tombstones(storage.database);
  const tombstoneMs = config.delivery.tombstoneDays * 86_400_000;
  repeat(options.TOMBSTONE_SWEEP_SECONDS, () => tombstones.drop(clock.nowMs() - tombstoneMs));
  const reconciliation = new Reconciliation({ store, index, subscriptions, log, metrics });
  let nextRoundAtMs = 0;
  repeat(1, async () => {
    if (clock.nowMs() < nextRoundAtMs) return;
    const isRoundOver = await reconciliation.step(options.RECONCILED_ROWS_PER_SECOND);
    if (isRoundOver) nextRoundAtMs = clock.nowMs() + options.RECONCILIATION_REST_MS;
  });

  const holders = new TokenHolders();
  holders.add({
    async holdersOf(service, serviceId) {
      const accounts = await store.accountsOfDevice(service, serviceId);
      return accounts.map((account) => ({
        tokenDied: (sinceMs) => subscriptions.tokenDied({ account, service, serviceId }, sinceMs),
      }));
    },
    countOf: (service) => index.countOf(service),
  });
  const sampledLog = new SampledLog(clock);
  const guard = new DeadTokenGuard(
    options.deadTokenGuardOptions(config),
    clock,
    (service, server) => holders.countOf(service, server),
    (service, isOfOneServer) =>
      isOfOneServer
        ? sampledLog.note(service, (occurrences) =>
            log.warn(
              { service, occurrences },
              'one push server calls too many tokens dead at once: subscriptions are kept for now',
            ),
          )
        : log.error({ service }, 'too many dead tokens at once: subscriptions are kept for now'),
  );
  const reportDeadToken = createDeadTokenReporter({
    holdersOf: (service, serviceId) => holders.holdersOf(service, serviceId),
    guard,
    // What anybody may register without a proof is counted by itself: made-up tokens by the thousand are no reason to
    // keep the dead ones of subscriptions.
    serverOf: ({ service, device, content }) =>
      withoutProof[content.kind] ?? notifiers.get(service)?.serverOf?.(device) ?? null,
    log,
    metrics,
  });
  const configured = new Set<string>(Object.keys(config.notifiers));
  const isKnown = (service: ServiceName): boolean => configured.has(service);
  const { outbox } = storage;
  const delivery = createDelivery(
    { system, notifiers, isKnown, outbox, reportDeadToken, statistics, clock, random, log, metrics },
    options.deliveryOptions(config),
  );
  return { subscriptions, notifiers, delivery, holders, deadTokenGuard: guard, reportDeadToken, statistics };
}
