import {
  address,
  choice,
  flag,
  hexKeys,
  host,
  path,
  paths,
  port,
  proxies,
  secretAddress,
  secretWords,
  serviceNames,
  wholeNumber,
  type Option,
  type Plain,
} from './options.js';
import type { Config, LogLevel } from './types.js';

/** Every section but the notifiers, whose entries have a schema per type (notifier-schema.ts). */
export type SectionName = Exclude<keyof Config, 'notifiers'>;

type OptionsOf<Section> = { readonly [Key in keyof Section]: Option<Plain<Section[Key]>> };

/** Keeps this file and types.ts in step: an option that one has and the other has not does not compile. */
export type Sections = { readonly [Name in SectionName]: OptionsOf<Config[Name]> };

const HOUR_SECONDS = 3600;
const DAY_SECONDS = 24 * HOUR_SECONDS;
const MEBIBYTE = 1024 * 1024;
const LOG_LEVELS: readonly LogLevel[] = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'];
const LISTEN_SCHEMES = ['tcp', 'ipc'];
export const OXENMQ_SCHEMES = ['tcp', 'ipc', 'curve', 'tcp+curve', 'ipc+curve'];

export const sectionDocs: Readonly<Record<keyof Config, string>> = {
  http: 'The listener that clients talk to.',
  admin: 'The listener for operators: health, metrics, statistics.',
  database: 'Where subscriptions and waiting pushes live.',
  keys: 'X25519 private keys: 32 raw bytes or 64 hex digits. Created with mode 0600 at the first start when missing.',
  session: 'The Session network: oxend, the storage nodes, and our own OxenMQ listeners.',
  notifiers:
    'One entry per service; its name is the service name that clients ask for. An entry without credentials is not started and says so once.',
  delivery: 'How pushes go out, the same for every notifier.',
  outbox: 'Where pushes wait durably when they cannot be sent now.',
  shutdown: 'What happens at SIGTERM.',
  log: 'JSON lines on standard output.',
};

