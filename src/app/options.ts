import type { DeadTokenGuardOptions } from '../delivery-rules/dead-token-guard.js';
import type { DeliveryOptions } from '../actors/delivery.js';
import type { NetworkOptions } from '../actors/network.js';
import type { NotifierActorOptions } from '../actors/notifier.js';
import { StartError } from './start-error.js';
import { xmppOptions } from './xmpp-options.js';
import { alertOf, markersOf } from '../config/brand-services.js';
import { notifierReadiness } from '../config/notifier-credentials.js';
import type { Config, NotifierConfig } from '../config/types.js';
import { assertNever } from '../domain/assert-never.js';
import type { RandomBytes } from '../crypto/sodium.js';
import { defaultHiveOptions, type HiveOptions } from '../hive/options.js';
import type { AdminServerOptions, PartHealth, Readiness } from '../http/admin.js';
import type { HttpServerOptions } from '../http/server-options.js';
import type { SubscriptionLimits } from '../http/subscription-service.js';
import type { NotifierEntry, SkippedNotifier } from '../notifiers/registry.js';
import { defaultOutboxOptions } from '../outbox/postgres-outbox.js';
import { parseOxenmqAddress } from '../oxenmq/address.js';
import type { OxenmqOptions } from '../oxenmq/options.js';
import type { OxenmqAddress } from '../oxenmq/port.js';
import type { DuplicateFilterOptions } from '../streams/duplicate-filter.js';
import type { BatchWriterOptions } from '../store/batch-writer.js';

export { brands, legacyOptions } from './legacy-options.js';
export { uwpxDevicesOptions, uwpxOptions } from './uwpx-options.js';
export { xmppOptions } from './xmpp-options.js';

/* The configuration, turned into what each part wants to be told. No decisions here, only names and units. */

export function httpOptions(config: Config): HttpServerOptions {
  const { http } = config;
  const { http: appServer } = xmppOptions(config);
  const rateLimit = { windowSeconds: 60, addressesMax: http.rateLimitMaxAddresses };
  return {
    host: http.host,
    port: http.port,
    trustProxy: typeof http.trustProxy === 'string' ? http.trustProxy.split(/\s*,\s*/) : http.trustProxy,
    bodyMaxBytes: http.bodyLimitBytes,
    onionBodyMaxBytes: http.onionBodyLimitBytes,
    transientFailureStatus: http.transientFailureStatus,
    rateLimit: { ...rateLimit, requestsMax: http.rateLimitPerMinute },
    onionRateLimit: { ...rateLimit, requestsMax: http.onionRateLimitPerMinute },
    rateLimitExempt: http.rateLimitExempt,
    corsOrigins: http.corsOrigins,
    admission: {
      requestsInProgressMax: http.maxRequestsInProgress,
      eventLoopDelayMaxMs: http.maxEventLoopDelayMs,
      sampleIntervalMs: 1000,
      bodyBytesMax: http.maxBodyBytesInProgress,
    },
    retryAfterSeconds: http.retryAfterSeconds,
    connectionsMax: http.maxConnections,
    headersTimeoutMs: http.headersTimeoutMs,
    requestTimeoutMs: http.requestTimeoutMs,
    keepAliveTimeoutMs: http.keepAliveTimeoutMs,
    connectionTimeoutMs: http.connectionTimeoutMs,
    ...(appServer === null ? {} : { appServer }),
  };
}

export function oxenmqOptions({ session }: Config): Partial<OxenmqOptions> {
  return {
    helloTimeoutMs: session.connectTimeoutSeconds * 1000,
    tcpConnectTimeoutMs: session.connectTimeoutSeconds * 1000,
    requestTimeoutMs: session.requestTimeoutSeconds * 1000,
    probeIntervalMs: session.probeIntervalSeconds * 1000,
    maxMissedProbes: session.maxMissedProbes,
    heartbeatIntervalMs: session.heartbeatIntervalSeconds * 1000,
    heartbeatTimeoutMs: session.heartbeatTimeoutSeconds * 1000,
    maxMessageBytes: session.maxMessageBytes,
    receiveHighWaterMark: session.receiveQueueFrames,
    sendHighWaterMark: session.sendQueueFrames,
    maxOpenRequests: session.maxOpenRequests,
    ioThreads: session.ioThreads,
    maxSockets: session.maxSockets,
  };
}

export function networkOptions({ session }: Config): NetworkOptions {
  return {
    daemon: session.daemon,
    maxPendingConnects: session.maxPendingConnects,
    subscriptionCheckIntervalSeconds: session.subscriptionCheckIntervalSeconds,
    nodePollIntervalSeconds: session.nodePollIntervalSeconds,
    requestTimeoutSeconds: session.requestTimeoutSeconds,
    connectTimeoutSeconds: session.connectTimeoutSeconds,
    monitorBatchEntries: session.monitorBatchEntries,
    renewMinSeconds: session.renewMinSeconds,
    renewMaxSeconds: session.renewMaxSeconds,
    newSubscriptionDelayMs: session.newSubscriptionDelayMs,
    swarmGraceSeconds: session.swarmGraceSeconds,
  };
}

