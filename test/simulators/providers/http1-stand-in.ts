import {
  createServer as createHttpServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { TestCertificate } from '../certificates.js';

/** How the stand-in answers one request. Everything left out is an empty 200. */
export interface Http1Answer {
  readonly status?: number;
  /** An object is sent as JSON, anything else as it is. */
  readonly body?: object | string | Buffer;
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  readonly delayMs?: number;
  /**
   * Instead of an answer: `hang` never answers, and the connection stays open; `close` ends the connection, `reset`
   * breaks it (RST); `close-mid-body` and `reset-mid-body` after half of the body; `garbage` is no HTTP; `drip` sends
   * the body one byte every 20 ms for ever; `endless` as fast as it is read, for ever; `interim` sends 103 answers for ever.
   */
  readonly instead?:
    | 'hang'
    | 'close'
    | 'reset'
    | 'close-mid-body'
    | 'reset-mid-body'
    | 'garbage'
    | 'drip'
    | 'endless'
    | 'interim';
}

export interface RecordedRequest {
  readonly method: string;
  /** Path and query as they came. */
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** Which connection it came over, from 1. */
  readonly connection: number;
  readonly atMs: number;
}

export interface Http1StandInOptions {
  /** https with it, http without. */
  readonly certificate?: TestCertificate;
  /** Default: any free port. */
  readonly port?: number;
  /** Keep every request for the test to look at. Default true. */
  readonly record?: boolean;
  /** How long an idle connection is kept. Default: as long as the client likes. */
  readonly keepAliveMs?: number;
}

/** Decides the answer of a request that no test has scripted. */
export type Http1Handler = (request: RecordedRequest) => Http1Answer;

/** A real HTTP/1.1 server on 127.0.0.1, plain or TLS, that answers as a provider would, or as a test tells it to. */
export class Http1StandIn {
  readonly recorded: RecordedRequest[] = [];
  requests = 0;
  /** Connections so far (with TLS: handshakes that succeeded). */
  connections = 0;
  /** TCP connections so far, whatever became of them. */
  tcpConnections = 0;
  inFlight = 0;
  maxInFlightSeen = 0;
  /** For every request that nothing else is said about; null = the handler decides. */
  standing: Http1Answer | null = null;
  readonly #queue: Http1Answer[] = [];
  readonly #byPath = new Map<string, Http1Answer>();
  readonly #sockets = new Map<Socket, number>();
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #server: Server;

  private constructor(
    private readonly options: Http1StandInOptions,
    private readonly handler: Http1Handler,
  ) {
    const listener = (request: IncomingMessage, response: ServerResponse): void =>
      this.#onRequest(request, response);
    const { certificate } = options;
    this.#server =
      certificate === undefined
        ? createHttpServer(listener)
        : createHttpsServer({ cert: certificate.certPem, key: certificate.keyPem }, listener);
    this.#server.keepAliveTimeout = options.keepAliveMs ?? 0;
    this.#server.requestTimeout = 0;
    this.#server.on('connection', (socket: Socket) => {
      this.tcpConnections += 1;
      socket.on('error', ignore);
      if (certificate === undefined) this.#onConnection(socket);
    });
    this.#server.on('secureConnection', (socket: Socket) => this.#onConnection(socket));
    this.#server.on('tlsClientError', ignore);
    this.#server.on('clientError', (_error: Error, socket: Socket) => socket.destroy());
  }

  static async start(
    options: Http1StandInOptions = {},
    handler: Http1Handler = () => ({}),
  ): Promise<Http1StandIn> {
    const standIn = new Http1StandIn(options, handler);
    await new Promise<void>((resolve, reject) => {
      standIn.#server.once('error', reject);
      standIn.#server.listen(options.port ?? 0, '127.0.0.1', resolve);
    });
    return standIn;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** `https://127.0.0.1:PORT`, for the option `endpoint`. */
  get endpoint(): string {
    return this.endpointAt('127.0.0.1');
  }

  /** The same under another name of this machine, such as `localhost`. */
  endpointAt(host: string): string {
    return `${this.options.certificate === undefined ? 'http' : 'https'}://${host}:${this.port}`;
  }

  get openConnections(): number {
    return this.#sockets.size;
  }

  /** The next requests, one each. */
  next(...answers: readonly Http1Answer[]): void {
    this.#queue.push(...answers);
  }

  /** Every request for the path (with query), until told otherwise (null). */
  forPath(path: string, answer: Http1Answer | null): void {
    if (answer === null) this.#byPath.delete(path);
    else this.#byPath.set(path, answer);
  }

  /** Breaks every connection. */
  destroyConnections(): void {
    for (const socket of this.#sockets.keys()) socket.destroy();
  }

  async close(): Promise<void> {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#server.closeAllConnections();
    this.destroyConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #onConnection(socket: Socket): void {
    this.connections += 1;
    this.#sockets.set(socket, this.connections);
    socket.on('error', ignore);
    socket.on('close', () => this.#sockets.delete(socket));
  }

  #onRequest(request: IncomingMessage, response: ServerResponse): void {
    this.requests += 1;
    this.inFlight += 1;
    if (this.inFlight > this.maxInFlightSeen) this.maxInFlightSeen = this.inFlight;
    response.on('close', () => (this.inFlight -= 1));
    response.on('error', ignore);
    request.on('error', ignore);
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const recorded: RecordedRequest = {
        method: request.method ?? '',
        path: request.url ?? '',
        headers: request.headers,
        body: Buffer.concat(chunks),
        connection: this.#sockets.get(request.socket) ?? 0,
        atMs: Date.now(),
      };
      if (this.options.record ?? true) this.recorded.push(recorded);
      const scripted = this.#queue.shift() ?? this.#byPath.get(recorded.path) ?? this.standing;
      const answer = scripted ?? this.handler(recorded);
      if (answer.delayMs === undefined) this.#perform(response, answer);
      else this.#later(answer.delayMs, () => this.#perform(response, answer));
    });
  }

  #perform(response: ServerResponse, answer: Http1Answer): void {
    const { socket } = response;
    if (socket === null || socket.destroyed) return;
    const { body, isJson } = bodyOf(answer);
    const status = answer.status ?? 200;
    const headers = { ...(isJson ? { 'content-type': 'application/json' } : {}), ...answer.headers };
    switch (answer.instead) {
      case 'hang':
        return;
      case 'close':
        return void socket.destroy();
      case 'reset':
        return breakOff(socket);
      case 'close-mid-body':
      case 'reset-mid-body': {
        const end = answer.instead === 'reset-mid-body' ? breakOff : (one: Socket) => void one.destroy();
        response.writeHead(status, { 'content-length': String(body.length + 100), ...headers });
        return void response.write(body.length === 0 ? 'half' : body, () => end(socket));
      }
      case 'garbage':
        return void socket.end('SSH-2.0-OpenSSH_9.6\r\n\u0000\u0001\u0002 no HTTP at all\r\n\r\n');
      case 'drip':
        response.writeHead(status, headers);
        return this.#drip(response);
      case 'endless':
        response.writeHead(status, headers);
        return pour(response);
      case 'interim':
        return this.#interim(response);
      case undefined:
        response.writeHead(status, { 'content-length': String(body.length), ...headers });
        response.end(body);
    }
  }

  #drip(response: ServerResponse): void {
    if (response.destroyed) return;
    response.write('.');
    this.#later(20, () => this.#drip(response));
  }

  #interim(response: ServerResponse): void {
    if (response.destroyed) return;
    response.writeEarlyHints({ link: '</style.css>; rel=preload' });
    this.#later(20, () => this.#interim(response));
  }

  #later(delayMs: number, act: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      act();
    }, delayMs);
    this.#timers.add(timer);
  }
}

function bodyOf({ body }: Http1Answer): { body: Buffer; isJson: boolean } {
  if (body === undefined) return { body: Buffer.alloc(0), isJson: false };
  if (Buffer.isBuffer(body)) return { body, isJson: false };
  if (typeof body === 'string') return { body: Buffer.from(body), isJson: false };
  return { body: Buffer.from(JSON.stringify(body)), isJson: true };
}

/** RST instead of FIN: of the TCP socket below, as TLS knows no such thing. */
function breakOff(socket: Socket): void {
  const below = (socket as Socket & { readonly _parent?: Socket })._parent ?? socket;
  below.resetAndDestroy();
}

function pour(response: ServerResponse): void {
  const block = Buffer.alloc(65_536, 0x61);
  const more = (): void => {
    while (!response.destroyed) if (!response.write(block)) return;
  };
  response.on('drain', more);
  more();
}

function ignore(): void {}
