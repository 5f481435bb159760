import { SecretKeeper } from '../crypto/secret-keeper.js';
import type { TargetSource } from '../domain/publish.js';
import { softwareVersion } from '../lifecycle/software-version.js';
import { deviceOfToken } from '../notifiers/token-device.js';
import { PostgresXmppDeviceStore } from '../store/xmpp-devices.js';
import { createXmppPipeline, type XmppPipeline } from '../streams/xmpp-pipeline.js';
import { countRegistrations, createXmppReport } from '../streams/xmpp-report.js';
import type { GaugeSources } from '../telemetry/gauges.js';
import { SampledLog } from '../telemetry/sampled-log.js';
import type { AppServer } from '../xmpp/app-server-port.js';
import type { Publishes } from '../xmpp/port.js';
import { XmppComponent } from '../xmpp/xmpp-component.js';
import { XmppAppServer } from '../xmpp-devices/app-server.js';
import { createXmppDeletedDevices, type XmppDeletedDevices } from '../xmpp-devices/deleted-devices.js';
import { XmppDirectory } from '../xmpp-devices/directory.js';
import type { XmppDeviceStore } from '../xmpp-devices/port.js';
import { XmppRegistry } from '../xmpp-devices/registry.js';
import { XmppTargets } from '../xmpp-devices/targets.js';
import type { Devices } from './devices.js';
import type { Identity } from './identity.js';
import * as options from './options.js';
import type { Storage } from './storage.js';
import { faultName, type Surroundings } from './surroundings.js';

/** Devices that XMPP servers have woken: who registered, over XMPP and HTTP. */
export interface XmppDevices {
  readonly store: XmppDeviceStore;
  readonly directory: XmppDirectory;
  readonly registry: XmppRegistry;
  readonly targets: XmppTargets;
}

/** XMPP servers and their users' devices. */
export interface Xmpp {
  /** What publishes of all kinds go through; those of UWPX's client account too. */
  readonly pipeline: XmppPipeline;
  /** Null: nothing is served over HTTP. */
  readonly appServer: AppServer | null;
  readonly gauges: GaugeSources['xmpp'];
  readonly deleted: XmppDeletedDevices | null;
  /** Reads who is registered. Rejects as the store does. */
  load(): Promise<void>;
  /** Connects to the servers: from now on everything must be there that an answer needs. */
  open(): void;
  /** Answers what is under way and closes the connections. Never rejects. */
  close(): Promise<void>;
  /** `close` needs no longer, unless something hangs. */
  readonly closeLimitMs: number;
}

const CLOSE_GRACE_MS = 2000;
/**
 * Other processes hear of a removal from the row that stays: with tombstones or without, for so long at least. What was
 * unregistered stays no longer: anybody can make as many of these as he likes.
 */
const REMOVALS_TOLD_MS = 3_600_000;

/** `further`: who else gives out nodes. */
export function createXmpp(
  around: Surroundings,
  identity: Pick<Identity, 'registrations'>,
  storage: Storage,
  devices: Pick<Devices, 'delivery' | 'holders' | 'notifiers'>,
  further: readonly TargetSource[],
): Xmpp {
  const { config, clock, random, randomBytes, log, metrics, parts } = around;
  const settings = options.xmppOptions(config);
  const known = settings.enabled ? createXmppDevices(around, identity, storage, devices) : null;

  const faults = new SampledLog(clock);
  const pipeline = createXmppPipeline({
    sources: known === null ? further : [known.targets, ...further],
    delivery: devices.delivery,
    spacing: settings.spacing,
    maxLookUps: settings.devices.maxWaitingLookUps,
    randomBytes,
    clock,
    metrics,
    onFault(stage, error) {
      metrics.stageFailures.of(stage).add();
      faults.note(stage, (occurrences) =>
        log.error(
          { stage, fault: faultName(error), occurrences },
          'a publish was refused by a fault of ours',
        ),
      );
    },
  });
  parts.add(() => pipeline.complete());
  if (known === null) return withoutServers(pipeline);

  const { store, directory, registry } = known;
  const component = new XmppComponent({
    components: settings.components,
    options: settings.options,
    commands: { statusWord: settings.statusWord },
    software: { name: 'Waggle', version: softwareVersion() },
    publishes: pipeline,
    registrations: countRegistrations(registry, 'command', metrics),
    // Who is registered has been read by now. While the database is away nothing is answered that ends a registration, and
    // to be away as well would end some: ejabberd's.
    whenReady: () => Promise.resolve(),
    report: createXmppReport(metrics),
    clock,
    random,
    randomBytes,
    log,
  });
  return {
    pipeline,
    appServer: settings.http === null ? null : createAppServer(known, pipeline, around),
    gauges: {
      countsByType: () => [...settings.types.keys()].map((type) => [type, directory.countOf(type)] as const),
      links: () => component.status(),
    },
    deleted: createXmppDeletedDevices({
      store,
      types: settings.types.values(),
      registry,
    }),
    async load() {
      const count = await registry.load();
      log.info({ devices: count }, 'devices of XMPP users loaded');
    },
    open: () => component.start(),
    close: () => component.stop(),
    closeLimitMs: settings.options.drainMs + settings.options.closeTimeoutMs + CLOSE_GRACE_MS,
  };
}

