import type { SecureContext } from 'node:tls';
import type { Outcome } from '../domain/outcome.js';
import type { EndpointGuard } from './endpoint-guard.js';
import { createTlsContext } from './tls-context.js';
import { HttpExchange, type HttpFailure, type HttpRequest, type HttpResult } from './http-exchange.js';
import { HttpLane } from './http-lane.js';

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
  readonly #lanes = new Map<string, HttpLane>();
  /** Those that are not settled, by what may abort them. */
  readonly #bySignal = new Map<AbortSignal, Set<HttpExchange>>();
  readonly #watchedSignals = new WeakSet<AbortSignal>();
  readonly #tls: SecureContext;
  #closing: Promise<void> | null = null;

  constructor(private readonly options: HttpClientOptions) {
    this.#tls = createTlsContext(options.trustAnchors);
  }

  /** Origins that have connections or requests. */
  get origins(): number {
    return this.#lanes.size;
  }

  /** Whether any connection is open. */
  get isConnected(): boolean {
    for (const lane of this.#lanes.values()) if (lane.isConnected) return true;
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
      const exchange = new HttpExchange(request, requestTimeoutMs, maxResponseBytes, {
        onSettled: (settled, result) => {
          this.#forget(settled);
          if (result.kind === 'answer') this.lastFailure = null;
          else if (!ours.has(result.reason)) this.lastFailure = result.reason;
          resolve(result);
        },
        onOver: (over, isReusable, error) => lane.remove(over, isReusable, error),
      });
      this.#watch(exchange);
      lane.add(exchange);
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
    await Promise.all(lanes.map((lane) => lane.close()));
  }

  #laneOf(origin: string): HttpLane {
    const known = this.#lanes.get(origin);
    if (known !== undefined) {
      this.#lanes.delete(origin);
      this.#lanes.set(origin, known);
      return known;
    }
    const { connectTimeoutMs: timeoutMs, guard, connectionsPerOrigin, keepAliveMs } = this.options;
    const lane = new HttpLane(origin, {
      timeoutMs,
      tls: this.#tls,
      guard,
      connections: connectionsPerOrigin,
      keepAliveMs,
      onConnected: () => (this.connectionsOpened += 1),
      onIdle: () => this.#evict(),
    });
    this.#lanes.set(origin, lane);
    this.#evict();
    return lane;
  }

  /** The newest is never evicted: it is about to be used. */
  #evict(): void {
    let excess = this.#lanes.size - this.options.maxOrigins;
    if (excess <= 0) return;
    let left = this.#lanes.size;
    for (const [origin, lane] of this.#lanes) {
      left -= 1;
      if (excess <= 0 || left === 0) return;
      if (!lane.isIdle) continue;
      this.#lanes.delete(origin);
      void lane.close();
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
