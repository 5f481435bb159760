import type { Outcome } from '../domain/outcome.js';
import type { HttpFailure } from './http-client.js';
import type { GateResult } from './origin-gates.js';

/** What an answer means for the push, for its endpoint, and for everything that goes to the same push service. */
export interface Verdict {
  readonly outcome: Outcome;
  readonly origin: GateResult;
  /** No request to this endpoint for so long; 0 = no pause. */
  readonly pauseEndpointMs: number;
}

/** The push service took it. */
export const DELIVERED: Verdict = {
  outcome: { kind: 'delivered' },
  origin: { kind: 'ok' },
  pauseEndpointMs: 0,
};

/** The push service is well, but takes nothing for this endpoint, or not now. */
export const rejected = (outcome: Outcome): Verdict => ({
  outcome,
  origin: { kind: 'rejected' },
  pauseEndpointMs: 0,
});

/** The endpoint is sent too much; when several in a row are, everything that we send there is meant. */
export const endpointBusy = (reason: string, retryAfterMs: number | null, unaskedMs: number): Verdict => {
  const pauseMs = retryAfterMs ?? unaskedMs;
  return {
    outcome: repeat(reason, pauseMs),
    origin: { kind: 'refused', afterMs: retryAfterMs },
    pauseEndpointMs: pauseMs,
  };
};

/** The push service is in trouble. */
export const originFailed = (reason: string, retryAfterMs: number | null): Verdict => ({
  outcome: repeat(reason, retryAfterMs),
  origin: { kind: 'failed', afterMs: retryAfterMs },
  pauseEndpointMs: 0,
});

/**
 * All repetitions are `server` and for the push alone: the gate of the origin does the waiting for its other pushes, and
 * neither window nor breaker of the notifier may learn from one origin what is not true of the others.
 */
export const repeat = (reason: string, afterMs: number | null): Outcome => ({
  kind: 'retry',
  reason,
  cause: 'server',
  afterMs,
  scope: 'push',
});

/** No answer: it is this origin's trouble, never the notifier's. */
export function verdictOfFailure(reason: HttpFailure): Verdict {
  switch (reason) {
    case 'forbidden-address':
      return { outcome: { kind: 'dropped', reason }, origin: { kind: 'unknown' }, pauseEndpointMs: 0 };
    case 'aborted':
    case 'closed':
      return { outcome: repeat(reason, null), origin: { kind: 'unknown' }, pauseEndpointMs: 0 };
    default:
      return originFailed(reason, null);
  }
}
