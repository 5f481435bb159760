import { sign } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest, type RequestOptions } from 'node:https';
import type { SecureContext } from 'node:tls';
import type { Clock } from '../../domain/clock.js';
import { nowSeconds } from '../../domain/clock.js';
import { parseRetryAfterMs, RETRY_AFTER_MAX_MS } from '../../delivery-rules/retry-after.js';
import type { GrantResult } from '../access-tokens.js';
import type { ServiceAccount } from './service-account.js';

const SCOPE = 'https://www.googleapis.com/auth/firebase.messaging';
const ASSERTION_LIFETIME_SECONDS = 3600;
const MAX_ANSWER_BYTES = 65_536;

export interface GrantOptions {
  readonly account: ServiceAccount;
  readonly clock: Clock;
  readonly timeoutMs: number;
  readonly tls: SecureContext;
}

/**
 * Asks the service account's `token_uri` for an access token: the JWT bearer grant (RFC 7523) with RS256. Never
 * rejects; settles within the time limit. Own code instead of firebase-admin's, which ignores `token_uri` and waits
 * for ever.
 */
export function requestAccessToken({ account, clock, timeoutMs, tls }: GrantOptions): Promise<GrantResult> {
  return new Promise((resolve) => {
    const { tokenUri } = account;
    const body = new URLSearchParams({
      grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
      assertion: createAssertion(account, nowSeconds(clock)),
    }).toString();
    const send = tokenUri.protocol === 'https:' ? httpsRequest : httpRequest;
    const options: RequestOptions & { secureContext: SecureContext } = {
      method: 'POST',
      agent: false,
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        'content-length': Buffer.byteLength(body),
        accept: 'application/json',
      },
      signal: AbortSignal.timeout(timeoutMs),
      secureContext: tls,
    };
    const request = send(tokenUri, options);
    const failTransport = (): void => resolve({ kind: 'failed', cause: 'transport', afterMs: null });
    request.on('error', failTransport);
    request.on('response', (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
        if (text.length > MAX_ANSWER_BYTES) request.destroy();
      });
      response.on('error', failTransport);
      response.on('close', failTransport); // of no effect after 'end'
      response.on('end', () => {
        const afterMs = parseRetryAfterMs(response.headers['retry-after'], clock.nowMs(), RETRY_AFTER_MAX_MS);
        resolve(readGrantAnswer(response.statusCode ?? 0, text, afterMs));
      });
    });
    request.end(body);
  });
}

function createAssertion(account: ServiceAccount, issuedAtSeconds: number): string {
  const header = {
    alg: 'RS256',
    typ: 'JWT',
    ...(account.privateKeyId === null ? {} : { kid: account.privateKeyId }),
  };
  const claims = {
    iss: account.clientEmail,
    scope: SCOPE,
    aud: account.tokenUri.href,
    iat: issuedAtSeconds,
    exp: issuedAtSeconds + ASSERTION_LIFETIME_SECONDS,
  };
  const signed = `${base64url(header)}.${base64url(claims)}`;
  return `${signed}.${sign('RSA-SHA256', Buffer.from(signed), account.privateKey).toString('base64url')}`;
}

const base64url = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/** The words of RFC 6749, 5.2, and Google's own; anything else is not repeated. */
const knownDenials = new Set([
  'invalid_grant',
  'invalid_client',
  'invalid_request',
  'invalid_scope',
  'unauthorized_client',
  'unsupported_grant_type',
  'access_denied',
  'disabled_client',
  'deleted_client',
]);

function readGrantAnswer(status: number, text: string, afterMs: number | null): GrantResult {
  if (status === 429) return { kind: 'failed', cause: 'throttled', afterMs };
  if (status === 408 || status >= 500) return { kind: 'failed', cause: 'server', afterMs };
  const answer = parseObject(text);
  if (status === 200) {
    const { access_token: accessToken, expires_in: expiresIn } = answer;
    const usable = typeof accessToken === 'string' && /^[\x21-\x7e]{1,8192}$/.test(accessToken);
    if (!usable) return { kind: 'failed', cause: 'server', afterMs };
    const expiresInSeconds =
      typeof expiresIn === 'number' && expiresIn > 0 ? Math.min(expiresIn, 86_400) : 3600;
    return { kind: 'granted', accessToken, expiresInSeconds };
  }
  const word = answer['error'];
  const known = typeof word === 'string' && knownDenials.has(word);
  return { kind: 'denied', reason: known ? word : `token-http-${status}` };
}

function parseObject(text: string): Readonly<Record<string, unknown>> {
  try {
    const parsed: unknown = JSON.parse(text);
    return typeof parsed === 'object' && parsed !== null ? (parsed as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
