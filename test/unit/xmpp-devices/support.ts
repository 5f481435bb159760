import { createRandomBytes } from '../../../src/crypto/sodium.js';
import { SecretKeeper } from '../../../src/crypto/secret-keeper.js';
import { systemClock } from '../../../src/domain/clock.js';
import {
  parseAnyServiceId,
  parseServiceName,
  type ServiceId,
  type ServiceName,
} from '../../../src/domain/ids.js';
import { silentLog, type Log } from '../../../src/telemetry/log.js';
import type { DeviceType } from '../../../src/xmpp-devices/device-type.js';
import type { DeviceKey, StoredDevice, XmppDevice } from '../../../src/xmpp-devices/device.js';
import { XmppDirectory } from '../../../src/xmpp-devices/directory.js';
import { defaultXmppDeviceLimits, type XmppDeviceLimits } from '../../../src/xmpp-devices/limits.js';
import { XmppRegistry, type CheckToken } from '../../../src/xmpp-devices/registry.js';
import type { XmppDevicesReport } from '../../../src/xmpp-devices/report.js';
import type { CommandOptions } from '../../../src/xmpp/command.js';
import { IqRouter } from '../../../src/xmpp/iq-router.js';
import { IqSession } from '../../../src/xmpp/iq-session.js';
import { defaultXmppOptions } from '../../../src/xmpp/options.js';
import type { P2Target, Registrations, V1Target } from '../../../src/xmpp/port.js';
import { routesOf } from '../../../src/xmpp/routes.js';
import type { XmlElement } from '../../../src/xmpp/xml-element.js';
import { MemoryXmppStore } from '../../simulators/memory-xmpp-store.js';
import { ReportLog } from '../../simulators/xmpp/component-under-test.js';
import { parseStanza } from '../xmpp/support.js';

export const serviceName = (text: string): ServiceName => {
  const name = parseServiceName(text);
  if (name === null) throw new Error('not a service');
  return name;
};

export const tokenOf = (text: string): ServiceId => {
  const token = parseAnyServiceId(text);
  if (token === null) throw new Error('not a token');
  return token;
};

export const typeOf = (name: string, changes: Partial<DeviceType> = {}): DeviceType => ({
  name,
  service: serviceName(name === 'fcm' ? 'firebase' : name),
  notifierType: name === 'fcm' ? 'firebase' : 'apns',
  priority: 'auto',
  lifetimeMs: 60_000,
  alertTitle: 'New Message',
  alertBody: 'New Message',
  mutableContent: true,
  collapse: false,
  ...changes,
});

export const typesOf = (...types: readonly DeviceType[]): ReadonlyMap<string, DeviceType> =>
  new Map(types.map((type) => [type.name, type]));

/** A second type of the service `apns`, one without a notifier, one whose devices are addresses. */
export const exampleTypes = typesOf(
  typeOf('apns'),
  typeOf('fcm'),
  typeOf('null'),
  typeOf('ios', { service: serviceName('apns') }),
  typeOf('orphan', { notifierType: null }),
  typeOf('webpush', { notifierType: 'webpush' }),
);

export const v1Key = (node: string): DeviceKey => ({ kind: 'v1', node });
export const p2Key = (device: string, channel = ''): DeviceKey => ({ kind: 'p2', device, channel });
export const hashOf = (digit: string): string => digit.repeat(40);

export const v1 = (node: string, type = 'apns', accountDomain: string | null = 'example.org'): V1Target => ({
  kind: 'v1',
  type,
  node,
  accountDomain,
});

export const p2 = (device: string, channel = '', changes: Partial<P2Target> = {}): P2Target => ({
  kind: 'p2',
  service: 'fcm',
  device,
  channel,
  accountDomain: 'example.org',
  ...changes,
});

