import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Clock } from '../../domain/clock.js';
import type { AppServer } from '../../xmpp/app-server-port.js';
import { createDebugAccess } from '../app-server-access.js';
import { AppServerCalls } from '../app-server-calls.js';
import type { AppServerDialect } from '../app-server-dialect.js';
import { createJsonDialect, errorReply, refuseJson } from '../app-server-json.js';
import { notFoundPage } from '../app-server-pages.js';
import { appServerSchemas, appServerTextSchemas } from '../app-server-schemas.js';
import { serveAppServer, type AppServerReport, type AppServerRequestKind } from '../app-server-serve.js';
import { createTextDialect, refusePage } from '../app-server-text.js';
import type { ClientAddress } from '../client-address.js';
import { RateLimited, rateLimitConfig } from '../rate-limit.js';
import type { ServeContext } from '../serve-plain.js';
import type { AppServerHttpOptions } from '../server-options.js';
import { send, type Server } from '../server-types.js';
import { appServerPages } from './app-server-pages.js';

export const APP_SERVER_PATH = '/push_appserver';

export interface AppServerRoutes {
  readonly appServer: AppServer;
  readonly options: AppServerHttpOptions;
  readonly serve: ServeContext;
  readonly clock: Clock;
  readonly report: AppServerReport | null;
  /** The app server has thrown, which it must not. */
  readonly onFault: (reason: string) => void;
  readonly classify: (address: string) => ClientAddress;
  /** Addresses remembered at once, by each of the limits. */
  readonly addressesMax: number;
  /** See `AppServerCalls`. */
  readonly unsettledMax: number;
}

const kinds: readonly AppServerRequestKind[] = ['register', 'unregister', 'push'];
const WINDOW_SECONDS = 60;

/**
 * Everything under /push_appserver: version 1 as clients of mod_push_appserver know it, version 2 in JSON, and the pages.
 * Any web page may call it, as the original allows: there is nothing in a browser (cookies, an address of its own) that
 * would give such a page more than anybody has. Source: spec xmpp-push, section 7.
 */
export async function appServerRoutes(
  server: Server,
  {
    appServer,
    options,
    serve,
    clock,
    report,
    onFault,
    classify,
    addressesMax,
    unsettledMax,
  }: AppServerRoutes,
): Promise<void> {
  const { answerTimeoutMs } = options;
  const calls = new AppServerCalls(appServer, clock, { answerTimeoutMs, unsettledMax }, onFault);
  const context = { ...serve, calls, clock, report };
  const limitOf = (requestsMax: number) =>
    server.rateLimit({
      ...rateLimitConfig({ requestsMax, windowSeconds: WINDOW_SECONDS, addressesMax }, classify),
      errorResponseBuilder: (request: FastifyRequest, { ttl }: { readonly ttl: number }) => {
        const seconds = Math.max(1, Math.ceil(ttl / 1_000));
        const refused = isJson(request) ? refuseJson : refusePage;
        return new RateLimited(refused('too-many', seconds));
      },
    });
  // One count for both versions of both: whoever registers and unregisters by turns is no better than who registers.
  const registrations = limitOf(options.registrationsPerMinute);
  const limits = {
    register: registrations,
    unregister: registrations,
    push: limitOf(options.pushesPerMinute),
  };
  const text = createTextDialect(context.retryAfterSeconds);
  const json = createJsonDialect(context.retryAfterSeconds, options.jid);

  const routes = (scope: Server): void => {
    const answering =
      (dialect: AppServerDialect, kind: AppServerRequestKind) =>
      async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> =>
        send(reply, await serveAppServer(context, dialect, kind, request.raw));

    // The listed origins of the other routes are not asked here, and preflights answered as all OPTIONS are.
    scope.addHook('onRoute', (route) => {
      route.config = { ...route.config, ...ownCors };
    });
    scope.addHook('onRequest', (request, reply, done) => {
      void reply.headers(isJson(request) ? corsOfJson : cors);
      done();
    });
    scope.setNotFoundHandler((request, reply) => {
      context.metrics.requests.of('not-found').add();
      if (!isJson(request)) return send(reply, notFoundPage);
      const path = request.url.split('?', 1)[0] ?? '';
      return send(reply, allowOf.has(path) ? wrongMethod(allowOf.get(path) ?? '') : unknownPath);
    });

    for (const kind of kinds) {
      scope.post(`/v1/${kind}`, {
        onRequest: limits[kind],
        schema: appServerTextSchemas[kind],
        handler: answering(text, kind),
      });
      scope.route({
        url: `/v2/${kind}`,
        method: kind === 'unregister' ? ['POST', 'DELETE'] : ['POST'],
        onRequest: limits[kind],
        schema: appServerSchemas[kind],
        handler: answering(json, kind),
      });
    }
    appServerPages(scope, { appServer, mayDebug: createDebugAccess(options) }, registrations);

    for (const path of [...kinds.map((kind) => `/v2/${kind}`), ...pagePaths]) {
      scope.options(path, hidden, (_request, reply) => reply.send(Buffer.alloc(0)));
    }
    // There is a route of the other paths that takes every OPTIONS left over.
    scope.options('/*', hidden, (_request, reply) => reply.callNotFound());
  };
  await server.register(async (scope) => routes(scope), { prefix: APP_SERVER_PATH });
}

/** For the plugin. */
const ownCors = { cors: false };
const hidden = { schema: { hide: true } };

/** Of version 1 and the pages, which have some of them in common. */
const pagePaths = [
  '/',
  '/v1/health',
  ...[...kinds, 'settings'].flatMap((name) => [`/v1/${name}`, `/v1/${name}/*`]),
];

const isJson = (request: FastifyRequest): boolean => request.url.startsWith(`${APP_SERVER_PATH}/v2/`);

const allowOf: ReadonlyMap<string, string> = new Map(
  kinds.map((kind) => [
    `${APP_SERVER_PATH}/v2/${kind}`,
    kind === 'unregister' ? 'POST, DELETE, OPTIONS' : 'POST, OPTIONS',
  ]),
);
const wrongMethod = (allow: string) =>
  errorReply(405, 'method-not-allowed', 'There is no such method here', { allow });
const unknownPath = errorReply(404, 'unknown-path', 'There is nothing here');

/** On every answer, as in the original. */
const cors = {
  'access-control-allow-origin': '*',
  'access-control-allow-methods': 'POST, GET, OPTIONS',
  'access-control-allow-headers': 'Content-Type',
  'access-control-max-age': '7200',
};
const corsOfJson = { ...cors, 'access-control-allow-methods': 'POST, DELETE, OPTIONS' };
