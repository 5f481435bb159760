import { assertNever } from '../domain/assert-never.js';
import type { Clock } from '../domain/clock.js';
import type { Outcome } from '../domain/outcome.js';
import type { Push } from '../domain/push.js';
import type { Notifier } from '../notifiers/port.js';
import type { RetryDecision } from '../delivery-rules/retry-schedule.js';
import type { Outbox } from '../outbox/port.js';
import type { Log } from '../telemetry/log.js';
import type { Metrics } from '../telemetry/metrics.js';
import { SampledLog } from '../telemetry/sampled-log.js';
import { CircuitBreaker, type BreakerState } from '../delivery-rules/circuit-breaker.js';
import type { Actor, ActorSystem } from './spawn.js';

export interface NotifierActorOptions {
  /** Pushes that this notifier may hold in memory, waiting or in flight. */
  readonly credits: number;
  /** Rows fetched from the outbox at once. */
  readonly outboxBatch: number;
  /** How often the outbox is asked for due pushes. */
  readonly outboxPollMs: number;
  readonly breakerFailures: number;
  readonly breakerProbeMs: number;
  /** A pause never lasts longer, whatever the provider says. */
  readonly maxPauseMs: number;
}

export interface NotifierActorDeps {
  readonly outbox: Outbox;
  /** When a push that failed may be tried again; `give-up` when its attempts or its time are over. */
  readonly nextAttempt: (push: Push, afterMs: number | null) => RetryDecision;
  readonly onDeadToken: (push: Push, sinceMs: number | null) => void;
  readonly onDelivered: (push: Push) => void;
  /** The push will not be sent again, though nothing is wrong with its token. */
  readonly onGivenUp: (push: Push) => void;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
}

export interface NotifierActorStatus {
  /** Pushes in memory. */
  readonly held: number;
  readonly inFlight: number;
  readonly pausedUntilMs: number | null;
  readonly breaker: BreakerState;
}

/** The outside of a notifier actor. */
export interface NotifierActor {
  readonly notifier: Notifier;
  /** Hands a push over, synchronously: true = taken, false = no credit, paused, or broken: it must wait elsewhere. */
  offer(push: Push): boolean;
  /** Something for this notifier waits in the outbox. */
  expectOutbox(): void;
  status(): NotifierActorStatus;
  /** Takes nothing more and settles when nothing is held any more; at `deadline` the rest goes to the outbox. */
  drain(deadline: AbortSignal): Promise<void>;
}

/** For a provider that says "slow down" without saying for how long: doubled until something is delivered. */
const FIRST_PAUSE_MS = 1000;
const LONGEST_UNASKED_PAUSE_MS = 60_000;

interface Settled {
  readonly push: Push;
  readonly outcome: Outcome;
}

type NotifierMessage =
  | { readonly kind: 'arrived'; readonly pushes: Push[] }
  | { readonly kind: 'settled'; readonly settled: Settled[] }
  | { readonly kind: 'claimed'; readonly pushes: Push[] }
  | { readonly kind: 'claim-failed' }
  | { readonly kind: 'tick' }
  | { readonly kind: 'drain-deadline' };

/*
 * One notifier: credits (what may be in memory), window (what may be at the provider), pause, breaker, outbox feed.
 *
 *   offer ──credit──► queue ──window──► provider ──► outcome ──► delivered | dead token | dropped    credit back
 *     │                 ▲                              └───────► retry ──► outbox (later)            credit back
 *     └─none─► outbox ──┘ claimed when credits are free, in order of due time
 *
 * `offer` is a plain call that touches only the credit counter and a list; everything else happens in the actor, many
 * pushes to a message, because a message costs a turn of the event loop.
 */