export const sections: Sections = {
  http: {
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
    retryAfterSeconds: wholeNumber({
      doc: 'What Retry-After tells clients that were turned away because of load.',
      unit: 's',
      default: 5,
      min: 1,
      max: HOUR_SECONDS,
    }),
  },
  admin: {
    host: host({ doc: 'Address to listen on.', default: '127.0.0.1' }),
    port: port({ doc: 'Port to listen on; 0 takes any free one.', default: 8081 }),
    token: secretWords({
      doc: 'Bearer token for everything but /livez and /readyz. Required when the host is not a loopback address. file:PATH reads it from a file.',
      default: null,
    }),
  },
  database: {
    url: secretAddress({
      doc: 'postgresql://USER:PASSWORD@HOST:PORT/NAME, version 13 or newer; null uses the embedded PostgreSQL under dataDir, good for one machine and moderate load. file:PATH reads it from a file.',
      default: null,
      values: ['postgresql', 'postgres'],
    }),
    dataDir: path({ doc: 'Directory of the embedded database.', default: './data' }),
    poolSize: wholeNumber({
      doc: 'Connections to PostgreSQL.',
      unit: 'connections',
      default: 4,
      min: 1,
      max: 100,
    }),
    statementTimeoutMs: wholeNumber({
      doc: 'A statement that takes longer is given up.',
      unit: 'ms',
      default: 30_000,
      min: 100,
      max: 3_600_000,
    }),
    connectTimeoutMs: wholeNumber({
      doc: 'An attempt to connect that takes longer is given up.',
      unit: 'ms',
      default: 5000,
      min: 100,
      max: 600_000,
    }),
    writeBatchMaxRows: wholeNumber({
      doc: 'Subscriptions written in one statement at most.',
      unit: 'rows',
      default: 500,
      min: 1,
      max: 10_000,
    }),
    writeQueueMaxRows: wholeNumber({
      doc: 'Subscriptions waiting to be written at most; further requests get error 5 and may try again.',
      unit: 'rows',
      default: 20_000,
      min: 1,
      max: 1_000_000,
    }),
    writeConcurrency: wholeNumber({
      doc: 'Write statements under way at once.',
      unit: 'statements',
      default: 2,
      min: 1,
      max: 50,
    }),
    loadPageRows: wholeNumber({
      doc: 'Subscriptions read at a time at start.',
      unit: 'rows',
      default: 5000,
      min: 100,
      max: 100_000,
    }),
    expirySweepSeconds: wholeNumber({
      doc: 'How often expired subscriptions (signature older than 14 days) are removed.',
      unit: 's',
      default: 30,
      min: 1,
      max: DAY_SECONDS,
    }),
  },
  keys: {
    server: path({
      doc: 'Our identity towards storage nodes and oxend.',
      default: './data/keys/server.x25519',
    }),
    onion: paths({
      doc: 'Keys for onion requests; they are tried in turn, so a new one can be put first while clients still use the old one.',
      default: ['./data/keys/onion.x25519'],
    }),
  },
  session: {
    enabled: flag({ doc: 'Whether this process serves Session clients.', default: true }),
    oxend: address({
      doc: 'OxenMQ address of oxend: tcp://HOST:PORT, ipc://PATH or curve://HOST:PORT/PUBKEY; null means no swarm connections, so no pushes, and a warning at start.',
      default: null,
      values: OXENMQ_SCHEMES,
    }),
    listen: address({
      doc: 'Plain OxenMQ listener for external notifiers and local tools, such as ipc:///run/waggle/hive.sock. Every peer has the level admin: never open it to a network.',
      default: null,
      values: LISTEN_SCHEMES,
    }),
    listenCurve: address({
      doc: 'OxenMQ CURVE listener, such as tcp://0.0.0.0:22030.',
      default: null,
      values: LISTEN_SCHEMES,
    }),
    listenCurveAdmins: hexKeys({
      doc: 'Public keys that have the level admin on the CURVE listener; all others may only subscribe.',
      default: [],
    }),
    maxPendingConnects: wholeNumber({
      doc: 'Connection attempts to storage nodes under way at once.',
      unit: 'connections',
      default: 1000,
      min: 1,
      max: 65_535,
    }),
    filterLifetimeSeconds: wholeNumber({
      doc: 'How long a message is remembered, so that the copies from other nodes of the swarm are not pushed again.',
      unit: 's',
      default: 300,
      min: 10,
      max: DAY_SECONDS,
    }),
    filterMaxEntries: wholeNumber({
      doc: 'Messages remembered at most; beyond that the oldest half is forgotten early.',
      unit: 'entries',
      default: 4_000_000,
      min: 1000,
      max: 100_000_000,
    }),
    subscriptionCheckIntervalSeconds: wholeNumber({
      doc: 'How often all nodes are looked at: lost links, registrations due for renewal, oxend kept subscribed.',
      unit: 's',
      default: 10,
      min: 1,
      max: HOUR_SECONDS,
    }),
    startupWaitSeconds: wholeNumber({
      doc: 'At most this long is waited at start for notifiersExpected; no wait when that list is empty.',
      unit: 's',
      default: 8,
      min: 0,
      max: HOUR_SECONDS,
    }),
    notifiersExpected: serviceNames({
      doc: 'Names of external notifiers to wait for at start.',
      default: [],
    }),
    nodePollIntervalSeconds: wholeNumber({
      doc: 'The node list is asked for this often even if no new block is heard of.',
      unit: 's',
      default: 60,
      min: 1,
      max: HOUR_SECONDS,
    }),
    requestTimeoutSeconds: wholeNumber({
      doc: 'A request to a node or oxend that takes longer has failed.',
      unit: 's',
      default: 30,
      min: 1,
      max: 600,
    }),
    connectTimeoutSeconds: wholeNumber({
      doc: 'A connection attempt that takes longer has failed.',
      unit: 's',
      default: 10,
      min: 1,
      max: 600,
    }),
    probeIntervalSeconds: wholeNumber({
      doc: 'How often a silent link is probed, so that a node that restarted is noticed.',
      unit: 's',
      default: 60,
      min: 1,
      max: HOUR_SECONDS,
    }),
    monitorBatchEntries: wholeNumber({
      doc: 'Subscriptions registered with one request at most.',
      unit: 'entries',
      default: 2000,
      min: 1,
      max: 30_000,
    }),
    renewMinSeconds: wholeNumber({
      doc: 'A registration is renewed after a random time between this and renewMaxSeconds.',
      unit: 's',
      default: 2700,
      min: 1,
      max: 3800,
    }),
    renewMaxSeconds: wholeNumber({
      doc: 'See renewMinSeconds. Storage nodes forget a registration after 3900 s.',
      unit: 's',
      default: 3300,
      min: 1,
      max: 3800,
    }),
    newSubscriptionDelayMs: wholeNumber({
      doc: 'How long new and changed subscriptions are gathered before they are registered with their nodes.',
      unit: 'ms',
      default: 100,
      min: 0,
      max: 10_000,
    }),
    swarmGraceSeconds: wholeNumber({
      doc: 'After a swarm change, messages from the nodes of the former swarm are taken for this long.',
      unit: 's',
      default: 600,
      min: 0,
      max: DAY_SECONDS,
    }),
    maxMessageBytes: wholeNumber({
      doc: 'Largest message taken from a peer.',
      unit: 'bytes',
      default: 10 * MEBIBYTE,
      min: 64 * 1024,
      max: 256 * MEBIBYTE,
    }),
    receiveQueueFrames: wholeNumber({
      doc: 'Frames of one peer that wait to be read at most; the peer drops beyond.',
      unit: 'frames',
      default: 50_000,
      min: 100,
      max: 10_000_000,
    }),
    maxSockets: wholeNumber({
      doc: 'OxenMQ sockets at most; needs as many open files.',
      unit: 'sockets',
      default: 65_535,
      min: 16,
      max: 1_000_000,
    }),
  },
  delivery: {
    credits: wholeNumber({
      doc: 'Pushes that one notifier may hold in memory; further ones go to the outbox.',
      unit: 'pushes',
      default: 4096,
      min: 1,
      max: 1_000_000,
    }),
    maxInFlight: wholeNumber({
      doc: 'Requests that one notifier has open at its provider at once.',
      unit: 'requests',
      default: 500,
      min: 1,
      max: 10_000,
    }),
    retryBaseMs: wholeNumber({
      doc: 'Wait before the first repetition; it doubles with every further one, with jitter.',
      unit: 'ms',
      default: 1000,
      min: 1,
      max: 3_600_000,
    }),
    retryMaxMs: wholeNumber({
      doc: 'Longest wait between two attempts.',
      unit: 'ms',
      default: 300_000,
      min: 1,
      max: 24 * 3_600_000,
    }),
    maxAttempts: wholeNumber({
      doc: 'Attempts for one push; then it is dropped and counted.',
      unit: 'attempts',
      default: 12,
      min: 1,
      max: 1000,
    }),
    refusedResends: wholeNumber({
      doc: 'A request that the provider surely never saw (a refused HTTP/2 stream) is sent again at once this often.',
      unit: 'attempts',
      default: 3,
      min: 0,
      max: 100,
    }),
    deadTokenGuardPercent: wholeNumber({
      doc: 'When more than this share of a notifier\'s answers says "dead token", nothing is deleted until somebody looks: a wrong topic or project makes every token look dead.',
      unit: '%',
      default: 5,
      min: 0,
      max: 100,
    }),
    deadTokenGuardMinimum: wholeNumber({
      doc: 'The guard does not judge fewer dead tokens than this.',
      unit: 'answers',
      default: 20,
      min: 1,
      max: 1_000_000,
    }),
    deadTokenGuardWindowSeconds: wholeNumber({
      doc: 'The time over which the guard counts.',
      unit: 's',
      default: 600,
      min: 10,
      max: DAY_SECONDS,
    }),
    breakerFailures: wholeNumber({
      doc: 'Transport failures in a row after which a notifier stops sending and only probes.',
      unit: 'failures',
      default: 10,
      min: 1,
      max: 10_000,
    }),
    breakerProbeSeconds: wholeNumber({
      doc: 'How often a notifier that stopped sends one push to see whether the provider is back.',
      unit: 's',
      default: 5,
      min: 1,
      max: HOUR_SECONDS,
    }),
    maxPayloadBytes: wholeNumber({
      doc: 'Message data is left out when the padded payload would be larger. Providers take 4096 bytes after base64.',
      unit: 'bytes',
      default: 2816,
      min: 512,
      max: 2816,
    }),
  },
  outbox: {
    pollIntervalMs: wholeNumber({
      doc: 'How often the outbox is looked at for pushes that are due.',
      unit: 'ms',
      default: 1000,
      min: 10,
      max: 600_000,
    }),
    batchRows: wholeNumber({
      doc: 'Pushes read or written with one statement at most.',
      unit: 'rows',
      default: 500,
      min: 1,
      max: 10_000,
    }),
    bufferMaxEntries: wholeNumber({
      doc: 'Pushes that wait in memory to be written at most; beyond that, or beyond bufferMaxBytes, they are lost and counted.',
      unit: 'pushes',
      default: 50_000,
      min: 1,
      max: 10_000_000,
    }),
    bufferMaxBytes: wholeNumber({
      doc: 'See bufferMaxEntries.',
      unit: 'bytes',
      default: 256 * MEBIBYTE,
      min: MEBIBYTE,
      max: 64 * 1024 * MEBIBYTE,
    }),
    claimLeaseSeconds: wholeNumber({
      doc: 'A push that was read and not settled within this time is offered again (the process that read it has died).',
      unit: 's',
      default: 120,
      min: 5,
      max: DAY_SECONDS,
    }),
    maxRows: wholeNumber({
      doc: 'Pushes that wait in the table at most.',
      unit: 'rows',
      default: 1_000_000,
      min: 100,
      max: 1_000_000_000,
    }),
    expirySweepSeconds: wholeNumber({
      doc: 'How often pushes that have expired are removed.',
      unit: 's',
      default: 60,
      min: 1,
      max: DAY_SECONDS,
    }),
  },
  shutdown: {
    drainSeconds: wholeNumber({
      doc: 'At SIGTERM, pushes under way get this long; then the rest goes to the outbox.',
      unit: 's',
      default: 20,
      min: 0,
      max: HOUR_SECONDS,
    }),
  },
  log: {
    level: choice<LogLevel>({
      doc: 'The least grave kind of line to be written.',
      default: 'info',
      values: LOG_LEVELS,
    }),
  },
};
