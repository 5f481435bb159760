import type { Outcome } from '../../domain/outcome.js';

/** What HMS Push answered, parsed. */
export interface HmsAnswer {
  readonly httpStatus: number;
  /** Eight digits; null when the body is not Huawei's. */
  readonly code: string | null;
  /** Whether the answer names tokens that were refused; there is only ours. */
  readonly namesToken: boolean;
  /** Why it was, where the answer says so: the word is Huawei's and not checked. */
  readonly tokenReason: string | null;
  /** How many tokens were taken, where the answer says so. */
  readonly taken: number | null;
  readonly retryAfterMs: number | null;
}

/** Asked where an answer may be the fault of one device or ours; see `Refusals`. */
type IsOfDevice = () => boolean;

type Rule = (answer: HmsAnswer, reason: string, isOfDevice: IsOfDevice) => Outcome;

const DELIVERED: Outcome = { kind: 'delivered' };

const delivered: Rule = () => DELIVERED;
const dead: Rule = (_answer, reason) => ({ kind: 'dead-token', reason, sinceMs: null });
const dropped: Rule = (_answer, reason) => ({ kind: 'dropped', reason });
const misconfigured: Rule = (_answer, reason) => ({ kind: 'misconfigured', reason });
const foreignToken: Rule = (_answer, reason, isOfDevice) => ({
  kind: isOfDevice() ? 'dropped' : 'misconfigured',
  reason,
});
const server =
  (scope: 'push' | 'notifier'): Rule =>
  (answer, reason) => ({ kind: 'retry', reason, cause: 'server', afterMs: answer.retryAfterMs, scope });
const throttled: Rule = (answer, reason) => ({
  kind: 'retry',
  reason,
  cause: 'throttled',
  afterMs: answer.retryAfterMs,
  scope: 'notifier',
});

/**
 * Why HMS refuses a token, where it says (`illegalTokens`). Only a token that is malformed or that HMS asks to be
 * applied for anew is dead beyond doubt; `noRight` may as well be a wrong app or project of ours.
 */
const tokenReasons: Readonly<Record<string, Rule>> = {
  tokenFormatError: dead,
  tokenPlatformNotSupport: dead,
  noRight: foreignToken,
  countryNotSupport: dropped,
  atomicUnableSendUnsubscribedMsg: dropped,
  notSupportPlayVoice: dropped,
  differentImgVerifyPolicy: dropped,
  // About our app; but the answer is about one token, and where others are served it cannot be.
  noPushTypeRight: foreignToken,
  noRightToSendThisLiveNotificationEvent: foreignToken,
  disableSendHuaweiMsgBecauseOfPenalty: foreignToken,
  appinfoError: foreignToken,
};

/** All tokens refused, which is ours: every payload is sealed for one device, so there is only one in a message. */
const refusedToken: Rule = (answer, reason, isOfDevice) => {
  const { tokenReason } = answer;
  if (tokenReason === null) return dead(answer, reason, isOfDevice);
  const rule = Object.hasOwn(tokenReasons, tokenReason) ? tokenReasons[tokenReason] : undefined;
  return (rule ?? dropped)(answer, rule === undefined ? reason : `${reason}-${tokenReason}`, isOfDevice);
};

/** "Partly": with one token it is either taken or named as refused. */
const partly: Rule = (answer, reason, isOfDevice) =>
  answer.taken === 0 || (answer.taken === null && answer.namesToken)
    ? refusedToken(answer, reason, isOfDevice)
    : DELIVERED;

/** Result codes of HMS Push Kit's REST interface ("Result Codes" and the response of "Sending Downlink Messages"). */
const documented: Readonly<Record<string, Rule>> = {
  '80000000': delivered,
  '80100000': partly,
  '80100001': dropped, // a parameter is wrong
  '80100002': dropped, // number of tokens of a synchronous message
  '80100003': dropped, // structure of the message
  '80100004': dropped, // ttl is over
  '80100013': dropped, // collapse_key
  '80100016': dropped, // "sensitive information"
  '80100017': throttled, // too many messages to topics
  '80100022': dropped, // an image was not verified
  '80200001': misconfigured, // authentication, after a fresh access token was refused as well
  '80200003': misconfigured, // access token expired, likewise
  '80200005': misconfigured, // JWT expired, likewise
  '80300002': foreignToken, // no permission to send to this token: service not enabled, or another app's token
  '80300007': refusedToken, // all tokens are invalid
  '80300008': dropped, // larger than 4096 bytes
  '80300010': dropped, // number of tokens
  '80300011': misconfigured, // no permission for urgency HIGH
  '80300029': throttled, // too many test messages
  '80300030': dropped, // number of tokens of a test message
  '80300036': misconfigured, // JWT valid for too long
  '80300037': misconfigured, // the app is banned for a violation
  '80600003': server('notifier'), // Huawei cannot reach its own OAuth service
  '81000001': server('push'), // internal error
  '82000001': dropped, // 8200xxxx: groups and topics, of which our messages name none
};

