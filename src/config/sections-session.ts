import { address, flag, hexKeys, serviceNames, wholeNumber, type OptionsOf } from './options.js';
import type { Config } from './types.js';

const HOUR_SECONDS = 3600;
const DAY_SECONDS = 24 * 3600;
const MEBIBYTE = 1024 * 1024;
const LISTEN_SCHEMES = ['tcp', 'ipc'];
const OXENMQ_SCHEMES = ['tcp', 'ipc', 'curve', 'tcp+curve', 'ipc+curve'];

export const sessionSection: OptionsOf<Config['session']> = {
  enabled: flag({ doc: 'Whether this process serves Session clients.', default: true }),
  oxend: address({
    doc: 'OxenMQ address of oxend: tcp://HOST:PORT, ipc://PATH or curve://HOST:PORT/PUBKEY; null means no swarm connections, so no pushes, and a warning at start.',
    default: null,
    values: OXENMQ_SCHEMES,
  }),
  listen: address({
    doc: 'Plain OxenMQ listener for external notifiers and local tools, such as ipc:///run/waggle/hive.sock. Every peer has the level admin: never open it to a network. Not served by this version.',
    default: null,
    values: LISTEN_SCHEMES,
  }),
  listenCurve: address({
    doc: 'OxenMQ CURVE listener, such as tcp://0.0.0.0:22030. Not served by this version.',
    default: null,
    values: LISTEN_SCHEMES,
  }),
  listenCurveAdmins: hexKeys({
    doc: 'Public keys that have the level admin on the CURVE listener; all others may only subscribe.',
    default: [],
  }),
  maxPendingConnects: wholeNumber({
    doc: 'Connection attempts to storage nodes under way at once; 0 connects to none (a dry run).',
    unit: 'connections',
    default: 1000,
    min: 0,
    max: 65_535,
  }),
  filterLifetimeSeconds: wholeNumber({
    doc: 'A message is remembered for one to two of these, so that the copies from other nodes of the swarm are not pushed again.',
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
  maxMissedProbes: wholeNumber({
    doc: 'Probes in a row without any sign of life that end a connection.',
    unit: 'probes',
    default: 2,
    min: 1,
    max: 100,
  }),
  heartbeatIntervalSeconds: wholeNumber({
    doc: 'How often the transport asks whether the peer is there.',
    unit: 's',
    default: 15,
    min: 1,
    max: HOUR_SECONDS,
  }),
  heartbeatTimeoutSeconds: wholeNumber({
    doc: 'How long the answer to that may take; then the link is broken.',
    unit: 's',
    default: 30,
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
  sendQueueFrames: wholeNumber({
    doc: 'Frames for one peer that wait to be sent at most; a request beyond has failed.',
    unit: 'frames',
    default: 1000,
    min: 10,
    max: 1_000_000,
  }),
  maxOpenRequests: wholeNumber({
    doc: 'Requests under way on one connection.',
    unit: 'requests',
    default: 64,
    min: 1,
    max: 10_000,
  }),
  ioThreads: wholeNumber({
    doc: 'Threads that encrypt and move bytes; one is enough below about 100 MB/s.',
    unit: 'threads',
    default: 1,
    min: 1,
    max: 64,
  }),
  maxSockets: wholeNumber({
    doc: 'ZeroMQ sockets at most; each connection needs three, and some open files.',
    unit: 'sockets',
    default: 65_535,
    min: 16,
    max: 65_535,
  }),
};
