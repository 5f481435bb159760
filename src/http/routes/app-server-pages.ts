import type { FastifyReply, FastifyRequest, onRequestAsyncHookHandler } from 'fastify';
import type { AppServer } from '../../xmpp/app-server-port.js';
import { parseForm } from '../app-server-form.js';
import {
  badRequestPage,
  forbiddenPage,
  formPage,
  healthPage,
  helloPage,
  nodesPage,
  recordsPage,
} from '../app-server-pages.js';
import type { EndpointReply } from '../client-endpoints.js';
import { send, type Server } from '../server-types.js';

export interface DevicePages {
  readonly appServer: Pick<AppServer, 'nodes' | 'records'>;
  /** Whether this request may see more than that we run. */
  readonly mayDebug: (request: FastifyRequest) => boolean;
}

const SETTINGS = '/v1/settings';
const NODES_PER_PAGE = 1_000;
const hidden = { schema: { hide: true } };

/**
 * The pages for people, and for the monitors that watch them. `limit`: for those that want a token, which can be guessed at.
 * Source: spec xmpp-push, section 7.
 */
export function appServerPages(
  scope: Server,
  { appServer, mayDebug }: DevicePages,
  limit: onRequestAsyncHookHandler,
): void {
  const debugging =
    (show: (request: FastifyRequest) => EndpointReply) =>
    (request: FastifyRequest, reply: FastifyReply): FastifyReply => {
      if (!mayDebug(request)) return send(reply, forbiddenPage);
      // What is on these pages is for the operator's eyes, not for the scripts of whatever page he has open beside them.
      for (const name of Object.keys(reply.getHeaders())) {
        if (name.startsWith('access-control-')) reply.removeHeader(name);
      }
      return send(reply, show(request));
    };

  scope.get('/', hidden, (_request, reply) => send(reply, helloPage));
  scope.get('/v1/health', hidden, (_request, reply) => send(reply, healthPage));

  for (const kind of ['register', 'unregister', 'push'] as const) {
    for (const path of [`/v1/${kind}`, `/v1/${kind}/*`]) {
      const handler = debugging(() => formPage(kind));
      scope.get(path, { ...hidden, onRequest: limit, handler });
    }
  }

  const settings = debugging((request) => {
    const { node, isBelow, query } = splitSettings(request.raw.url ?? '');
    if (node === null) return badRequestPage;
    if (node !== '') return recordsPage(appServer.records(node));
    const parameters = query === '' ? new Map<string, string>() : parseForm(Buffer.from(query, 'latin1'));
    if (parameters === null) return badRequestPage;
    const nodes = appServer.nodes(parameters.get('after') ?? null, NODES_PER_PAGE + 1);
    const shown = nodes.slice(0, NODES_PER_PAGE);
    return nodesPage(shown, isBelow ? '' : 'settings/', nodes.length > NODES_PER_PAGE);
  });
  for (const path of [SETTINGS, `${SETTINGS}/*`]) {
    scope.get(path, { ...hidden, onRequest: limit, handler: settings });
  }
}

interface SettingsAddress {
  /** '': none is named; null: what is there is no text. */
  readonly node: string | null;
  /** With a slash behind `settings`: links are relative to another place then. */
  readonly isBelow: boolean;
  readonly query: string;
}

/** From the address as it came, for an escaped slash is a part of the node and a bare one is not. */
function splitSettings(url: string): SettingsAddress {
  const mark = url.indexOf('?');
  const path = mark < 0 ? url : url.slice(0, mark);
  const below = path.slice(path.indexOf(SETTINGS) + SETTINGS.length);
  const [, segment = ''] = below.split('/');
  return { node: decoded(segment), isBelow: below !== '', query: mark < 0 ? '' : url.slice(mark + 1) };
}

function decoded(segment: string): string | null {
  try {
    return decodeURIComponent(segment);
  } catch {
    return null;
  }
}
