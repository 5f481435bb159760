import type { Outcome } from '../../domain/outcome.js';

/** An answer of APNs, parsed. */
export interface ApnsAnswer {
  readonly status: number;
  /** The member `reason` of the body; null when the body is no JSON object that has one. */
  readonly reason: string | null;
  /** The member `timestamp` in milliseconds; only 410 has it. */
  readonly timestampMs: number | null;
  /** `Retry-After`, parsed; null when there was none. */
  readonly retryAfterMs: number | null;
}

/** Asked where an answer may be the fault of one device or ours; see `Refusals`. */
type IsOfDevice = () => boolean;

type Rule = (answer: ApnsAnswer, reason: string, isOfDevice: IsOfDevice) => Outcome;

const deadToken: Rule = (answer, reason) => ({ kind: 'dead-token', reason, sinceMs: answer.timestampMs });
/** Of the other environment, perhaps: then that is every token. */
const badToken: Rule = (answer, reason, isOfDevice) => ({
  kind: 'dead-token',
  reason,
  sinceMs: answer.timestampMs,
  ...(isOfDevice() ? {} : { mayBeOurs: true }),
});
const dropped: Rule = (_answer, reason) => ({ kind: 'dropped', reason });
const misconfigured: Rule = (_answer, reason) => ({ kind: 'misconfigured', reason });
const foreignToken: Rule = (_answer, reason, isOfDevice) => ({
  kind: isOfDevice() ? 'dropped' : 'misconfigured',
  reason,
});
const retry =
  (
    cause: 'transport' | 'throttled' | 'server',
    scope: 'push' | 'notifier',
    atLeastMs: number | null = null,
  ): Rule =>
  (answer, reason) => ({ kind: 'retry', reason, cause, scope, afterMs: answer.retryAfterMs ?? atLeastMs });

/** "Consecutively to the same device token"; whoever names a time all the same wants to be left alone until then. */
const tooManyRequests: Rule = (answer, reason, isOfDevice) =>
  retry('throttled', answer.retryAfterMs === null ? 'push' : 'notifier')(answer, reason, isOfDevice);

/**
 * Every reason that Apple documents ("Handling notification responses from APNs"), by status. Two words of warning:
 * `BadDeviceToken` is also what a sandbox token gets in production, so a wrong `sandbox` option makes every token look
 * dead (the mass-deletion guard stands behind this, and where it is not enough, `mayBeOurs`); `DeviceTokenNotForTopic` is what a wrong `topic` makes of every
 * token, so it deletes nothing — and while others are delivered it is one client with a token of another app.
 */
const documented: Readonly<Record<string, Rule>> = {
  '400 BadCollapseId': dropped,
  '400 BadDeviceToken': badToken,
  '400 BadExpirationDate': dropped,
  '400 BadMessageId': dropped,
  '400 BadPriority': dropped,
  '400 BadTopic': misconfigured,
  '400 DeviceTokenNotForTopic': foreignToken,
  '400 DuplicateHeaders': dropped,
  '400 IdleTimeout': retry('transport', 'push'),
  '400 InvalidPushType': dropped,
  '400 MissingDeviceToken': dropped,
  '400 MissingTopic': misconfigured,
  '400 PayloadEmpty': dropped,
  '400 TopicDisallowed': misconfigured,
  '403 BadCertificate': misconfigured,
  '403 BadCertificateEnvironment': misconfigured,
  '403 BadEnvironmentKeyIdInToken': misconfigured,
  '403 ExpiredProviderToken': misconfigured, // after a fresh token was refused as well: our clock is wrong
  '403 Forbidden': misconfigured,
  '403 InvalidProviderToken': misconfigured,
  '403 MissingProviderToken': misconfigured,
  '403 UnrelatedKeyIdInToken': misconfigured,
  '404 BadPath': misconfigured, // the path is ours and the token is hex: `endpoint` leads somewhere else
  '405 MethodNotAllowed': misconfigured,
  '410 ExpiredToken': deadToken,
  '410 Unregistered': deadToken,
  '413 PayloadTooLarge': dropped,
  '429 TooManyProviderTokenUpdates': retry('throttled', 'notifier', 60_000),
  '429 TooManyRequests': tooManyRequests,
  '500 InternalServerError': retry('server', 'push'),
  '503 ServiceUnavailable': retry('server', 'notifier'),
  '503 Shutdown': retry('server', 'push'), // this one server goes; the next connection leads to another
};

export const documentedApnsReasons: readonly string[] = Object.keys(documented);

/** What an answer means for the push. Reasons that nobody documents are named by their status alone. */
export function apnsOutcome(answer: ApnsAnswer, isOfDevice: IsOfDevice): Outcome {
  if (answer.status === 200) return { kind: 'delivered' };
  if (answer.reason !== null) {
    const key = `${answer.status} ${answer.reason}`;
    if (Object.hasOwn(documented, key))
      return (documented[key] ?? dropped)(answer, answer.reason, isOfDevice);
  }
  return undocumented(answer)(answer, `http-${answer.status}`, isOfDevice);
}

function undocumented({ status, reason }: ApnsAnswer): Rule {
  if (status === 408) return retry('server', 'push');
  if (status === 410) return reason === null ? dropped : deadToken; // without a reason it is some proxy's word
  if (status === 413) return dropped;
  if (status === 429 || status === 503) return retry(status === 429 ? 'throttled' : 'server', 'notifier');
  if (status >= 500) return retry('server', 'push');
  if (status === 400) return dropped;
  return misconfigured; // 401, 403, 404, 407, redirects …: this is not Apple, or it does not know us
}

/** Reads the body of an error answer; never throws. */
export function parseApnsBody(body: string): Pick<ApnsAnswer, 'reason' | 'timestampMs'> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(body);
  } catch {
    return { reason: null, timestampMs: null };
  }
  if (typeof parsed !== 'object' || parsed === null) return { reason: null, timestampMs: null };
  const { reason, timestamp } = parsed as { reason?: unknown; timestamp?: unknown };
  return {
    reason: typeof reason === 'string' ? reason : null,
    timestampMs:
      typeof timestamp === 'number' && timestamp > 0 && timestamp < 1e15 ? Math.floor(timestamp) : null,
  };
}
