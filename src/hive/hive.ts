import type { Clock } from '../domain/clock.js';
import { clientErrorCode } from '../domain/errors.js';
import type { ServiceName } from '../domain/ids.js';
import { fail, ok, type Result } from '../domain/result.js';
import { parseListenAddress } from '../oxenmq/listen-address.js';
import { createOxenmqServer } from '../oxenmq/server.js';
import type { AccessLevel, KeyPair } from '../oxenmq/port.js';
import type { Log } from '../telemetry/log.js';
import type { Metrics } from '../telemetry/metrics.js';
import type { Statistics } from '../telemetry/statistics.js';
import { createHiveCommands } from './commands.js';
import { planDoors } from './doors.js';
import type { ExternalNotifier } from './external-notifier.js';
import { ExternalServices, type ExternalServiceStore } from './external-services.js';
import { defaultHiveOptions, type HiveOptions } from './options.js';

export interface HiveDeps {
  /** Anything left out is as in `defaultHiveOptions`. */
  readonly options: Partial<HiveOptions>;
  /** Of the CURVE doors: our identity. */
  readonly keyPair: KeyPair;
  /** Whether a notifier of this process serves this name; no other may take it. */
  readonly builtIn: (service: string) => boolean;
  /** A name that was not known before in this process: called once for each, from `load` on. */
  readonly onNotifier: (notifier: ExternalNotifier) => void;
  readonly statistics: Pick<Statistics, 'addExternal' | 'report' | 'snapshot'>;
  readonly store: ExternalServiceStore;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly randomBytes?: (size: number) => Buffer;
}

export interface OpenDoor {
  readonly name: string;
  readonly address: string;
  readonly level: AccessLevel;
}

/** Takes a request of a client as it came: as over HTTP, an object for an object, an array for an array. */
export type HandleSubscriptions = (kind: 'subscribe' | 'unsubscribe', body: Buffer) => Promise<unknown>;

/**
 * The doors for external notifiers and local tools over OxenMQ, in the order of a start: `load`, `listen`, `expected`,
 * `serve`; and `close`. Requests that come before `serve` wait for it.
 */
export interface Hive {
  /** The external notifiers of earlier runs; they are away until they register. Rejects like the store. */
  load(): Promise<void>;
  /** Opens the doors that the options name, none if they name none; the error is for the operator. */
  listen(): Promise<Result<readonly OpenDoor[], string>>;
  /** Waits at most `waitMs` until all of these names are served; those that are still not. */
  expected(names: readonly string[], waitMs: number): Promise<readonly string[]>;
  /** From here on subscriptions are served. */
  serve(handle: HandleSubscriptions): void;
  /** No more subscriptions: who asks is told to try again later. Notifiers stay connected. */
  stopServing(): void;
  notifier(service: string): ExternalNotifier | undefined;
  services(): readonly ServiceName[];
  /** Closes the doors; pushes under way end as `retry`. Idempotent. */
  close(): Promise<void>;
}

export function createHive(deps: HiveDeps): Hive {
  const { statistics, clock, log, metrics, keyPair } = deps;
  const options: HiveOptions = { ...defaultHiveOptions, ...deps.options };
  const services = new ExternalServices({
    options,
    builtIn: deps.builtIn,
    onNotifier(notifier) {
      statistics.addExternal(notifier.service);
      deps.onNotifier(notifier);
    },
    store: deps.store,
    clock,
    log,
  });
  let isStopping = false;
  let serve: (handle: HandleSubscriptions) => void = () => undefined;
  const serving = new Promise<HandleSubscriptions>((resolve) => (serve = resolve));
  const handle: HandleSubscriptions = async (kind, body) => {
    if (isStopping) return STOPPING;
    const serveOne = await serving;
    return isStopping ? STOPPING : serveOne(kind, body);
  };
  const server = createOxenmqServer({
    commands: createHiveCommands({
      services,
      statistics,
      handle,
      bodyMaxBytes: options.bodyMaxBytes,
      metrics,
    }),
    options: options.listener,
    clock,
    log,
    metrics,
    ...(deps.randomBytes && { randomBytes: deps.randomBytes }),
  });

  return {
    load: () => services.load(),
    async listen() {
      const doors = planDoors(options, keyPair);
      if (!doors.ok) return doors;
      const open: OpenDoor[] = [];
      for (const door of doors.value) {
        const bound = await server.listen(door);
        if (!bound.ok) return fail(`${door.name} ${door.address}: ${bound.error}`);
        open.push({ name: door.name, address: bound.value, level: door.level });
        if (door.curve === null && isOpenToNetworks(door.address)) {
          log.warn({ door: door.name }, 'whoever reaches this address is an administrator of the server');
        }
        log.info({ door: door.name, address: bound.value, level: door.level }, 'OxenMQ door open');
      }
      return ok(open);
    },
    expected: (names, waitMs) => services.expected(names, waitMs),
    serve,
    stopServing() {
      isStopping = true;
      serve(async () => STOPPING);
    },
    notifier: (service) => services.get(service),
    services: () => services.names(),
    async close() {
      await services.close();
      await server.close();
    },
  };
}

/** A failure that clients repeat later (spec session-push-v2, 7). */
const STOPPING = {
  error: clientErrorCode.serviceTimeout,
  message: 'The server is stopping, try again later',
};

function isOpenToNetworks(address: string): boolean {
  const parsed = parseListenAddress(address);
  return parsed.ok && !parsed.value.isLocal;
}
