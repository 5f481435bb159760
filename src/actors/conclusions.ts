import type { SendingLimits } from '../delivery-rules/sending-limits.js';
import type { RetryDecision } from '../delivery-rules/retry-schedule.js';
import { assertNever } from '../domain/assert-never.js';
import type { Clock } from '../domain/clock.js';
import type { ServiceName } from '../domain/ids.js';
import type { Outcome } from '../domain/outcome.js';
import type { Push, PushFate } from '../domain/push.js';
import type { Log } from '../telemetry/log.js';
import type { Metrics } from '../telemetry/metrics.js';
import { SampledLog } from '../telemetry/sampled-log.js';
import type { Tally } from '../telemetry/tally.js';
import type { ReportDeadToken } from './dead-tokens.js';
import type { HeldPush } from './held-push.js';
import type { PutAside } from './put-aside.js';

export interface ConclusionDeps {
  readonly service: ServiceName;
  readonly limits: SendingLimits;
  readonly aside: PutAside;
  /** The push is done with: its credit is free, its row (if it had one) goes. */
  readonly free: (held: HeldPush) => void;
  /** Tells the source of a push, where it wants to know; never throws. */
  readonly answer: (held: HeldPush, fate: PushFate) => void;
  readonly nextAttempt: (push: Push, afterMs: number | null) => RetryDecision;
  readonly onDeadToken: ReportDeadToken;
  readonly onDelivered: (push: Push) => void;
  readonly onGivenUp: (push: Push) => void;
  /** Requests are broken off by us, because a stop has no more time for them. */
  readonly isBreakingOff: () => boolean;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** A notifier that postpones without a time must not turn the outbox into a busy loop. */
const SHORTEST_POSTPONEMENT_MS = 50;

/** What follows from an outcome for the push that it is about. What follows for the provider is in `SendingLimits`. */
export class Conclusions {
  readonly #sampled: SampledLog;
  readonly #delivered: Tally;
  readonly #latency: { observe(seconds: number): void };
  /** Since the provider last held us back. */
  #hasDelivered = false;

  constructor(private readonly deps: ConclusionDeps) {
    const { service, metrics } = deps;
    this.#sampled = new SampledLog(deps.clock);
    this.#delivered = metrics.delivered.of(service);
    this.#latency = metrics.pushLatency.labels(service);
  }

  /** After the limits have learned of the outcome. */
  draw(held: HeldPush, outcome: Outcome, nowMs: number): void {
    const { service, metrics, log } = this.deps;
    const { push } = held;
    switch (outcome.kind) {
      case 'delivered':
        this.#hasDelivered = true;
        this.#end(held, 'delivered');
        this.#delivered.add();
        this.#latency.observe((nowMs - push.receivedAtMs) / 1000);
        this.deps.onDelivered(push);
        return;
      case 'dead-token':
        this.deps.free(held);
        metrics.deadTokens.of(service).add();
        if (outcome.mayBeOurs === true && push.content.kind === 'wake') {
          this.#doubt(held, outcome.reason);
          return;
        }
        if (held.onFate === null) void this.deps.onDeadToken(push, outcome.sinceMs);
        else void this.#answerForDeadToken(held, outcome.sinceMs);
        return;
      case 'dropped':
        this.#giveUp(held);
        this.#sampled.note(`dropped ${outcome.reason}`, (occurrences) =>
          log.warn({ notifier: service, reason: outcome.reason, occurrences }, 'push dropped'),
        );
        return;
      case 'misconfigured':
        this.#retryLater(held, null, nowMs);
        metrics.misconfigured.of(service).add();
        this.#sampled.note('misconfigured', (occurrences) =>
          log.error(
            { notifier: service, reason: outcome.reason, occurrences },
            'the provider refuses our settings',
          ),
        );
        return;
      case 'retry':
        this.#retryLater(held, outcome.afterMs, nowMs);
        this.#sampled.note(`retry ${outcome.cause}`, (occurrences) =>
          log.warn(
            { notifier: service, reason: outcome.reason, cause: outcome.cause, occurrences },
            'push to be repeated',
          ),
        );
        return;
      case 'postponed':
        this.#postpone(held, nowMs + Math.max(outcome.afterMs, SHORTEST_POSTPONEMENT_MS));
        return;
      default:
        assertNever(outcome);
    }
  }

  /** Whether its time is over; then it has ended. */
  endIfExpired(held: HeldPush, atMs: number): boolean {
    if (held.push.expiresAtMs > atMs) return false;
    this.#end(held, 'expired');
    this.deps.metrics.pushesExpired.of(this.deps.service).add();
    return true;
  }

  #end(held: HeldPush, fate: PushFate): void {
    this.deps.free(held);
    if (held.onFate !== null) this.deps.answer(held, fate);
  }

  /**
   * Other clients subscribe again. Those of XMPP servers hear nothing of it when their registration ends there: the first
   * few, which the guard against mass deletion always lets go, would be all devices of a small server.
   */
  #doubt(held: HeldPush, reason: string): void {
    const { service, answer, log } = this.deps;
    this.#sampled.note('doubt', (occurrences) =>
      log.error(
        { notifier: service, reason, occurrences },
        'the provider calls a token dead and has not taken any yet: the device is kept, compare the settings',
      ),
    );
    answer(held, 'token-kept');
  }

  /** Its source may take the device for gone for ever, so it hears of it when what held the token is gone. */
  async #answerForDeadToken(held: HeldPush, sinceMs: number | null): Promise<void> {
    const { service, onDeadToken, answer, log, metrics } = this.deps;
    let isGone = false;
    try {
      isGone = await onDeadToken(held.push, sinceMs);
    } catch (error) {
      metrics.actorFailures.of('notifier').add();
      log.error(
        { notifier: service, fault: error instanceof Error ? error.name : typeof error },
        'a dead token could not be reported',
      );
    }
    answer(held, isGone ? 'dead-token' : 'token-kept');
  }

  #postpone(held: HeldPush, dueAtMs: number): void {
    if (this.endIfExpired(held, dueAtMs)) return;
    this.deps.metrics.pushesPostponed.of(this.deps.service).add();
    this.deps.aside.put(held, dueAtMs);
  }

  #retryLater(held: HeldPush, afterMs: number | null, nowMs: number): void {
    const { push } = held;
    const isHeldBack = this.deps.limits.heldUntilMs(nowMs) !== null;
    // A provider that is away or refuses everybody says nothing about this push: it may wait until it expires. Where
    // others are delivered in between it counts, or one push could hold up the rest for as long as it lives.
    const isOutage = isHeldBack && !this.#hasDelivered;
    if (isHeldBack) this.#hasDelivered = false;
    // Nor does a request that we broke off: its last attempt would end with our stop.
    const next = isOutage || this.deps.isBreakingOff() ? push : { ...push, attempts: push.attempts + 1 };
    const decision = this.deps.nextAttempt(next, afterMs);
    if (decision.kind === 'give-up') {
      this.#giveUp(held);
      return;
    }
    this.deps.metrics.retried.of(this.deps.service).add();
    this.deps.aside.put(held, decision.dueAtMs, next);
  }

  #giveUp(held: HeldPush): void {
    this.#end(held, 'given-up');
    this.deps.metrics.dropped.of(this.deps.service).add();
    this.deps.onGivenUp(held.push);
  }
}
