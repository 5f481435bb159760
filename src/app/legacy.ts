import type { TokenHolder } from '../actors/dead-tokens.js';
import { WakeTimer } from '../actors/wake-timer.js';
import type { ServiceName } from '../domain/ids.js';
import type { BrandServices } from '../http/brand-doors.js';
import type { StatisticsData } from '../http/routes/statistics-data.js';
import { clientServiceOf, pushedTypes, type Brand } from '../legacy/brand.js';
import { createLegacyDeletedDevices, type LegacyDeletedDevices } from '../legacy/deleted-devices.js';
import { LegacyDirectory } from '../legacy/directory.js';
import { createLegacyMethods } from '../legacy/methods.js';
import type { LegacyMethods } from '../legacy/methods-port.js';
import { RecipientLimit } from '../legacy/recipient-limit.js';
import { createRecipientGate, type RecipientGate } from '../legacy/recipient-gate.js';
import { LegacyRegistry } from '../legacy/registry.js';
import { answerStatistics } from '../legacy/statistics-answer.js';
import { LegacyStatistics } from '../legacy/statistics.js';
import { keepAdvisoryLock } from '../store/kept-lock.js';
import { PostgresLegacyStore } from '../store/legacy.js';
import { PostgresLegacyPeriods } from '../store/legacy-periods.js';
import { PostgresLegacyTombstones } from '../store/legacy-tombstones.js';
import { createLegacyPipeline, isTooLong, type LegacyExit } from '../streams/legacy-pipeline.js';
import { SampledLog } from '../telemetry/sampled-log.js';
import type { Devices } from './devices.js';
import * as options from './options.js';
import { StartError } from './start-error.js';
import type { Storage } from './storage.js';
import { faultName, type Surroundings } from './surroundings.js';

/** One app's older clients. */
interface LegacyBrandParts {
  readonly brand: Brand;
  readonly directory: LegacyDirectory;
  readonly registry: LegacyRegistry;
  readonly statistics: LegacyStatistics;
}

/** Older clients: who registered, and the way of their notices. */
export interface Legacy {
  /** What the client door serves for each brand; without older clients the onion routes of subscriptions alone. */
  readonly served: readonly BrandServices[];
  readonly brands: readonly Pick<LegacyBrandParts, 'brand' | 'directory'>[];
  /** For `/get_statistics_data`; undefined where no older clients are served. */
  readonly statistics: StatisticsData | undefined;
  readonly deleted: LegacyDeletedDevices;
  readonly gate: Pick<RecipientGate, 'complete'>;
  /** Reads who is registered; nothing is served before. Rejects as the store does. */
  load(): Promise<void>;
}

