import type { DeviceKey } from './device.js';
import type { XmppDeviceStore } from './port.js';

/** Devices of one of our services, that can still be brought back. */
export interface DeletedXmppDevices {
  readonly service: string;
  readonly devices: number;
}

export interface XmppUndeleteFilter {
  /** Null = of every service. */
  readonly service: string | null;
  /** Unix milliseconds: only what was removed then or later. */
  readonly removedSinceMs: number;
}

/** What operators may do with XMPP users' devices that a provider called dead. Both reject with `StoreUnavailable`. */
export interface XmppDeletedDevices {
  count(): Promise<readonly DeletedXmppDevices[]>;
  /** How many devices came back, or with `dryRun` would. */
  undelete(request: XmppUndeleteFilter & { readonly dryRun: boolean }): Promise<number>;
}

/** A client's word for its kind of device (`DeviceType`), and whose notifier sends. */
export interface NamedType {
  readonly name: string;
  readonly service: string;
}

export interface XmppDeletedDevicesDeps {
  readonly store: Pick<XmppDeviceStore, 'change' | 'countDead' | 'dead'>;
  readonly types: Iterable<NamedType>;
  /** Null when no server runs in this process: those that do hear of it by themselves. */
  readonly registry: { restore(key: DeviceKey): Promise<boolean> } | null;
}

/** Brought back at once. */
const PAGE_DEVICES = 200;

/** Types that are no longer set up are left out: nothing could be sent to their devices. */
export function createXmppDeletedDevices(deps: XmppDeletedDevicesDeps): XmppDeletedDevices {
  const { store, registry } = deps;
  const types = [...deps.types];

  const restore = (key: DeviceKey): Promise<boolean> =>
    registry?.restore(key) ?? store.change({ kind: 'restore', key }).then((stored) => stored !== null);

  /** By type. */
  const countDead = (
    service: string | null,
    sinceMs: number,
  ): Promise<readonly (readonly [NamedType, number])[]> => {
    const wanted = types.filter((type) => service === null || type.service === service);
    return store
      .countDead({ types: wanted.map(({ name }) => name), sinceMs })
      .then((counts) => wanted.map((type) => [type, counts.get(type.name) ?? 0] as const));
  };

  return {
    async count() {
      const counts = new Map<string, number>();
      for (const [{ service }, devices] of await countDead(null, 0)) {
        if (devices > 0) counts.set(service, devices + (counts.get(service) ?? 0));
      }
      return [...counts].map(([service, devices]) => ({ service, devices }));
    },
    async undelete({ service, removedSinceMs: sinceMs, dryRun }) {
      const counts = await countDead(service, sinceMs);
      const total = counts.reduce((sum, [, devices]) => sum + devices, 0);
      if (dryRun) return total;
      const filter = { types: counts.map(([{ name }]) => name), sinceMs };
      let restored = 0;
      // No more than there were: what dies again while we are at it has its own time.
      for (let left = total; left > 0;) {
        const keys = await store.dead(filter, Math.min(left, PAGE_DEVICES));
        if (keys.length === 0) break;
        left -= keys.length;
        const came = await Promise.all(keys.map(restore));
        restored += came.filter((isBack) => isBack).length;
      }
      return restored;
    },
  };
}
