import { randomBytes as systemRandomBytes } from 'node:crypto';
import { Context } from 'zeromq';
import type { Clock } from '../domain/clock.js';
import { systemRandom, type Random } from '../domain/random.js';
import type { Log } from '../telemetry/log.js';
import type { Metrics } from '../telemetry/metrics.js';
import { SampledLog } from '../telemetry/sampled-log.js';
import { Connection, type ConnectionSurroundings } from './connection.js';
import { defaultOxenmqOptions, type OxenmqOptions } from './options.js';
import type { KeyPair, OxenmqClient } from './port.js';
import { Turns } from './turns.js';

export interface OxenmqClientDependencies {
  /** Our identity towards every remote: CURVE client key and, with static routing ids, the name of our route. */
  readonly keyPair: KeyPair;
  /** Anything left out is as in `defaultOxenmqOptions`. */
  readonly options?: Partial<OxenmqOptions>;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly random?: Random;
  /** For request tags; must be unpredictable. */
  readonly randomBytes?: (size: number) => Buffer;
}

/**
 * Outgoing OxenMQ connections, one DEALER each, so that one that fails takes no other with it. Has a ZeroMQ context
 * of its own, because the number of sockets can only be set before the first one (spec oxenmq, 9.5).
 */
export function createOxenmqClient(dependencies: OxenmqClientDependencies): OxenmqClient {
  const { keyPair, clock, log, metrics } = dependencies;
  const options: OxenmqOptions = { ...defaultOxenmqOptions, ...dependencies.options };
  const surroundings: ConnectionSurroundings = {
    // `blocky: false`: no message that cannot be delivered keeps the process from ending.
    context: new Context({ maxSockets: options.maxSockets, ioThreads: options.ioThreads, blocky: false }),
    keyPair,
    options,
    clock,
    random: dependencies.random ?? systemRandom,
    randomBytes: dependencies.randomBytes ?? systemRandomBytes,
    log,
    sampledLog: new SampledLog(clock),
    metrics,
    turns: new Turns(options.messagesPerTurn, options.connectionsPerTurn),
  };
  const connections = new Set<Connection>();
  const places = new Places(options.maxSockets);
  let closed = false;

  return {
    connect(address, handlers, limits = {}) {
      const connection = new Connection(surroundings, handlers, (ended) => {
        if (connections.delete(ended)) places.giveBackSoon();
      });
      if (closed) {
        connection.close();
      } else if (places.take()) {
        connections.add(connection);
        connection.open(address, limits);
      } else {
        connection.refuse('too many connections');
      }
      return connection;
    },

    async close() {
      closed = true;
      for (const connection of connections) connection.close();
      // The monitors of the closed sockets report their end in the next pass of the event loop.
      await new Promise((resolve) => setImmediate(resolve));
    },
  };
}

/** The socket, and a pair that carries its events (spec oxenmq, 9.5). */
const SOCKETS_PER_CONNECTION = 3;
/** ZeroMQ frees a closed socket's place in a thread of its own, usually within milliseconds. */
const REAPING_MS = 1_000;

/**
 * Keeps the number of sockets below ZeroMQ's limit. Running into the limit is not an error like others: when the last
 * socket of a connection's three is the one too many, ZeroMQ's reaper thread waits for ever to report the end of the
 * first two, and no socket of the context is ever freed again.
 */
class Places {
  readonly #limit: number;
  #taken = 0;

  constructor(maxSockets: number) {
    this.#limit = Math.max(1, Math.floor((0.9 * maxSockets) / SOCKETS_PER_CONNECTION));
  }

  take(): boolean {
    if (this.#taken >= this.#limit) return false;
    this.#taken += 1;
    return true;
  }

  giveBackSoon(): void {
    setTimeout(() => (this.#taken -= 1), REAPING_MS).unref();
  }
}
