import type { Outcome } from '../../domain/outcome.js';

/** The error answer of FCM HTTP v1, parsed. */
export interface FcmError {
  readonly httpStatus: number;
  /** `error.status`, such as NOT_FOUND; null when the body is not Google's. */
  readonly status: string | null;
  /** `errorCode` of the detail google.firebase.fcm.v1.FcmError; null without one. */
  readonly errorCode: string | null;
  /** The answer says that the registration token is what is wrong. */
  readonly blamesToken: boolean;
  /** Whose quota was exceeded; null when the answer does not say. */
  readonly quotaOf: 'device' | 'project' | null;
  readonly retryAfterMs: number | null;
}

/** Asked where an answer may be the fault of one device or ours; see `Refusals`. */
type IsOfDevice = () => boolean;

type Rule = (error: FcmError, reason: string, isOfDevice: IsOfDevice) => Outcome;

/** FCM asks for at least a minute when a quota is exceeded and no `Retry-After` says otherwise. */
const QUOTA_WAIT_MS = 60_000;

const dropped: Rule = (_error, reason) => ({ kind: 'dropped', reason });
const misconfigured: Rule = (_error, reason) => ({ kind: 'misconfigured', reason });
const server =
  (scope: 'push' | 'notifier'): Rule =>
  (error, reason) => ({ kind: 'retry', reason, cause: 'server', afterMs: error.retryAfterMs, scope });
const foreignToken: Rule = (_error, reason, isOfDevice) => ({
  kind: isOfDevice() ? 'dropped' : 'misconfigured',
  reason,
});
const throttled: Rule = (error, reason, isOfDevice) => ({
  kind: 'retry',
  reason,
  cause: 'throttled',
  afterMs: error.retryAfterMs ?? QUOTA_WAIT_MS,
  scope: isQuotaOfDevice(error, isOfDevice) ? 'push' : 'notifier',
});
/** Where the answer does not say: one with `Retry-After` means us; without, it is judged by how the others fare. */
const isQuotaOfDevice = ({ quotaOf, retryAfterMs }: FcmError, isOfDevice: IsOfDevice): boolean =>
  quotaOf === null ? retryAfterMs === null && isOfDevice() : quotaOf === 'device';
const invalidArgument: Rule = (error, reason) =>
  error.blamesToken ? { kind: 'dead-token', reason, sinceMs: null } : { kind: 'dropped', reason };

/**
 * Every error code that Google documents ("ErrorCode", FCM REST reference). `SENDER_ID_MISMATCH` says that the token
 * belongs to another project: with the wrong key file that is every token, so it deletes nothing — and while others are
 * delivered it is one client with a token of another app. Likewise `QUOTA_EXCEEDED`: a device that is sent too much
 * must not hold up the rest.
 */
const documented: Readonly<Record<string, Rule>> = {
  UNSPECIFIED_ERROR: server('push'),
  INVALID_ARGUMENT: invalidArgument,
  UNREGISTERED: (_error, reason) => ({ kind: 'dead-token', reason, sinceMs: null }),
  SENDER_ID_MISMATCH: foreignToken,
  QUOTA_EXCEEDED: throttled,
  UNAVAILABLE: server('notifier'),
  INTERNAL: server('push'),
  THIRD_PARTY_AUTH_ERROR: foreignToken, // a token of an iPhone or a browser: anybody can get one of the project
};

export const documentedFcmCodes: readonly string[] = Object.keys(documented);

/** Answers without an `errorCode`, by `error.status`: every google.rpc.Code but OK. */
const byStatus: Readonly<Record<string, Rule>> = {
  CANCELLED: server('push'),
  UNKNOWN: server('push'),
  INVALID_ARGUMENT: invalidArgument,
  DEADLINE_EXCEEDED: server('push'),
  NOT_FOUND: misconfigured, // no word of the token: the project is not found
  ALREADY_EXISTS: dropped,
  PERMISSION_DENIED: misconfigured,
  UNAUTHENTICATED: misconfigured, // after a fresh access token was refused as well
  RESOURCE_EXHAUSTED: throttled,
  FAILED_PRECONDITION: foreignToken, // something is not set up: for the project, or for the app of this token
  ABORTED: server('push'),
  OUT_OF_RANGE: dropped,
  UNIMPLEMENTED: misconfigured, // `endpoint` leads to something that has no such method
  INTERNAL: server('push'),
  UNAVAILABLE: server('notifier'),
  DATA_LOSS: server('push'),
};

