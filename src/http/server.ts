import corsPlugin from '@fastify/cors';
import rateLimitPlugin from '@fastify/rate-limit';
import swaggerPlugin from '@fastify/swagger';
import fastify, { type FastifyError } from 'fastify';
import type { OnionOpener } from '../crypto/onion.js';
import type { Clock } from '../domain/clock.js';
import type { Log } from '../telemetry/log.js';
import type { Metrics } from '../telemetry/metrics.js';
import { SampledLog } from '../telemetry/sampled-log.js';
import type { AppServer } from '../xmpp/app-server-port.js';
import { Admission, type LoopDelayMeter } from './admission.js';
import type { AppServerReport } from './app-server-serve.js';
import { boundAddress, type BoundAddress } from './bound-address.js';
import { brandDoors, type BrandServices } from './brand-doors.js';
import { createAddressClassifier } from './client-address.js';
import {
  internalError,
  methodNotAllowed,
  notFound,
  options as optionsReply,
  subscriptionEndpoints,
  textReply,
} from './client-endpoints.js';
import { appServerRoutes } from './routes/app-server.js';
import { onionRoute } from './routes/onion.js';
import { openapiRoute } from './routes/openapi.js';
import { STATISTICS_DATA_PATH, statisticsDataRoute, type StatisticsData } from './routes/statistics-data.js';
import { subscribeRoute } from './routes/subscribe.js';
import { unsubscribeRoute } from './routes/unsubscribe.js';
import { webpushKeysRoute, type VapidKeysOf } from './routes/webpush-keys.js';
import { RateLimited, rateLimitConfig } from './rate-limit.js';
import { defaultAppServerHttpOptions, type HttpServerOptions } from './server-options.js';
import { send, type Server } from './server-types.js';
import type { SubscriptionService } from './subscription-service.js';

export interface HttpServerDeps {
  readonly service: SubscriptionService;
  readonly opener: OnionOpener;
  /** Each with onion routes of its own. Default: one route for clients of the present protocol. */
  readonly brands?: readonly BrandServices[];
  /** Default: no such route. */
  readonly statistics?: StatisticsData;
  /** Null (or none): nothing under /push_appserver. */
  readonly appServer?: AppServer | null;
  /** Default: nobody is told. */
  readonly appServerReport?: AppServerReport;
  readonly metrics: Metrics;
  readonly log: Log;
  readonly clock: Clock;
  /** Default: no such route. */
  readonly vapidKeysOf?: VapidKeysOf;
  /** For tests of load shedding. */
  readonly loopDelayMeter?: LoopDelayMeter;
}

export interface HttpServer {
  /** Rejects when the address cannot be bound. */
  listen(): Promise<BoundAddress>;
  /** Client requests being answered now. */
  inProgress(): number;
  /** No new connections; what is in progress is answered, within `timeoutMs`. Idempotent. */
  close(timeoutMs?: number): Promise<void>;
}

/** How long a browser need not ask again; none remembers it for longer than a day. */
const PREFLIGHT_SECONDS = 86_400;

/** Of one address within the window of the rate limit. */
const PASSWORD_TRIES_MAX = 60;

