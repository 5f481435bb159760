import {
  host,
  networks,
  numberChoice,
  port,
  proxies,
  secretWords,
  webOrigins,
  wholeNumber,
  type OptionsOf,
} from './options.js';
import type { Config } from './types.js';

const HOUR_SECONDS = 3600;
const MEBIBYTE = 1024 * 1024;

export const httpSection: OptionsOf<Config['http']> = {
  host: host({ doc: 'Address to listen on.', default: '127.0.0.1' }),
  port: port({
    doc: 'Port to listen on; 0 takes any free one, and the bound address is logged and printed.',
    default: 8080,
  }),
  bodyLimitBytes: wholeNumber({
    doc: 'Largest body of a plain JSON request.',
    unit: 'bytes',
    default: 100_000,
    min: 1024,
    max: 16 * MEBIBYTE,
  }),
  onionBodyLimitBytes: wholeNumber({
    doc: 'Largest body of an onion request.',
    unit: 'bytes',
    default: 10 * MEBIBYTE,
    min: 1024,
    max: 64 * MEBIBYTE,
  }),
  trustProxy: proxies({
    doc: 'Whether X-Forwarded-For names the client: false, or the addresses and networks of your proxies, comma-separated (10.0.0.0/8); true believes whoever connects, so that anybody who reaches the port can choose the address that the rate limit sees.',
    default: false,
  }),
  rateLimitPerMinute: wholeNumber({
    doc: 'Plain requests of one client address (IPv6: one /64).',
    unit: 'requests/min',
    default: 600,
    min: 1,
    max: 10_000_000,
  }),
  onionRateLimitPerMinute: wholeNumber({
    doc: 'Onion requests of one address. Many clients share one: the address is that of a storage node.',
    unit: 'requests/min',
    default: 60_000,
    min: 1,
    max: 10_000_000,
  }),
  rateLimitMaxAddresses: wholeNumber({
    doc: 'Client addresses that the rate limits remember; the longest unseen is forgotten first.',
    unit: 'addresses',
    default: 50_000,
    min: 100,
    max: 10_000_000,
  }),
  rateLimitExempt: networks({
    doc: 'Addresses and networks without rate limit: proxies and tools of yours.',
    default: ['127.0.0.0/8', '::1'],
  }),
  corsOrigins: webOrigins({
    doc: 'Web pages whose scripts may subscribe, unsubscribe and ask for Web Push keys, by their origin; * is any page. Empty: browsers let only pages of our own origin.',
    default: [],
  }),
  maxConnections: wholeNumber({
    doc: 'Open client connections at once; fewer where the limit of open files is too low for all.',
    unit: 'connections',
    default: 20_000,
    min: 1,
    max: 1_000_000,
  }),
  maxBodyBytesInProgress: wholeNumber({
    doc: 'Bytes of request bodies held at once, over all requests.',
    unit: 'bytes',
    default: 256 * MEBIBYTE,
    min: MEBIBYTE,
    max: 16 * 1024 * MEBIBYTE,
  }),
  transientFailureStatus: numberChoice<200 | 503>({
    doc: 'HTTP status of an answer with error 3 or 5 in it, which a repeat may cure. 200 is what the original sends; with 503 the present Android client repeats its request instead of staying silent for days.',
    unit: 'status',
    default: 200,
    values: ['200', '503'],
  }),
  maxRequestsInProgress: wholeNumber({
    doc: 'Requests in progress at once; further ones get 503 with Retry-After.',
    unit: 'requests',
    default: 2000,
    min: 1,
    max: 100_000,
  }),
  maxEventLoopDelayMs: wholeNumber({
    doc: 'New requests get 503 while the event loop is later than this.',
    unit: 'ms',
    default: 1000,
    min: 10,
    max: 60_000,
  }),
  headersTimeoutMs: wholeNumber({
    doc: 'A client must have sent the head of its request within this time.',
    unit: 'ms',
    default: 10_000,
    min: 100,
    max: 600_000,
  }),
  connectionTimeoutMs: wholeNumber({
    doc: 'A connection on which nothing moves during a request is closed after this time.',
    unit: 'ms',
    default: 60_000,
    min: 100,
    max: 3_600_000,
  }),
  requestTimeoutMs: wholeNumber({
    doc: 'A client must have sent its whole request within this time.',
    unit: 'ms',
    default: 20_000,
    min: 100,
    max: 600_000,
  }),
  keepAliveTimeoutMs: wholeNumber({
    doc: 'An idle connection is closed after this time; longer than the idle time of a proxy in front.',
    unit: 'ms',
    default: 65_000,
    min: 1000,
    max: 3_600_000,
  }),
  batchMaxElements: wholeNumber({
    doc: 'Subscriptions in one request at most. Clients send up to 100.',
    unit: 'elements',
    default: 1000,
    min: 1,
    max: 100_000,
  }),
  batchElementsInProgress: wholeNumber({
    doc: 'Subscriptions of one request that are worked on at once; the others wait.',
    unit: 'elements',
    default: 128,
    min: 1,
    max: 10_000,
  }),
  checksPerTurn: wholeNumber({
    doc: 'Signatures checked before everything else has its turn, over all requests. One takes about 0.1 ms.',
    unit: 'signatures',
    default: 16,
    min: 1,
    max: 1000,
  }),
  maxDevicesPerAccount: wholeNumber({
    doc: 'Subscriptions of one account at most. Every message of the account is sealed for each of them in one go.',
    unit: 'subscriptions',
    default: 200,
    min: 1,
    max: 100_000,
  }),
  maxNamespaces: wholeNumber({
    doc: 'Namespaces of one subscription at most. Clients ask for up to 5.',
    unit: 'namespaces',
    default: 256,
    min: 1,
    max: 65_535,
  }),
  answerTimeoutMs: wholeNumber({
    doc: 'Subscribes that are not stored by then are answered with error 3.',
    unit: 'ms',
    default: 15_000,
    min: 100,
    max: 300_000,
  }),
  retryAfterSeconds: wholeNumber({
    doc: 'What Retry-After tells clients that were turned away because of load.',
    unit: 's',
    default: 5,
    min: 1,
    max: HOUR_SECONDS,
  }),
};

export const adminSection: OptionsOf<Config['admin']> = {
  host: host({ doc: 'Address to listen on.', default: '127.0.0.1' }),
  port: port({ doc: 'Port to listen on; 0 takes any free one.', default: 8081 }),
  token: secretWords({
    doc: 'Bearer token for everything but /livez and /readyz. Required when the host is not a loopback address. file:PATH reads it from a file.',
    default: null,
  }),
};
