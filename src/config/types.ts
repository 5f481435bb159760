import type { Secret } from './secret.js';
import type { UwpxConfig, XmppConfig } from './types-xmpp.js';

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
  readonly legacy: LegacyConfig;
  /** By name: `session`, `bchat`, and the operator's own. */
  readonly brands: Readonly<Record<string, BrandConfig>>;
  /** By service name. */
  readonly notifiers: Readonly<Record<string, NotifierConfig>>;
  readonly xmpp: XmppConfig;
  readonly uwpx: UwpxConfig;
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
  readonly corsOrigins: readonly string[];
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
  readonly onionByHost: readonly HostPath[];
  /** 32 bytes, symmetric. */
  readonly registrations: string;
}

export interface HostPath {
  /** In lower case, without port. */
  readonly host: string;
  readonly path: string;
}

export interface SessionConfig {
  readonly enabled: boolean;
  /** Whose names the RPC has: Oxen's or Beldex's. */
  readonly daemon: 'oxend' | 'beldexd';
  /** `tcp://HOST:PORT`, `ipc://PATH`, `curve://HOST:PORT/PUBKEY`, ...; the scheme is checked, the rest is not. */
  readonly oxend: string | null;
  readonly listen: string | null;
  readonly listenCurve: string | null;
  /** 64 hex digits each. */
  readonly listenCurveAdmins: readonly string[];
  readonly listenCurveAdmin: string | null;
  readonly maxPendingConnects: number;
  readonly filterLifetimeSeconds: number;
  readonly filterMaxEntries: number;
  readonly subscriptionCheckIntervalSeconds: number;
  readonly startupWaitSeconds: number;
  readonly notifiersExpected: readonly string[];
  readonly maxExternalNotifiers: number;
  readonly notifierTimeoutSeconds: number;
  readonly notifierAwaySeconds: number;
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

export interface LegacyConfig {
  readonly enabled: boolean;
  readonly maxTokensPerAccount: number;
  readonly maxMembersPerGroup: number;
  readonly maxGroupsPerRequest: number;
  readonly maxDevices: number;
  readonly maxMemberships: number;
  readonly maxDirectoryBytes: number;
  readonly maxRemembered: number;
  readonly notifyPerRecipientPerMinute: number;
  readonly notifyBurst: number;
  readonly maxRecipientsTracked: number;
  readonly maxHeldNotices: number;
  readonly maxHeldBytes: number;
  readonly pushLifetimeHours: number;
  readonly writeQueueMaxChanges: number;
  readonly writeBatchMaxChanges: number;
  readonly writePatienceMs: number;
  readonly quietRepeatSeconds: number;
  readonly answerTimeoutMs: number;
  /** Divides 24, or is a multiple of it. */
  readonly statisticsPeriodHours: number;
  readonly statisticsHistoryDays: number;
  readonly statisticsFlushSeconds: number;
}

/** One app and its network. Source: spec bchat-push, sections 2, 3.1 and 6. */
export interface BrandConfig {
  readonly name: string;
  readonly enabled: boolean;
  /** Of onion requests; begins with a slash and ends in `/lsrpc`; null = not served. */
  readonly v2Path: string | null;
  readonly v4Path: string | null;
  readonly onionSalt: 'LOKI' | 'BELDEX';
  /** Two hex digits in lower case. */
  readonly accountPrefix: string;
  readonly appName: string;
  readonly alertTitle: string;
  readonly alertBody: string;
  readonly groupsOnlySilencesAccount: boolean;
  readonly statisticsTotalKey: string;
  readonly statisticsPassword: Secret | null;
  /** Keys of a push's JSON beside `enc_payload`. */
  readonly markers: readonly string[];
  /** Service names; null: see `serviceOf`. */
  readonly apns: string | null;
  readonly firebase: string | null;
  readonly huawei: string | null;
}

interface CommonNotifierConfig {
  /** The service name that clients ask for. */
  readonly name: string;
  /** Requests at the provider at once: the entry's own, or `delivery.maxInFlight`. */
  readonly maxInFlight: number;
  /** At most one push per device in so many seconds; 0 = no pacing. */
  readonly paceSeconds: number;
}

interface HttpNotifierConfig extends CommonNotifierConfig {
  /** PEM, a further trust anchor. */
  readonly caFile: string | null;
  /** Over HTTP/1.1: per origin. */
  readonly connections: number;
  readonly connectTimeoutMs: number;
  readonly requestTimeoutMs: number;
}

interface ProviderNotifierConfig extends HttpNotifierConfig {
  /** Instead of the provider's own address: `https://HOST:PORT`. */
  readonly endpoint: string | null;
}

interface Http2NotifierConfig extends ProviderNotifierConfig {
  readonly widenAfterMs: number;
  readonly surplusIdleMs: number;
  readonly deadAfterTimeouts: number;
  readonly pingIntervalMs: number;
  readonly pingTimeoutMs: number;
}

export interface ApnsNotifierConfig extends Http2NotifierConfig {
  readonly type: 'apns';
  readonly topic: string;
  readonly sandbox: boolean;
  readonly certFile: string | null;
  /** The same as `certFile` when the entry names only that. */
  readonly keyFile: string | null;
  /** PKCS #12: certificate and key in one. */
  readonly pfxFile: string | null;
  readonly pfxPassphrase: Secret | null;
  readonly keyId: string | null;
  readonly teamId: string | null;
  /** Null: those of the brand whose service it is. */
  readonly alertTitle: string | null;
  readonly alertBody: string | null;
  readonly badge: number | null;
  readonly sound: string | null;
  readonly category: string | null;
  readonly mutableContent: boolean;
  readonly pushType: 'alert' | 'background' | 'voip';
  /** Null: the push's own. */
  readonly priority: 10 | 5 | 1 | null;
  readonly collapseRepeats: boolean;
  readonly tokenLifetimeMs: number;
  /** Null: those of the brands whose service it is. */
  readonly markers: readonly string[] | null;
}

export interface FirebaseNotifierConfig extends Http2NotifierConfig {
  readonly type: 'firebase';
  readonly serviceAccountFile: string | null;
  readonly tokenTimeoutMs: number;
  /** As with APNs. */
  readonly markers: readonly string[] | null;
}

export interface HuaweiNotifierConfig extends ProviderNotifierConfig {
  readonly type: 'huawei';
  readonly appId: string | null;
  readonly appSecret: Secret | null;
  readonly apiVersion: 'v1' | 'v2';
  /** For `v2`. */
  readonly projectId: string | null;
  readonly tokenEndpoint: string | null;
  readonly tokenTimeoutMs: number;
  /** As with APNs. */
  readonly markers: readonly string[] | null;
}

export interface WnsNotifierConfig extends ProviderNotifierConfig {
  readonly type: 'wns';
  readonly packageSid: string | null;
  readonly clientSecret: Secret | null;
  readonly tenantId: string | null;
  readonly tokenEndpoint: string | null;
  readonly tokenScope: string | null;
  readonly tokenTimeoutMs: number;
  readonly notificationType: 'raw' | 'toast';
  readonly toastTitle: string;
  readonly toastBody: string;
  readonly cache: boolean;
}

/** Pushes go where a client says: what keeps them out of our own network. */
interface GuardedNotifierConfig extends HttpNotifierConfig {
  readonly allowHttp: boolean;
  readonly allowNetworks: readonly string[];
  /** Empty: any. */
  readonly ports: readonly number[];
  /** The first is preferred, all are accepted. */
  readonly vapidKeyFiles: readonly string[];
  readonly subject: string | null;
}

export interface WebpushNotifierConfig extends GuardedNotifierConfig {
  readonly type: 'webpush';
  readonly maxTtlSeconds: number;
  readonly topic: boolean;
}

export interface UnifiedpushNotifierConfig extends GuardedNotifierConfig {
  readonly type: 'unifiedpush';
  readonly discovery: boolean;
}

export interface DummyNotifierConfig extends CommonNotifierConfig {
  readonly type: 'dummy';
}

export type NotifierConfig =
  | ApnsNotifierConfig
  | FirebaseNotifierConfig
  | HuaweiNotifierConfig
  | WnsNotifierConfig
  | WebpushNotifierConfig
  | UnifiedpushNotifierConfig
  | DummyNotifierConfig;

export type NotifierType = NotifierConfig['type'];

export interface DeliveryConfig {
  /** `spill`: the outbox takes what cannot be sent now; `journal`: every push is in it before it is sent. */
  readonly durability: 'spill' | 'journal';
  readonly credits: number;
  readonly windowMin: number;
  readonly maxInFlight: number;
  readonly spillAfterMs: number;
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
  readonly tombstoneDays: number;
  readonly paceMaxDevices: number;
}

export interface OutboxConfig {
  readonly maxRows: number;
  readonly pollIntervalMs: number;
  readonly batchRows: number;
  readonly gatherMs: number;
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
