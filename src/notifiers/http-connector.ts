import { buildConnector } from 'undici';
import { FORBIDDEN_ADDRESS, type EndpointGuard } from './endpoint-guard.js';
import type { HttpFailure } from './http-exchange.js';

export interface HttpConnectorOptions {
  /** Name, TCP and TLS together. */
  readonly timeoutMs: number;
  readonly trustAnchors: string[] | undefined;
  readonly guard: EndpointGuard | null;
}

/** Of several addresses of a host the next one is tried after so long (RFC 8305, 5; node's 250 ms is short for phones' servers). */
const NEXT_ADDRESS_MS = 500;
const TCP_KEEP_ALIVE_MS = 30_000;

/** Tells a failed attempt to connect from a connection that failed later. */
export class ConnectFailure extends Error {
  constructor(readonly reason: HttpFailure) {
    super(reason);
  }
}

/**
 * How connections are made: every certificate is verified whatever the environment says, and with a guard the addresses
 * that it judged are the only ones tried.
 */
export function httpConnector(options: HttpConnectorOptions): buildConnector.connector {
  const { timeoutMs, trustAnchors, guard } = options;
  const connect = buildConnector({
    timeout: timeoutMs,
    // A resumed TLS session skips the check of the host name, and the library keeps sessions of failed checks as well.
    maxCachedSessions: 0,
    minVersion: 'TLSv1.2',
    rejectUnauthorized: true,
    autoSelectFamily: true,
    autoSelectFamilyAttemptTimeout: NEXT_ADDRESS_MS,
    keepAlive: true,
    keepAliveInitialDelay: TCP_KEEP_ALIVE_MS,
    ...(trustAnchors === undefined ? {} : { ca: trustAnchors }),
    ...(guard === null ? {} : { lookup: guard.lookup }),
  });
  return (target, callback) => {
    connect(target, (error, socket) => {
      if (error === null) callback(null, socket);
      else callback(new ConnectFailure(connectFailureOf(error)), null);
    });
  };
}

const tlsTrouble =
  /^(ERR_SSL_|ERR_TLS_|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|INVALID_CA|INVALID_PURPOSE|PATH_LENGTH|HOSTNAME_MISMATCH|EPROTO)/;

function connectFailureOf(error: Error & { readonly code?: unknown }): HttpFailure {
  const code = typeof error.code === 'string' ? error.code : '';
  if (code === FORBIDDEN_ADDRESS) return 'forbidden-address';
  if (code === 'UND_ERR_CONNECT_TIMEOUT' || code === 'ETIMEDOUT') return 'connect-timeout';
  return tlsTrouble.test(code) ? 'tls-failed' : 'unreachable';
}
