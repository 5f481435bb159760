import type { Outcome } from '../../domain/outcome.js';
import type { HttpFailure } from '../http-client.js';
import type { GateResult } from '../origin-gates.js';

/** What an answer means for the push, for the endpoint, and for everything that goes to the same push server. */
export interface Verdict {
  readonly outcome: Outcome;
  readonly origin: GateResult;
  /** No request to this endpoint for so long; 0 = no pause. */
  readonly pauseEndpointMs: number;
}

type Rule = (retryAfterMs: number | null, reason: string) => Verdict;

/** A push server that finds an endpoint too busy and does not say for how long. */
export const THROTTLED_ENDPOINT_MS = 10_000;
/** ntfy keeps nothing for a topic until its phone has connected. */
export const NOBODY_LISTENS_MS = 60_000;

const WELL: GateResult = { kind: 'ok' };
const REJECTED: GateResult = { kind: 'rejected' };

const delivered: Rule = () => ({ outcome: { kind: 'delivered' }, origin: WELL, pauseEndpointMs: 0 });
const gone: Rule = (_retryAfterMs, reason) => ({
  outcome: { kind: 'dead-token', reason, sinceMs: null },
  origin: REJECTED,
  pauseEndpointMs: 0,
});
const dropped: Rule = (_retryAfterMs, reason) => ({
  outcome: { kind: 'dropped', reason },
  origin: REJECTED,
  pauseEndpointMs: 0,
});
/*
 * All repetitions are `server` and for the push alone: the gate of the origin does the waiting for its other pushes, and
 * neither window nor breaker of the notifier may learn from one server what is not true of the others.
 */
const repeat = (reason: string, afterMs: number | null): Outcome => ({
  kind: 'retry',
  reason,
  cause: 'server',
  afterMs,
  scope: 'push',
});
const repeated: Rule = (retryAfterMs, reason) => ({
  outcome: repeat(reason, retryAfterMs),
  origin: REJECTED,
  pauseEndpointMs: 0,
});
/**
 * "Application servers SHOULD honor limits per endpoint, not host": whoever floods his own endpoint must not silence
 * all others on the same public server. A server that says it to several endpoints in a row means us.
 */
const throttled: Rule = (retryAfterMs, reason) => {
  const pauseMs = retryAfterMs ?? THROTTLED_ENDPOINT_MS;
  return {
    outcome: repeat(reason, pauseMs),
    origin: { kind: 'refused', afterMs: retryAfterMs },
    pauseEndpointMs: pauseMs,
  };
};
const nobodyListens: Rule = (retryAfterMs, reason) => {
  const pauseMs = retryAfterMs ?? NOBODY_LISTENS_MS;
  return { outcome: repeat(reason, pauseMs), origin: WELL, pauseEndpointMs: pauseMs };
};
const trouble: Rule = (retryAfterMs, reason) => ({
  outcome: repeat(reason, retryAfterMs),
  origin: { kind: 'failed', afterMs: retryAfterMs },
  pauseEndpointMs: 0,
});

/** UnifiedPush, "Server" 1.2.0, "Responses"; RFC 8030, 5 and 7.3 for endpoints with keys; what ntfy is known to say. */
const documented: Readonly<Record<number, Rule>> = {
  200: delivered, // "SHOULD accept status code from 200-299 as a 201"
  201: delivered,
  202: delivered,
  204: delivered,
  400: dropped, // "don't try again later"
  401: dropped, // it wants a signature that we do not have, or does not take ours: the same in an hour
  403: dropped,
  404: gone, // "does not exist and SHOULD NOT be used anymore"
  405: dropped,
  408: repeated,
  410: gone,
  413: dropped,
  425: repeated,
  429: throttled,
  500: trouble,
  502: trouble,
  503: trouble,
  504: trouble,
  507: nobodyListens, // ntfy: no subscriber yet, or not for long; about this endpoint alone
};

export const documentedStatuses: readonly number[] = Object.keys(documented).map(Number);

export function verdictOfAnswer(status: number, retryAfterMs: number | null): Verdict {
  const rule = documented[status] ?? undocumented(status);
  return rule(retryAfterMs, `http-${status}`);
}

/** "Any other HTTP responses mean an unknown error occurred"; redirects "MUST NOT be followed". */
function undocumented(status: number): Rule {
  if (status >= 200 && status < 300) return delivered;
  return status >= 300 && status < 500 ? dropped : trouble;
}

/** No answer: it is this server's trouble, never the notifier's. */
export function verdictOfFailure(reason: HttpFailure): Verdict {
  switch (reason) {
    case 'forbidden-address':
      return { outcome: { kind: 'dropped', reason }, origin: { kind: 'unknown' }, pauseEndpointMs: 0 };
    case 'aborted':
    case 'closed':
      return { outcome: repeat(reason, null), origin: { kind: 'unknown' }, pauseEndpointMs: 0 };
    default:
      return trouble(null, reason);
  }
}
