import type { IncomingMessage } from 'node:http';
import { parseOnionFrame } from '../codec/onion-frame.js';
import { encodeOnionV4Reply, parseOnionV4Request } from '../codec/onion-v4.js';
import type { OnionOpener, OnionSalt } from '../crypto/onion.js';
import type { Log } from '../telemetry/log.js';
import type { SampledLog } from '../telemetry/sampled-log.js';
import {
  callEndpoint,
  comeBackLater,
  internalError,
  textReply,
  type ClientEndpoints,
  type EndpointReply,
} from './client-endpoints.js';
import { readBody } from './read-body.js';
import { BUSY_MESSAGE, declaredLength, type ServeContext } from './serve-plain.js';

export interface OnionContext extends ServeContext {
  readonly opener: OnionOpener;
  /** What can be called from inside: no onion route is among them, so an onion in an onion ends as 404. */
  readonly endpoints: ClientEndpoints;
  readonly bodyMaxBytes: number;
  readonly log: Log;
  readonly sampled: SampledLog;
}

/** One answer for every frame that cannot be opened, whatever was wrong with it. */
const badFrame = textReply(400, 'Invalid onion request');
const badRequest = textReply(400, 'Invalid v4 onion request');

/**
 * A version 4 onion request. Only a frame that nobody can decrypt gets a bare HTTP error; our own troubles go back
 * inside, because old clients hold an outer 5xx against the path and not against us.
 * Source: spec onion-requests, sections 4, 7 and 8.
 */
export async function serveOnion(
  context: OnionContext,
  salt: OnionSalt,
  request: IncomingMessage,
): Promise<EndpointReply> {
  const { admission, metrics } = context;
  const shed = (): EndpointReply => {
    metrics.onionRequests.of('shed').add();
    return comeBackLater(503, BUSY_MESSAGE, context.retryAfterSeconds);
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
    const frame = parseOnionFrame(received.body);
    const exchange = frame === null ? null : context.opener.open(frame, salt);
    if (exchange === null) return refuse();
    const inner = await serveInner(context, exchange.plaintext, isBusy);
    return {
      status: 200,
      headers: { 'content-type': 'application/octet-stream' },
      body: exchange.seal(
        encodeOnionV4Reply({ code: inner.status, headers: inner.headers, body: inner.body }),
      ),
    };
  } finally {
    admission.end();
    received.release();
  }
}

async function serveInner(context: OnionContext, text: Buffer, isBusy: boolean): Promise<EndpointReply> {
  const { metrics } = context;
  const request = parseOnionV4Request(text);
  if (request === null) {
    metrics.onionRequests.of('bad-request').add();
    return badRequest;
  }
  if (isBusy) {
    metrics.onionRequests.of('busy').add();
    return comeBackLater(503, BUSY_MESSAGE, context.retryAfterSeconds);
  }
  try {
    const reply = await callEndpoint(context.endpoints, request.method, request.path, request.body);
    metrics.onionRequests.of(reply.status === 200 ? 'ok' : 'refused').add();
    return reply;
  } catch (error) {
    metrics.onionRequests.of('failed').add();
    const reason = error instanceof Error ? error.name : 'unknown';
    context.sampled.note('onion', (occurrences) =>
      context.log.error({ reason, occurrences }, 'an onion request failed'),
    );
    return internalError;
  }
}
