import {
  contact,
  flag,
  httpsOrigin,
  networks,
  optionalPaths,
  path,
  ports,
  wholeNumber,
  type Option,
} from './options.js';

/* Options that several types of notifiers have, so that they are called and described alike. */

const DAY_SECONDS = 24 * 3600;

export const milliseconds = (doc: string, standard: number): Option<number> =>
  wholeNumber({ doc, unit: 'ms', default: standard, min: 100, max: 3_600_000 });

export const tokenTimeoutMs = milliseconds(
  'A request for an access token that takes longer has failed.',
  10_000,
);

const maxInFlight = (doc: string): Option<number | null> =>
  wholeNumber<number | null>({
    doc: `${doc}; null = delivery.maxInFlight.`,
    unit: 'requests',
    default: null,
    min: 1,
    max: 10_000,
  });

const overHosts = maxInFlight('Requests at once over all hosts, those that wait for a connection included');

/** What every type has: the notifier actor does it, whoever the provider is. */
export const common = {
  maxInFlight: maxInFlight('Requests at the provider at once'),
  paceSeconds: wholeNumber({
    doc: 'At most one push per device in this time; of a burst, the first and the last are sent, those between are left out and counted. What waits for its time is in memory, up to delivery.credits pushes; a kill -9 loses it unless delivery.durability is journal. 0 = no pacing.',
    unit: 's',
    default: 0,
    min: 0,
    max: DAY_SECONDS,
  }),
};

interface ConnectionTexts {
  readonly connections: string;
  readonly standardConnections: number;
  readonly maxConnections: number;
  readonly trust: string;
}

const connected = ({ connections, standardConnections, maxConnections, trust }: ConnectionTexts) => ({
  caFile: path<string | null>({ doc: `PEM file with a further trust anchor for ${trust}.`, default: null }),
  connections: wholeNumber({
    doc: connections,
    unit: 'connections',
    default: standardConnections,
    min: 1,
    max: maxConnections,
  }),
  ...common,
  connectTimeoutMs: milliseconds('A connection attempt that takes longer has failed.', 10_000),
  requestTimeoutMs: milliseconds('A request that takes longer has failed and is repeated later.', 10_000),
});

const endpoint = (ownAddress: string): Option<string | null> =>
  httpsOrigin({ doc: `https://HOST:PORT instead of ${ownAddress}.`, default: null });

/** A provider that is spoken to over HTTP/2: few connections that live long, many requests on each. */
export const http2Provider = (ownAddress: string) => ({
  endpoint: endpoint(ownAddress),
  ...connected({
    connections:
      'Connections to the provider at most. More than one is opened only where the round trip asks for it, see widenAfterMs.',
    standardConnections: 3,
    maxConnections: 100,
    trust: 'the endpoint',
  }),
  maxInFlight: maxInFlight('Requests at the provider at once, per connection'),
  widenAfterMs: wholeNumber({
    doc: 'A further connection is opened when a request has waited this long for a free stream.',
    unit: 'ms',
    default: 100,
    min: 1,
    max: 60_000,
  }),
  surplusIdleMs: milliseconds(
    'All connections but one are closed when they had nothing to do for so long.',
    60_000,
  ),
  deadAfterTimeouts: wholeNumber({
    doc: 'Time-outs in a row, with nothing answered meanwhile, after which a connection is replaced.',
    unit: 'time-outs',
    default: 3,
    min: 1,
    max: 1000,
  }),
  pingIntervalMs: milliseconds('A connection on which nothing was answered for so long is probed.', 60_000),
  pingTimeoutMs: milliseconds('It is replaced when the probe is not answered for so long.', 10_000),
});

/** A provider that is spoken to over HTTP/1.1: one request at a time on each connection. */
export const http1Provider = (ownAddress: string) => ({
  endpoint: endpoint(ownAddress),
  ...connected({
    connections: 'Connections to one host of the provider at most; each carries one request at a time.',
    standardConnections: 32,
    maxConnections: 1000,
    trust: 'the provider and its access tokens',
  }),
  maxInFlight: overHosts,
  tokenTimeoutMs,
});

/** Pushes that go to whatever URL a client names, and what they must not reach that way. */
export const guardedEndpoints = (vapidKeys: string) => ({
  vapidKeyFiles: optionalPaths({ doc: vapidKeys, default: [] }),
  subject: contact({
    doc: 'How the operators of push servers reach you when something is wrong, told with every request that is signed: mailto:ADDRESS or an https:// address.',
    default: null,
  }),
  allowHttp: flag({
    doc: 'Take endpoints that begin with http:// too, for push servers in your own network; their port (80) must be among ports.',
    default: false,
  }),
  allowNetworks: networks({
    doc: 'Private networks that endpoints may lie in; all others are refused (loopback, link-local, private, shared and multicast addresses).',
    default: [],
  }),
  ports: ports({ doc: 'Ports that endpoints may name.', default: [443] }),
  ...connected({
    connections: 'Connections to one push server at most; each carries one request at a time.',
    standardConnections: 8,
    maxConnections: 1000,
    trust: 'push servers',
  }),
  maxInFlight: overHosts,
});
