import { Client } from 'undici';
import { HttpConnector, type HttpConnectorOptions } from './http-connector.js';
import { ConnectFailure, type HttpExchange } from './http-exchange.js';

export interface HttpLaneOptions extends HttpConnectorOptions {
  readonly connections: number;
  readonly keepAliveMs: number;
  readonly onConnected: () => void;
  /** Nothing is under way any more. */
  readonly onIdle: () => void;
}

const MAX_HEADER_BYTES = 16_384;

/**
 * The connections to one origin and the requests that wait for one. Each connection is a `Client` of the library with
 * one request at a time, thrown away with the first request that fails on it: a client whose request is aborted would
 * connect again for nobody, and a pool of them queues without limit and gives nothing back.
 */
export class HttpLane {
  readonly #idle: Connection[] = [];
  readonly #running = new Map<HttpExchange, Connection>();
  readonly #waiting = new Set<HttpExchange>();

  constructor(
    private readonly origin: string,
    private readonly options: HttpLaneOptions,
  ) {}

  get isIdle(): boolean {
    return this.#running.size === 0 && this.#waiting.size === 0;
  }

  get isConnected(): boolean {
    if (this.#idle.length > 0) return true;
    for (const { isOpen } of this.#running.values()) if (isOpen) return true;
    return false;
  }

  add(exchange: HttpExchange): void {
    this.#waiting.add(exchange);
    this.#advance();
  }

  /** Every exchange comes here once. */
  remove(exchange: HttpExchange, isReusable: boolean, error: Error | null): void {
    if (this.#waiting.delete(exchange)) return;
    const connection = this.#running.get(exchange);
    if (connection === undefined) return;
    this.#running.delete(exchange);
    if (isReusable) this.#idle.push(connection);
    else void connection.destroy();
    if (error instanceof ConnectFailure && !this.isConnected) {
      // Nobody there: the others would only find out the same, one after the other.
      for (const waiting of [...this.#waiting]) waiting.fail(error.reason);
    }
    // Not before the library is through with the present answer.
    if (this.#waiting.size > 0) queueMicrotask(() => this.#advance());
    else if (this.#running.size === 0) this.options.onIdle();
  }

  /** Requests under way and waiting settle as `closed`. */
  async close(): Promise<void> {
    for (const exchange of [...this.#waiting, ...this.#running.keys()]) exchange.fail('closed');
    await Promise.all(this.#idle.splice(0).map((connection) => connection.destroy()));
  }

  #advance(): void {
    for (const exchange of this.#waiting) {
      if (this.#running.size >= this.options.connections) return;
      this.#waiting.delete(exchange);
      const connection = this.#idle.pop() ?? this.#open();
      this.#running.set(exchange, connection);
      connection.start(exchange);
    }
  }

  #open(): Connection {
    const connection = new Connection(this.origin, this.options, () => {
      const index = this.#idle.indexOf(connection);
      if (index === -1) return; // its exchange hears of it
      this.#idle.splice(index, 1);
      void connection.destroy();
    });
    return connection;
  }
}

class Connection {
  readonly #connector: HttpConnector;
  readonly #client: Client;
  isOpen = false;

  constructor(origin: string, options: HttpLaneOptions, onLost: () => void) {
    this.#connector = new HttpConnector(options);
    this.#client = new Client(origin, {
      connect: this.#connector.connect,
      pipelining: 1,
      keepAliveTimeout: options.keepAliveMs,
      keepAliveMaxTimeout: options.keepAliveMs,
      maxHeaderSize: MAX_HEADER_BYTES,
      // The exchange has one time limit for everything.
      headersTimeout: 0,
      bodyTimeout: 0,
    });
    this.#client.on('connect', () => {
      this.isOpen = true;
      options.onConnected();
    });
    this.#client.on('disconnect', () => {
      this.isOpen = false;
      onLost();
    });
  }

  start(exchange: HttpExchange): void {
    const { url, method, headers, body } = exchange.request;
    const path = url.pathname + url.search;
    this.#client.dispatch({ path, method, headers, body }, exchange);
  }

  async destroy(): Promise<void> {
    this.isOpen = false;
    this.#connector.abandon();
    await this.#client.destroy().catch(ignore);
  }
}

function ignore(): void {}
