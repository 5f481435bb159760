import type { IncomingHttpHeaders } from 'node:http2';
import { Http2StandIn, type Judgement, type StandInOptions } from './http2-stand-in.js';
import type { ScriptedAnswer } from './scripted-answers.js';

export interface RecordedFcmPush {
  readonly token: string;
  readonly headers: IncomingHttpHeaders;
  readonly bodyText: string;
  readonly message: FcmMessage;
}

export interface FcmMessage {
  readonly token: string;
  readonly data: Readonly<Record<string, string>>;
  readonly android?: { readonly priority?: string; readonly ttl?: string; readonly collapse_key?: string };
}

export interface FcmStandInOptions extends StandInOptions {
  readonly projectId: string;
  /** Whether an access token is good: ask the OAuth stand-in. */
  readonly isAccessTokenGood: (accessToken: string) => boolean;
}

export type FcmStandIn = Http2StandIn<RecordedFcmPush>;

/** FCM HTTP v1 as far as a sender sees it. */
export function startFcmStandIn(options: FcmStandInOptions): Promise<FcmStandIn> {
  return Http2StandIn.start(options, new FcmJudge(options));
}

/** An error as Google writes it. */
export function fcmError(
  code: number,
  status: string,
  errorCode: string | null,
  more: { readonly message?: string; readonly details?: readonly object[] } = {},
): ScriptedAnswer {
  const detail = { '@type': 'type.googleapis.com/google.firebase.fcm.v1.FcmError', errorCode };
  const details = [...(errorCode === null ? [] : [detail]), ...(more.details ?? [])];
  const body = { error: { code, message: more.message ?? 'no', status, details } };
  return { status: code, body, headers: { 'content-type': 'application/json; charset=UTF-8' } };
}

const MAX_DATA_BYTES = 4096;

class FcmJudge {
  #messages = 0;

  constructor(private readonly options: FcmStandInOptions) {}

  judge(headers: IncomingHttpHeaders, body: Buffer): Judgement<RecordedFcmPush> {
    if (headers[':path'] !== `/v1/projects/${this.options.projectId}/messages:send`) {
      return { ok: false, token: '', answer: { status: 404, body: '<html>not found</html>' } };
    }
    const accessToken = /^Bearer (\S+)$/.exec(headers.authorization ?? '')?.[1] ?? '';
    if (!this.options.isAccessTokenGood(accessToken)) {
      return { ok: false, token: '', answer: fcmError(401, 'UNAUTHENTICATED', null) };
    }
    const bodyText = body.toString('utf8');
    const message = parseMessage(bodyText);
    if (message === null || headers[':method'] !== 'POST') {
      return { ok: false, token: '', answer: fcmError(400, 'INVALID_ARGUMENT', 'INVALID_ARGUMENT') };
    }
    return { ok: true, token: message.token, push: { token: message.token, headers, bodyText, message } };
  }

  success(): { headers: Readonly<Record<string, string>>; body: string } {
    this.#messages += 1;
    const name = `projects/${this.options.projectId}/messages/0:${this.#messages}`;
    return { headers: { 'content-type': 'application/json; charset=UTF-8' }, body: `{"name": "${name}"}` };
  }
}

/** Null when FCM would answer INVALID_ARGUMENT: unknown members, values that are no strings, too much data. */
function parseMessage(text: string): FcmMessage | null {
  try {
    const { message, ...others } = JSON.parse(text) as { message?: FcmMessage };
    if (message === undefined || Object.keys(others).some((key) => key !== 'validate_only')) return null;
    const entries = Object.entries(message.data);
    const bytes = entries.reduce((sum, [key, value]) => sum + Buffer.byteLength(key + value), 0);
    const { android = {} } = message;
    const known =
      Object.keys(message).every((key) => ['android', 'data', 'token'].includes(key)) &&
      Object.keys(android).every((key) => ['collapse_key', 'priority', 'ttl'].includes(key));
    const androidGood =
      ['high', 'normal', undefined].includes(android.priority) &&
      ['string', 'undefined'].includes(typeof android.collapse_key);
    const strings = entries.every(([, value]) => typeof value === 'string');
    const ttlGood = /^\d+(\.\d+)?s$/.test(message.android?.ttl ?? '0s');
    const tokenGood = typeof message.token === 'string' && message.token !== '';
    return known && androidGood && strings && ttlGood && tokenGood && bytes <= MAX_DATA_BYTES
      ? message
      : null;
  } catch {
    return null;
  }
}
