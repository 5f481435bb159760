import type { Outcome } from '../domain/outcome.js';
import type { Http2Failure } from './http2-exchange.js';

/**
 * What it means for a push that no answer came. Always `retry`: even an untrusted certificate may be a proxy on the
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
  busy: { kind: 'retry', reason: 'busy', cause: 'throttled', afterMs: null, scope: 'push' },
  aborted: { kind: 'retry', reason: 'aborted', cause: 'transport', afterMs: null, scope: 'push' },
  closed: { kind: 'retry', reason: 'closed', cause: 'transport', afterMs: null, scope: 'push' },
};

export const outcomeOfFailure = (failure: Http2Failure): Outcome => outcomes[failure];

function transport(reason: string): Outcome {
  return { kind: 'retry', reason, cause: 'transport', afterMs: null, scope: 'push' };
}
