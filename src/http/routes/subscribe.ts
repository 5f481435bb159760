import type { ClientEndpoint } from '../client-endpoints.js';
import { subscribeSchema } from '../schemas.js';
import { servePlain, type ServeContext } from '../serve-plain.js';
import { send, type RateLimitConfig, type Server } from '../server-types.js';

/** POST /subscribe: spec session-push-v2, section 4. */
export function subscribeRoute(
  server: Server,
  context: ServeContext,
  endpoint: ClientEndpoint,
  rateLimit: RateLimitConfig,
): void {
  server.post(endpoint.path, {
    config: { rateLimit },
    schema: subscribeSchema,
    handler: async (request, reply) => send(reply, await servePlain(context, endpoint, request.raw)),
  });
}
