import { connect as connectTcp, isIP, type Socket, type TcpNetConnectOpts } from 'node:net';
import { connect as connectTls, type SecureContext } from 'node:tls';
import type { buildConnector } from 'undici';
import { FORBIDDEN_ADDRESS, type EndpointGuard } from './endpoint-guard.js';
import { ConnectFailure, type HttpFailure } from './http-exchange.js';

export interface HttpConnectorOptions {
  /** Name, TCP and TLS together. */
  readonly timeoutMs: number;
  /** Of `createTlsContext`. */
  readonly tls: SecureContext;
  /** The addresses that it judged are the only ones tried. */
  readonly guard: EndpointGuard | null;
}

/** Of several addresses of a host the next one is tried after so long (RFC 8305, 5); node's 250 ms is short. */
const NEXT_ADDRESS_MS = 500;
const TCP_KEEP_ALIVE_MS = 30_000;

/**
 * Makes the connections of one HTTP client object. The library's own connector is not used for three reasons: it takes
 * the name that it verifies from the `host` header of a request, it resumes TLS sessions, which skips the check of the
 * name, and a connection that is being made could not be given up.
 */
export class HttpConnector {
  #connecting: Socket | null = null;

  constructor(private readonly options: HttpConnectorOptions) {}

  readonly connect: buildConnector.connector = ({ protocol, hostname, port }, callback) => {
    const isTls = protocol === 'https:';
    const socket = this.#open(isTls, hostname, Number(port) || (isTls ? 443 : 80));
    this.#connecting = socket;
    const timer = setTimeout(
      () => socket.destroy(new ConnectFailure('connect-timeout')),
      this.options.timeoutMs,
    );
    const onError = (error: Error): void => {
      clearTimeout(timer);
      this.#connecting = null;
      callback(error instanceof ConnectFailure ? error : new ConnectFailure(reasonOf(error)), null);
    };
    socket.once('error', onError);
    socket.on('error', ignore); // whoever is responsible for it meanwhile, an error never goes unheard
    socket.once(isTls ? 'secureConnect' : 'connect', () => {
      clearTimeout(timer);
      this.#connecting = null;
      socket.off('error', onError);
      callback(null, socket);
    });
  };

  /** Ends an attempt that is under way. */
  abandon(): void {
    this.#connecting?.destroy(new ConnectFailure('closed'));
  }

  #open(isTls: boolean, host: string, port: number): Socket {
    const { guard, tls: secureContext } = this.options;
    const tcp: TcpNetConnectOpts = {
      host,
      port,
      autoSelectFamily: true,
      autoSelectFamilyAttemptTimeout: NEXT_ADDRESS_MS,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: TCP_KEEP_ALIVE_MS,
      ...(guard === null ? {} : { lookup: guard.lookup }),
    };
    if (!isTls) return connectTcp(tcp);
    return connectTls({
      ...tcp,
      ALPNProtocols: ['http/1.1'],
      secureContext,
      rejectUnauthorized: true, // whatever the environment says
      ...(isIP(host) === 0 ? { servername: host } : {}),
    });
  }
}

const tlsTrouble =
  /^(ERR_SSL_|ERR_TLS_|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|INVALID_CA|INVALID_PURPOSE|PATH_LENGTH|HOSTNAME_MISMATCH|EPROTO)/;

function reasonOf(error: Error & { readonly code?: unknown }): HttpFailure {
  const code = typeof error.code === 'string' ? error.code : '';
  if (code === FORBIDDEN_ADDRESS) return 'forbidden-address';
  if (code === 'ETIMEDOUT') return 'connect-timeout';
  return tlsTrouble.test(code) ? 'tls-failed' : 'unreachable';
}

function ignore(): void {}
