import type { Config, NotifierConfig } from '../config/types.js';
import { assertNever } from '../domain/assert-never.js';

/** Beside everything that is counted: node itself, libraries, files that are read now and then. */
const SPARE = 100;
/** Connections of the operators' listener at most. */
const ADMIN = 200;
/** What the embedded database has open once it has seen all its tables. */
const EMBEDDED_DATABASE = 300;
/** A large network of storage nodes, and what ZeroMQ opens for a connection to each. */
const STORAGE_NODES = 2_500;
const OF_STORAGE_NODE = 5;
/** Connections to the push servers of the world that are kept with nothing under way. */
const KEPT_ENDPOINTS = 256;
/** The doors get this much even where it is too little for everything else. */
const DOORS_MIN = 64;

export interface OpenFiles {
  /** With as many clients at each door as there is room for. */
  readonly config: Config;
  /** Null: there is room for all that the configuration allows. */
  readonly shortage: Shortage | null;
}

/** What the operator is told. */
export interface Shortage {
  readonly limit: number;
  /** What the configuration may want. */
  readonly wanted: number;
  /** By the options' names, what is in force instead of what they say. */
  readonly lowered: Readonly<Record<string, number>>;
}

/**
 * Clients must not take the last open file: then nothing could be asked of the database or sent to a provider any more,
 * and no XMPP server be connected to. So where the limit of open files is too low for the configuration, fewer clients
 * are let in. `limit`: see `openFilesLimit`.
 */
export function fitOpenFiles(config: Config, limit: number | null): OpenFiles {
  const { http, uwpx } = config;
  const doors = http.maxConnections + (uwpx.enabled ? uwpx.maxConnections : 0);
  const others = neededBeside(config);
  const wanted = doors + others;
  if (limit === null || wanted <= limit) return { config, shortage: null };
  const share = Math.max(DOORS_MIN, limit - others) / doors;
  const fitted = (connections: number): number =>
    Math.min(connections, Math.max(1, Math.floor(connections * share)));
  const httpMax = fitted(http.maxConnections);
  const uwpxMax = fitted(uwpx.maxConnections);
  return {
    config: {
      ...config,
      http: { ...http, maxConnections: httpMax },
      uwpx: { ...uwpx, maxConnections: uwpxMax },
    },
    shortage: {
      limit,
      wanted,
      lowered: {
        'http.maxConnections': httpMax,
        ...(uwpx.enabled ? { 'uwpx.maxConnections': uwpxMax } : {}),
      },
    },
  };
}

function neededBeside({ database, session, xmpp, notifiers }: Config): number {
  const components = xmpp.enabled
    ? Object.values(xmpp.components).reduce((sum, { connections }) => sum + connections, 0)
    : 0;
  const providers = Object.values(notifiers).reduce((sum, entry) => sum + connectionsOf(entry), 0);
  const nodes = session.enabled && session.oxend !== null ? STORAGE_NODES * OF_STORAGE_NODE : 0;
  const tables = database.url === null ? EMBEDDED_DATABASE : database.poolSize;
  return SPARE + ADMIN + components + providers + nodes + tables;
}

function connectionsOf(entry: NotifierConfig): number {
  switch (entry.type) {
    case 'apns':
    case 'firebase':
    case 'huawei':
    case 'wns':
      return entry.connections;
    case 'webpush':
    case 'unifiedpush':
      return entry.maxInFlight + KEPT_ENDPOINTS;
    case 'dummy':
      return 0;
    default:
      return assertNever(entry);
  }
}
