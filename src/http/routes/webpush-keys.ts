import { Type } from 'typebox';
import { jsonReply, notFound } from '../client-endpoints.js';
import { send, type RateLimitConfig, type Server } from '../server-types.js';

/** The VAPID public keys of a notifier (base64url, the preferred one first); null when the service has none. */
export type VapidKeysOf = (service: string) => readonly string[] | null;

const schema = {
  summary: 'The keys with which browsers subscribe for a Web Push service of this server',
  description:
    'A subscription made with any accepted key is served; new ones are to use the preferred key as applicationServerKey.',
  params: Type.Object({ service: Type.String({ description: 'name of a notifier of type webpush' }) }),
  response: {
    200: Type.Object({
      preferred: Type.String({ description: '65 bytes in base64url' }),
      accepted: Type.Array(Type.String()),
    }),
  },
};

/** GET /webpush/SERVICE/keys: a browser needs a key before it can subscribe anywhere (RFC 8292, section 4.1). */
export function webpushKeysRoute(server: Server, keysOf: VapidKeysOf, rateLimit: RateLimitConfig): void {
  server.get<{ readonly Params: { readonly service: string } }>('/webpush/:service/keys', {
    config: { rateLimit },
    schema,
    handler: async (request, reply) => {
      const accepted = keysOf(request.params.service);
      const [preferred] = accepted ?? [];
      return send(reply, preferred === undefined ? notFound : jsonReply(200, { preferred, accepted }));
    },
  });
}
