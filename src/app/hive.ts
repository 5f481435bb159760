import { createHive, type Hive, type HiveDeps } from '../hive/hive.js';
import { ExternalServiceStore } from '../store/external-services.js';
import type { Devices } from './devices.js';
import type { Identity } from './identity.js';
import { hiveOptions } from './options.js';
import { StartError } from './start-error.js';
import type { Storage } from './storage.js';
import type { Surroundings } from './surroundings.js';

/**
 * The doors for external notifiers and local tools, still closed; the notifiers of earlier runs are there already, so
 * that no push for them is nobody's. They stay until the drain is over: what is drained goes out through them.
 */
export async function createAppHive(
  around: Surroundings,
  identity: Identity,
  { database }: Storage,
  {
    notifiers,
    delivery,
    statistics,
  }: Pick<Devices, 'delivery' | 'statistics'> & {
    /** Those of this process. */
    readonly notifiers: ReadonlyMap<string, unknown>;
  },
): Promise<Hive> {
  const { config, clock, log, metrics, parts, randomBytes } = around;
  const deps: HiveDeps = {
    options: hiveOptions(config),
    keyPair: identity.server,
    builtIn: (service) => notifiers.has(service),
    onNotifier: (notifier) => delivery.add(notifier),
    statistics,
    store: new ExternalServiceStore({ database, clock }),
    clock,
    log,
    metrics,
    randomBytes,
  };
  const hive = createHive(deps);
  parts.add(() => hive.close());
  await hive.load();
  return hive;
}

/** Opens the doors and waits for the notifiers that are expected (spec session-push-v2, 9.1, step 7). */
export async function openAppHive({ config, log }: Surroundings, hive: Hive): Promise<void> {
  const opened = await hive.listen();
  if (!opened.ok) throw new StartError(opened.error);
  const { notifiersExpected, startupWaitSeconds } = config.session;
  const missing = await hive.expected(
    notifiersExpected,
    opened.value.length > 0 ? startupWaitSeconds * 1000 : 0,
  );
  if (missing.length > 0) {
    log.warn({ services: missing }, 'expected notifiers have not registered; their pushes wait for them');
  }
}
