import { nowSeconds, type Clock } from '../domain/clock.js';
import type { ServiceName } from '../domain/ids.js';
import type { Subscription } from '../domain/subscription.js';
import type { DeletedLegacyDevices } from '../legacy/deleted-devices.js';
import type { Metrics } from '../telemetry/metrics.js';
import type { DeletedXmppDevices, XmppDeletedDevices } from '../xmpp-devices/deleted-devices.js';
import type { SubscriptionActors } from './subscription.js';

export interface UndeleteFilter {
  /** Null = of every service. */
  readonly service: ServiceName | null;
  /** Unix milliseconds: only what was removed then or later. */
  readonly removedSinceMs: number;
}

/** Subscriptions, not devices. */
export interface RestoredSubscriptions {
  readonly restored: number;
  /** The signature has run out, or the client has subscribed anew. */
  readonly skipped: number;
}

export interface UndeleteReport extends RestoredSubscriptions {
  /** Devices of older clients. */
  readonly legacyRestored: number;
  /** Devices of XMPP users. */
  readonly xmppRestored: number;
}

export interface UndeleteDeps {
  /** `src/store/tombstones.ts`. */
  readonly tombstones: {
    countByService(): Promise<ReadonlyMap<ServiceName, number>>;
    countRestorable(filter: UndeleteFilter, nowSeconds: number): Promise<RestoredSubscriptions>;
    restore(
      filter: UndeleteFilter,
      nowSeconds: number,
      afterId: number,
      limit: number,
    ): Promise<{
      readonly restored: readonly Subscription[];
      readonly skipped: number;
      readonly lastId: number;
    } | null>;
  };
  /** Null when no server runs in this process: then the rows are all there is. */
  readonly subscriptions: Pick<SubscriptionActors, 'reread'> | null;
  /** Of older clients (`src/legacy/deleted-devices.ts`); absent where none are served. */
  readonly legacy?: {
    count(): Promise<readonly DeletedLegacyDevices[]>;
    undelete(request: UndeleteFilter & { readonly dryRun: boolean }): Promise<number>;
  };
  /** Of XMPP users (`src/xmpp-devices/deleted-devices.ts`); absent where none are served. */
  readonly xmpp?: XmppDeletedDevices;
  readonly clock: Clock;
  readonly metrics: Metrics;
}

/**
 * What operators may do with removed devices. All reject with `StoreUnavailable`, where older clients are concerned also
 * with `ChangeNotTaken`.
 */
export interface DeletedDevices {
  /** How many subscriptions wait to be brought back or forgotten, of each service. */
  countByService(): Promise<ReadonlyMap<ServiceName, number>>;
  countLegacy(): Promise<readonly DeletedLegacyDevices[]>;
  countXmpp(): Promise<readonly DeletedXmppDevices[]>;
  /** `dryRun`: only says what would come back. */
  undelete(request: UndeleteFilter & { readonly dryRun: boolean }): Promise<UndeleteReport>;
}

export const createDeletedDevices = (deps: UndeleteDeps): DeletedDevices => ({
  countByService: () => deps.tombstones.countByService(),
  countLegacy: () => deps.legacy?.count() ?? Promise.resolve([]),
  countXmpp: () => deps.xmpp?.count() ?? Promise.resolve([]),
  async undelete({ dryRun, ...filter }) {
    const subscriptions = dryRun
      ? await deps.tombstones.countRestorable(filter, nowSeconds(deps.clock))
      : await undelete(deps, filter);
    const legacyRestored = (await deps.legacy?.undelete({ ...filter, dryRun })) ?? 0;
    const xmppRestored = (await deps.xmpp?.undelete({ ...filter, dryRun })) ?? 0;
    return { ...subscriptions, legacyRestored, xmppRestored };
  },
});

/** Each row may come with 100 kB of service data. */
const PAGE_ROWS = 100;

/**
 * Brings back what was removed because a provider called its device dead: page by page, each committed and then taken
 * up by the subscription actors, which look at the row again, since a client may change it at the same moment. Rejects
 * with `StoreUnavailable`; what was restored until then is restored, and the same call goes on from there.
 */
export async function undelete(deps: UndeleteDeps, filter: UndeleteFilter): Promise<RestoredSubscriptions> {
  let restored = 0;
  let skipped = 0;
  let afterId = 0;
  for (;;) {
    const page = await deps.tombstones.restore(filter, nowSeconds(deps.clock), afterId, PAGE_ROWS);
    if (page === null) return { restored, skipped };
    afterId = page.lastId;
    skipped += page.skipped;
    restored += page.restored.length;
    deps.metrics.subscriptionChanges.of('restored').add(page.restored.length);
    const { subscriptions } = deps;
    if (subscriptions !== null) await Promise.all(page.restored.map((key) => subscriptions.reread(key)));
  }
}
