import type { Secret } from './secret.js';

/**
 * The configuration as the program sees it: checked, complete, frozen, every path absolute. Names and units are those
 * of the options (docs/configuration.md is made from the same schema and says what each one does).
 */
export interface Config {
  readonly http: HttpConfig;
  readonly admin: AdminConfig;
  readonly database: DatabaseConfig;
  readonly keys: KeysConfig;
  readonly session: SessionConfig;
  /** By service name. */
  readonly notifiers: Readonly<Record<string, NotifierConfig>>;
  readonly delivery: DeliveryConfig;
  readonly outbox: OutboxConfig;
  readonly shutdown: ShutdownConfig;
  readonly log: LogConfig;
}

export interface HttpConfig {
  readonly host: string;
  readonly port: number;
  readonly bodyLimitBytes: number;
  readonly onionBodyLimitBytes: number;
  /** `true`: whoever connects is a proxy; text: comma-separated addresses and networks of the proxies. */
  readonly trustProxy: boolean | string;
  readonly rateLimitPerMinute: number;
  readonly onionRateLimitPerMinute: number;
  readonly rateLimitMaxAddresses: number;
  readonly rateLimitExempt: readonly string[];
  readonly maxConnections: number;
  readonly maxBodyBytesInProgress: number;
  readonly transientFailureStatus: 200 | 503;
  readonly maxRequestsInProgress: number;
  readonly maxEventLoopDelayMs: number;
  readonly headersTimeoutMs: number;
  readonly connectionTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly keepAliveTimeoutMs: number;
  readonly batchMaxElements: number;
  readonly batchElementsInProgress: number;
  readonly checksPerTurn: number;
  readonly maxDevicesPerAccount: number;
  readonly maxNamespaces: number;
  readonly answerTimeoutMs: number;
  readonly retryAfterSeconds: number;
}

export interface AdminConfig {
  readonly host: string;
  readonly port: number;
  readonly token: Secret | null;
}

export interface DatabaseConfig {
  /** Null: the embedded database under `dataDir`. */
  readonly url: Secret | null;
  readonly dataDir: string;
  readonly poolSize: number;
  readonly statementTimeoutMs: number;
  readonly connectTimeoutMs: number;
  readonly writeBatchMaxRows: number;
  readonly writeQueueMaxRows: number;
  readonly writeConcurrency: number;
  readonly writeGatherMs: number;
  readonly statisticsFlushSeconds: number;
  readonly loadPageRows: number;
  readonly expirySweepSeconds: number;
}

export interface KeysConfig {
  readonly server: string;
  /** At least one. */
  readonly onion: readonly string[];
}

export interface SessionConfig {
  readonly enabled: boolean;
  /** `tcp://HOST:PORT`, `ipc://PATH`, `curve://HOST:PORT/PUBKEY`, ...; the scheme is checked, the rest is not. */
  readonly oxend: string | null;
  readonly listen: string | null;
  readonly listenCurve: string | null;
  /** 64 hex digits each. */
  readonly listenCurveAdmins: readonly string[];
  readonly maxPendingConnects: number;
  readonly filterLifetimeSeconds: number;
  readonly filterMaxEntries: number;
  readonly subscriptionCheckIntervalSeconds: number;
  readonly startupWaitSeconds: number;
  readonly notifiersExpected: readonly string[];
  readonly nodePollIntervalSeconds: number;
  readonly requestTimeoutSeconds: number;
  readonly connectTimeoutSeconds: number;
  readonly probeIntervalSeconds: number;
  readonly maxMissedProbes: number;
  readonly heartbeatIntervalSeconds: number;
  readonly heartbeatTimeoutSeconds: number;
  readonly monitorBatchEntries: number;
  readonly renewMinSeconds: number;
  readonly renewMaxSeconds: number;
  readonly newSubscriptionDelayMs: number;
  readonly swarmGraceSeconds: number;
  readonly maxMessageBytes: number;
  readonly receiveQueueFrames: number;
  readonly sendQueueFrames: number;
  readonly maxOpenRequests: number;
  readonly ioThreads: number;
  readonly maxSockets: number;
}

interface CommonNotifierConfig {
  /** The service name that clients ask for. */
  readonly name: string;
  /** Requests at the provider at once, per connection: the entry's own, or `delivery.maxInFlight`. */
  readonly maxInFlight: number;
}

interface ProviderNotifierConfig extends CommonNotifierConfig {
  /** Instead of the provider's own address: `https://HOST:PORT`. */
  readonly endpoint: string | null;
  /** PEM, a further trust anchor. */
  readonly caFile: string | null;
  readonly connections: number;
  readonly connectTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly deadAfterTimeouts: number;
  readonly pingIntervalMs: number;
  readonly pingTimeoutMs: number;
}

export interface ApnsNotifierConfig extends ProviderNotifierConfig {
  readonly type: 'apns';
  readonly topic: string;
  readonly sandbox: boolean;
  readonly certFile: string | null;
  /** The same as `certFile` when the entry names only that. */
  readonly keyFile: string | null;
  readonly keyId: string | null;
  readonly teamId: string | null;
  readonly alertTitle: string;
  readonly alertBody: string;
  readonly badge: number | null;
  readonly sound: string | null;
  readonly category: string | null;
  readonly collapseRepeats: boolean;
  readonly tokenLifetimeMs: number;
}

export interface FirebaseNotifierConfig extends ProviderNotifierConfig {
  readonly type: 'firebase';
  readonly serviceAccountFile: string | null;
  readonly tokenTimeoutMs: number;
}

export interface HuaweiNotifierConfig extends ProviderNotifierConfig {
  readonly type: 'huawei';
  readonly appId: string | null;
  readonly appSecret: Secret | null;
  readonly tokenEndpoint: string | null;
}

export interface DummyNotifierConfig extends CommonNotifierConfig {
  readonly type: 'dummy';
}

export type NotifierConfig =
  ApnsNotifierConfig | FirebaseNotifierConfig | HuaweiNotifierConfig | DummyNotifierConfig;

export type NotifierType = NotifierConfig['type'];

export interface DeliveryConfig {
  readonly credits: number;
  readonly maxInFlight: number;
  readonly retryBaseMs: number;
  readonly retryMaxMs: number;
  readonly maxAttempts: number;
  readonly maxPauseSeconds: number;
  readonly refusedResends: number;
  readonly deadTokenGuardPercent: number;
  readonly deadTokenGuardMinimum: number;
  readonly deadTokenGuardWindowSeconds: number;
  readonly breakerFailures: number;
  readonly breakerProbeSeconds: number;
}

export interface OutboxConfig {
  readonly pollIntervalMs: number;
  readonly batchRows: number;
  readonly bufferMaxEntries: number;
  readonly bufferMaxBytes: number;
  readonly claimLeaseSeconds: number;
  readonly expirySweepSeconds: number;
}

export interface ShutdownConfig {
  readonly drainSeconds: number;
}

export type LogLevel = 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent';

export interface LogConfig {
  readonly level: LogLevel;
}
