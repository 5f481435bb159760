import type { AccountId, ServiceId, ServiceName } from '../domain/ids.js';
import type { Push } from '../domain/push.js';
import type { Log } from '../telemetry/log.js';
import type { Metrics } from '../telemetry/metrics.js';
import type { DeadTokenGuard } from '../delivery-rules/dead-token-guard.js';
import type { SubscriptionActors } from './subscription.js';

export interface DeadTokensDeps {
  readonly accountsOfDevice: (service: ServiceName, serviceId: ServiceId) => Promise<readonly AccountId[]>;
  readonly subscriptions: Pick<SubscriptionActors, 'tokenDied'>;
  readonly guard: DeadTokenGuard;
  readonly log: Log;
  readonly metrics: Metrics;
}

export type ReportDeadToken = (push: Push, sinceMs: number | null) => void;

/** Of one device: nobody else's changes wait behind a device that somebody subscribed to thousands of accounts. */
const REMOVALS_AT_ONCE = 100;

/**
 * A provider calls a token dead: every subscription of that device goes, unless it was renewed since, or the guard
 * finds that too many devices go at once. When the store is away nothing happens: the next push will tell again.
 */
export function createDeadTokenReporter(deps: DeadTokensDeps): ReportDeadToken {
  const inProgress = new Set<string>();

  const onFailure = (): void => deps.metrics.storeFailures.of('dead-token').add();

  const remove = async (push: Push, sinceMs: number): Promise<void> => {
    const { service, device } = push;
    const accounts = await deps.accountsOfDevice(service, device.serviceId);
    if (accounts.length === 0 || !deps.guard.allow(service)) return;
    let removed = 0;
    for (let start = 0; start < accounts.length; start += REMOVALS_AT_ONCE) {
      const slice = accounts.slice(start, start + REMOVALS_AT_ONCE).map(async (account) => {
        try {
          const key = { account, service, serviceId: device.serviceId };
          if (await deps.subscriptions.tokenDied(key, sinceMs)) removed += 1;
        } catch {
          onFailure();
        }
      });
      await Promise.all(slice);
    }
    if (removed === 0) deps.guard.kept(service);
  };

  return (push, sinceMs) => {
    // A thousand dead tokens a second need not ask the database a thousand times what must not be removed.
    if (deps.guard.isAlarmed(push.service)) return;
    const id = `${push.service} ${push.device.serviceId}`;
    if (inProgress.has(id)) return;
    inProgress.add(id);
    // Without the provider's time, what was renewed after the message came in is taken for alive.
    remove(push, sinceMs ?? push.receivedAtMs)
      .catch(onFailure)
      .finally(() => inProgress.delete(id));
  };
}
