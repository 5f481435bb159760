import type { Outcome } from '../domain/outcome.js';
import type { Http2Failure } from './http2-exchange.js';

/** The pause of the notifier, where there is one, is longer than this. */
const UNSENT_AGAIN_MS = 1_000;

/**
 * What it means for a push that no answer came. Never the end of it: even an untrusted certificate may be a proxy on the
 * way that is gone tomorrow, and the push is worth keeping until it expires.
 */
const outcomes: Readonly<Record<Http2Failure, Outcome>> = {
  unreachable: transport('unreachable'),
  'connect-timeout': transport('connect-timeout'),
  'tls-failed': transport('tls-failed'),
  timeout: transport('timeout'),
  'connection-lost': transport('connection-lost'),
  reset: transport('reset'),
  refused: transport('refused'),
  busy: unsent('busy'),
  'held-back': unsent('held-back'),
  aborted: { kind: 'retry', reason: 'aborted', cause: 'transport', afterMs: null, scope: 'push' },
  closed: { kind: 'retry', reason: 'closed', cause: 'transport', afterMs: null, scope: 'push' },
};

export const outcomeOfFailure = (failure: Http2Failure): Outcome => outcomes[failure];

function unsent(reason: string): Outcome {
  return { kind: 'postponed', reason, afterMs: UNSENT_AGAIN_MS };
}

function transport(reason: string): Outcome {
  return { kind: 'retry', reason, cause: 'transport', afterMs: null, scope: 'push' };
}
