import {
  DELIVERED,
  endpointBusy,
  originFailed,
  rejected,
  repeat,
  type Verdict,
} from '../endpoint-verdict.js';

type Rule = (retryAfterMs: number | null, reason: string) => Verdict;

/** A push server that finds an endpoint too busy and does not say for how long. */
export const THROTTLED_ENDPOINT_MS = 10_000;
/** ntfy keeps nothing for a topic until its phone has connected. */
export const NOBODY_LISTENS_MS = 60_000;

const delivered: Rule = () => DELIVERED;
const gone: Rule = (_retryAfterMs, reason) => rejected({ kind: 'dead-token', reason, sinceMs: null });
const dropped: Rule = (_retryAfterMs, reason) => rejected({ kind: 'dropped', reason });
const repeated: Rule = (retryAfterMs, reason) => rejected(repeat(reason, retryAfterMs));
/**
 * "Application servers SHOULD honor limits per endpoint, not host": whoever floods his own endpoint must not silence
 * all others on the same public server. A server that says it to several endpoints in a row means us.
 */
const throttled: Rule = (retryAfterMs, reason) => endpointBusy(reason, retryAfterMs, THROTTLED_ENDPOINT_MS);
/** The server is well: it knows the endpoint, and that nobody listens. */
const nobodyListens: Rule = (retryAfterMs, reason) => {
  const pauseMs = retryAfterMs ?? NOBODY_LISTENS_MS;
  return { outcome: repeat(reason, pauseMs), origin: { kind: 'ok' }, pauseEndpointMs: pauseMs };
};
const trouble: Rule = (retryAfterMs, reason) => originFailed(reason, retryAfterMs);

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