/** The doors for external notifiers and local tools, and the notifiers behind them. No doors without Session clients. */
export function hiveOptions({ session, http, delivery }: Config): HiveOptions {
  const { enabled, listen, listenCurve, listenCurveAdmin, listenCurveAdmins, notifiersExpected } = session;
  const doors = enabled
    ? { listen, listenCurve, listenCurveAdmin, listenCurveAdmins, notifiersExpected }
    : {};
  return {
    ...defaultHiveOptions,
    ...doors,
    notifierTimeoutMs: session.notifierTimeoutSeconds * 1000,
    notifierAwayMs: session.notifierAwaySeconds * 1000,
    bodyMaxBytes: http.bodyLimitBytes,
    maxServices: session.maxExternalNotifiers,
    maxInFlight: delivery.maxInFlight,
    listener: {
      heartbeatIntervalMs: session.heartbeatIntervalSeconds * 1000,
      heartbeatTimeoutMs: session.heartbeatTimeoutSeconds * 1000,
      sendHighWaterMark: session.sendQueueFrames,
    },
  };
}

export function subscriptionWriterOptions({ database }: Config): BatchWriterOptions {
  return {
    gatherMs: database.writeGatherMs,
    maxRows: database.writeBatchMaxRows,
    maxQueued: database.writeQueueMaxRows,
    maxInFlight: database.writeConcurrency,
  };
}

export function notifierActorOptions({ delivery, outbox }: Config): NotifierActorOptions {
  return {
    credits: delivery.credits,
    durability: delivery.durability,
    windowMin: delivery.windowMin,
    spillAfterMs: delivery.spillAfterMs,
    paceMaxDevices: delivery.paceMaxDevices,
    outboxBatch: outbox.batchRows,
    outboxPollMs: outbox.pollIntervalMs,
    breakerFailures: delivery.breakerFailures,
    breakerProbeMs: delivery.breakerProbeSeconds * 1000,
    maxPauseMs: delivery.maxPauseSeconds * 1000,
  };
}

/** Entries that are complete; the others, with what the operator is to be told. */
export function notifierEntries(whole: Config): {
  entries: Record<string, NotifierEntry>;
  incomplete: SkippedNotifier[];
} {
  const entries: Record<string, NotifierEntry> = {};
  const incomplete: SkippedNotifier[] = [];
  for (const [name, config] of Object.entries(whole.notifiers)) {
    const readiness = notifierReadiness(config);
    if (readiness.kind === 'ready') entries[name] = notifierEntry(config, whole);
    else incomplete.push({ service: name, reason: readiness.reason });
  }
  return { entries, incomplete };
}

/** Secrets in plain text: from here on only the notifier has them. */
function notifierEntry(config: NotifierConfig, whole: Config): NotifierEntry {
  // The name is the service's, and pacing is the actor's.
  const { delivery } = whole;
  const { name: _name, paceSeconds: _paceSeconds, ...entry } = config;
  const retryAfterMaxMs = delivery.maxPauseSeconds * 1000;
  const maxResends = delivery.refusedResends;
  switch (entry.type) {
    case 'apns': {
      const pfxPassphrase = entry.pfxPassphrase?.reveal() ?? null;
      const alert = alertOf(whole, config.name);
      const resolved = {
        ...entry,
        pfxPassphrase,
        alertTitle: entry.alertTitle ?? alert.alertTitle,
        alertBody: entry.alertBody ?? alert.alertBody,
        markers: entry.markers ?? markersOf(whole, config.name),
      };
      return { ...resolved, maxResends, retryAfterMaxMs };
    }
    case 'firebase': {
      const resolved = { ...entry, markers: entry.markers ?? markersOf(whole, config.name) };
      return { ...resolved, maxResends, retryAfterMaxMs };
    }
    case 'huawei': {
      const appSecret = entry.appSecret?.reveal() ?? null;
      const resolved = { ...entry, appSecret, markers: entry.markers ?? markersOf(whole, config.name) };
      return { ...resolved, retryAfterMaxMs };
    }
    case 'wns': {
      const clientSecret = entry.clientSecret?.reveal() ?? null;
      return { ...entry, clientSecret, retryAfterMaxMs };
    }
    case 'webpush':
    case 'unifiedpush':
      return { ...entry, retryAfterMaxMs };
    case 'dummy':
      return { type: 'dummy' };
    default:
      return assertNever(entry);
  }
}

/** Tombstones that have had their time go so often. */
export const TOMBSTONE_SWEEP_SECONDS = 3600;

