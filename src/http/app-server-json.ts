import { assertNever } from '../domain/assert-never.js';
import type { AppServerDialect, AppServerRefusal } from './app-server-dialect.js';
import type { Fields } from './app-server-fields.js';
import { jsonReply, type EndpointReply } from './client-endpoints.js';

/** The longest values that are taken, with every character of them escaped. */
const BODY_MAX_BYTES = 32_768;

/** Stable: what a client's program decides by. The message is for people. */
export type AppServerErrorCode =
  | 'bad-request'
  | 'too-large'
  | 'unknown-type'
  | 'bad-token'
  | 'unknown-node'
  | 'unknown-path'
  | 'method-not-allowed'
  | 'rate-limited'
  | 'push-failed'
  | 'unavailable';

/**
 * Version 2: JSON in, JSON out, the status says it all. `jid`: what clients give to their own server with node and
 * secret; null when HTTP is all there is.
 */
export function createJsonDialect(retryAfterSeconds: number, jid: string | null): AppServerDialect {
  const limited = tooMany(retryAfterSeconds);
  const unavailable = busy(retryAfterSeconds);
  return {
    bodyMaxBytes: BODY_MAX_BYTES,
    read: readJson,
    registered(outcome) {
      switch (outcome.kind) {
        case 'registered':
          return answer(200, { node: outcome.node, secret: outcome.secret, jid });
        case 'unknown-type':
          return errorReply(400, 'unknown-type', 'There is no push service of this type');
        case 'bad-token':
          return errorReply(400, 'bad-token', 'The push service takes no such token');
        case 'rate-limited':
          return limited;
        case 'unavailable':
          return unavailable;
        default:
          return assertNever(outcome);
      }
    },
    unregistered(node, outcome) {
      switch (outcome.kind) {
        case 'unregistered':
          return answer(200, { node });
        case 'not-found':
          return errorReply(404, 'unknown-node', 'Nothing is registered with this type and node');
        case 'rate-limited':
          return limited;
        case 'unavailable':
          return unavailable;
        default:
          return assertNever(outcome);
      }
    },
    pushed(node, outcome) {
      switch (outcome.kind) {
        case 'accepted':
          return answer(200, { node });
        case 'unknown':
        case 'dead-token':
          return errorReply(404, 'unknown-node', 'Nothing is registered with this node and secret');
        case 'rate-limited':
          return limited;
        case 'failed':
          return errorReply(503, 'push-failed', outcome.text ?? 'The push could not be sent', {
            'retry-after': String(retryAfterSeconds),
          });
        default:
          return assertNever(outcome);
      }
    },
    refused: refuseJson,
  };
}

export function refuseJson(refusal: AppServerRefusal, retryAfterSeconds: number): EndpointReply {
  switch (refusal) {
    case 'bad-request':
      return errorReply(
        400,
        'bad-request',
        'The body must be a JSON object with all members that are wanted',
      );
    case 'too-large':
      return errorReply(413, 'too-large', 'The body is too large');
    case 'busy':
      return busy(retryAfterSeconds);
    case 'too-many':
      return tooMany(retryAfterSeconds);
    default:
      return assertNever(refusal);
  }
}

export function errorReply(
  status: number,
  error: AppServerErrorCode,
  message: string,
  headers: Readonly<Record<string, string>> = {},
): EndpointReply {
  return answer(status, { error, message }, headers);
}

const answer = (
  status: number,
  value: unknown,
  headers: Readonly<Record<string, string>> = {},
): EndpointReply => {
  const reply = jsonReply(status, value);
  return { ...reply, headers: { ...reply.headers, 'cache-control': 'no-store', ...headers } };
};

const busy = (seconds: number): EndpointReply =>
  errorReply(503, 'unavailable', 'Try again later', { 'retry-after': String(seconds) });
const tooMany = (seconds: number): EndpointReply =>
  errorReply(429, 'rate-limited', 'Too many requests, try again later', { 'retry-after': String(seconds) });

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** Members that are no text count as missing. */
function readJson(body: Buffer): Fields | null {
  let value: unknown;
  try {
    value = JSON.parse(utf8.decode(body));
  } catch {
    return null;
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return null;
  const texts = Object.entries(value).filter(
    (entry): entry is [string, string] => typeof entry[1] === 'string',
  );
  return new Map(texts);
}
