import type { RateLimitConfig, Server } from '../server-types.js';

/** GET /openapi.json: what this server can be asked, for people and tools. */
export function openapiRoute(server: Server, rateLimit: RateLimitConfig): void {
  let description: Buffer | null = null;
  server.get('/openapi.json', {
    config: { rateLimit },
    schema: { hide: true },
    handler: async (_request, reply) => {
      description ??= Buffer.from(JSON.stringify(server.swagger()));
      return reply.header('content-type', 'application/json').send(description);
    },
  });
}
