import { createActorSystem } from './actors/spawn.js';
import { createDevices } from './app/devices.js';
import { createAdminDoor, createClientDoor, createSubscriptions } from './app/doors.js';
import { FirstLoad } from './app/first-load.js';
import { createAppHive, openAppHive } from './app/hive.js';
import { openIdentity } from './app/identity.js';
import { createLegacy } from './app/legacy.js';
import { createNotices } from './app/notices.js';
import { fitOpenFiles } from './app/open-files.js';
import { DRAIN_GRACE_MS, START_UP_MS } from './app/options.js';
import { openStorage } from './app/storage.js';
import { createSurroundings, type Surroundings } from './app/surroundings.js';
import { createUwpx } from './app/uwpx.js';
import { createXmpp } from './app/xmpp.js';
import type { Config } from './config/types.js';
import { openFilesLimit } from './lifecycle/open-files.js';
import { releaseStartUpMemory } from './lifecycle/start-up-memory.js';
import { SubscriptionIndex } from './subscription-index/subscription-index.js';
import type { Log } from './telemetry/log.js';

export interface App {
  /** `http://HOST:PORT` as bound. */
  readonly httpAddress: string;
  readonly adminAddress: string;
  /** Stops the intake, drains for `shutdown.drainSeconds`, leaves the rest in the outbox. Idempotent. */
  stop(): Promise<void>;
}

const TOO_FEW_OPEN_FILES =
  'the limit of open files is too low for the configuration: fewer clients are let in; raise it (LimitNOFILE= of systemd, --ulimit nofile= of a container, ulimit -n) or lower these options';

/**
 * The whole program: every part, built and started in order, stopped in the opposite one. Rejects with `StartError`,
 * or an error of the store, when something outside keeps it from starting; what was started is stopped again.
 */
export async function startApp(whole: Config, { log }: { readonly log: Log }): Promise<App> {
  const { config, shortage } = fitOpenFiles(whole, openFilesLimit());
  if (shortage !== null) log.warn(shortage, TOO_FEW_OPEN_FILES);
  const around = createSurroundings(config, log);
  try {
    return await start(around);
  } catch (error) {
    await around.parts.stop();
    throw error;
  }
}

async function start(around: Surroundings): Promise<App> {
  const { config, log, parts, randomBytes } = around;

  // Who we are, and what survives us.
  const identity = await openIdentity(around);
  const storage = await openStorage(around, identity);

  // The devices, and the way of a notice to them.
  const system = createActorSystem(around);
  parts.add(() => system.stop());
  // After the drain: recurring work that waits for the database must not keep the doors open.
  parts.add(() => around.stopRepeating());
  const index = new SubscriptionIndex(randomBytes(4).readInt32LE(0));
  const devices = createDevices(around, storage, index, system, () => network);
  const hive = await createAppHive(around, identity, storage, devices);
  const { network, pipeline } = createNotices(around, identity, index, system, devices, hive);
  const legacy = createLegacy(around, storage, devices);
  const uwpx = createUwpx(around, identity, storage, devices);
  const xmpp = createXmpp(around, identity, storage, devices, uwpx.sources);
  const load = new FirstLoad(around, storage.subscriptions, index, network);

  // The doors: operators first, so that they see the rest come up.
  const admin = createAdminDoor(around, storage, index, devices, legacy, xmpp, network, load);
  const adminAddress = (await admin.listen()).url;
  parts.add(() => admin.close());
  const drainMs = config.shutdown.drainSeconds * 1000;
  parts.add(() => devices.delivery.drain(AbortSignal.timeout(drainMs)), drainMs + DRAIN_GRACE_MS);
  parts.add(() => pipeline.complete());
  parts.add(async () => legacy.gate.complete());
  await openAppHive(around, hive);
  await network.start();
  parts.add(() => network.stop());
  const service = createSubscriptions(around, index, devices, hive);
  await legacy.load();
  await xmpp.load();
  const http = await createClientDoor(around, identity, devices, service, legacy, xmpp);
  const httpAddress = (await http.listen()).url;
  parts.add(() => http.close());
  await uwpx.open(xmpp.pipeline);
  parts.add(() => uwpx.close());
  xmpp.open();
  parts.add(() => xmpp.close(), xmpp.closeLimitMs);
  hive.serve((kind, body) => service.handle(kind, body));
  parts.add(async () => hive.stopServing());
  log.info({ address: httpAddress }, `http listening on ${httpAddress}`);

  await load.run();
  around.startRepeating();
  const release = releaseStartUpMemory(START_UP_MS);
  parts.add(() => release.cancel());
  log.info({ subscriptions: index.size, accounts: index.accountCount, adminAddress }, 'ready');

  return {
    httpAddress,
    adminAddress,
    async stop() {
      log.info('stopping: no more intake, draining');
      await parts.stop();
      log.info('stopped');
    },
  };
}
