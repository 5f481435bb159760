import type { Clock } from '../domain/clock.js';
import { fail, ok, type Result } from '../domain/result.js';
import { parseRetryAfterMs, RETRY_AFTER_MAX_MS } from '../delivery-rules/retry-after.js';
import type { GrantResult } from './access-tokens.js';
import type { HttpClient } from './http-client.js';

/** Who we are at an OAuth token endpoint. */
export interface ClientCredentials {
  readonly tokenEndpoint: URL;
  readonly clientId: string;
  readonly clientSecret: string;
  /** Null: the request names none (Huawei). */
  readonly scope: string | null;
}

export interface ClientCredentialsOptions {
  readonly credentials: ClientCredentials;
  /** Its own client: the token endpoint is another server than the one that takes the pushes. */
  readonly client: Pick<HttpClient, 'send'>;
  readonly clock: Clock;
}

/** The option `tokenEndpoint`: https only, as our secret goes there. The error is for the operator. */
export function parseTokenEndpoint(text: string): Result<URL, string> {
  const url = URL.canParse(text) ? new URL(text) : null;
  return url !== null && url.protocol === 'https:' && url.username === '' && url.hash === ''
    ? ok(url)
    : fail('tokenEndpoint: expected https://HOST/PATH');
}

/** An endpoint that says "for one second" must not be asked for every push. */
const MIN_LIFETIME_SECONDS = 10;
const MAX_LIFETIME_SECONDS = 86_400;
/** RFC 6749, 5.1, recommends to say; Huawei's and Google's tokens live for an hour. */
const DEFAULT_LIFETIME_SECONDS = 3_600;

/**
 * Asks for an access token by client credentials (RFC 6749, 4.4), as Huawei (spec session-push-v2, 12.3), Microsoft
 * accounts (spec uwpx-push, 6.3) and Entra ID want it. Never rejects; settles within the client's time limit.
 */
export async function requestClientCredentials(options: ClientCredentialsOptions): Promise<GrantResult> {
  const { credentials, client, clock } = options;
  const result = await client.send({
    url: credentials.tokenEndpoint,
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' },
    body: formOf(credentials),
    // A token is for all pushes, so none of them can abort the request; closing the client ends it.
    signal: new AbortController().signal,
  });
  if (result.kind === 'failure') return { kind: 'failed', cause: 'transport', afterMs: null };
  const afterMs = parseRetryAfterMs(result.headers['retry-after'], clock.nowMs(), RETRY_AFTER_MAX_MS);
  return readGrantAnswer(result.status, result.body, afterMs);
}

/** Everything percent-encoded, a blank as %20: what all three endpoints are known to take. */
function formOf({ clientId, clientSecret, scope }: ClientCredentials): string {
  const fields: readonly (readonly [string, string | null])[] = [
    ['grant_type', 'client_credentials'],
    ['scope', scope],
    ['client_id', clientId],
    ['client_secret', clientSecret],
  ];
  return fields
    .flatMap(([name, value]) => (value === null ? [] : [`${name}=${percentEncode(value)}`]))
    .join('&');
}

function percentEncode(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

/** The words of RFC 6749, 5.2, and of Microsoft; anything else is not repeated. */
const knownDenials = new Set([
  'invalid_client',
  'invalid_grant',
  'invalid_request',
  'invalid_resource',
  'invalid_scope',
  'unauthorized_client',
  'unsupported_grant_type',
  'access_denied',
  'consent_required',
]);

type Failure = Extract<GrantResult, { kind: 'failed' }>['cause'];

/** Errors that are the endpoint's own and pass, whatever status they come with: words of OAuth, numbers of Huawei. */
const passing: Readonly<Record<string, Failure>> = {
  server_error: 'server',
  temporarily_unavailable: 'server',
  '1302': 'throttled',
  '70001401': 'server',
  '70001402': 'server',
  '70020002': 'server',
};

export const documentedGrantErrors: readonly string[] = [...knownDenials, ...Object.keys(passing)];

function readGrantAnswer(status: number, body: string, afterMs: number | null): GrantResult {
  if (status === 429) return { kind: 'failed', cause: 'throttled', afterMs };
  if (status === 408 || status >= 500) return { kind: 'failed', cause: 'server', afterMs };
  const answer = parseObject(body);
  const error = answer === null ? null : errorOf(answer);
  if (error !== null) {
    const cause = Object.hasOwn(passing, error.word) ? passing[error.word] : undefined;
    return cause === undefined
      ? { kind: 'denied', reason: error.reason ?? `token-http-${status}` }
      : { kind: 'failed', cause, afterMs };
  }
  if (status !== 200) return { kind: 'denied', reason: `token-http-${status}` };
  return (answer === null ? null : tokenOf(answer)) ?? { kind: 'failed', cause: 'server', afterMs };
}

type Answer = Readonly<Record<string, unknown>>;

function tokenOf(answer: Answer): GrantResult | null {
  const { access_token: accessToken, token_type: tokenType } = answer;
  // It becomes part of a header line.
  if (typeof accessToken !== 'string' || !/^[\x21-\x7e]{1,8192}$/.test(accessToken)) return null;
  const lifetime = Number(answer['expires_in'] ?? DEFAULT_LIFETIME_SECONDS); // Entra ID writes it as a string
  return {
    kind: 'granted',
    accessToken,
    ...(typeof tokenType === 'string' && /^[A-Za-z][A-Za-z0-9-]{0,31}$/.test(tokenType) ? { tokenType } : {}),
    expiresInSeconds:
      lifetime > 0
        ? Math.min(Math.max(lifetime, MIN_LIFETIME_SECONDS), MAX_LIFETIME_SECONDS)
        : DEFAULT_LIFETIME_SECONDS,
  };
}

/** `error` is a word in OAuth and a number at Huawei, there with `sub_error` beside it: 1101 with 20003, say. */
function errorOf(answer: Answer): { readonly word: string; readonly reason: string | null } | null {
  const { error, sub_error: subError } = answer;
  if (error === undefined || error === null || error === 0 || error === '') return null;
  const word = typeof error === 'string' || typeof error === 'number' ? String(error) : '';
  if (knownDenials.has(word)) return { word, reason: word };
  if (!isErrorNumber(word)) return { word, reason: null };
  const sub = typeof subError === 'string' || typeof subError === 'number' ? String(subError) : '';
  return { word, reason: isErrorNumber(sub) ? `oauth-${word}-${sub}` : `oauth-${word}` };
}

const isErrorNumber = (text: string): boolean => /^\d{1,8}$/.test(text);

function parseObject(body: string): Answer | null {
  try {
    const parsed: unknown = JSON.parse(body);
    return typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)
      ? (parsed as Answer)
      : null;
  } catch {
    return null;
  }
}
