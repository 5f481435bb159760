import type { Clock } from '../domain/clock.js';
import { clientServiceOf, type Brand } from './brand.js';
import type { LegacyDeviceType } from './device.js';
import type { DirectoryChange } from './port.js';
import type { LegacyTombstones, TombstoneCursor, TombstoneFilter } from './tombstones.js';

/** One brand's devices of one of our services, that can still be brought back. */
export interface DeletedLegacyDevices {
  readonly brand: string;
  readonly service: string;
  readonly devices: number;
}

export interface LegacyUndeleteFilter {
  /** Null = of every service. */
  readonly service: string | null;
  /** Unix milliseconds: only what was removed then or later. */
  readonly removedSinceMs: number;
}

/** What operators may do with older clients' devices that a provider called dead. Both reject with `StoreUnavailable`. */
export interface LegacyDeletedDevices {
  count(): Promise<readonly DeletedLegacyDevices[]>;
  /** How many devices came back, or with `dryRun` would. */
  undelete(request: LegacyUndeleteFilter & { readonly dryRun: boolean }): Promise<number>;
}

/**
 * Makes changes of a running brand that are chosen in their turn, between its other changes: what `choose` reads is then
 * still true when they are committed. Resolves when they are in the directory too.
 */
export type ChangeInTurn = (
  brand: string,
  choose: () => Promise<readonly DirectoryChange[]>,
) => Promise<void>;

export interface LegacyDeletedDevicesDeps {
  readonly tombstones: LegacyTombstones;
  readonly brands: readonly Pick<Brand, 'name' | 'services'>[];
  /** Null when no server runs in this process: then the rows are all there is. */
  readonly changeInTurn: ChangeInTurn | null;
  readonly clock: Clock;
}

/** The brand's other changes wait while a page is brought back. */
const PAGE_DEVICES = 200;

const types = Object.keys(clientServiceOf) as readonly LegacyDeviceType[];

type Services = Brand['services'];

const serviceOf = (services: Services, type: LegacyDeviceType): string | null => {
  const name = clientServiceOf[type];
  return name === null ? null : services[name];
};

export function createLegacyDeletedDevices(deps: LegacyDeletedDevicesDeps): LegacyDeletedDevices {
  const servicesOf = new Map(deps.brands.map(({ name, services }) => [name, services]));

  /** Types of one brand may share a service. */
  const count = async (removedSinceMs: number): Promise<readonly DeletedLegacyDevices[]> => {
    const counts = new Map<string, DeletedLegacyDevices>();
    for (const { brand, type, devices } of await deps.tombstones.count(removedSinceMs)) {
      const services = servicesOf.get(brand);
      const service = services === undefined ? null : serviceOf(services, type);
      if (service === null) continue;
      const key = `${brand}\0${service}`;
      counts.set(key, { brand, service, devices: devices + (counts.get(key)?.devices ?? 0) });
    }
    return [...counts.values()];
  };

  const restore = async (filter: TombstoneFilter): Promise<number> => {
    const { tombstones, changeInTurn } = deps;
    if (changeInTurn === null) return tombstones.restore(filter);
    let restored = 0;
    let after: TombstoneCursor | null = null;
    for (let more = true; more;) {
      let size = 0;
      await changeInTurn(filter.brand, async () => {
        const page = await tombstones.page(filter, after, PAGE_DEVICES);
        after = page?.cursor ?? after;
        const devices = page?.devices ?? [];
        size = devices.length;
        return devices.map((device) => ({ kind: 'set-device', device }));
      });
      restored += size;
      more = size === PAGE_DEVICES;
    }
    return restored;
  };

  return {
    count: () => count(0),
    async undelete({ service, removedSinceMs, dryRun }) {
      if (dryRun) {
        const counts = await count(removedSinceMs);
        return counts.reduce(
          (sum, given) => (service === null || given.service === service ? sum + given.devices : sum),
          0,
        );
      }
      // What dies again while we are at it has its own time.
      const untilMs = deps.clock.nowMs();
      let restored = 0;
      for (const { name: brand, services } of deps.brands) {
        const wanted = types.filter((type) => {
          const ours = serviceOf(services, type);
          return ours !== null && (service === null || ours === service);
        });
        if (wanted.length === 0) continue;
        restored += await restore({ brand, types: wanted, sinceMs: removedSinceMs, untilMs });
      }
      return restored;
    },
  };
}