export function createLegacy(
  around: Surroundings,
  { database }: Pick<Storage, 'database'>,
  { delivery, holders }: Pick<Devices, 'delivery' | 'holders'>,
): Legacy {
  const { config, clock, randomBytes, log, metrics, parts, repeat } = around;
  const {
    enabled,
    limits,
    recipients,
    pushLifetimeMs,
    statistics: periods,
    statisticsFlushMs,
  } = options.legacyOptions(config);
  const store = new PostgresLegacyStore(database);
  const periodStore = new PostgresLegacyPeriods(database);
  const brands = options.brands(config);

  // Given up when the last change is written, and not before.
  let unlock = async (): Promise<void> => {};
  parts.add(() => unlock());

  const all: readonly LegacyBrandParts[] = (enabled ? brands : []).map((brand) => {
    const directory = new LegacyDirectory(brand, limits);
    const registry = new LegacyRegistry({ brand, store, directory, clock, log, limits });
    parts.add(() => registry.close());
    const statistics = new LegacyStatistics(
      { brand: brand.name, store: periodStore, clock, metrics },
      periods,
    );
    parts.add(() => statistics.collect());
    repeat(statisticsFlushMs / 1000, () => statistics.collect());
    return { brand, directory, registry, statistics };
  });
  const byName = new Map(all.map((of) => [of.brand.name, of]));

  const tombstones = new PostgresLegacyTombstones(database);
  const tombstoneMs = config.delivery.tombstoneDays * 86_400_000;
  repeat(options.TOMBSTONE_SWEEP_SECONDS, () => tombstones.drop(clock.nowMs() - tombstoneMs));
  holders.add({
    withoutProof: 'older clients',
    holdersOf: (service, token) => all.flatMap((of) => holderOf(of, service, token, () => clock.nowMs())),
    countOf: (service) => all.reduce((sum, of) => sum + devicesOf(of, service), 0),
  });

  const faults = new SampledLog(clock);
  const pipeline = createLegacyPipeline({
    brandOf: (name) => byName.get(name),
    exit: exitOf(config.delivery.durability, delivery),
    pushLifetimeMs,
    randomBytes,
    clock,
    metrics,
    onFault(stage, error) {
      metrics.stageFailures.of(stage).add();
      faults.note(stage, (occurrences) =>
        log.error(
          { stage, fault: faultName(error), occurrences },
          'a notice of an older client was refused by a fault of ours',
        ),
      );
    },
  });
  parts.add(() => pipeline.complete());
  const gate = createRecipientGate({
    limit: new RecipientLimit(recipients),
    next: (notice) => pipeline.next(notice),
    isUnsent: isTooLong,
    startTimer: (onWake) => new WakeTimer(onWake),
    clock,
    metrics,
  });

  const served = brands.map((brand) => {
    const of = byName.get(brand.name);
    const methods: LegacyMethods | null =
      of === undefined
        ? null
        : createLegacyMethods({ ...of, notify: (notice) => gate.next(notice), clock, metrics, log, limits });
    return { brand, methods };
  });
  /** Their clients hear "Success" all the same, as from the original. */
  function sayWhoIsOutOfReach({ name, services }: Brand, directory: LegacyDirectory): void {
    for (const type of pushedTypes) {
      const service = services[clientServiceOf[type]];
      const devices = directory.countOf(type);
      if (devices === 0 || service in config.notifiers) continue;
      log.warn(
        { brand: name, service, devices },
        'no notifier of this name: pushes for these devices are dropped',
      );
    }
  }

  /** Who is registered is in memory: what one process is told, another one would not know until its next start. */
  async function lockDirectories(): Promise<void> {
    const lock = await keepAdvisoryLock({
      database,
      key: Buffer.from('older clients'),
      what: 'older clients',
      retryMs: options.LOCK_RETRY_MS,
      log,
    });
    if (!lock.ok) {
      throw new StartError(
        'another process serves older clients from this database, and only one can: set legacy.enabled to false here',
      );
    }
    unlock = () => lock.value.release();
  }

  return {
    served,
    brands: all,
    gate,
    statistics: enabled
      ? (authorization, contentType, body) =>
          answerStatistics({ authorization, contentType, body }, all, periodStore)
      : undefined,
    deleted: createLegacyDeletedDevices({
      tombstones,
      brands: enabled ? brands : [],
      changeInTurn: (name, choose) => byName.get(name)?.registry.changeInTurn(choose) ?? Promise.resolve(),
      clock,
    }),
    async load() {
      if (all.length > 0) await lockDirectories();
      await Promise.all(
        all.map(({ registry, statistics }) => Promise.all([registry.load(), statistics.load()])),
      );
      for (const { brand, directory } of all) {
        sayWhoIsOutOfReach(brand, directory);
        log.info(
          { brand: brand.name, devices: directory.deviceCount, groups: directory.groupCount },
          'older clients loaded',
        );
      }
    },
  };
}

function exitOf(durability: 'spill' | 'journal', delivery: Devices['delivery']): LegacyExit {
  return durability === 'journal'
    ? {
        kind: 'when-safe',
        // Whatever else becomes of it, nobody needs to come again.
        deliver: (push, onSafe) => delivery.deliver(push, (fate) => onSafe(fate !== 'lost')),
      }
    : {
        kind: 'at-once',
        offer: (push) => delivery.offer(push),
        spill: (push, onLost) => delivery.spill(push, onLost),
      };
}

/** A device holds its token for the service that its brand means by its type. */
function holderOf(
  { brand, directory, registry }: LegacyBrandParts,
  service: ServiceName,
  token: string,
  nowMs: () => number,
): TokenHolder[] {
  const device = directory.device(token);
  if (device === undefined) return [];
  const name = clientServiceOf[device.type];
  if (name === null || brand.services[name] !== service) return [];
  return [
    { tokenDied: (sinceMs) => registry.change([{ kind: 'device-died', token, sinceMs, nowMs: nowMs() }]) },
  ];
}

function devicesOf({ brand, directory }: LegacyBrandParts, service: ServiceName): number {
  return pushedTypes
    .filter((type) => brand.services[clientServiceOf[type]] === service)
    .reduce((sum, type) => sum + directory.countOf(type), 0);
}
