import type { ClientEndpoint } from '../client-endpoints.js';
import { unsubscribeSchema } from '../schemas.js';
import { servePlain, type ServeContext } from '../serve-plain.js';
import { send, type RateLimitConfig, type Server } from '../server-types.js';

/** POST /unsubscribe: spec session-push-v2, section 5. */
export function unsubscribeRoute(
  server: Server,
  context: ServeContext,
  endpoint: ClientEndpoint,
  rateLimit: RateLimitConfig,
): void {
  server.post(endpoint.path, {
    config: { rateLimit },
    schema: unsubscribeSchema,
    handler: async (request, reply) => send(reply, await servePlain(context, endpoint, request.raw)),
  });
}
