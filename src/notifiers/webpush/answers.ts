import {
  DELIVERED,
  endpointBusy,
  originFailed,
  rejected,
  repeat,
  type Verdict,
} from '../endpoint-verdict.js';
import { pushServiceOf, type PushServiceName } from '../push-services.js';

/** An answer of a push service, parsed. */
export interface PushServiceAnswer {
  readonly status: number;
  /** Which service it is, judged by its host name; `other`: one that nobody vouches for. */
  readonly from: PushServiceName;
  /** What the answer gives as its reason, one of the words of `documented` without the status; null without one. */
  readonly word: string | null;
  readonly retryAfterMs: number | null;
}

/** Whether a refusal is about one subscription: judged by what the same push service, and any, delivers to others. */
export interface Deliveries {
  readonly originDelivers: () => boolean;
  readonly anybodyDelivers: () => boolean;
}

type Rule = (answer: PushServiceAnswer, reason: string, deliveries: Deliveries) => Verdict;

/** A push service that does not take our signatures is asked again after so long. */
export const SIGNATURE_REFUSED_PAUSE_MS = 60_000;
/** A push service that finds a subscription too busy and does not say for how long. */
export const BUSY_DEVICE_PAUSE_MS = 10_000;

const delivered: Rule = () => DELIVERED;
const gone: Rule = (_answer, reason) => rejected({ kind: 'dead-token', reason, sinceMs: null });
const dropped: Rule = (_answer, reason) => rejected({ kind: 'dropped', reason });
const busyDevice: Rule = ({ retryAfterMs }, reason) =>
  endpointBusy(reason, retryAfterMs, BUSY_DEVICE_PAUSE_MS);
/** Of everything that we send there. */
const throttled: Rule = ({ retryAfterMs }, reason) => ({
  outcome: repeat(reason, retryAfterMs),
  origin: { kind: 'throttled', afterMs: retryAfterMs },
  pauseEndpointMs: 0,
});
const trouble: Rule = ({ retryAfterMs }, reason) => originFailed(reason, retryAfterMs);
/** "Immediate retry ok", and the way to this one subscription is in trouble. */
const again: Rule = ({ retryAfterMs }, reason) => rejected(repeat(reason, retryAfterMs));
/**
 * Our signature or who we are was refused. As long as the same service takes other pushes it is about this
 * subscription. Otherwise it is tried again after a while; and when one of the big four says so and nothing is delivered
 * anywhere, it is our key, our subject or our clock. Others cannot make us believe that: anybody can
 * subscribe with a push service of his own that refuses everything.
 */
const signatureRefused: Rule = ({ from }, reason, deliveries) => {
  if (deliveries.originDelivers()) return rejected({ kind: 'dropped', reason });
  const isOurs = from !== 'other' && !deliveries.anybodyDelivers();
  return {
    outcome: isOurs ? { kind: 'misconfigured', reason } : repeat(reason, SIGNATURE_REFUSED_PAUSE_MS),
    origin: { kind: 'refused', afterMs: SIGNATURE_REFUSED_PAUSE_MS },
    pauseEndpointMs: 0,
  };
};

