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
import type { OnFate } from './held-push.js';
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
   * For a source that must answer for the push: offered, or else put into the outbox. `onFate` is called exactly once,
   * perhaps before this returns.
   */
  deliver(push: Push, onFate: OnFate): void;
  /** As `deliver`, but into the outbox in any case, and not sent before `dueAtMs` (Unix milliseconds). */
  defer(push: Push, dueAtMs: number, onFate: OnFate): void;
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

  const store = (
    push: Push,
    onLost: () => void,
    onStored: (() => void) | null,
    dueAtMs = actors.get(push.service)?.heldUntilMs() ?? clock.nowMs(),
  ): boolean =>
    outbox.put({
      push,
      dueAtMs,
      // Older clients are told when there is no room, and come again; storage nodes do not.
      isRepeatable: push.content.kind === 'legacy',
      onLost,
      ...(onStored === null ? {} : { onStored }),
    });

  /** To the outbox, with a source that waits for an answer. */
  const storeFor = (
    push: Push,
    onFate: OnFate,
    dueAtMs: number | undefined,
    onStored: () => void,
  ): boolean => {
    const onLost = (): void => {
      metrics.pushesLost.of(push.service).add();
      onFate('lost');
    };
    const stored = (): void => {
      onStored();
      onFate('stored');
    };
    if (store(push, onLost, stored, dueAtMs)) return true;
    onLost();
    return false;
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
    spill(push, onLost) {
      const isTaken = store(push, onLost, null);
      if (isTaken) actors.get(push.service)?.expectOutbox();
      return isTaken;
    },
    deliver(push, onFate) {
      const { service } = push;
      const actor = actors.get(service);
      if (actor?.offer(push, onFate) === true) return;
      if (isForNobody(service)) {
        onFate('no-notifier');
        return;
      }
      if (!storeFor(push, onFate, undefined, () => undefined)) return;
      actor?.expectOutbox();
      metrics.pushesSpilled.of(service).add();
    },
    defer(push, wantedMs, onFate) {
      const { service } = push;
      if (isForNobody(service)) {
        onFate('no-notifier');
        return;
      }
      const dueAtMs = Math.max(wantedMs, actors.get(service)?.heldUntilMs() ?? 0);
      if (push.expiresAtMs <= dueAtMs) {
        metrics.pushesExpired.of(service).add();
        onFate('expired');
        return;
      }
      // When it is committed: a claim before would not see it. The notifier may have come meanwhile.
      storeFor(push, onFate, dueAtMs, () => actors.get(service)?.expectOutbox(dueAtMs));
    },
    async drain(deadline) {
      isDraining = true;
      // All of them to their end, whatever one of them does: the outbox is closed right after.
      const drained = await Promise.allSettled([...actors.values()].map((actor) => actor.drain(deadline)));
      for (const result of drained) if (result.status === 'rejected') throw result.reason;
    },
  };
}