export const documentedHmsCodes: readonly string[] = Object.keys(documented);
export const documentedHmsTokenReasons: readonly string[] = Object.keys(tokenReasons);

/** What an answer means for the push. */
export function hmsOutcome(answer: HmsAnswer, isOfDevice: IsOfDevice): Outcome {
  const { code, httpStatus } = answer;
  // Traffic control is about everybody, whatever the body says.
  if (httpStatus === 429 || httpStatus === 503) return throttled(answer, `http-${httpStatus}`, isOfDevice);
  if (code !== null) return ruleOfCode(code, httpStatus)(answer, code, isOfDevice);
  // Nothing of Huawei's in it: something on the way answered, or a part of the answer is missing.
  if (httpStatus === 200) return server('push')(answer, 'no-result-code', isOfDevice);
  return ruleOfStatus(httpStatus)(answer, `http-${httpStatus}`, isOfDevice);
}

function ruleOfCode(code: string, httpStatus: number): Rule {
  const known = Object.hasOwn(documented, code) ? documented[code] : undefined;
  if (known !== undefined) return known;
  if (code.startsWith('801') || code.startsWith('820')) return dropped; // the message
  if (code.startsWith('802')) return misconfigured; // authentication
  if (httpStatus === 401 || httpStatus === 403 || httpStatus === 404) return misconfigured;
  // Neither delivered nor refused for a reason that we know. Losing a push is worse than the few attempts that the
  // retry schedule allows.
  return server('push');
}

function ruleOfStatus(httpStatus: number): Rule {
  if (httpStatus === 400 || httpStatus === 413) return dropped;
  if (httpStatus === 408 || httpStatus >= 500) return server('push');
  return misconfigured; // redirects, 401, 403, 404, 407 …: this is not Huawei, or it does not know us
}

const accessTokenRefusals = new Set(['80200001', '80200003', '80200005']);

/** An access token that is expired, revoked or of another app. */
export const isAccessTokenRefusal = ({ code, httpStatus }: HmsAnswer): boolean =>
  httpStatus === 401 || (code !== null && accessTokenRefusals.has(code));

/** Reads the body of an answer; never throws. */
export function parseHmsAnswer(httpStatus: number, body: string, retryAfterMs: number | null): HmsAnswer {
  const answer = parseJson(body);
  const code = memberOf(answer, 'code');
  const text = typeof code === 'string' || typeof code === 'number' ? String(code) : '';
  const details = memberOf(answer, 'msg');
  // JSON in a string, as documented; in words for most codes.
  const parsed = typeof details === 'string' ? parseJson(details) : details;
  const taken = memberOf(parsed, 'success');
  return {
    httpStatus,
    code: /^\d{8}$/.test(text) ? text : null,
    ...illegalTokensOf(parsed),
    taken: typeof taken === 'number' ? taken : null,
    retryAfterMs,
  };
}

/** `{"illegalTokens": {"noRight": ["…"]}}`, or without a reason `{"illegal_tokens": ["…"]}`. The tokens are not kept. */
function illegalTokensOf(details: unknown): Pick<HmsAnswer, 'namesToken' | 'tokenReason'> {
  const illegal = memberOf(details, 'illegalTokens') ?? memberOf(details, 'illegal_tokens');
  if (Array.isArray(illegal)) return { namesToken: illegal.length > 0, tokenReason: null };
  const [tokenReason = null] = typeof illegal === 'object' && illegal !== null ? Object.keys(illegal) : [];
  return { namesToken: tokenReason !== null, tokenReason };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? (value as Record<string, unknown>)[name]
    : undefined;
}
