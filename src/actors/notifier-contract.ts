import type { BreakerState } from '../delivery-rules/circuit-breaker.js';
import type { RetryDecision } from '../delivery-rules/retry-schedule.js';
import type { Clock } from '../domain/clock.js';
import type { Push } from '../domain/push.js';
import type { Notifier } from '../notifiers/port.js';
import type { Outbox } from '../outbox/port.js';
import type { Log } from '../telemetry/log.js';
import type { Metrics } from '../telemetry/metrics.js';
import type { ReportDeadToken } from './dead-tokens.js';
import type { OnFate } from './held-push.js';

export interface NotifierActorOptions {
  /** Pushes that this notifier may hold in memory, waiting or in flight; as many again may be held by pacing. */
  readonly credits: number;
  /** Bytes that these may have in payloads and service data. Default 64 MiB; only unsealed pushes come near it. */
  readonly maxHeldBytes?: number;
  /** Rows fetched from the outbox at once. */
  readonly outboxBatch: number;
  /** How often the outbox is asked for due pushes. */
  readonly outboxPollMs: number;
  readonly breakerFailures: number;
  readonly breakerProbeMs: number;
  /** A pause never lasts longer, whatever the provider says. */
  readonly maxPauseMs: number;
  /** Lower end of the window of pushes in flight; its upper end is the notifier's `maxInFlight`. Default 8. */
  readonly windowMin?: number;
  /** What waits in memory goes to the outbox when the provider holds us back for longer than this. Default 1000. */
  readonly spillAfterMs?: number;
  /** `journal`: a push is in the outbox before it is sent, and none is sent while the database is away. Default `spill`. */
  readonly durability?: 'spill' | 'journal';
  /** At most one push per device in this time; 0 (default) = no pacing. */
  readonly paceSeconds?: number;
  /** Devices whose last push pacing remembers. Default 100,000. */
  readonly paceMaxDevices?: number;
}

export interface NotifierActorDeps {
  readonly outbox: Outbox;
  /** When a push that failed may be tried again; `give-up` when its attempts or its time are over. */
  readonly nextAttempt: (push: Push, afterMs: number | null) => RetryDecision;
  /** The push has ended by then. */
  readonly onDeadToken: ReportDeadToken;
  readonly onDelivered: (push: Push) => void;
  /** The push will not be sent again, though nothing is wrong with its token. */
  readonly onGivenUp: (push: Push) => void;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
}

export interface NotifierActorStatus {
  /** Pushes in memory, without those held by pacing. */
  readonly held: number;
  /** Of these: not yet sent. */
  readonly waiting: number;
  readonly inFlight: number;
  /** Held until their device may get another one; they take no credit. */
  readonly paced: number;
  /** Pushes that may be in flight, now and at most. */
  readonly window: number;
  readonly windowMax: number;
  readonly pausedUntilMs: number | null;
  readonly breaker: BreakerState;
}

/** The outside of a notifier actor. */
export interface NotifierActor {
  readonly notifier: Notifier;
  /**
   * Hands a push over, synchronously: true = taken, false = no credit, paused, or broken: it must wait elsewhere.
   * `onFate` is called once if it was taken, and never otherwise.
   */
  offer(push: Push, onFate?: OnFate): boolean;
  /** Something for this notifier waits in the outbox, or will in a moment; from `dueAtMs` on, where that is later. */
  expectOutbox(dueAtMs?: number): void;
  /** Until when the provider (or our breaker) wants nothing to be sent, Unix milliseconds; null when it may be. */
  heldUntilMs(): number | null;
  status(): NotifierActorStatus;
  /** Takes nothing more and settles when nothing is held any more; at `deadline` the rest goes to the outbox. */
  drain(deadline: AbortSignal): Promise<void>;
}
