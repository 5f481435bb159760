import type { Clock } from '../domain/clock.js';
import type { ServiceName } from '../domain/ids.js';
import type { Push } from '../domain/push.js';
import type { Random } from '../domain/random.js';
import type { Notifier } from '../notifiers/port.js';
import { scheduleRetry, type RetrySchedule } from '../delivery-rules/retry-schedule.js';
import type { Outbox } from '../outbox/port.js';
import type { Log } from '../telemetry/log.js';
import type { Metrics } from '../telemetry/metrics.js';
import type { Statistics } from '../telemetry/statistics.js';
import type { ReportDeadToken } from './dead-tokens.js';
import { createNotifierActor, type NotifierActor, type NotifierActorOptions } from './notifier.js';
import type { ActorSystem } from './spawn.js';

export interface DeliveryDeps {
  readonly system: ActorSystem;
  readonly notifiers: ReadonlyMap<ServiceName, Notifier>;
  /** Services that the configuration names, started or not. */
  readonly configured: ReadonlySet<string>;
  readonly outbox: Outbox;
  readonly reportDeadToken: ReportDeadToken;
  readonly statistics: Statistics;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
}

export interface DeliveryOptions {
  readonly actor: NotifierActorOptions;
  readonly retries: RetrySchedule;
}

/** All notifier actors behind one pair of functions for the pipeline. */
export interface Delivery {
  readonly actors: ReadonlyMap<ServiceName, NotifierActor>;
  /**
   * False: the service's notifier has no credit, is paused, or could not be started. A push for a service that the
   * configuration does not name at all is taken and dropped, counted as lost: nobody would ever come for it.
   */
  offer(push: Push): boolean;
  /** To the outbox, due at once. False when there is no room. */
  spill(push: Push, onLost: () => void): boolean;
  /** Waits for what is held, until the deadline; then the rest is in the outbox's hands. */
  drain(deadline: AbortSignal): Promise<void>;
}

export function createDelivery(deps: DeliveryDeps, options: DeliveryOptions): Delivery {
  const { outbox, statistics, clock, log, metrics } = deps;
  const actors = new Map<ServiceName, NotifierActor>();
  for (const [service, notifier] of deps.notifiers) {
    const actor = createNotifierActor(deps.system, notifier, options.actor, {
      outbox,
      nextAttempt: ({ attempts, expiresAtMs }, afterMs) =>
        scheduleRetry(options.retries, { attempts, expiresAtMs, afterMs, nowMs: clock.nowMs() }, deps.random),
      onDeadToken: deps.reportDeadToken,
      onDelivered: (push) => statistics.delivered(service, push.attempts),
      onGivenUp: () => statistics.failed(service),
      clock,
      log,
      metrics,
    });
    actors.set(service, actor);
  }
  return {
    actors,
    offer(push) {
      const actor = actors.get(push.service);
      if (actor !== undefined) return actor.offer(push);
      if (deps.configured.has(push.service)) return false;
      metrics.pushesLost.of(push.service).add();
      return true;
    },
    spill(push, onLost) {
      const taken = outbox.put({ push, dueAtMs: clock.nowMs(), onLost });
      if (taken) actors.get(push.service)?.expectOutbox();
      return taken;
    },
    async drain(deadline) {
      // All of them to their end, whatever one of them does: the outbox is closed right after.
      const drained = await Promise.allSettled([...actors.values()].map((actor) => actor.drain(deadline)));
      for (const result of drained) if (result.status === 'rejected') throw result.reason;
    },
  };
}
