import { Pool } from 'undici';
import type { Outcome } from '../domain/outcome.js';
import type { EndpointGuard } from './endpoint-guard.js';
import { ConnectFailure, httpConnector } from './http-connector.js';
import { HttpExchange, type HttpFailure, type HttpRequest, type HttpResult } from './http-exchange.js';

export type { HttpFailure, HttpRequest, HttpResult } from './http-exchange.js';

export interface HttpClientOptions {
  /** Name, TCP and TLS together. */
  readonly connectTimeoutMs: number;
  /** From `send` to the end of the answer, waiting for a connection included. */
  readonly requestTimeoutMs: number;
  readonly connectionsPerOrigin: number;
  /** Origins whose connections are kept when nothing is under way; beyond that the least recently used ones close. */
  readonly maxOrigins: number;
  /** An idle connection is closed after so long. */
  readonly keepAliveMs: number;
  /** The body of an answer is cut here, and the connection of a longer one dropped. */
  readonly maxResponseBytes: number;
  /** PEM; undefined = node's default. */
  readonly trustAnchors: string[] | undefined;
  /** Judges URLs and addresses that come from outside; null for a provider's fixed address. */
  readonly guard: EndpointGuard | null;
}

export const httpDefaults: HttpClientOptions = {
  connectTimeoutMs: 10_000,
  requestTimeoutMs: 10_000,
  connectionsPerOrigin: 8,
  maxOrigins: 256,
  keepAliveMs: 30_000,
  maxResponseBytes: 16_384,
  trustAnchors: undefined,
  guard: null,
};

/** What entries of the configuration have in common. */
export interface HttpEntry {
  readonly connectTimeoutMs?: number;
  readonly requestTimeoutMs?: number;
  /** Per origin. */
  readonly connections?: number;
  readonly keepAliveMs?: number;
  readonly maxResponseBytes?: number;
}

/** The options that an entry of the configuration gives, the rest by default. */
export function httpOptionsOf(
  entry: HttpEntry,
  own: Partial<HttpClientOptions> & Pick<HttpClientOptions, 'trustAnchors' | 'guard'>,
): HttpClientOptions {
  const base = { ...httpDefaults, ...own };
  return {
    ...base,
    connectTimeoutMs: entry.connectTimeoutMs ?? base.connectTimeoutMs,
    requestTimeoutMs: entry.requestTimeoutMs ?? base.requestTimeoutMs,
    connectionsPerOrigin: entry.connections ?? base.connectionsPerOrigin,
    keepAliveMs: entry.keepAliveMs ?? base.keepAliveMs,
    maxResponseBytes: entry.maxResponseBytes ?? base.maxResponseBytes,
  };
}

const MAX_HEADER_BYTES = 16_384;

/** The connections to one origin and the requests that wait for one. */
interface Lane {
  readonly pool: Pool;
  /** Given to the library and not yet let go by it: at most one per connection. */
  readonly running: Set<HttpExchange>;
  readonly waiting: Set<HttpExchange>;
}

/**
 * Requests over HTTP/1.1 to one provider or to many servers of strangers. Every request settles within its time limit,
 * whatever the peer does: silence, a drip of bytes, an endless answer, a connection that is open but dead. Redirects
 * are answers like any other. A connection that failed a request is never used again.
 */
export class HttpClient {
  connectionsOpened = 0;
  /** Of the last request that got no answer; null after an answer. */
  lastFailure: HttpFailure | null = null;
  /** Least recently used first. */
  readonly #lanes = new Map<string, Lane>();
  /** Those that are not settled, by what may abort them. */
  readonly #bySignal = new Map<AbortSignal, Set<HttpExchange>>();
  readonly #watchedSignals = new WeakSet<AbortSignal>();
  readonly #connect: ReturnType<typeof httpConnector>;
  #closing: Promise<void> | null = null;

  constructor(private readonly options: HttpClientOptions) {
    const { connectTimeoutMs: timeoutMs, trustAnchors, guard } = options;
    this.#connect = httpConnector({ timeoutMs, trustAnchors, guard });
  }

  /** Origins that have connections or requests. */
  get origins(): number {
    return this.#lanes.size;
  }