/** The listener for clients. Source: spec session-push-v2, section 3; onion-requests, sections 4, 7 and 8. */
export async function createHttpServer(
  options: HttpServerOptions,
  deps: HttpServerDeps,
): Promise<HttpServer> {
  const { metrics, log } = deps;
  const admission = new Admission(options.admission, deps.loopDelayMeter);
  const server = createFastify(options);
  const sampled = new SampledLog(deps.clock);

  const serve = { admission, metrics, retryAfterSeconds: options.retryAfterSeconds };
  const endpoints = subscriptionEndpoints(deps.service, options);
  const onionDoors = brandDoors(deps.brands, deps.service, options);
  const clientPaths = new Set([...endpoints.keys(), ...onionDoors.map((door) => door.path)]);
  if (deps.statistics !== undefined) clientPaths.add(STATISTICS_DATA_PATH);

  ignoreContentTypes(server);
  server.setErrorHandler((error: FastifyError | RateLimited, _request, reply) => {
    if (error instanceof RateLimited) {
      metrics.requests.of('rate-limited').add();
      return send(reply, error.answer);
    }
    const status = error.statusCode ?? 500;
    if (status < 500) return send(reply, textReply(status, 'Bad request'));
    sampled.note('request', (occurrences) =>
      log.error({ reason: error.name, occurrences }, 'a client request failed'),
    );
    return send(reply, internalError);
  });
  server.setNotFoundHandler((request, reply) => {
    metrics.requests.of('not-found').add();
    if (!clientPaths.has(request.url.split('?', 1)[0] ?? '')) return send(reply, notFound);
    return send(reply, request.method === 'OPTIONS' ? optionsReply : methodNotAllowed);
  });

  const { corsOrigins } = options;
  if (corsOrigins.length > 0) {
    await server.register(corsPlugin, {
      origin: corsOrigins.includes('*') ? '*' : [...corsOrigins],
      methods: ['GET', 'POST'],
      maxAge: PREFLIGHT_SECONDS,
    });
  }
  await server.register(rateLimitPlugin, {
    global: false,
    addHeaders: noHeaders,
    addHeadersOnExceeding: noHeaders,
  });
  await server.register(swaggerPlugin, {
    openapi: {
      info: { title: 'Waggle', description: 'Push notifications for private messengers', version: '2' },
    },
  });
  const classify = createAddressClassifier(options.rateLimitExempt);
  const appServer = deps.appServer ?? null;
  if (appServer !== null) {
    await appServerRoutes(server, {
      appServer,
      options: options.appServer ?? defaultAppServerHttpOptions,
      serve,
      clock: deps.clock,
      report: deps.appServerReport ?? null,
      onFault: (reason) =>
        sampled.note('app-server', (occurrences) =>
          log.error({ reason, occurrences }, 'a request to the app server failed'),
        ),
      classify,
      addressesMax: options.rateLimit.addressesMax,
      unsettledMax: Math.ceil(options.admission.requestsInProgressMax / 2),
    });
  }
  const limit = rateLimitConfig(options.rateLimit, classify);
  const onionLimit = rateLimitConfig(options.onionRateLimit, classify);
  for (const endpoint of endpoints.values()) {
    const route = endpoint.path === '/subscribe' ? subscribeRoute : unsubscribeRoute;
    route(server, serve, endpoint, limit);
  }
  const onion = { ...serve, opener: deps.opener, bodyMaxBytes: options.onionBodyMaxBytes, log, sampled };
  for (const { path, dialect } of onionDoors) onionRoute(server, path, onion, dialect, onionLimit);
  if (deps.statistics !== undefined) {
    const tries = Math.min(options.rateLimit.requestsMax, PASSWORD_TRIES_MAX);
    statisticsDataRoute(server, serve, deps.statistics, { ...limit, max: tries });
  }
  if (deps.vapidKeysOf !== undefined) webpushKeysRoute(server, deps.vapidKeysOf, limit);
  openapiRoute(server, limit);

  return {
    async listen() {
      await server.listen({ host: options.host, port: options.port });
      // Without anybody who listens, an accept that fails (no open files or memory are left) would end the process.
      server.server.on('error', (error: NodeJS.ErrnoException) =>
        sampled.note('listener', (occurrences) =>
          log.warn({ failure: error.code, occurrences }, 'HTTP: a connection could not be accepted'),
        ),
      );
      server.server.on('drop', () => {
        metrics.httpConnectionsRefused.add();
        sampled.note('full', (occurrences) =>
          log.warn({ occurrences }, 'HTTP: a connection was refused, there are http.maxConnections'),
        );
      });
      return boundAddress(server.server);
    },
    inProgress: () => admission.inProgress,
    async close(timeoutMs = 5_000) {
      // Node ends idle connections once, at the start; those that become idle by an answer would stay to their limit.
      const sweep = setInterval(() => server.server.closeIdleConnections(), 50);
      const cut = setTimeout(() => server.server.closeAllConnections(), timeoutMs);
      try {
        await server.close();
      } finally {
        clearInterval(sweep);
        clearTimeout(cut);
        admission.close();
      }
    },
  };
}

function createFastify(options: HttpServerOptions): Server {
  const server = fastify({
    logger: false,
    trustProxy: options.trustProxy,
    bodyLimit: options.onionBodyMaxBytes,
    requestTimeout: options.requestTimeoutMs,
    keepAliveTimeout: options.keepAliveTimeoutMs,
    connectionTimeout: options.connectionTimeoutMs,
    http: { headersTimeout: options.headersTimeoutMs, connectionsCheckingInterval: 1_000 },
  });
  server.server.maxConnections = options.connectionsMax;
  // Schemas describe, they do not decide: neither what comes in nor what goes out is changed by them.
  server.setValidatorCompiler(() => () => true);
  server.setSerializerCompiler(() => (value) => JSON.stringify(value));
  return server;
}

/**
 * Every body is bytes, whatever its Content-Type says (spec session-push-v2, 3.1), and routes read it themselves
 * within their own limits. The header has to go, since fastify refuses malformed ones before any parser is asked.
 */
function ignoreContentTypes(server: Server): void {
  server.removeAllContentTypeParsers();
  server.addContentTypeParser('*', (_request, _payload, done) => done(null, undefined));
  server.addHook('onRequest', (request, _reply, done) => {
    delete request.raw.headers['content-type'];
    done();
  });
}

/** What is left of a limit is nobody's business; `Retry-After` comes with the refusal. */
const noHeaders = {
  'x-ratelimit-limit': false,
  'x-ratelimit-remaining': false,
  'x-ratelimit-reset': false,
  'retry-after': false,
};
