import type { IncomingMessage } from 'node:http';
import { parseOnionFrame, type OnionVersion } from '../codec/onion-frame.js';
import type { OnionOpener, OnionSalt } from '../crypto/onion.js';
import type { Log } from '../telemetry/log.js';
import type { SampledLog } from '../telemetry/sampled-log.js';
import { textReply, type EndpointReply } from './client-endpoints.js';
import { TOO_MANY_MESSAGE } from './rate-limit.js';
import { readBody } from './read-body.js';
import { BUSY_MESSAGE, declaredLength, type ServeContext } from './serve-plain.js';

export interface OnionContext extends ServeContext {
  readonly opener: OnionOpener;
  readonly bodyMaxBytes: number;
  readonly log: Log;
  readonly sampled: SampledLog;
}

/** What became of a request, as its metric names it. */
export type OnionResult = 'ok' | 'refused' | 'bad-request' | 'busy' | 'failed';

export interface OnionAnswer {
  readonly result: OnionResult;
  /** To be sealed. */
  readonly text: Buffer;
}

/** What the versions of the protocol do differently, each for one route. */
export interface OnionDialect {
  readonly version: OnionVersion;
  readonly salt: OnionSalt;
  /** For a frame that none of our keys opens, when its sender can read it; null: nothing but the bare refusal. */
  readonly unopened: Buffer | null;
  /** `isBusy`: to be answered by "come back later". Rejects only for a bug of ours. */
  answer(text: Buffer, isBusy: boolean): Promise<OnionAnswer>;
  /** What is answered after such a bug. */
  readonly failed: Buffer;
  wrap(sealed: Buffer): EndpointReply;
}

/**
 * When there is no room for even the cheapest work, or too much comes from one address. Neither 503 nor 429: the nodes
 * drop `Retry-After` on the way, and clients drop a path after three answers other than 400 and 404, though every one
 * of their paths leads here (spec onion-requests, 7).
 */
const shedOnion = textReply(400, BUSY_MESSAGE);
export const limitedOnion = textReply(400, TOO_MANY_MESSAGE);

/** One answer for every frame that cannot be opened, whatever was wrong with it. */
const badFrame = textReply(400, 'Invalid onion request');

/**
 * An onion request of any version. Only a frame that nobody can decrypt gets a bare HTTP error; our own troubles go back
 * inside, because old clients hold an outer 5xx against the path and not against us.
 * `host`: as the request names it.
 * Source: spec onion-requests, sections 4, 5, 7 and 8.
 */
export async function serveOnion(
  context: OnionContext,
  dialect: OnionDialect,
  request: IncomingMessage,
  host: string,
): Promise<EndpointReply> {
  const { admission, metrics, opener } = context;
  const shed = (): EndpointReply => {
    metrics.onionRequests.of('shed').add();
    return shedOnion;
  };
  const refuse = (): EndpointReply => {
    metrics.onionRequests.of('bad-frame').add();
    return badFrame;
  };
  if (admission.level() === 'full') return shed();

  const received = await readBody(request, declaredLength(request), context.bodyMaxBytes, admission);
  if (received.kind === 'no-room') return shed();
  if (received.kind !== 'bytes') return refuse();

  const isBusy = admission.level() !== 'open';
  admission.begin();
  try {
    const frame = parseOnionFrame(received.body, dialect.version);
    if (frame === null || frame.ciphertext.length === 0) return refuse();
    const exchange = opener.openOrRefuse(frame, dialect.salt, host);
    if (exchange === null) return refuse();
    if (exchange.plaintext === null) {
      const bare = refuse();
      return dialect.unopened === null ? bare : dialect.wrap(exchange.seal(dialect.unopened));
    }
    const { result, text } = await answerSafely(context, dialect, exchange.plaintext, isBusy);
    metrics.onionRequests.of(result).add();
    return dialect.wrap(exchange.seal(text));
  } finally {
    admission.end();
    received.release();
  }
}

async function answerSafely(
  { log, sampled }: OnionContext,
  dialect: OnionDialect,
  text: Buffer,
  isBusy: boolean,
): Promise<OnionAnswer> {
  try {
    return await dialect.answer(text, isBusy);
  } catch (error) {
    const reason = error instanceof Error ? error.name : 'unknown';
    sampled.note('onion', (occurrences) => log.error({ reason, occurrences }, 'an onion request failed'));
    return { result: 'failed', text: dialect.failed };
  }
}