  /** Whether any connection is open. */
  get isConnected(): boolean {
    for (const { pool } of this.#lanes.values()) if (pool.stats.connected > 0) return true;
    return false;
  }

  /** Never rejects, always settles within `requestTimeoutMs`; an abort settles it at once. */
  send(request: HttpRequest): Promise<HttpResult> {
    if (this.#closing !== null) return failure('closed');
    if (request.signal.aborted) return failure('aborted');
    const { guard, requestTimeoutMs, maxResponseBytes } = this.options;
    // Options may have changed since somebody checked this URL.
    if (guard !== null && guard.refusalOf(request.url) !== null) return failure('forbidden-address');
    return new Promise((resolve) => {
      const lane = this.#laneOf(request.url.origin);
      const exchange = new HttpExchange(
        request,
        requestTimeoutMs,
        maxResponseBytes,
        failureOf,
        (over, error) => this.#onOver(lane, over, error),
        (result) => {
          lane.waiting.delete(exchange);
          this.#forget(exchange);
          if (result.kind === 'answer') this.lastFailure = null;
          else if (!ours.has(result.reason)) this.lastFailure = result.reason;
          resolve(result);
        },
      );
      this.#watch(exchange);
      lane.waiting.add(exchange);
      this.#advance(lane);
    });
  }

  /** Idempotent; requests under way and waiting settle as `closed`. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const lanes = [...this.#lanes.values()];
    this.#lanes.clear();
    for (const lane of lanes) {
      for (const exchange of [...lane.waiting, ...lane.running]) exchange.fail('closed');
    }
    await Promise.allSettled(lanes.map(({ pool }) => pool.destroy()));
  }

  #laneOf(origin: string): Lane {
    const known = this.#lanes.get(origin);
    if (known !== undefined) {
      this.#lanes.delete(origin);
      this.#lanes.set(origin, known);
      return known;
    }
    const lane: Lane = { pool: this.#openPool(origin), running: new Set(), waiting: new Set() };
    this.#lanes.set(origin, lane);
    this.#evict();
    return lane;
  }

  #openPool(origin: string): Pool {
    const { keepAliveMs, connectionsPerOrigin } = this.options;
    const pool = new Pool(origin, {
      connections: connectionsPerOrigin,
      pipelining: 1,
      connect: this.#connect,
      keepAliveTimeout: keepAliveMs,
      keepAliveMaxTimeout: keepAliveMs,
      maxHeaderSize: MAX_HEADER_BYTES,
      // The exchange has one time limit for everything.
      headersTimeout: 0,
      bodyTimeout: 0,
    });
    pool.on('connect', () => (this.connectionsOpened += 1));
    return pool;
  }

  /** The library queues without limit and does not take requests back, so it never gets more than it can run. */
  #advance(lane: Lane): void {
    for (const exchange of lane.waiting) {
      if (lane.running.size >= this.options.connectionsPerOrigin) return;
      lane.waiting.delete(exchange);
      lane.running.add(exchange);
      const { url, method, headers, body } = exchange.request;
      const path = url.pathname + url.search;
      lane.pool.dispatch({ origin: url.origin, path, method, headers, body, reset: false }, exchange);
    }
  }

  #onOver(lane: Lane, exchange: HttpExchange, error: unknown): void {
    lane.running.delete(exchange);
    if (error instanceof ConnectFailure && lane.pool.stats.connected === 0) {
      // Nobody there: the others would only find out the same, one after the other.
      for (const waiting of [...lane.waiting]) waiting.fail(error.reason);
    }
    if (lane.waiting.size > 0) queueMicrotask(() => this.#advance(lane));
    else if (lane.running.size === 0) this.#evict();
  }

  /** The newest is never evicted: it is about to be used. */
  #evict(): void {
    let excess = this.#lanes.size - this.options.maxOrigins;
    if (excess <= 0) return;
    let left = this.#lanes.size;
    for (const [origin, lane] of this.#lanes) {
      left -= 1;
      if (excess <= 0 || left === 0) return;
      if (lane.running.size > 0 || lane.waiting.size > 0) continue;
      this.#lanes.delete(origin);
      lane.pool.destroy().catch(ignore);
      excess -= 1;
    }
  }

  /** One listener per signal, however many requests carry it: adding one per request is dear. */
  #watch(exchange: HttpExchange): void {
    const { signal } = exchange.request;
    const others = this.#bySignal.get(signal);
    if (others === undefined) this.#bySignal.set(signal, new Set([exchange]));
    else others.add(exchange);
    if (this.#watchedSignals.has(signal)) return;
    this.#watchedSignals.add(signal);
    signal.addEventListener('abort', () => this.#abort(signal), { once: true });
  }

  #forget(exchange: HttpExchange): void {
    const { signal } = exchange.request;
    const others = this.#bySignal.get(signal);
    others?.delete(exchange);
    if (others?.size === 0) this.#bySignal.delete(signal);
  }

  #abort(signal: AbortSignal): void {
    for (const exchange of [...(this.#bySignal.get(signal) ?? [])]) exchange.fail('aborted');
  }
}

/** These say nothing about the peer. */
const ours: ReadonlySet<HttpFailure> = new Set(['aborted', 'closed']);

const failure = (reason: HttpFailure): Promise<HttpResult> => Promise.resolve({ kind: 'failure', reason });

const brokenHttp =
  /^(HPE_|UND_ERR_HEADERS_OVERFLOW|UND_ERR_RES_CONTENT_LENGTH|UND_ERR_INVALID_ARG|UND_ERR_NOT_SUPPORTED)/;
/** The parser's words for an answer that ended in the middle. */
const brokenOff = /^HPE_(INVALID_EOF_STATE|CLOSED_CONNECTION)$/;

function failureOf(error: unknown): HttpFailure {
  if (error instanceof ConnectFailure) return error.reason;
  if (!(error instanceof Error)) return 'connection-lost';
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  if (brokenOff.test(code)) return 'connection-lost';
  return brokenHttp.test(code) || error.name === 'HTTPParserError' ? 'malformed' : 'connection-lost';
}

function ignore(): void {}

/**
 * What it means for the push of a notifier with one provider that no answer came: `retry`, and all but our own doing
 * counts for the breaker. A forbidden address stays forbidden.
 */
const outcomes: Readonly<Record<HttpFailure, Outcome>> = {
  unreachable: transport('unreachable'),
  'connect-timeout': transport('connect-timeout'),
  'tls-failed': transport('tls-failed'),
  timeout: transport('timeout'),
  'connection-lost': transport('connection-lost'),
  malformed: transport('malformed'),
  aborted: transport('aborted'),
  closed: transport('closed'),
  'forbidden-address': { kind: 'dropped', reason: 'forbidden-address' },
};

export const outcomeOfHttpFailure = (reason: HttpFailure): Outcome => outcomes[reason];

function transport(reason: string): Outcome {
  return { kind: 'retry', reason, cause: 'transport', afterMs: null, scope: 'push' };
}
