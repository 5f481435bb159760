import type { RateLimitOptions as PluginRateLimitOptions } from '@fastify/rate-limit';
import type { FastifyInstance, FastifyReply } from 'fastify';
import type { EndpointReply } from './client-endpoints.js';

export type Server = FastifyInstance;
export type RateLimitConfig = PluginRateLimitOptions;

/** A Buffer, because fastify writes a charset behind the content type of texts. */
export function send(reply: FastifyReply, answer: EndpointReply): FastifyReply {
  return reply.code(answer.status).headers(answer.headers).send(answer.body);
}