function createXmppDevices(
  around: Surroundings,
  { registrations: key }: Pick<Identity, 'registrations'>,
  { database }: Storage,
  { notifiers, holders }: Pick<Devices, 'holders' | 'notifiers'>,
): XmppDevices {
  const { config, clock, randomBytes, log, metrics, parts, repeat } = around;
  if (key === null) throw new Error('the key of registrations is opened where devices are served');
  const { types, devices: limits, bindDomain, pollMs, flushMs } = options.xmppOptions(config);
  const store = new PostgresXmppDeviceStore(database);
  const directory = new XmppDirectory();
  const sampled = new SampledLog(clock);
  const registry = new XmppRegistry({
    store,
    directory,
    secrets: new SecretKeeper(key, randomBytes),
    types,
    async validate({ service }, token) {
      const notifier = notifiers.get(service);
      // The types name only notifiers that are there.
      if (notifier === undefined) throw new Error('a type without a notifier was registered for');
      return deviceOfToken(notifier, token);
    },
    clock,
    randomBytes,
    limits,
    report: {
      secretReplaced() {
        metrics.xmppDeviceChanges.of('secret-replaced').add();
        sampled.note('replaced', (occurrences) =>
          log.warn(
            { occurrences },
            'a secret was sealed with another key than keys.registrations: its device has a new one',
          ),
        );
      },
      died: () => metrics.xmppDeviceChanges.of('dead-token').add(),
      restored: () => metrics.xmppDeviceChanges.of('restored').add(),
      storeFailed: (use) => metrics.storeFailures.of(`xmpp-${use}`).add(),
    },
    log,
  });
  parts.add(() => registry.close());
  repeat(pollMs / 1000, () => registry.sync());
  repeat(flushMs / 1000, () => registry.flushNotes());
  const tombstoneMs = Math.max(config.delivery.tombstoneDays * 86_400_000, REMOVALS_TOLD_MS);
  repeat(options.TOMBSTONE_SWEEP_SECONDS, async () => {
    const nowMs = clock.nowMs();
    await store.dropRemoved('dead', nowMs - tombstoneMs);
    await store.dropRemoved('unregistered', nowMs - REMOVALS_TOLD_MS);
  });
  holders.add({
    withoutProof: 'clients of XMPP servers',
    holdersOf: (service, token) => registry.holdersOf(service, token),
    countOf: (service) => registry.countOf(service),
  });
  const targets = new XmppTargets({ directory, registry, types, binding: bindDomain, limits });
  return { store, directory, registry, targets };
}

const createAppServer = (
  { directory, registry, targets }: XmppDevices,
  publishes: Publishes,
  { metrics }: Surroundings,
): AppServer =>
  new XmppAppServer({
    directory,
    registrations: countRegistrations(registry, 'http', metrics),
    targets,
    publishes,
  });

const withoutServers = (pipeline: XmppPipeline): Xmpp => ({
  pipeline,
  appServer: null,
  gauges: undefined,
  deleted: null,
  load: async () => {},
  open: () => {},
  close: async () => {},
  closeLimitMs: CLOSE_GRACE_MS,
});
