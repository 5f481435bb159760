import type { Outcome } from '../../domain/outcome.js';

/** What WNS answered: all of it is in the status and the headers. */
export interface WnsAnswer {
  readonly httpStatus: number;
  /** `X-WNS-Status` in lower case; null when it is missing. */
  readonly status: string | null;
  /** The answer says that we ourselves are blocked. */
  readonly blocksUs: boolean;
  readonly retryAfterMs: number | null;
}

/** What an answer alone does not tell. */
export interface WnsSituation {
  /** Asked where an answer may be the fault of one channel or ours; see `Refusals`. */
  isOfChannel(): boolean;
  /** The channel is told to slow down: how long that is, given the wish of WNS. */
  channelWaitMs(retryAfterMs: number | null): number;
  /** All of our pushes are. */
  appWaitMs(retryAfterMs: number | null): number;
}

type Rule = (answer: WnsAnswer, reason: string, situation: WnsSituation) => Outcome;

const DELIVERED: Outcome = { kind: 'delivered' };

const dead: Rule = (_answer, reason) => ({ kind: 'dead-token', reason, sinceMs: null });
const dropped: Rule = (_answer, reason) => ({ kind: 'dropped', reason });
const server: Rule = ({ retryAfterMs: afterMs }, reason) => ({
  kind: 'retry',
  reason,
  cause: 'server',
  afterMs,
  scope: 'push',
});
const channelThrottled: Rule = (answer, reason, situation) => ({
  kind: 'retry',
  reason,
  cause: 'throttled',
  afterMs: situation.channelWaitMs(answer.retryAfterMs),
  scope: 'push',
});
const appThrottled: Rule = (answer, reason, situation) => ({
  kind: 'retry',
  reason,
  cause: 'throttled',
  afterMs: situation.appWaitMs(answer.retryAfterMs),
  scope: 'notifier',
});
/** Ours, unless others are served meanwhile: clients choose the host, and not all hosts under Microsoft's domain need be WNS. */
const unlessServed =
  (ofChannel: Rule): Rule =>
  (answer, reason, situation) =>
    situation.isOfChannel() ? ofChannel(answer, reason, situation) : { kind: 'misconfigured', reason };

/** `X-WNS-Status` tells more than a 200 does; `appthrottled` is not documented but sent. */
const byWnsStatus: Readonly<Record<string, Rule>> = {
  received: () => DELIVERED,
  dropped, // the device's owner does not want it, or it is offline and nothing is kept for it
  channelthrottled: channelThrottled,
  appthrottled: appThrottled,
};

const taken: Rule = (answer, _reason, situation) => {
  const { status } = answer;
  const rule = status !== null && Object.hasOwn(byWnsStatus, status) ? byWnsStatus[status] : undefined;
  return rule === undefined || status === null ? DELIVERED : rule(answer, status, situation);
};

/** Which throttle was hit says `X-WNS-Status`; documented is that of the whole sender. */
const throttled: Rule = (answer, reason, situation) =>
  (answer.status === 'channelthrottled' ? channelThrottled : appThrottled)(answer, reason, situation);

const blocked = unlessServed(dropped);

const gone: Rule = (answer, reason, situation) =>
  answer.blocksUs ? blocked(answer, 'sender-blocked', situation) : dead(answer, reason, situation);

/**
 * Every status that Microsoft documents ("Push notification service request and response headers"); spec uwpx-push,
 * 6.4. 403 is a channel of another app: with wrong credentials that is every channel, so it removes one only while
 * others are served.
 */
const documented: Readonly<Record<number, readonly [reason: string, rule: Rule]>> = {
  200: ['received', taken],
  400: ['bad-request', unlessServed(dropped)],
  401: ['unauthorized', unlessServed(server)], // after a fresh access token was refused as well
  403: ['forbidden', unlessServed(dead)],
  404: ['not-found', dead],
  405: ['method-not-allowed', unlessServed(dropped)],
  406: ['throttled', throttled],
  410: ['gone', gone],
  413: ['too-large', dropped],
  500: ['server-error', server],
  503: ['unavailable', server],
};

export const documentedWnsStatuses: readonly number[] = Object.keys(documented).map(Number);

/** What an answer means for the push. */
export function wnsOutcome(answer: WnsAnswer, situation: WnsSituation): Outcome {
  const [reason, rule] = documented[answer.httpStatus] ?? undocumented(answer.httpStatus);
  return rule(answer, reason, situation);
}

function undocumented(httpStatus: number): readonly [reason: string, rule: Rule] {
  const reason = `http-${httpStatus}`;
  if (httpStatus === 429) return ['throttled', throttled]; // seen instead of 406
  if (httpStatus === 408 || httpStatus >= 500) return [reason, server];
  return [reason, unlessServed(dropped)];
}

/** Reads status and headers (lower-case names); never throws. */
export function parseWnsAnswer(
  httpStatus: number,
  headers: Readonly<Record<string, string>>,
  retryAfterMs: number | null,
): WnsAnswer {
  const status = headers['x-wns-status'] ?? headers['x-wns-notificationstatus'];
  return {
    httpStatus,
    status: status?.trim().toLowerCase() ?? null,
    // Microsoft documents "410 Domain Blocked" beside the usual 410, and words to tell them apart by.
    blocksUs: /\bblocked\b/i.test(headers['x-wns-error-description'] ?? ''),
    retryAfterMs,
  };
}
