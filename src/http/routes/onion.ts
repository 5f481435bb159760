import { refusingBy } from '../rate-limit.js';
import { onionSchemas } from '../schemas.js';
import { limitedOnion, serveOnion, type OnionContext, type OnionDialect } from '../serve-onion.js';
import { send, type RateLimitConfig, type Server } from '../server-types.js';

/** POST /…/lsrpc of one brand and version: spec onion-requests, section 1. */
export function onionRoute(
  server: Server,
  path: string,
  context: OnionContext,
  dialect: OnionDialect,
  rateLimit: RateLimitConfig,
): void {
  server.post(path, {
    config: { rateLimit: refusingBy(rateLimit, limitedOnion) },
    schema: onionSchemas[dialect.version],
    handler: async (request, reply) =>
      send(reply, await serveOnion(context, dialect, request.raw, request.host)),
  });
}
