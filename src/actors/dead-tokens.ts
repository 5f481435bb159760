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

/**
 * A provider calls a token dead: every subscription of that device goes, unless it was renewed since, or the guard
 * finds that too many go at once. When the store is away nothing happens: the next push will tell again.
 */
export function createDeadTokenReporter(deps: DeadTokensDeps): ReportDeadToken {
  const inProgress = new Set<string>();

  const onFailure = (): void => deps.metrics.storeFailures.of('dead-token').add();

  const remove = async (push: Push, sinceMs: number): Promise<void> => {
    const { service, device } = push;
    for (const account of await deps.accountsOfDevice(service, device.serviceId)) {
      if (!deps.guard.allow(service)) return;
      const key = { account, service, serviceId: device.serviceId };
      const onKept = (): void => deps.guard.kept(service);
      deps.subscriptions.tokenDied(
        key,
        sinceMs,
        () => {
          onFailure();
          onKept();
        },
        onKept,
      );
    }
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
