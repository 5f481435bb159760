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
import type { OnSafe } from './held-push.js';
import { createNotifierActor } from './notifier.js';
import type { NotifierActor, NotifierActorOptions } from './notifier-contract.js';
import type { ActorSystem } from './spawn.js';

export interface DeliveryDeps {
  readonly system: ActorSystem;
  /** Those that are there from the start; `Delivery.add` takes further ones. */
  readonly notifiers: ReadonlyMap<ServiceName, Notifier>;
  /**
   * Services whose notifier may come, though it is not here: named by the configuration but not started, or an
   * external one that registered in an earlier run. Asked only for services without a notifier.
   */
  readonly isKnown: (service: ServiceName) => boolean;
  readonly outbox: Outbox;
  readonly reportDeadToken: ReportDeadToken;
  readonly statistics: Statistics;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
}

export interface DeliveryOptions {
  /** For every notifier. */
  readonly actor: NotifierActorOptions;
  /** Of the notifier's own entry; 0 = no pacing. Default: `actor.paceSeconds` for all. */
  readonly paceSecondsOf?: (service: ServiceName) => number;
  readonly retries: RetrySchedule;
}

/** All notifier actors behind a few functions for the sources of pushes. */
export interface Delivery {
  /** Live: grows by `add`. */
  readonly actors: ReadonlyMap<ServiceName, NotifierActor>;
  /** A notifier that came later, such as an external one. Nothing happens for a service that has one, or after `drain`. */
  add(notifier: Notifier): void;
  /**
   * False: the service's notifier has no credit, is paused, or is not there. A push for a service that nobody knows
   * is taken and dropped, counted as lost: nobody would ever come for it.
   */
  offer(push: Push): boolean;
  /** To the outbox, due when its notifier may send again. False when there is no room. */
  spill(push: Push, onLost: () => void): boolean;
  /**
   * For a source that must answer whether the push is safe: offered, or else put into the outbox. `onSafe` is called
   * exactly once, perhaps before this returns: true when the push is delivered, in the outbox, or has ended for good
   * (dead token, dropped, expired); false when it could not be kept and the source must try again.
   */
  deliver(push: Push, onSafe: OnSafe): void;
  /** Waits for what is held, until the deadline; then the rest is in the outbox's hands. */
  drain(deadline: AbortSignal): Promise<void>;
}

export function createDelivery(deps: DeliveryDeps, options: DeliveryOptions): Delivery {
  const { outbox, statistics, clock, log, metrics } = deps;
  const actors = new Map<ServiceName, NotifierActor>();
  let isDraining = false;

  const start = (service: ServiceName, notifier: Notifier): void => {
    const paceSeconds = options.paceSecondsOf?.(service) ?? options.actor.paceSeconds ?? 0;
    const actor = createNotifierActor(
      deps.system,
      notifier,
      { ...options.actor, paceSeconds },
      {
        outbox,
        nextAttempt: ({ attempts, expiresAtMs }, afterMs) =>
          scheduleRetry(
            options.retries,
            { attempts, expiresAtMs, afterMs, nowMs: clock.nowMs() },
            deps.random,
          ),
        onDeadToken: deps.reportDeadToken,
        onDelivered: (push) => statistics.delivered(service, push.attempts),
        onGivenUp: () => statistics.failed(service),
        clock,
        log,
        metrics,
      },
    );
    actors.set(service, actor);
  };
  for (const [service, notifier] of deps.notifiers) start(service, notifier);

  /** Dropped at once, as lost. */
  const isForNobody = (service: ServiceName): boolean => {
    if (actors.has(service) || deps.isKnown(service)) return false;
    metrics.pushesLost.of(service).add();
    return true;
  };

  const store = (push: Push, onLost: () => void, onStored: (() => void) | null): boolean => {
    const actor = actors.get(push.service);
    const dueAtMs = actor?.heldUntilMs() ?? clock.nowMs();
    const taken = outbox.put({
      push,
      dueAtMs,
      // Older clients are told when there is no room, and come again; storage nodes do not.
      isRepeatable: push.content.kind === 'legacy',
      onLost,
      ...(onStored === null ? {} : { onStored }),
    });
    if (taken) actor?.expectOutbox();
    return taken;
  };

  return {
    actors,
    add(notifier) {
      if (isDraining || actors.has(notifier.service)) return;
      start(notifier.service, notifier);
      actors.get(notifier.service)?.expectOutbox();
    },
    offer(push) {
      const actor = actors.get(push.service);
      return actor === undefined ? isForNobody(push.service) : actor.offer(push);
    },
    spill: (push, onLost) => store(push, onLost, null),
    deliver(push, onSafe) {
      const { service } = push;
      if (actors.get(service)?.offer(push, onSafe) === true) return;
      if (isForNobody(service)) {
        onSafe(true);
        return;
      }
      const onLost = (): void => {
        metrics.pushesLost.of(service).add();
        onSafe(false);
      };
      if (store(push, onLost, () => onSafe(true))) metrics.pushesSpilled.of(service).add();
      else onLost();
    },
    async drain(deadline) {
      isDraining = true;
      // All of them to their end, whatever one of them does: the outbox is closed right after.
      const drained = await Promise.allSettled([...actors.values()].map((actor) => actor.drain(deadline)));
      for (const result of drained) if (result.status === 'rejected') throw result.reason;
    },
  };
}
