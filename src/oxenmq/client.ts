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
  let closed = false;

  return {
    connect(address, handlers, limits = {}) {
      const connection = new Connection(surroundings, handlers, (ended) => connections.delete(ended));
      if (closed) {
        connection.close();
      } else {
        connections.add(connection);
        connection.open(address, limits);
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
