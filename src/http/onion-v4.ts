import { parseLegacyArguments, withoutSlash } from '../codec/onion-v2.js';
import {
  encodeOnionV4Reply,
  parseOnionV4Text,
  readOnionV4Request,
  type OnionV4Text,
} from '../codec/onion-v4.js';
import type { OnionSalt } from '../crypto/onion.js';
import type { LegacyMethods } from '../legacy/methods-port.js';
import {
  callEndpoint,
  comeBackLater,
  internalError,
  jsonReply,
  textReply,
  type ClientEndpoints,
  type EndpointReply,
} from './client-endpoints.js';
import type { OnionAnswer, OnionDialect, OnionResult } from './serve-onion.js';
import { BUSY_MESSAGE } from './serve-plain.js';

export interface OnionV4Services {
  /** What can be called from inside: no onion route is among them, so an onion in an onion ends as 404. */
  readonly endpoints: ClientEndpoints;
  /** null when the route is for clients of the present protocol only. */
  readonly methods: LegacyMethods | null;
}

/**
 * Version 4: the endpoints of the present protocol, and the methods of the older clients beside them.
 * Source: spec onion-requests, 4.2; session-push-v1, 2.2.
 */
export function createOnionV4(
  salt: OnionSalt,
  { endpoints, methods }: OnionV4Services,
  retryAfterSeconds: number,
): OnionDialect {
  const busy = comeBackLater(503, BUSY_MESSAGE, retryAfterSeconds);

  async function answerEndpoint(parts: OnionV4Text, isBusy: boolean): Promise<OnionAnswer> {
    const request = readOnionV4Request(parts);
    if (request === null) return answerOf('bad-request', badRequest);
    if (isBusy) return answerOf('busy', busy);
    return answerByStatus(await callEndpoint(endpoints, request.method, request.path, request.body));
  }

  return {
    version: 'v4',
    salt,
    unopened: null,
    failed: encode(internalError),
    async answer(text, isBusy) {
      const parts = parseOnionV4Text(text);
      if (parts === null) return answerOf('bad-request', badRequest);
      const method = methods === null ? null : methodOf(methods, parts);
      if (methods === null || method === null) return answerEndpoint(parts, isBusy);
      if (isBusy) return answerOf('busy', busyMethod);
      const args = parts.body === null ? null : parseLegacyArguments(parts.body);
      if (args === null) return answerOf('bad-request', badArguments);
      // Whatever stands in both, the metadata's is taken, as in the original.
      const reply = await methods.call(method, { ...args, ...parts.metadata });
      return answerByStatus(jsonReply(reply.status, reply.body));
    },
    wrap: (sealed) => ({
      status: 200,
      headers: { 'content-type': 'application/octet-stream' },
      body: sealed,
    }),
  };
}

/** The method that the endpoint names, to the letter: no query, no escapes, whatever HTTP method stands beside it. */
function methodOf(methods: LegacyMethods, { metadata }: OnionV4Text): string | null {
  const endpoint = metadata['endpoint'];
  if (typeof endpoint !== 'string') return null;
  const name = withoutSlash(endpoint);
  return methods.has(name) ? name : null;
}

const encode = ({ status, headers, body }: EndpointReply): Buffer =>
  encodeOnionV4Reply({ code: status, headers, body });

const answerOf = (result: OnionResult, reply: EndpointReply): OnionAnswer => ({
  result,
  text: encode(reply),
});
const answerByStatus = (reply: EndpointReply): OnionAnswer =>
  answerOf(reply.status === 200 ? 'ok' : 'refused', reply);

const badRequest = textReply(400, 'Invalid v4 onion request');
const badArguments = jsonReply(400, { code: 0, message: 'Invalid request' });
/** Clients repeat whatever has code 0. */
const busyMethod = jsonReply(503, { code: 0, message: BUSY_MESSAGE });
