import type { Network } from '../actors/network.js';
import { reportNotifiers } from '../actors/notifier-report.js';
import { createDeletedDevices } from '../actors/undelete.js';
import { createOnionOpener } from '../crypto/onion.js';
import { badValue } from '../domain/errors.js';
import type { ServiceName } from '../domain/ids.js';
import { createAdminServer, type AdminServer } from '../http/admin.js';
import { createHttpServer, type HttpServer } from '../http/server.js';
import { createSubscriptionService, type SubscriptionService } from '../http/subscription-service.js';
import type { Hive } from '../hive/hive.js';
import { vapidPublicKeysOf } from '../notifiers/webpush/public-keys.js';
import { Tombstones } from '../store/tombstones.js';
import type { SubscriptionIndex } from '../subscription-index/subscription-index.js';
import { registerGauges } from '../telemetry/gauges.js';
import type { Devices } from './devices.js';
import type { FirstLoad } from './first-load.js';
import type { Identity } from './identity.js';
import type { Legacy } from './legacy.js';
import * as options from './options.js';
import type { Storage } from './storage.js';
import type { Surroundings } from './surroundings.js';
import type { Xmpp } from './xmpp.js';

/** What both doors of clients, HTTP and OxenMQ, hand requests to. */
export function createSubscriptions(
  { config, clock, log, metrics }: Surroundings,
  index: SubscriptionIndex,
  { notifiers, subscriptions, statistics }: Devices,
  hive: Pick<Hive, 'notifier'>,
): SubscriptionService {
  const maxDevices = config.http.maxDevicesPerAccount;
  return createSubscriptionService({
    clock,
    notifier: (name) => notifiers.get(name as ServiceName) ?? hive.notifier(name),
    refusal: (key) =>
      index.hasRoomFor(key, maxDevices) ? null : badValue('Subscription: too many devices for this account'),
    async subscribe(subscription) {
      const result = await subscriptions.subscribe(subscription);
      statistics.subscribed(subscription.service, result);
      return result;
    },
    unsubscribe: (key) => subscriptions.unsubscribe(key),
    metrics,
    log,
    brands: options.brands(config),
    limits: options.subscriptionLimits(config),
  });
}

/** For clients: subscribe, unsubscribe, onion requests of all kinds and ages. */
export function createClientDoor(
  { config, clock, randomBytes, log, metrics }: Surroundings,
  identity: Identity,
  { notifiers }: Devices,
  service: SubscriptionService,
  { served, statistics }: Pick<Legacy, 'served' | 'statistics'>,
  { appServer }: Pick<Xmpp, 'appServer'>,
): Promise<HttpServer> {
  const opener = createOnionOpener(identity.onion, randomBytes, identity.onionByHost);
  const vapidKeysOf = (name: string) => vapidPublicKeysOf(notifiers.get(name as ServiceName));
  return createHttpServer(options.httpOptions(config), {
    service,
    opener,
    vapidKeysOf,
    brands: served,
    ...(statistics === undefined ? {} : { statistics }),
    appServer,
    appServerReport: { answered: (request, answer) => metrics.appServerAnswers.of(request, answer).add() },
    metrics,
    log,
    clock,
  });
}

/** For operators: health, metrics, statistics. */
export function createAdminDoor(
  { config, clock, metrics }: Surroundings,
  { database, outbox }: Storage,
  index: SubscriptionIndex,
  { delivery, deadTokenGuard, statistics, subscriptions }: Devices,
  legacy: Pick<Legacy, 'brands' | 'deleted'>,
  xmpp: Pick<Xmpp, 'deleted' | 'gauges'>,
  network: Network,
  load: FirstLoad,
): AdminServer {
  registerGauges(metrics, {
    index,
    network: () => network.status(),
    actors: delivery.actors,
    outbox,
    deadTokenGuard,
    clock,
    loadSeconds: () => load.seconds,
    legacy: legacy.brands,
    ...(xmpp.gauges === undefined ? {} : { xmpp: xmpp.gauges }),
  });
  const oxend = options.oxendAddress(config);
  return createAdminServer(options.adminOptions(config), {
    metrics,
    stats: () => statistics.snapshot(),
    notifiers: () => reportNotifiers(delivery.actors),
    devices: createDeletedDevices({
      tombstones: new Tombstones(database),
      subscriptions,
      legacy: legacy.deleted,
      ...(xmpp.deleted === null ? {} : { xmpp: xmpp.deleted }),
      clock,
      metrics,
    }),
    health: {
      live: () => true,
      ready: () => options.readiness({ isLoaded: load.isDone, database, network: network.status(), oxend }),
    },
  });
}
