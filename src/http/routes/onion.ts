import { onionSchema } from '../schemas.js';
import { serveOnion, type OnionContext } from '../serve-onion.js';
import { send, type RateLimitConfig, type Server } from '../server-types.js';

export const ONION_V4_PATH = '/oxen/v4/lsrpc';

/** POST /oxen/v4/lsrpc: spec onion-requests, section 4. */
export function onionRoute(server: Server, context: OnionContext, rateLimit: RateLimitConfig): void {
  server.post(ONION_V4_PATH, {
    config: { rateLimit },
    schema: onionSchema,
    handler: async (request, reply) => send(reply, await serveOnion(context, 'LOKI', request.raw)),
  });
}
