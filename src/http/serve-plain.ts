import type { IncomingMessage } from 'node:http';
import type { Metrics } from '../telemetry/metrics.js';
import type { Admission } from './admission.js';
import { comeBackLater, textReply, type ClientEndpoint, type EndpointReply } from './client-endpoints.js';
import { readBody } from './read-body.js';

export interface ServeContext {
  readonly admission: Admission;
  readonly metrics: Metrics;
  readonly retryAfterSeconds: number;
}

export const BUSY_MESSAGE = 'The server is busy, try again later';

/** A request that came by plain HTTP. Source: spec session-push-v2, 3.1. */
export async function servePlain(
  context: ServeContext,
  endpoint: ClientEndpoint,
  request: IncomingMessage,
): Promise<EndpointReply> {
  const { admission, metrics } = context;
  const shed = (): EndpointReply => {
    metrics.requests.of('shed').add();
    return comeBackLater(503, BUSY_MESSAGE, context.retryAfterSeconds);
  };
  if (admission.level() !== 'open') return shed();

  const declaredBytes = declaredLength(request);
  const received = await readBody(request, declaredBytes, endpoint.bodyMaxBytes, admission);
  switch (received.kind) {
    case 'aborted':
      return textReply(400, 'Bad request');
    case 'no-room':
      return shed();
    case 'too-large':
      metrics.requests.of('error-1').add();
      return endpoint.handle({ kind: 'too-large' });
    case 'bytes':
      break;
  }
  admission.begin();
  try {
    if (received.body.length === 0 && declaredBytes === null) {
      metrics.requests.of('error-1').add();
      return await endpoint.handle({ kind: 'missing' });
    }
    return await endpoint.handle(received);
  } finally {
    admission.end();
    received.release();
  }
}

/** null without a Content-Length; Node has made sure that it is a number. */
export function declaredLength(request: IncomingMessage): number | null {
  const header = request.headers['content-length'];
  return header === undefined ? null : Number(header);
}
