import { notifierOf } from '../config/checks-xmpp.js';
import { notifierReadiness } from '../config/notifier-credentials.js';
import type { Config } from '../config/types.js';
import type { XmppConfig, XmppTypeConfig } from '../config/types-xmpp.js';
import type { SpacingOptions } from '../delivery-rules/spacing.js';
import { parseServiceName, type ServiceName } from '../domain/ids.js';
import type { AppServerHttpOptions } from '../http/server-options.js';
import type { DeviceType } from '../xmpp-devices/device-type.js';
import { defaultXmppDeviceLimits, type XmppDeviceLimits } from '../xmpp-devices/limits.js';
import { defaultXmppOptions, type ComponentEntry, type XmppOptions } from '../xmpp/options.js';

export interface XmppPartOptions {
  /** Whether devices of XMPP users are served at all. */
  readonly enabled: boolean;
  /** None when not enabled. */
  readonly components: readonly ComponentEntry[];
  readonly options: XmppOptions;
  readonly statusWord: XmppConfig['commandStatus'];
  /** Those that are enabled, by name. */
  readonly types: ReadonlyMap<string, DeviceType>;
  readonly devices: XmppDeviceLimits;
  readonly pollMs: number;
  /** Of the times of last pushes and errors. */
  readonly flushMs: number;
  /** Of pushes for one device; those of UWPX too. */
  readonly spacing: SpacingOptions;
  readonly bindDomain: XmppConfig['bindDomain'];
  /** Null: no /push_appserver. */
  readonly http: AppServerHttpOptions | null;
}

/** What the parts for XMPP servers and their users' devices are told. */
export function xmppOptions(config: Config): XmppPartOptions {
  const { xmpp } = config;
  return {
    enabled: xmpp.enabled,
    components: xmpp.enabled ? components(xmpp) : [],
    options: connectionOptions(xmpp),
    statusWord: xmpp.commandStatus,
    types: types(config),
    devices: {
      ...defaultXmppDeviceLimits,
      maxDevices: xmpp.maxDevices,
      maxDevicesPerDomain: xmpp.maxDevicesPerDomain,
      maxDirectoryBytes: xmpp.maxMemoryBytes,
      requestsPerMinutePerDomain: xmpp.registrationsPerMinutePerDomain,
      maxCountedDomains: xmpp.maxDomainsTracked,
      maxWaiting: xmpp.maxWaitingRegistrations,
      maxWaitingLookUps: xmpp.maxWaitingLookUps,
      writePatienceMs: xmpp.writePatienceMs,
      pollRows: xmpp.pollRows,
    },
    pollMs: xmpp.pollSeconds * 1000,
    flushMs: xmpp.lastPushFlushSeconds * 1000,
    spacing: { distanceMs: Math.round(xmpp.rateLimitSeconds * 1000), maxKeys: xmpp.rateLimitMaxKeys },
    bindDomain: xmpp.bindDomain,
    http: xmpp.enabled && xmpp.httpEnabled ? httpOptions(config) : null,
  };
}

/** Secrets in plain text: from here on only the component has them. Loading refuses enabled ones without. */
const components = ({ components: entries }: XmppConfig): ComponentEntry[] =>
  Object.values(entries).flatMap(({ host, port, domain, secret, connections, pingDomain }) =>
    secret === null ? [] : [{ host, port, domain, secret: secret.reveal(), connections, pingDomain }],
  );

const connectionOptions = (xmpp: XmppConfig): XmppOptions => ({
  ...defaultXmppOptions,
  xml: {
    maxStanzaChars: xmpp.maxStanzaChars,
    maxDepth: xmpp.maxDepth,
    maxAttributes: xmpp.maxAttributes,
  },
  openTimeoutMs: xmpp.openTimeoutMs,
  coalesceMs: xmpp.coalesceMs,
  pingIntervalMs: xmpp.pingIntervalSeconds * 1000,
  silenceMs: xmpp.silenceSeconds * 1000,
  closeTimeoutMs: xmpp.closeTimeoutMs,
  maxSendQueueBytes: xmpp.maxSendQueueBytes,
  backOffSeconds: xmpp.backOffSeconds,
  refusedBackOffSeconds: xmpp.refusedBackOffSeconds,
  conflictBackOffSeconds: [xmpp.conflictBackOffMinSeconds, xmpp.conflictBackOffMaxSeconds],
  stableAfterMs: xmpp.stableSeconds * 1000,
  answerTimeoutMs: xmpp.answerTimeoutSeconds * 1000,
  maxOpenRequests: xmpp.maxOpenRequests,
  drainMs: xmpp.drainSeconds * 1000,
});

const types = (config: Config): ReadonlyMap<string, DeviceType> =>
  new Map(
    Object.values(config.xmpp.types)
      .filter(({ enabled }) => enabled)
      .map((type) => [type.name, deviceType(config, type)]),
  );

function deviceType({ notifiers }: Config, type: XmppTypeConfig): DeviceType {
  const { name, priority, alertTitle, alertBody, mutableContent, collapse } = type;
  const entry = notifierOf(notifiers, type.service);
  const isReady = entry !== null && notifierReadiness(entry).kind === 'ready';
  return {
    name,
    service: serviceNameOf(type.service),
    notifierType: isReady ? entry.type : null,
    priority,
    lifetimeMs: type.ttlSeconds * 1000,
    alertTitle,
    alertBody,
    mutableContent,
    collapse,
  };
}

/** Loading has checked it. */
export function serviceNameOf(text: string): ServiceName {
  const service = parseServiceName(text);
  if (service === null) throw new RangeError('no name of a service');
  return service;
}

const httpOptions = ({ xmpp, admin }: Config): AppServerHttpOptions => ({
  debug: xmpp.httpDebug,
  adminToken: admin.token?.reveal() ?? null,
  registrationsPerMinute: xmpp.httpRegistrationsPerMinute,
  pushesPerMinute: xmpp.httpPushesPerMinute,
  answerTimeoutMs: xmpp.answerTimeoutSeconds * 1000,
  jid: onlyDomain(xmpp),
});

/** Several entries may be one domain at several servers. */
function onlyDomain({ components: entries }: XmppConfig): string | null {
  const [domain, ...others] = new Set(Object.values(entries).map((entry) => entry.domain));
  return domain !== undefined && others.length === 0 ? domain : null;
}
