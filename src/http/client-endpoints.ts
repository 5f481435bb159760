import { clientErrorCode, INTERNAL_ERROR_MESSAGE } from '../domain/errors.js';
import {
  hasTransientFailure,
  type SubscriptionRequestKind,
  type SubscriptionService,
} from './subscription-service.js';

/**
 * What clients can call, by plain HTTP or inside an onion request: both ways end in the same functions, so that every
 * rule holds on both (spec onion-requests, 4.2).
 */
export interface EndpointReply {
  readonly status: number;
  /** Lower-case names, without content-length. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

/** `missing`: not even a length was given; `too-large`: it was not read to its end. */
export type EndpointRequest =
  | { readonly kind: 'bytes'; readonly body: Buffer }
  | { readonly kind: 'missing' }
  | { readonly kind: 'too-large' };

export interface ClientEndpoint {
  /** Exact: no trailing slash, no parameters. */
  readonly path: string;
  readonly bodyMaxBytes: number;
  /** POST only; never rejects except for a bug. */
  handle(request: EndpointRequest): Promise<EndpointReply>;
}

export type ClientEndpoints = ReadonlyMap<string, ClientEndpoint>;

export interface SubscriptionEndpointOptions {
  /** Inclusive. Bytes. */
  readonly bodyMaxBytes: number;
  /**
   * The status of an answer with error 3 or 5 in it. The original's is 200 like every other. With 503 the present
   * Android client repeats its request instead of staying silent for seven days (session-push-v2, 16.3 and 21, 18).
   */
  readonly transientFailureStatus: 200 | 503;
}

export const ALLOW = 'POST, OPTIONS';

export function subscriptionEndpoint(
  kind: SubscriptionRequestKind,
  service: SubscriptionService,
  options: SubscriptionEndpointOptions,
  brandName?: string,
): ClientEndpoint {
  return {
    path: `/${kind}`,
    bodyMaxBytes: options.bodyMaxBytes,
    async handle(request) {
      if (request.kind === 'missing') return bodyMissing;
      if (request.kind === 'too-large' || request.body.length > options.bodyMaxBytes) return bodyTooLarge;
      const answer = await service.handle(kind, request.body, brandName);
      const status = options.transientFailureStatus;
      return jsonReply(status !== 200 && hasTransientFailure(answer) ? status : 200, answer);
    },
  };
}

/** All of them, for plain HTTP or for the onion requests of one brand. */
export const subscriptionEndpoints = (
  service: SubscriptionService,
  options: SubscriptionEndpointOptions,
  brandName?: string,
): ClientEndpoints =>
  new Map(
    (['subscribe', 'unsubscribe'] as const).map((kind) => {
      const endpoint = subscriptionEndpoint(kind, service, options, brandName);
      return [endpoint.path, endpoint] as const;
    }),
  );

/** A request that came inside an onion. Unknown paths are 404, other methods 405, a bug of ours 500. */
export async function callEndpoint(
  endpoints: ClientEndpoints,
  method: string,
  path: string,
  body: Buffer,
): Promise<EndpointReply> {
  const endpoint = endpoints.get(path);
  if (endpoint === undefined) return notFound;
  if (method === 'OPTIONS') return options;
  if (method !== 'POST') return methodNotAllowed;
  return endpoint.handle({ kind: 'bytes', body });
}

export const jsonReply = (status: number, value: unknown): EndpointReply => ({
  status,
  headers: { 'content-type': 'application/json' },
  body: Buffer.from(JSON.stringify(value)),
});

export const textReply = (
  status: number,
  text: string,
  headers: Readonly<Record<string, string>> = {},
): EndpointReply => ({
  status,
  headers: { 'content-type': 'text/plain; charset=utf-8', ...headers },
  body: Buffer.from(text),
});

const bodyMissing = jsonReply(200, {
  error: clientErrorCode.badInput,
  message: 'Invalid request: request body missing',
});
const bodyTooLarge = jsonReply(200, {
  error: clientErrorCode.badInput,
  message: 'Invalid request: request too large',
});

export const notFound = textReply(404, 'Not found');
export const methodNotAllowed = textReply(405, 'Method not allowed', { allow: ALLOW });
export const options: EndpointReply = { status: 200, headers: { allow: ALLOW }, body: Buffer.alloc(0) };
export const internalError = jsonReply(500, {
  error: clientErrorCode.internalError,
  message: INTERNAL_ERROR_MESSAGE,
});

/** For a client that shall come back later; the code says so too, for those that look no further than the body. */
export const comeBackLater = (
  status: 429 | 503,
  message: string,
  retryAfterSeconds: number,
): EndpointReply => {
  const reply = jsonReply(status, { error: clientErrorCode.serviceTimeout, message });
  return { ...reply, headers: { ...reply.headers, 'retry-after': String(retryAfterSeconds) } };
};
