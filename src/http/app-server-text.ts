import { assertNever } from '../domain/assert-never.js';
import type { AppServerDialect, AppServerRefusal } from './app-server-dialect.js';
import { parseForm } from './app-server-form.js';
import { htmlReply } from './app-server-html.js';
import { textReply, type EndpointReply } from './client-endpoints.js';

/** Fixed in the original. */
const BODY_MAX_BYTES = 4_096;

/**
 * Version 1: forms in, lines out. What comes about by the request is answered with status 200, `OK` or `ERROR` in the
 * first line and no LF at the end, for the clients count the lines; every other status is for their code to look at,
 * with a page for people. Source: spec xmpp-push, section 7.
 */
export const createTextDialect = (retryAfterSeconds: number): AppServerDialect => ({
  bodyMaxBytes: BODY_MAX_BYTES,
  read: parseForm,
  registered(outcome) {
    switch (outcome.kind) {
      case 'registered':
        return lines('OK', outcome.node, outcome.secret);
      case 'unknown-type':
      case 'bad-token':
        return badRequest;
      case 'rate-limited':
        return later(429, retryAfterSeconds);
      case 'unavailable':
        return later(503, retryAfterSeconds);
      default:
        return assertNever(outcome);
    }
  },
  unregistered(node, outcome) {
    switch (outcome.kind) {
      case 'unregistered':
        return lines('OK', node, outcome.secret ?? '');
      case 'not-found':
        return lines('ERROR', 'Node not found!');
      case 'rate-limited':
        return later(429, retryAfterSeconds);
      case 'unavailable':
        return later(503, retryAfterSeconds);
      default:
        return assertNever(outcome);
    }
  },
  pushed(node, outcome) {
    switch (outcome.kind) {
      case 'accepted':
        return lines('OK', node);
      // Of a dead token the record is gone: the next push would be answered with this in any case.
      case 'unknown':
      case 'dead-token':
        return lines('ERROR', 'Node or secret not found!');
      case 'rate-limited':
        return lines('ERROR', 'Ratelimit reached!');
      case 'failed':
        return lines('ERROR', outcome.text ?? 'Internal error in push handler');
      default:
        return assertNever(outcome);
    }
  },
  refused: refusePage,
});

export function refusePage(refusal: AppServerRefusal, retryAfterSeconds: number): EndpointReply {
  switch (refusal) {
    case 'bad-request':
    case 'too-large':
      return badRequest;
    case 'busy':
      return later(503, retryAfterSeconds);
    case 'too-many':
      return later(429, retryAfterSeconds);
    default:
      return assertNever(refusal);
  }
}

const badRequest = htmlReply(400, '<h1>400 Bad Request</h1>');

const later = (status: 429 | 503, seconds: number): EndpointReply =>
  htmlReply(status, status === 429 ? '<h1>429 Too Many Requests</h1>' : '<h1>503 Service Unavailable</h1>', {
    'retry-after': String(seconds),
  });

/** A provider's text must not make lines of its own. */
const lines = (...texts: readonly string[]): EndpointReply =>
  textReply(200, texts.map((text) => text.replace(/[\r\n]+/g, ' ')).join('\n'), {
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  });