export function createNotifierActor(
  system: ActorSystem,
  notifier: Notifier,
  options: NotifierActorOptions,
  deps: NotifierActorDeps,
): NotifierActor {
  const { outbox, clock, log, metrics } = deps;
  const service = notifier.service;
  const window = Math.max(1, notifier.capabilities.maxInFlight);
  const breaker = new CircuitBreaker({
    failures: options.breakerFailures,
    probeAfterMs: options.breakerProbeMs,
  });
  const sampled = new SampledLog(clock);
  const abort = new AbortController();
  const accepted = metrics.pushesAccepted.of(service);
  const delivered = metrics.delivered.of(service);
  const latency = metrics.pushLatency.labels(service);

  let held = 0;
  let inFlight = 0;
  let queue: Push[] = [];
  let queueHead = 0;
  let pausedUntilMs = 0;
  let nextPauseMs = FIRST_PAUSE_MS;
  /** Since the provider last held us back. */
  let hasDelivered = false;
  let outboxMayWait = true;
  /** Credits set aside for the claim under way; 0 when there is none. */
  let claiming = 0;
  let draining = false;
  let drained: (() => void) | null = null;
  /** What arrived or settled since the actor was last told; null when nothing is on its way to it. */
  let arriving: Push[] | null = null;
  let settling: Settled[] | null = null;

  // No pause is that long: then the clock was put back.
  const isPaused = (now: number): boolean => now < pausedUntilMs && pausedUntilMs - now <= options.maxPauseMs;

  const isHeldBack = (now: number): boolean => isPaused(now) || breaker.state(now) === 'open';

  const offer = (push: Push): boolean => {
    if (draining || held >= options.credits || isHeldBack(clock.nowMs())) return false;
    held += 1;
    accepted.add();
    if (arriving === null) {
      arriving = [push];
      actor.tell({ kind: 'arrived', pushes: arriving });
    } else {
      arriving.push(push);
    }
    return true;
  };

  const settle = (push: Push, outcome: Outcome): void => {
    if (settling === null) {
      settling = [{ push, outcome }];
      actor.tell({ kind: 'settled', settled: settling });
    } else {
      settling.push({ push, outcome });
    }
  };

  const send = (push: Push): void => {
    inFlight += 1;
    // The port forbids it; a broken notifier must still not lose a push.
    const broken = (): void =>
      settle(push, { kind: 'retry', reason: 'internal', cause: 'transport', afterMs: null, scope: 'push' });
    try {
      notifier.send(push, abort.signal).then((outcome) => settle(push, outcome), broken);
    } catch {
      broken();
    }
  };

  const pump = (now: number): void => {
    // Stopping, with no time left or a provider that wants to be left alone: what waits is better off in the outbox.
    if (draining && (abort.signal.aborted || isHeldBack(now))) spillQueue(now);
    // While probing, a single push asks whether the provider is back.
    const limit = breaker.state(now) === 'probing' ? 1 : window;
    while (inFlight < limit && queueHead < queue.length && !isHeldBack(now)) {
      const push = queue[queueHead] as Push;
      queueHead += 1;
      if (push.expiresAtMs <= now) {
        metrics.pushesExpired.of(service).add();
        end(push);
      } else {
        send(push);
      }
    }
    if (queueHead === queue.length) {
      queue = [];
      queueHead = 0;
    } else if (queueHead > 1024) {
      queue = queue.slice(queueHead);
      queueHead = 0;
    }
    feed(now);
    if (draining && held === 0) drained?.();
  };

  /** The push is done with: its credit is free, its row (if it had one) goes. */
  const end = (push: Push): void => {
    held -= 1;
    if (push.outboxId !== null) outbox.settle(push.outboxId);
  };

  const putAside = (push: Push, dueAtMs: number): void => {
    held -= 1;
    const lost = (): void => metrics.pushesLost.of(service).add();
    if (!outbox.put({ push, dueAtMs, onLost: lost })) lost();
  };

  const retryLater = (
    push: Push,
    outcome: Extract<Outcome, { kind: 'retry' | 'misconfigured' }>,
    now: number,
  ): void => {
    const afterMs = outcome.kind === 'retry' ? outcome.afterMs : null;
    // A provider that is away or refuses everybody says nothing about this push: it may wait until it expires. Where
    // others are delivered in between it counts, or one push could hold up the rest for as long as it lives.
    const isOutage = isHeldBack(now) && !hasDelivered;
    if (isHeldBack(now)) hasDelivered = false;
    const next = isOutage ? push : { ...push, attempts: push.attempts + 1 };
    const decision = deps.nextAttempt(next, afterMs);
    if (decision.kind === 'give-up') {
      metrics.dropped.of(service).add();
      deps.onGivenUp(push);
      end(push);
      return;
    }
    metrics.retried.of(service).add();
    putAside(next, decision.dueAtMs);
  };

  const pause = (now: number, afterMs: number | null): void => {
    // One pause for all that were in flight together.
    if (afterMs === null && isPaused(now)) return;
    pausedUntilMs = Math.max(
      isPaused(now) ? pausedUntilMs : 0,
      now + Math.min(afterMs ?? nextPauseMs, options.maxPauseMs),
    );
    if (afterMs === null) nextPauseMs = Math.min(nextPauseMs * 2, LONGEST_UNASKED_PAUSE_MS);
  };

  const conclude = ({ push, outcome }: Settled, now: number): void => {
    inFlight -= 1;
    // Refused for our settings is as good as not answered: ask now and then, not a thousand times a second.
    if (outcome.kind === 'misconfigured' || (outcome.kind === 'retry' && outcome.cause === 'transport'))
      breaker.failed(now);
    else breaker.succeeded();
    switch (outcome.kind) {
      case 'delivered':
        delivered.add();
        latency.observe((now - push.receivedAtMs) / 1000);
        nextPauseMs = FIRST_PAUSE_MS;
        hasDelivered = true;
        deps.onDelivered(push);
        end(push);
        return;
      case 'dead-token':
        metrics.deadTokens.of(service).add();
        deps.onDeadToken(push, outcome.sinceMs);
        end(push);
        return;
      case 'dropped':
        metrics.dropped.of(service).add();
        deps.onGivenUp(push);
        sampled.note(`dropped ${outcome.reason}`, (occurrences) =>
          log.warn({ notifier: service, reason: outcome.reason, occurrences }, 'push dropped'),
        );
        end(push);
        return;
      case 'misconfigured':
        metrics.misconfigured.of(service).add();
        sampled.note('misconfigured', (occurrences) =>
          log.error(
            { notifier: service, reason: outcome.reason, occurrences },
            'the provider refuses our settings',
          ),
        );
        retryLater(push, outcome, now);
        return;
      case 'retry':
        if (outcome.scope === 'notifier') pause(now, outcome.afterMs);
        sampled.note(`retry ${outcome.cause}`, (occurrences) =>
          log.warn(
            { notifier: service, reason: outcome.reason, cause: outcome.cause, occurrences },
            'push to be repeated',
          ),
        );
        retryLater(push, outcome, now);
        return;
      case 'postponed':
        metrics.retried.of(service).add();
        putAside(push, now + outcome.afterMs);
        return;
      default:
        assertNever(outcome);
    }
  };

  /** Fetches what is due from the outbox, into at most half of the free credits: fresh pushes keep the rest. */
  const feed = (now: number): void => {
    if (!outboxMayWait || claiming > 0 || draining || isHeldBack(now)) return;
    const room = Math.min(options.outboxBatch, Math.ceil((options.credits - held) / 2));
    const worthwhile = Math.min(options.outboxBatch, Math.ceil(options.credits / 4));
    if (room < 1 || (room < worthwhile && held > 0)) return;
    claiming = room;
    held += room;
    outbox.claim(service, room).then(
      (pushes) => actor.tell({ kind: 'claimed', pushes }),
      () => actor.tell({ kind: 'claim-failed' }),
    );
  };

  const endClaim = (): void => {
    held -= claiming;
    claiming = 0;
  };

  const handle = (_state: null, message: NotifierMessage): null => {
    const now = clock.nowMs();
    switch (message.kind) {
      case 'arrived':
        arriving = null;
        for (const push of message.pushes) queue.push(push);
        break;
      case 'settled':
        settling = null;
        for (const settled of message.settled) conclude(settled, now);
        break;
      case 'claimed':
        // Fewer than asked for: nothing more is due now; the tick looks again.
        if (message.pushes.length < claiming) outboxMayWait = false;
        endClaim();
        held += message.pushes.length;
        for (const push of message.pushes) queue.push(push);
        break;
      case 'claim-failed':
        endClaim();
        outboxMayWait = false;
        break;
      case 'tick':
        outboxMayWait = true;
        break;
      case 'drain-deadline':
        abort.abort();
        // A database that hangs must not hold up the stop. Rows that it still hands out go back when they arrive, or,
        // when that is after the end of this actor, at the next start.
        endClaim();
        break;
      default:
        assertNever(message);
    }
    pump(now);
    return null;
  };

  /** Everything that waits in memory goes where it survives us. */
  const spillQueue = (now: number): void => {
    for (const push of queue.slice(queueHead)) putAside(push, now);
    queue = [];
    queueHead = 0;
  };

  const actor: Actor<NotifierMessage> = system.spawn<NotifierMessage, null>({
    name: `notifier-${Buffer.from(service).toString('hex')}`,
    kind: 'notifier',
    initial: null,
    handle,
  });
  const ticker = setInterval(() => actor.tell({ kind: 'tick' }), options.outboxPollMs);

  return {
    notifier,
    offer,
    expectOutbox() {
      outboxMayWait = true;
    },
    status: () => ({
      held,
      inFlight,
      pausedUntilMs: isPaused(clock.nowMs()) ? pausedUntilMs : null,
      breaker: breaker.state(clock.nowMs()),
    }),
    async drain(deadline) {
      draining = true;
      clearInterval(ticker);
      const finished = new Promise<void>((resolve) => (drained = resolve));
      const onDeadline = (): void => void actor.tell({ kind: 'drain-deadline' });
      if (deadline.aborted) onDeadline();
      else deadline.addEventListener('abort', onDeadline, { once: true });
      actor.tell({ kind: 'tick' });
      await finished;
      await actor.stop();
      await notifier.close();
    },
  };
}
