import type { Config } from '../config/types.js';
import type { UwpxConfig } from '../config/types-xmpp.js';
import type { ServiceName } from '../domain/ids.js';
import { defaultCleanUpOptions, type CleanUpOptions } from '../uwpx/clean-up.js';
import type { UwpxLimits } from '../uwpx/limits.js';
import { defaultListenerLimits, type ListenerLimits, type UwpxAddress } from '../uwpx/listener-options.js';
import { defaultUwpxTargetsOptions, type UwpxTargetsOptions } from '../uwpx/targets.js';
import { serviceNameOf } from './xmpp-options.js';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** The account at an XMPP server that clients of the original server publish to. Source: spec uwpx-push, 6.1. */
export interface UwpxAccountOptions {
  /** Bare, lower case. */
  readonly jid: string;
  readonly password: string;
  /** Null: found by the JID's domain. */
  readonly host: string | null;
  readonly port: number;
  /** PEM, trust anchors. */
  readonly caFile: string | null;
  /** Without TLS, on this machine alone. */
  readonly plainOnLoopback: boolean;
}

export interface UwpxPartOptions {
  readonly address: UwpxAddress;
  readonly listenerLimits: ListenerLimits;
  readonly limits: UwpxLimits;
  /** Addresses and networks without limits. */
  readonly exempt: readonly string[];
  /** What clients let their servers publish to. */
  readonly pushAddress: string;
  readonly cleanUp: CleanUpOptions;
  /** From one clean-up to the next. */
  readonly cleanUpMs: number;
  readonly account: UwpxAccountOptions | null;
}

export interface UwpxDevicesOptions {
  readonly service: ServiceName;
  readonly targets: UwpxTargetsOptions;
  readonly maxDevices: number;
}

/**
 * Of the devices that publishes are for, also those that another process registers: whoever does not know them would call
 * them unknown, and end their registrations. Null where nobody publishes.
 */
export const uwpxDevicesOptions = ({ uwpx, xmpp }: Config): UwpxDevicesOptions | null =>
  uwpx.enabled || xmpp.enabled
    ? {
        service: serviceNameOf(uwpx.service),
        targets: {
          ...defaultUwpxTargetsOptions,
          service: serviceNameOf(uwpx.service),
          lifetimeMs: uwpx.ttlSeconds * 1000,
          bindDomain: xmpp.bindDomain === 'always',
          lookUps: { ...defaultUwpxTargetsOptions.lookUps, maxWaiting: uwpx.maxWaitingLookUps },
        },
        maxDevices: uwpx.maxDevices,
      }
    : null;

/** What the door for UWPX clients is told; null when it is not enabled. Loading refuses what lacks a certificate or an address. */
export function uwpxOptions(config: Config): UwpxPartOptions | null {
  const { uwpx, http } = config;
  const { enabled, host, port, certificateFile, keyFile } = uwpx;
  const pushAddress = uwpxPushAddress(config);
  if (!enabled || certificateFile === null || pushAddress === null) return null;
  return {
    address: { host, port, certificateFile, keyFile: keyFile ?? certificateFile },
    listenerLimits: listenerLimits(uwpx),
    limits: limits(uwpx),
    exempt: http.rateLimitExempt,
    pushAddress,
    cleanUp: {
      ...defaultCleanUpOptions,
      outdatedMs: uwpx.outdatedDays * DAY_MS,
      graceMs: uwpx.lostChannelGraceDays * DAY_MS,
    },
    cleanUpMs: uwpx.cleanUpSeconds * 1000,
    account: account(uwpx),
  };
}

/** What the operator says, else the first component's domain, else the account; null: there is nothing to publish to. */
export function uwpxPushAddress({ uwpx, xmpp }: Config): string | null {
  const [component] = xmpp.enabled ? Object.values(xmpp.components) : [];
  return uwpx.pushAddress ?? component?.domain ?? uwpx.accountJid;
}

function account(uwpx: UwpxConfig): UwpxAccountOptions | null {
  const { accountJid, accountPassword, accountHost, accountPort, accountCaFile } = uwpx;
  if (accountJid === null || accountPassword === null) return null;
  return {
    jid: accountJid,
    password: accountPassword.reveal(),
    host: accountHost,
    port: accountPort,
    caFile: accountCaFile,
    plainOnLoopback: uwpx.accountPlainOnLoopback,
  };
}

const limits = (uwpx: UwpxConfig): UwpxLimits => ({
  accountsPerDevice: uwpx.maxAccountsPerDevice,
  idMaxBytes: uwpx.maxIdBytes,
  newDevicesBurst: uwpx.newDevicesBurst,
  newDevicesPerHour: uwpx.newDevicesPerHour,
  messagesBurst: uwpx.messagesBurst,
  messagesPerMinute: uwpx.messagesPerMinute,
  testPushesBurst: uwpx.testPushesBurst,
  testPushesPerHour: uwpx.testPushesPerHour,
  rememberedSenders: uwpx.maxSendersTracked,
  messagesInProgress: uwpx.maxMessagesInProgress,
  answerTimeoutMs: uwpx.answerTimeoutMs,
});

const listenerLimits = (uwpx: UwpxConfig): ListenerLimits => ({
  ...defaultListenerLimits,
  messageMaxBytes: uwpx.maxMessageBytes,
  idleTimeoutMs: uwpx.idleTimeoutMs,
  quietMs: uwpx.quietMs,
  writeTimeoutMs: uwpx.writeTimeoutMs,
  faultsMax: uwpx.maxFaults,
  handshakeTimeoutMs: uwpx.handshakeTimeoutMs,
  connectionsMax: uwpx.maxConnections,
  connectionsPerAddress: uwpx.maxConnectionsPerAddress,
  // A message for each is what clients do; the other half is for those that try again.
  newConnectionsBurst: 2 * uwpx.messagesBurst,
  newConnectionsPerMinute: 2 * uwpx.messagesPerMinute,
  rememberedSenders: uwpx.maxSendersTracked,
  handshakesMax: uwpx.maxHandshakes,
  certificateCheckMs: uwpx.certificateCheckSeconds * 1000,
  ticketLifetimeMs: uwpx.ticketLifetimeHours * HOUR_MS,
  drainMs: uwpx.drainMs,
});
