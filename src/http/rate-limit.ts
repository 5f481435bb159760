import type { FastifyRequest } from 'fastify';
import type { ClientAddress } from './client-address.js';
import { comeBackLater, type EndpointReply } from './client-endpoints.js';
import type { RateLimitOptions } from './server-options.js';
import type { RateLimitConfig } from './server-types.js';

/** What the plugin throws in place of an answer; the server's error handler sends the one inside. */
export class RateLimited extends Error {
  constructor(readonly answer: EndpointReply) {
    super('rate limited');
  }
}

/** For one kind of routes; each route counts for itself. */
export function rateLimitConfig(
  limits: RateLimitOptions,
  classify: (address: string) => ClientAddress,
): RateLimitConfig & { readonly cache: number } {
  return {
    max: limits.requestsMax,
    timeWindow: limits.windowSeconds * 1_000,
    cache: limits.addressesMax,
    keyGenerator: (request) => classify(addressOf(request)).key,
    allowList: (request) => classify(addressOf(request)).isExempt,
    errorResponseBuilder: (_request, { ttl }) => {
      const seconds = Math.max(1, Math.ceil(ttl / 1_000));
      return new RateLimited(comeBackLater(429, TOO_MANY_MESSAGE, seconds));
    },
  };
}

/** The same limit for a route whose clients want another answer. */
export const refusingBy = (config: RateLimitConfig, answer: EndpointReply): RateLimitConfig => ({
  ...config,
  errorResponseBuilder: () => new RateLimited(answer),
});

export const TOO_MANY_MESSAGE = 'Too many requests, try again later';

/** Missing when the connection has ended meanwhile, whatever the type says. */
const addressOf = (request: FastifyRequest): string => {
  const address: string | undefined = request.ip;
  return address ?? '';
};
