import type { Secret } from './secret.js';

/** The app server for XMPP servers. Source: spec xmpp-push. */
export interface XmppConfig {
  readonly enabled: boolean;
  readonly commandStatus: 'completed' | 'complete';
  readonly bindDomain: 'p2' | 'always' | 'never';
  /** Fractions allowed; 0 = no limit. */
  readonly rateLimitSeconds: number;
  readonly rateLimitMaxKeys: number;
  readonly maxDevices: number;
  readonly maxDevicesPerDomain: number;
  readonly maxMemoryBytes: number;
  readonly registrationsPerMinutePerDomain: number;
  readonly maxDomainsTracked: number;
  readonly maxWaitingRegistrations: number;
  readonly maxWaitingLookUps: number;
  readonly writePatienceMs: number;
  readonly pollSeconds: number;
  readonly pollRows: number;
  readonly lastPushFlushSeconds: number;
  readonly answerTimeoutSeconds: number;
  readonly maxOpenRequests: number;
  readonly maxStanzaChars: number;
  readonly maxDepth: number;
  readonly maxAttributes: number;
  readonly maxSendQueueBytes: number;
  readonly coalesceMs: number;
  readonly openTimeoutMs: number;
  readonly closeTimeoutMs: number;
  readonly pingIntervalSeconds: number;
  readonly silenceSeconds: number;
  readonly stableSeconds: number;
  readonly backOffSeconds: readonly number[];
  readonly refusedBackOffSeconds: readonly number[];
  readonly conflictBackOffMinSeconds: number;
  readonly conflictBackOffMaxSeconds: number;
  readonly drainSeconds: number;
  readonly httpEnabled: boolean;
  readonly httpDebug: boolean;
  readonly httpRegistrationsPerMinute: number;
  readonly httpPushesPerMinute: number;
  /** By name, in the order of their mention. */
  readonly components: Readonly<Record<string, XmppComponentConfig>>;
  /** By name: what clients call the way to their device. The standard ones and the operator's own. */
  readonly types: Readonly<Record<string, XmppTypeConfig>>;
}

/** One domain at one XMPP server (XEP-0114). */
export interface XmppComponentConfig {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  /** Lower case. */
  readonly domain: string;
  /** Null only while `xmpp.enabled` is false. */
  readonly secret: Secret | null;
  readonly connections: number;
  readonly pingDomain: string | null;
}

/** Source: spec xmpp-push, 10.1 and 11.1. */
export interface XmppTypeConfig {
  readonly name: string;
  readonly enabled: boolean;
  /** Of a notifier. */
  readonly service: string;
  readonly priority: 'auto' | 'high' | 'silent' | 'voip';
  readonly ttlSeconds: number;
  readonly collapse: boolean;
  readonly mutableContent: boolean;
  readonly alertTitle: string;
  readonly alertBody: string | null;
}

/** The door for UWPX. Source: spec uwpx-push. */
export interface UwpxConfig {
  readonly enabled: boolean;
  readonly host: string;
  readonly port: number;
  readonly certificateFile: string | null;
  /** The same as `certificateFile` when only that is given. */
  readonly keyFile: string | null;
  /** Of a notifier of type wns. */
  readonly service: string;
  readonly pushAddress: string | null;
  readonly ttlSeconds: number;
  readonly maxDevices: number;
  readonly maxAccountsPerDevice: number;
  readonly maxIdBytes: number;
  readonly newDevicesBurst: number;
  readonly newDevicesPerHour: number;
  readonly messagesBurst: number;
  readonly messagesPerMinute: number;
  readonly testPushesBurst: number;
  readonly testPushesPerHour: number;
  readonly maxSendersTracked: number;
  readonly maxMessagesInProgress: number;
  readonly maxWaitingLookUps: number;
  readonly answerTimeoutMs: number;
  readonly maxMessageBytes: number;
  readonly maxConnections: number;
  readonly maxConnectionsPerAddress: number;
  readonly maxHandshakes: number;
  readonly handshakeTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly quietMs: number;
  readonly writeTimeoutMs: number;
  readonly maxFaults: number;
  readonly certificateCheckSeconds: number;
  readonly ticketLifetimeHours: number;
  readonly drainMs: number;
  readonly outdatedDays: number;
  readonly lostChannelGraceDays: number;
  readonly cleanUpSeconds: number;
  /** `USER@DOMAIN`; null: no client account. */
  readonly accountJid: string | null;
  readonly accountPassword: Secret | null;
  /** Null: found by the JID's domain. */
  readonly accountHost: string | null;
  readonly accountPort: number;
  readonly accountCaFile: string | null;
  readonly accountPlainOnLoopback: boolean;
}
