import { ONION_BODY_MAX_BYTES } from '../codec/onion-frame.js';
import type { AdmissionOptions } from './admission.js';

export interface RateLimitOptions {
  /** Requests of one client address (IPv6: of one /64) within the window. */
  readonly requestsMax: number;
  readonly windowSeconds: number;
  /** Addresses remembered at once; the longest unseen is forgotten first. */
  readonly addressesMax: number;
}

/** The app server for XMPP clients, under /push_appserver. */
export interface AppServerHttpOptions {
  /** The pages that show forms and devices, to this machine alone or with the operators' token. */
  readonly debug: boolean;
  /** `admin.token`, as `Authorization: Bearer TOKEN`; null: no token opens those pages. */
  readonly adminToken: string | null;
  /** Of one client address (IPv6: of one /64), registering and unregistering together. */
  readonly registrationsPerMinute: number;
  /** Of one client address; other servers wake devices by this way, each many of them. */
  readonly pushesPerMinute: number;
  /** Within which every request is answered. Milliseconds. */
  readonly answerTimeoutMs: number;
  /** The component's domain, for clients that want to be told; null: there is none, or more than one. */
  readonly jid: string | null;
}

export const defaultAppServerHttpOptions: AppServerHttpOptions = {
  debug: false,
  adminToken: null,
  registrationsPerMinute: 60,
  pushesPerMinute: 600,
  answerTimeoutMs: 25_000,
  jid: null,
};

export interface HttpServerOptions {
  readonly host: string;
  /** 0 = any free port. */
  readonly port: number;
  /**
   * Whose `X-Forwarded-For` is believed: false = nobody's, otherwise addresses and networks of our own proxies.
   * With true everybody may claim any address.
   */
  readonly trustProxy: boolean | string | string[];
  /** Of /subscribe and /unsubscribe, inclusive. Bytes. */
  readonly bodyMaxBytes: number;
  /** Of the onion route, inclusive. Bytes. */
  readonly onionBodyMaxBytes: number;
  /** See `SubscriptionEndpointOptions`. */
  readonly transientFailureStatus: 200 | 503;
  readonly rateLimit: RateLimitOptions;
  /** Its clients are the nodes of the network, each of which forwards the requests of many users. */
  readonly onionRateLimit: RateLimitOptions;
  /** Addresses and networks without rate limit; loopback by default: that is a proxy or a tool of ours, not a client. */
  readonly rateLimitExempt: readonly string[];
  /** Origins of web pages whose scripts may call us; `*` is any. Empty: none, and OPTIONS is what it was. */
  readonly corsOrigins: readonly string[];
  /** Default: `defaultAppServerHttpOptions`. */
  readonly appServer?: AppServerHttpOptions;
  readonly admission: AdmissionOptions;
  /** What `Retry-After` says when we shed load. Seconds. */
  readonly retryAfterSeconds: number;
  readonly connectionsMax: number;
  /** For the head of a request. Milliseconds. */
  readonly headersTimeoutMs: number;
  /** For a whole request with its body. Milliseconds. */
  readonly requestTimeoutMs: number;
  /** An idle connection between two requests. Milliseconds. */
  readonly keepAliveTimeoutMs: number;
  /** A connection on which nothing moves, in either direction. Milliseconds. */
  readonly connectionTimeoutMs: number;
}

export const defaultHttpServerOptions: HttpServerOptions = {
  host: '127.0.0.1',
  port: 8080,
  trustProxy: false,
  bodyMaxBytes: 100_000,
  onionBodyMaxBytes: ONION_BODY_MAX_BYTES,
  transientFailureStatus: 200,
  rateLimit: { requestsMax: 600, windowSeconds: 60, addressesMax: 50_000 },
  onionRateLimit: { requestsMax: 60_000, windowSeconds: 60, addressesMax: 50_000 },
  rateLimitExempt: ['127.0.0.0/8', '::1'],
  corsOrigins: [],
  admission: {
    requestsInProgressMax: 2_000,
    eventLoopDelayMaxMs: 1_000,
    sampleIntervalMs: 1_000,
    bodyBytesMax: 256 * 1024 * 1024,
  },
  retryAfterSeconds: 5,
  connectionsMax: 20_000,
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 20_000,
  keepAliveTimeoutMs: 65_000,
  connectionTimeoutMs: 60_000,
};
