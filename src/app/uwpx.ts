import { SecretKeeper } from '../crypto/secret-keeper.js';
import type { TargetSource } from '../domain/publish.js';
import { createAddressClassifier } from '../http/client-address.js';
import { PostgresUwpxStore } from '../store/uwpx.js';
import type { XmppPipeline } from '../streams/xmpp-pipeline.js';
import { ChannelDevices } from '../uwpx/channel-device.js';
import { UwpxCleanUp } from '../uwpx/clean-up.js';
import { UwpxListener } from '../uwpx/listener.js';
import { UwpxService } from '../uwpx/service.js';
import { UwpxTargets } from '../uwpx/targets.js';
import { NotifierTestPush, TEST_PUSH_TIMEOUT_MS } from '../uwpx/test-push.js';
import { UwpxTokenHolders } from '../uwpx/token-holders.js';
import type { Devices } from './devices.js';
import type { Identity } from './identity.js';
import * as options from './options.js';
import { StartError } from './start-error.js';
import type { Storage } from './storage.js';
import type { Surroundings } from './surroundings.js';
import { createUwpxAccount } from './uwpx-account.js';

/** Devices of UWPX. */
export interface Uwpx {
  /** Whom publishes to its nodes are for, also where its clients are served by another process alone. */
  readonly sources: readonly TargetSource[];
  /** Lets clients in. Rejects with `StartError`. */
  open(pipeline: XmppPipeline): Promise<void>;
  /** Never rejects. */
  close(): Promise<void>;
}

/** How often signs of life are written down and devices counted. */
const FLUSH_SECONDS = 60;

const withoutDoor = { open: async () => {}, close: async () => {} };

export function createUwpx(
  around: Surroundings,
  { registrations: key }: Pick<Identity, 'registrations'>,
  { database }: Pick<Storage, 'database'>,
  { notifiers, holders, reportDeadToken }: Pick<Devices, 'notifiers' | 'holders' | 'reportDeadToken'>,
): Uwpx {
  const { config, clock, randomBytes, log, metrics, parts, repeat } = around;
  const devices = options.uwpxDevicesOptions(config);
  if (devices === null) return { sources: [], ...withoutDoor };
  if (key === null) throw new Error('the key of registrations is opened where devices are served');
  const { service, maxDevices } = devices;

  const secrets = new SecretKeeper(key, randomBytes);
  const store = new PostgresUwpxStore({ database, secrets, maxDevices, clock });
  parts.add(() => store.idle());
  const channels = new ChannelDevices();
  const targets = new UwpxTargets({ store, channels, clock }, devices.targets);
  parts.add(() => targets.flush());
  const tokenHolders = new UwpxTokenHolders({ store, channels, service, clock });
  holders.add(tokenHolders);
  repeat(FLUSH_SECONDS, async () => {
    await tokenHolders.refresh();
    await targets.flush();
  });
  const settings = options.uwpxOptions(config);
  if (settings === null) return { sources: [targets], ...withoutDoor };
  const { limits } = settings;
  const cleanUp = new UwpxCleanUp(
    { store, clock, log, onRemoved: (devices) => metrics.uwpxOutdated.add(devices) },
    settings.cleanUp,
  );
  repeat(settings.cleanUpMs / 1000, () => cleanUp.run());

  const testPush = new NotifierTestPush(
    {
      async send(push, signal) {
        const notifier = notifiers.get(service);
        return notifier === undefined
          ? { kind: 'misconfigured', reason: 'no-notifier' }
          : notifier.send(push, signal);
      },
      onDeadToken: (push, sinceMs) => void reportDeadToken(push, sinceMs),
      channels,
      clock,
      randomBytes,
    },
    { service, timeoutMs: Math.min(TEST_PUSH_TIMEOUT_MS, limits.answerTimeoutMs) },
  );
  const account =
    settings.account === null
      ? null
      : createUwpxAccount(around, { database }, settings.account, store, targets);
  const door = new UwpxService(
    {
      store,
      testPush,
      account: account === null ? null : { nodes: account.nodes, store },
      clock,
      randomBytes,
      metrics,
      log,
    },
    { pushAddress: settings.pushAddress, limits },
  );
  const listener = new UwpxListener(
    {
      answer: (message, sender) => door.answer(message, sender),
      classify: createAddressClassifier(settings.exempt),
      randomBytes,
      clock,
      metrics,
      log,
    },
    settings.address,
    settings.listenerLimits,
  );
  return {
    sources: [targets],
    async open(pipeline) {
      const opened = await listener.open();
      if (!opened.ok) throw new StartError(`uwpx: ${opened.error}`);
      log.info({ port: opened.value }, 'uwpx listening');
      account?.start(pipeline);
    },
    async close() {
      await Promise.all([listener.close(), account?.stop()]);
    },
  };
}