/** Named by what the answer says. `key-mismatch`: the browser subscribed with another key than the client told us. */
const documented: Readonly<Record<string, Rule>> = {
  // Apple, "Sending web push notifications in web apps and browsers": member `reason` of the body.
  '400 BadAuthorizationHeader': signatureRefused,
  '400 BadTtl': dropped,
  '400 BadUrgency': dropped,
  '400 BadVapidPublicKey': signatureRefused,
  '400 BadWebPushRequest': dropped,
  '400 BadWebPushTopic': dropped,
  '400 VapidPkHashMismatch': dropped,
  '403 BadAuthorizationHeader': signatureRefused,
  '403 BadJwtToken': signatureRefused, // wrong subject, audience or expiry, or signed by another key
  '403 BadVapidPublicKey': signatureRefused,
  '403 VapidPkHashMismatch': dropped,
  '404 BadPath': gone, // the path is the browser's: nothing will ever be there
  '405 MethodNotAllowed': dropped,
  '410 ExpiredToken': gone,
  '410 Unregistered': gone,
  '413 PayloadTooLarge': dropped,
  '429 TooManyRequests': busyDevice, // "to the same device"
  '500 InternalServerError': trouble,
  '503 ServiceUnavailable': trouble,
  '503 Shutdown': trouble,
  // Mozilla, "Error Codes" of the autopush documentation: member `errno` of the body.
  '400 errno-101': dropped, // crypto keys are missing
  '400 errno-108': dropped, // router type: a damaged URL or a bridge that is no more
  '400 errno-110': dropped, // crypto keys are wrong
  '400 errno-111': dropped, // a header is missing
  '400 errno-112': dropped, // TTL
  '400 errno-113': dropped, // Topic
  '401 errno-109': signatureRefused,
  '401 key-mismatch': dropped, // errno 109 with "public key mismatch"
  '404 errno-102': gone, // "should not be used again"
  '410 errno-103': gone,
  '410 errno-105': gone,
  '410 errno-106': gone,
  '413 errno-104': dropped,
  '429 errno-201': busyDevice, // the bridge behind this subscription limits its rate
  '500 errno-999': trouble,
  '502 errno-900': again, // the bridge again: other subscriptions take other ways
  '502 errno-901': again,
  '502 errno-902': again,
  '502 errno-903': again,
  '503 errno-201': trouble,
  '503 errno-202': again,
  // Google's push service answers in words; those that name the key are told apart.
  '403 key-mismatch': dropped, // "do not correspond to the credentials used to create the subscriptions"
  '400 UnauthorizedRegistration': dropped, // a subscription of the time before VAPID
  '400 InvalidRegistration': dropped,
  // Microsoft, "Push notification service request and response headers": X-WNS-Status beside the HTTP status.
  '200 channelthrottled': busyDevice,
  '200 dropped': dropped,
  '201 channelthrottled': busyDevice,
  '201 dropped': dropped,
  '406 appthrottled': throttled,
  '406 channelthrottled': busyDevice,
};

/** By status, for what has no word or none that is documented. RFC 8030, 5 to 7; RFC 8292, 2 and 4.2; RFC 9110. */
const byStatus: Readonly<Record<number, Rule>> = {
  400: dropped,
  401: signatureRefused,
  403: signatureRefused,
  404: gone, // the subscription has expired (RFC 8030, 7.3)
  405: dropped,
  406: throttled, // Microsoft: "exceeded its throttle limit"
  408: trouble,
  410: gone,
  413: dropped,
  415: dropped, // does not know aes128gcm
  425: trouble,
  429: busyDevice, // one subscription that is sent too much must not hold up all others: several have to say it
};

export const documentedAnswers: readonly string[] = Object.keys(documented);

/** What an answer means. The reason is a documented word or the status, never the service's own text. */
export function judgeAnswer(answer: PushServiceAnswer, deliveries: Deliveries): Verdict {
  const { status, word } = answer;
  if (word !== null) {
    const key = `${status} ${word}`;
    if (Object.hasOwn(documented, key)) return (documented[key] ?? dropped)(answer, word, deliveries);
  }
  const reason = `http-${status}`;
  if (status >= 200 && status < 300) return delivered(answer, reason, deliveries);
  if (status >= 500) return trouble(answer, reason, deliveries);
  // Redirects are not followed: they would lead past the guard. Whatever is left is no push service's answer.
  return (byStatus[status] ?? dropped)(answer, reason, deliveries);
}

/** Reads an answer; never throws. Bodies are believed whoever sends them, because all they decide is one push. */
export function parseAnswer(
  host: string,
  status: number,
  headers: Readonly<Record<string, string>>,
  body: string,
  retryAfterMs: number | null,
): PushServiceAnswer {
  return { status, from: pushServiceOf(host), word: wordOf(headers, body), retryAfterMs };
}

function wordOf(headers: Readonly<Record<string, string>>, body: string): string | null {
  const wns = headers['x-wns-status']?.toLowerCase();
  if (wns !== undefined) return wns;
  if (body.startsWith('{')) {
    const { reason, errno, message } = parseObject(body);
    if (typeof reason === 'string') return reason;
    if (errno === 109 && typeof message === 'string' && /public key mismatch/i.test(message)) {
      return 'key-mismatch';
    }
    return typeof errno === 'number' ? `errno-${errno}` : null;
  }
  if (/do not correspond to the credentials|does not correspond to the sender id/i.test(body)) {
    return 'key-mismatch';
  }
  return /\b(UnauthorizedRegistration|InvalidRegistration)\b/.exec(body)?.[1] ?? null;
}

function parseObject(body: string): Readonly<Record<string, unknown>> {
  try {
    return JSON.parse(body) as Readonly<Record<string, unknown>>;
  } catch {
    return {};
  }
}