export const documentedFcmStatuses: readonly string[] = Object.keys(byStatus);

/** What an answer other than 200 means for the push. */
export function fcmOutcome(error: FcmError, isOfDevice: IsOfDevice): Outcome {
  const { errorCode, status, httpStatus } = error;
  if (errorCode !== null && Object.hasOwn(documented, errorCode)) {
    return (documented[errorCode] ?? misconfigured)(error, errorCode, isOfDevice);
  }
  if (status !== null && Object.hasOwn(byStatus, status)) {
    return (byStatus[status] ?? misconfigured)(error, status, isOfDevice);
  }
  return undocumented(httpStatus)(error, `http-${httpStatus}`, isOfDevice);
}

function undocumented(httpStatus: number): Rule {
  if (httpStatus === 400 || httpStatus === 413) return dropped;
  if (httpStatus === 408) return server('push');
  if (httpStatus === 429) return throttled;
  if (httpStatus === 503) return server('notifier');
  if (httpStatus >= 500) return server('push');
  return misconfigured; // redirects, 401, 403, 404, 407 …: this is not Google, or it does not know us
}

/** An expired or revoked access token, to be told apart from credentials that Google's partners refuse. */
export function isAccessTokenRefusal(error: FcmError): boolean {
  return error.httpStatus === 401 && error.errorCode !== 'THIRD_PARTY_AUTH_ERROR';
}

/** Reads the body of an error answer; never throws. */
export function parseFcmError(httpStatus: number, body: string, retryAfterMs: number | null): FcmError {
  const error = memberOf(parseJson(body), 'error');
  const details = memberOf(error, 'details');
  const found: Findings = { errorCode: null, blamesToken: false, quotaOf: null };
  for (const detail of Array.isArray(details) ? details.slice(0, 16) : []) readDetail(detail, found);
  const message = memberOf(error, 'message');
  // The usual answer to a made-up token names it in words only.
  if (typeof message === 'string' && /registration token is not a valid/i.test(message))
    found.blamesToken = true;
  const status = memberOf(error, 'status');
  return { httpStatus, status: typeof status === 'string' ? status : null, ...found, retryAfterMs };
}

interface Findings {
  errorCode: string | null;
  blamesToken: boolean;
  quotaOf: 'device' | 'project' | null;
}

function readDetail(detail: unknown, found: Findings): void {
  const type = memberOf(detail, '@type');
  if (typeof type !== 'string') return;
  if (type.endsWith('google.firebase.fcm.v1.FcmError')) {
    const code = memberOf(detail, 'errorCode');
    if (typeof code === 'string') found.errorCode = code;
  } else if (type.endsWith('google.rpc.BadRequest')) {
    found.blamesToken ||= listOf(detail, 'fieldViolations').some(
      (violation) => memberOf(violation, 'field') === 'message.token',
    );
  } else if (type.endsWith('google.rpc.QuotaFailure')) {
    const ofDevice = listOf(detail, 'violations').some((violation) =>
      /device|token/i.test(
        `${text(memberOf(violation, 'subject'))} ${text(memberOf(violation, 'description'))}`,
      ),
    );
    found.quotaOf = ofDevice ? 'device' : 'project';
  }
}

function parseJson(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return null;
  }
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}

function listOf(value: unknown, name: string): unknown[] {
  const list = memberOf(value, name);
  return Array.isArray(list) ? list.slice(0, 16) : [];
}

const text = (value: unknown): string => (typeof value === 'string' ? value : '');
