import type { IncomingMessage } from 'node:http';
import { assertNever } from '../domain/assert-never.js';
import type { Clock } from '../domain/clock.js';
import type { AppServerCalls, Called } from './app-server-calls.js';
import type { AppServerDialect } from './app-server-dialect.js';
import { readPush, readRegister, readUnregister, type Fields } from './app-server-fields.js';
import type { EndpointReply } from './client-endpoints.js';
import { readBody } from './read-body.js';
import { declaredLength, type ServeContext } from './serve-plain.js';

export type AppServerRequestKind = 'register' | 'unregister' | 'push';

/** Outcomes as the ports name them, and what comes of requests that never get so far. */
export type AppServerAnswerKind =
  | 'registered'
  | 'unregistered'
  | 'accepted'
  | 'unknown-type'
  | 'bad-token'
  | 'not-found'
  | 'unknown'
  | 'dead-token'
  | 'rate-limited'
  | 'unavailable'
  | 'failed'
  | 'late'
  | 'fault'
  | 'bad-request'
  | 'too-large'
  | 'aborted'
  | 'shed';

/** Names of metrics are made from these. Must not throw. */
export interface AppServerReport {
  /** `tookMs`: from the first look at the request to its answer. */
  answered(request: AppServerRequestKind, answer: AppServerAnswerKind, tookMs: number): void;
}

export interface AppServerContext extends ServeContext {
  readonly calls: AppServerCalls;
  readonly clock: Clock;
  readonly report: AppServerReport | null;
}

interface Served {
  readonly reply: EndpointReply;
  readonly answer: AppServerAnswerKind;
}

/** One request of either dialect. Rejects only for a bug in this room. */
export async function serveAppServer(
  context: AppServerContext,
  dialect: AppServerDialect,
  kind: AppServerRequestKind,
  request: IncomingMessage,
): Promise<EndpointReply> {
  const { clock, report } = context;
  const startMs = clock.nowMs();
  const { reply, answer } = await serve(context, dialect, kind, request);
  report?.answered(kind, answer, clock.nowMs() - startMs);
  return reply;
}

async function serve(
  { admission, calls, metrics, retryAfterSeconds }: AppServerContext,
  dialect: AppServerDialect,
  kind: AppServerRequestKind,
  request: IncomingMessage,
): Promise<Served> {
  const shed = (): Served => {
    metrics.requests.of('shed').add();
    return { reply: dialect.refused('busy', retryAfterSeconds), answer: 'shed' };
  };
  const isBusy = (): boolean => calls.isFull || admission.level() !== 'open';
  if (isBusy()) return shed();

  const received = await readBody(request, declaredLength(request), dialect.bodyMaxBytes, admission);
  switch (received.kind) {
    case 'aborted':
      return { reply: dialect.refused('bad-request', retryAfterSeconds), answer: 'aborted' };
    case 'no-room':
      return shed();
    case 'too-large':
      return { reply: dialect.refused('too-large', retryAfterSeconds), answer: 'too-large' };
    case 'bytes':
      break;
  }
  const fields = dialect.read(received.body);
  // What is kept from here on are the few texts.
  received.release();
  // Many may have begun while this one was on its way.
  if (isBusy()) return shed();

  admission.begin();
  try {
    const served = fields === null ? null : await callWith(calls, dialect, kind, fields);
    return served ?? { reply: dialect.refused('bad-request', retryAfterSeconds), answer: 'bad-request' };
  } finally {
    admission.end();
  }
}

/** Null: not all that is wanted is there. */
async function callWith(
  calls: AppServerCalls,
  dialect: AppServerDialect,
  kind: AppServerRequestKind,
  fields: Fields,
): Promise<Served | null> {
  switch (kind) {
    case 'register': {
      const asked = readRegister(fields);
      if (asked === null) return null;
      const called = await calls.register(asked);
      return { reply: dialect.registered(called.outcome), answer: answerOf(called) };
    }
    case 'unregister': {
      const asked = readUnregister(fields);
      if (asked === null) return null;
      const called = await calls.unregister(asked);
      return { reply: dialect.unregistered(asked.node, called.outcome), answer: answerOf(called) };
    }
    case 'push': {
      const asked = readPush(fields);
      if (asked === null) return null;
      const called = await calls.push(asked);
      return { reply: dialect.pushed(asked.node, called.outcome), answer: answerOf(called) };
    }
    default:
      return assertNever(kind);
  }
}

const answerOf = <K extends AppServerAnswerKind>({
  outcome,
  end,
}: Called<{ readonly kind: K }>): AppServerAnswerKind => (end === 'answered' ? outcome.kind : end);
