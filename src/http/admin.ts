import fastify, { type FastifyReply, type FastifyRequest } from 'fastify';
import type { Metrics } from '../telemetry/metrics.js';
import { addDeviceRoutes, type DeletedDevices } from './admin-devices.js';
import { bearerTokenCheck } from './bearer-token.js';
import { boundAddress, type BoundAddress } from './bound-address.js';
import { isOwnHost } from './own-host.js';

export interface AdminServerOptions {
  readonly host: string;
  /** 0 = any free port. */
  readonly port: number;
  /** Wanted as `Authorization: Bearer TOKEN`; null = nobody is asked (loopback only). */
  readonly token: string | null;
}

export interface PartHealth {
  readonly ok: boolean;
  /** For the operator; null when all is well. */
  readonly reason: string | null;
}

export interface Readiness {
  readonly ready: boolean;
  readonly parts: Readonly<Record<string, PartHealth>>;
}

export interface Health {
  /** Whether the process is worth keeping; the answer itself shows that the event loop turns. */
  live(): boolean;
  ready(): Readiness | Promise<Readiness>;
}

export interface AdminServerDeps {
  readonly metrics: Metrics;
  readonly health: Health;
  /** What /stats shows; any JSON. */
  readonly stats: () => unknown;
  /** What /notifiers shows; any JSON. */
  readonly notifiers: () => unknown;
  readonly devices: DeletedDevices;
}

export interface AdminServer {
  /** Rejects when the address cannot be bound. */
  listen(): Promise<BoundAddress>;
  /** Idempotent. */
  close(): Promise<void>;
}

/** Longer than any sensible health check; whoever asks has his own limit. */
const READY_TIMEOUT_MS = 5_000;
const REQUEST_TIMEOUT_MS = 10_000;
const CONNECTIONS_MAX = 200;
/** A web page in the operator's browser cannot send JSON here unasked: hence no other content type. */
const requestErrors: ReadonlyMap<number, string> = new Map([
  [400, 'the body is not JSON'],
  [413, 'the body is too large'],
  [415, 'the body must be JSON: Content-Type: application/json'],
]);

/**
 * The operators' listener: GET /livez, /readyz, /metrics, /stats, /notifiers, and the routes of `admin-devices.ts`. With
 * a token set, /livez and /readyz still answer with their bare status without it (container platforms cannot send one);
 * everything else wants it.
 */
export function createAdminServer(options: AdminServerOptions, deps: AdminServerDeps): AdminServer {
  const server = fastify({
    logger: false,
    bodyLimit: 1_024,
    requestTimeout: REQUEST_TIMEOUT_MS,
    connectionTimeout: REQUEST_TIMEOUT_MS * 3,
    http: { headersTimeout: REQUEST_TIMEOUT_MS },
  });
  server.server.maxConnections = CONNECTIONS_MAX;
  server.removeContentTypeParser('text/plain');
  const isAllowed = options.token === null ? () => true : bearerTokenCheck(options.token);

  const guarded = async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply | undefined> => {
    if (options.token === null && !isOwnHost(request.headers.host)) {
      return reply.code(403).send({
        error:
          'without admin.token this listener is asked by its address or as localhost, not by another name',
      });
    }
    if (isAllowed(request.headers.authorization)) return undefined;
    return reply
      .code(401)
      .header('www-authenticate', 'Bearer')
      .send({ error: 'a bearer token is needed: Authorization: Bearer TOKEN (admin.token)' });
  };

  server.setErrorHandler((error: { statusCode?: number }, _request, reply) =>
    reply
      .code(error.statusCode ?? 500)
      .send({ error: requestErrors.get(error.statusCode ?? 500) ?? 'the request failed' }),
  );

  server.get('/livez', (_request, reply) => {
    const live = deps.health.live();
    return reply.code(live ? 200 : 503).send({ live });
  });

  server.get('/readyz', async (request, reply) => {
    const readiness = await askReadiness(deps.health);
    const { authorization, host } = request.headers;
    const isShown = isAllowed(authorization) && (options.token !== null || isOwnHost(host));
    const shown = isShown ? readiness : { ready: readiness.ready };
    return reply.code(readiness.ready ? 200 : 503).send(shown);
  });

  server.get('/metrics', { onRequest: guarded }, async (_request, reply) => {
    const { registry } = deps.metrics;
    return reply.header('content-type', registry.contentType).send(await registry.metrics());
  });

  for (const [path, show] of [
    ['/stats', deps.stats],
    ['/notifiers', deps.notifiers],
  ] as const) {
    server.get(path, { onRequest: guarded }, async (_request, reply) => {
      const shown = JSON.stringify(await show());
      return reply.header('content-type', 'application/json; charset=utf-8').send(shown);
    });
  }

  addDeviceRoutes(server, guarded, deps.devices);

  return {
    async listen() {
      await server.listen({ host: options.host, port: options.port });
      // An accept that fails (no open files are left) is the client's trouble, and shown at the door for clients.
      server.server.on('error', () => undefined);
      return boundAddress(server.server);
    },
    close: async () => {
      await server.close();
    },
  };
}

/** A check that fails or hangs is a part that is not ready. */
async function askReadiness(health: Health): Promise<Readiness> {
  const failed = (reason: string): Readiness => ({
    ready: false,
    parts: { health: { ok: false, reason } },
  });
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<Readiness>((resolve) => {
    timer = setTimeout(() => resolve(failed(`no answer within ${READY_TIMEOUT_MS} ms`)), READY_TIMEOUT_MS);
  });
  try {
    return await Promise.race([health.ready(), late]);
  } catch {
    return failed('the check failed');
  } finally {
    clearTimeout(timer);
  }
}