export const deviceOf = (key: DeviceKey, changes: Partial<XmppDevice> = {}): XmppDevice => ({
  key,
  node: key.kind === 'v1' ? key.node : `node-${key.device.slice(0, 3)}-${key.channel.slice(0, 3)}`,
  type: key.kind === 'v1' ? 'apns' : 'fcm',
  token: tokenOf('a token'),
  serviceData: null,
  secretHash: Buffer.alloc(32, 1),
  sealedSecret: Buffer.alloc(104, 2),
  accountDomain: 'example.org',
  registeredAtMs: 1_000,
  renewedAtMs: null,
  lastPushAtMs: null,
  lastErrorAtMs: null,
  ...changes,
});

export const row = (
  key: DeviceKey,
  revision: number,
  changes: Partial<XmppDevice> = {},
  removed: StoredDevice['removed'] = null,
): StoredDevice => ({ device: deviceOf(key, changes), revision, removed });

export class DevicesLog implements XmppDevicesReport {
  readonly lines: string[] = [];

  secretReplaced(): void {
    this.lines.push('secret replaced');
  }
  died(): void {
    this.lines.push('died');
  }
  restored(): void {
    this.lines.push('restored');
  }
  storeFailed(use: string): void {
    this.lines.push(`store failed ${use}`);
  }
}

export interface ProcessSetUp {
  readonly store?: MemoryXmppStore;
  /** Of the secrets. */
  readonly key?: Buffer;
  readonly types?: ReadonlyMap<string, DeviceType>;
  readonly validate?: CheckToken;
  readonly limits?: Partial<XmppDeviceLimits>;
  readonly log?: Log;
}

const tokenAsItComes: CheckToken = (_, token) => {
  const serviceId = parseAnyServiceId(token);
  return Promise.resolve(serviceId === null ? null : { serviceId, serviceData: null });
};

/** One process: a directory and its registry, on a table that others may share. Its clock stands still. */
export function setUpProcess({
  store = new MemoryXmppStore(),
  key = Buffer.alloc(32, 7),
  types = exampleTypes,
  validate = tokenAsItComes,
  limits = {},
  log = silentLog(),
}: ProcessSetUp = {}) {
  const clock = { atMs: 1_700_000_000_000, nowMs: () => clock.atMs };
  const randomBytes = createRandomBytes();
  const directory = new XmppDirectory();
  const report = new DevicesLog();
  const registry = new XmppRegistry({
    store,
    directory,
    secrets: new SecretKeeper(key, randomBytes),
    types,
    validate,
    clock,
    randomBytes,
    limits: { ...defaultXmppDeviceLimits, ...limits },
    report,
    log,
  });
  return { store, directory, registry, report, clock, types };
}

/** Nodes and secrets of what was registered; fails for anything else. */
export async function registeredBy(
  answer: ReturnType<XmppRegistry['register']>,
): Promise<{ readonly node: string; readonly secret: string }> {
  const outcome = await answer;
  if (outcome.kind !== 'registered') throw new Error(`not registered: ${outcome.kind}`);
  return outcome;
}

/** Everything between the wire and the table, for the commands alone: text of a stanza in, its answer out. */
export function setUpCommands(
  registrations: Registrations,
  {
    domain = 'push.example',
    statusWord = 'completed',
  }: Partial<CommandOptions> & { readonly domain?: string } = {},
) {
  const routes = routesOf({
    commands: { statusWord },
    software: { name: 'Waggle', version: '1.2.3' },
    publishes: { publish: () => ({ kind: 'unknown' }) },
    registrations,
    randomBytes: createRandomBytes(),
    clock: { nowMs: () => 1_700_000_000_000 },
  });
  const router = new IqRouter(defaultXmppOptions, routes, systemClock, new ReportLog(), silentLog());
  const answers: string[] = [];
  const session = new IqSession(router, domain, (markup) => {
    answers.push(markup);
    return true;
  });
  return async (text: string): Promise<XmlElement> => {
    session.take(parseStanza(text));
    await session.idle();
    return parseStanza(answers.pop() ?? '');
  };
}