/** A server's autovacuum looks every minute; here each look stops the event loop for some milliseconds. */
export const EMBEDDED_VACUUM_SECONDS = 600;

/** The comparison of table and index takes its time: it costs a small query a second. */
export const RECONCILED_ROWS_PER_SECOND = 500;
/** What it is for happens rarely; a small table must not be read again every few seconds. */
export const RECONCILIATION_REST_MS = 3_600_000;

/** For what is still in the outbox's buffer at a stop. */
export const FLUSH_TIMEOUT_MS = 10_000;

/** From the end of the drain's time until everything in flight is in the outbox's hands. */
export const DRAIN_GRACE_MS = 5_000;

/** By then the first subscriptions are loaded and registered. */
export const START_UP_MS = 30_000;

/** A lock that was lost with its connection is tried for again so often. */
export const LOCK_RETRY_MS = 2000;

export function databaseOptions({ database }: Config) {
  const { dataDir, poolSize, statementTimeoutMs, connectTimeoutMs } = database;
  return { url: database.url?.reveal() ?? null, dataDir, poolSize, statementTimeoutMs, connectTimeoutMs };
}

/** Of pushes that are stored because they cannot be sent now, nobody waits for the commit: fewer statements are better. */
const UNHURRIED_GATHER_MS = 25;

export function outboxOptions({ outbox, delivery }: Config) {
  const leastGatherMs = delivery.durability === 'journal' ? 0 : UNHURRIED_GATHER_MS;
  return {
    ...defaultOutboxOptions,
    maxBufferedEntries: outbox.bufferMaxEntries,
    maxBufferedBytes: outbox.bufferMaxBytes,
    maxRows: outbox.maxRows,
    maxRowsPerStatement: outbox.batchRows,
    gatherMs: Math.max(outbox.gatherMs, leastGatherMs),
    leaseMs: outbox.claimLeaseSeconds * 1000,
  };
}

export function deadTokenGuardOptions({ delivery }: Config): DeadTokenGuardOptions {
  return {
    percent: delivery.deadTokenGuardPercent,
    minimum: delivery.deadTokenGuardMinimum,
    windowMs: delivery.deadTokenGuardWindowSeconds * 1000,
  };
}

export function deliveryOptions(config: Config): DeliveryOptions {
  const { retryBaseMs, retryMaxMs, maxAttempts } = config.delivery;
  return {
    actor: notifierActorOptions(config),
    paceSecondsOf: (service) => config.notifiers[service]?.paceSeconds ?? 0,
    retries: { baseMs: retryBaseMs, maxMs: retryMaxMs, maxAttempts },
  };
}

export function duplicateFilterOptions(
  { session }: Config,
  randomBytes: RandomBytes,
): DuplicateFilterOptions {
  return {
    lifetimeMs: session.filterLifetimeSeconds * 1000,
    maxEntries: session.filterMaxEntries,
    seeds: [randomBytes(4).readInt32LE(0), randomBytes(4).readInt32LE(0)],
  };
}

/** Null when the session side is off or has no oxend to ask. Throws `StartError` for an address that is none. */
export function oxendAddress({ session }: Config): OxenmqAddress | null {
  if (!session.enabled || session.oxend === null) return null;
  const address = parseOxenmqAddress(session.oxend);
  if (!address.ok) throw new StartError(`session.oxend: ${address.error}`);
  return address.value;
}

export const adminOptions = ({ admin }: Config): AdminServerOptions => ({
  host: admin.host,
  port: admin.port,
  token: admin.token?.reveal() ?? null,
});

export interface ReadinessInputs {
  readonly isLoaded: boolean;
  readonly database: { isReachable(): boolean };
  readonly network: { readonly firstListIn: boolean };
  readonly oxend: OxenmqAddress | null;
}

/** Ready as soon as subscriptions are served and, where there is an oxend, the first node list is in. */
export function readiness({ isLoaded, database, network, oxend }: ReadinessInputs): Readiness {
  const part = (ok: boolean, reason: string): PartHealth => ({ ok, reason: ok ? null : reason });
  const parts = {
    subscriptions: part(isLoaded, 'subscriptions are being loaded'),
    database: part(database.isReachable(), 'the database does not answer'),
    network: part(oxend === null || network.firstListIn, 'no node list from oxend yet'),
  };
  return { ready: Object.values(parts).every(({ ok }) => ok), parts };
}

export const statisticsFlushMs = ({ database }: Config): number => database.statisticsFlushSeconds * 1000;

export const subscriptionLimits = ({ http }: Config): SubscriptionLimits => ({
  elementsMax: http.batchMaxElements,
  elementsInProgress: http.batchElementsInProgress,
  checksPerTurn: http.checksPerTurn,
  namespacesMax: http.maxNamespaces,
  answerTimeoutMs: http.answerTimeoutMs,
});
