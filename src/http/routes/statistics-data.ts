import type { IncomingMessage } from 'node:http';
import { comeBackLater, textReply, type EndpointReply } from '../client-endpoints.js';
import { readBody } from '../read-body.js';
import { statisticsDataSchema } from '../schemas.js';
import { BUSY_MESSAGE, declaredLength, type ServeContext } from '../serve-plain.js';
import { send, type RateLimitConfig, type Server } from '../server-types.js';

/** Never rejects except for a bug; `undefined` where there was no such header. */
export type StatisticsData = (
  authorization: string | undefined,
  contentType: string | undefined,
  body: Buffer,
) => Promise<EndpointReply>;

export const STATISTICS_DATA_PATH = '/get_statistics_data';

/** A few dates and flags. */
const BODY_MAX_BYTES = 65_536;

/** POST /get_statistics_data, for the operators of older servers: spec session-push-v1, 6.1. */
export function statisticsDataRoute(
  server: Server,
  context: ServeContext,
  statistics: StatisticsData,
  rateLimit: RateLimitConfig,
): void {
  server.post(STATISTICS_DATA_PATH, {
    config: { rateLimit },
    schema: statisticsDataSchema,
    handler: async (request, reply) => send(reply, await serveStatistics(context, statistics, request.raw)),
  });
}

async function serveStatistics(
  { admission, retryAfterSeconds }: ServeContext,
  statistics: StatisticsData,
  request: IncomingMessage,
): Promise<EndpointReply> {
  const later = (): EndpointReply => comeBackLater(503, BUSY_MESSAGE, retryAfterSeconds);
  if (admission.level() !== 'open') return later();
  const received = await readBody(request, declaredLength(request), BODY_MAX_BYTES, admission);
  switch (received.kind) {
    case 'aborted':
      return textReply(400, 'Bad request');
    case 'no-room':
      return later();
    case 'too-large':
      return textReply(413, 'Request too large');
    case 'bytes':
      break;
  }
  admission.begin();
  try {
    return await statistics(request.headers.authorization, contentTypeOf(request), received.body);
  } finally {
    admission.end();
    received.release();
  }
}

/** As it came: the parsed headers have lost it on purpose, see `ignoreContentTypes`. */
function contentTypeOf({ rawHeaders }: IncomingMessage): string | undefined {
  const name = rawHeaders.findIndex(
    (text, index) => index % 2 === 0 && text.toLowerCase() === 'content-type',
  );
  return name < 0 ? undefined : rawHeaders[name + 1];
}
