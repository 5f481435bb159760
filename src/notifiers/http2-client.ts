import { Exchange, type Http2Failure, type Http2Request, type Http2Result } from './http2-exchange.js';
import { SessionLink, TICKS_PER_TIMEOUT, type OpenSession, type SessionOwner } from './http2-session.js';

export interface Http2ClientOptions {
  /** Until the peer's first SETTINGS. */
  readonly connectTimeoutMs: number;
  /** From `send` to the answer, waiting for a connection included; kept to within a tenth. */
  readonly requestTimeoutMs: number;
  /** Per connection; a lower limit of the peer is respected. */
  readonly maxInFlight: number;
  /** At most so many at once, those that only finish their last requests not counted. */
  readonly connections: number;
  /** Time-outs in a row, with nothing answered meanwhile, after which a connection is replaced. */
  readonly deadAfterTimeouts: number;
  /** A connection on which nothing was answered for so long is probed … */
  readonly pingIntervalMs: number;
  /** … and replaced when the probe is not answered for so long. */
  readonly pingTimeoutMs: number;
  /** Longer answers are not read. */
  readonly maxResponseBytes: number;
  /** How often one request may be refused (REFUSED_STREAM, GOAWAY) and sent again at once. */
  readonly maxResends: number;
}

export const http2Defaults: Http2ClientOptions = {
  connectTimeoutMs: 10_000,
  requestTimeoutMs: 10_000,
  maxInFlight: 500,
  connections: 1,
  deadAfterTimeouts: 3,
  pingIntervalMs: 60_000,
  pingTimeoutMs: 10_000,
  maxResponseBytes: 16_384,
  maxResends: 3,
};

/** The options that an entry of the configuration gives, the rest by default. */
export function http2OptionsOf(entry: Partial<Http2ClientOptions>): Http2ClientOptions {
  return {
    connectTimeoutMs: entry.connectTimeoutMs ?? http2Defaults.connectTimeoutMs,
    requestTimeoutMs: entry.requestTimeoutMs ?? http2Defaults.requestTimeoutMs,
    maxInFlight: entry.maxInFlight ?? http2Defaults.maxInFlight,
    connections: entry.connections ?? http2Defaults.connections,
    deadAfterTimeouts: entry.deadAfterTimeouts ?? http2Defaults.deadAfterTimeouts,
    pingIntervalMs: entry.pingIntervalMs ?? http2Defaults.pingIntervalMs,
    pingTimeoutMs: entry.pingTimeoutMs ?? http2Defaults.pingTimeoutMs,
    maxResponseBytes: entry.maxResponseBytes ?? http2Defaults.maxResponseBytes,
    maxResends: entry.maxResends ?? http2Defaults.maxResends,
  };
}

/** After a failed attempt to connect the next one waits for so long, doubling; requests meanwhile fail at once. */
const RECONNECT_FIRST_MS = 100;
const RECONNECT_MAX_MS = 5_000;

/**
 * Requests to one provider over few long-lived HTTP/2 sessions. Every request settles within its time limit, whatever
 * the peer does: silence, resets, GOAWAY, a connection that is open but dead. A session is opened by the first request
 * that needs it and replaced when it goes.
 */
export class Http2Client implements SessionOwner {
  /** Counted in ticks instead of time, so that neither a stalled event loop nor a changed clock makes time-outs. */
  tick = 0;
  connectionsOpened = 0;
  connectionsReplaced = 0;
  /** Why the last connection went or could not be made; null after an answer. */
  lastFailure: Http2Failure | null = null;

  /** Connecting or open. */
  #active: SessionLink[] = [];
  readonly #links = new Set<SessionLink>();
  readonly #waiting = new Set<Exchange>();
  readonly #watchedSignals = new WeakSet<AbortSignal>();
  #sweeper: NodeJS.Timeout | null = null;
  #holdTimer: NodeJS.Timeout | null = null;
  #holdMs = RECONNECT_FIRST_MS;
  #closed = false;

  constructor(
    private readonly open: OpenSession,
    private readonly options: Http2ClientOptions,
  ) {}

  get isConnected(): boolean {
    return this.#active.some((link) => link.state === 'open');
  }

  /** Calls `done` exactly once. An abort settles it as `aborted`. */
  send(request: Http2Request, done: (result: Http2Result) => void): void {
    const exchange = new Exchange(request, done, this.tick);
    if (this.#closed) return exchange.fail('closed');
    if (request.signal.aborted) return exchange.fail('aborted');
    this.#watch(request.signal);
    this.#sweeper ??= setInterval(
      () => this.#sweep(),
      Math.max(5, this.options.requestTimeoutMs / TICKS_PER_TIMEOUT),
    ).unref();
    this.#dispatch(exchange);
  }

  /** No new requests on the present connections: the next one opens another. */
  renewConnections(): void {
    for (const link of [...this.#active]) link.retire(null);
  }

  /** Idempotent; requests under way and waiting settle as `closed`. */
  close(): void {
    this.#closed = true;
    if (this.#sweeper !== null) clearInterval(this.#sweeper);
    if (this.#holdTimer !== null) clearTimeout(this.#holdTimer);
    this.#active = [];
    for (const link of [...this.#links]) link.close();
    this.#failWaiting('closed');
  }

  onRoom(): void {
    for (const exchange of this.#waiting) {
      const link = this.#freeLink();
      if (link === null) return;
      this.#waiting.delete(exchange);
      if (!link.start(exchange)) this.#dispatch(exchange);
    }
  }

  onAnswer(): void {
    this.lastFailure = null;
    this.#holdMs = RECONNECT_FIRST_MS;
  }

  onRefused(exchange: Exchange): void {
    exchange.resends += 1;
    if (this.#closed) exchange.fail('closed');
    else if (exchange.resends > this.options.maxResends) exchange.fail('refused');
    else this.#dispatch(exchange);
  }

  onRetired(link: SessionLink, failure: Http2Failure | null): void {
    this.#active = this.#active.filter((other) => other !== link);
    if (this.#closed) return;
    if (failure !== null) this.lastFailure = failure;
    if (failure !== null && !link.hasAnswered) {
      this.#hold();
      if (this.#active.length === 0) this.#failWaiting(failure);
      return;
    }
    this.connectionsReplaced += 1;
    if (this.#waiting.size > 0 && !this.#ensureLink()) this.#failWaiting(failure ?? 'unreachable');
  }

  onGone(link: SessionLink): void {
    this.#links.delete(link);
  }

  #dispatch(exchange: Exchange): void {
    for (let link = this.#freeLink(); link !== null; link = this.#freeLink()) {
      if (link.start(exchange)) return;
    }
    if (this.#waiting.size >= this.options.maxInFlight * this.options.connections) exchange.fail('busy');
    else if (!this.#ensureLink()) exchange.fail(this.lastFailure ?? 'unreachable');
    else this.#waiting.add(exchange);
  }

  /** The open connection with the most room. */
  #freeLink(): SessionLink | null {
    let best: SessionLink | null = null;
    let bestRoom = 0;
    for (const link of this.#active) {
      const room = link.room;
      if (room > bestRoom) {
        best = link;
        bestRoom = room;
      }
    }
    return best;
  }

  /** False: there is no connection and it is too early to try another. */
  #ensureLink(): boolean {
    const connecting = this.#active.some((link) => link.state === 'connecting');
    if (connecting || this.#active.length >= this.options.connections) return true;
    if (this.#holdTimer !== null) return this.#active.length > 0;
    const tickMs = this.options.requestTimeoutMs / TICKS_PER_TIMEOUT;
    const link = new SessionLink(
      this.open,
      { ...this.options, pingIntervalTicks: Math.max(1, Math.ceil(this.options.pingIntervalMs / tickMs)) },
      this,
    );
    this.connectionsOpened += 1;
    this.#active.push(link);
    this.#links.add(link);
    return true;
  }

  #hold(): void {
    if (this.#holdTimer !== null) clearTimeout(this.#holdTimer);
    this.#holdTimer = setTimeout(() => (this.#holdTimer = null), this.#holdMs).unref();
    this.#holdMs = Math.min(RECONNECT_MAX_MS, this.#holdMs * 2);
  }

  #failWaiting(reason: Http2Failure): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const exchange of waiting) exchange.fail(reason);
  }

  #sweep(): void {
    this.tick += 1;
    for (const link of [...this.#links]) link.sweep();
    for (const exchange of this.#waiting) {
      if (this.tick - exchange.startedTick <= TICKS_PER_TIMEOUT) continue;
      this.#waiting.delete(exchange);
      exchange.fail('timeout');
    }
  }

  /** One listener per signal, however many requests carry it: adding one per request is dear. */
  #watch(signal: AbortSignal): void {
    if (this.#watchedSignals.has(signal)) return;
    this.#watchedSignals.add(signal);
    signal.addEventListener('abort', () => this.#abort(signal), { once: true });
  }

  #abort(signal: AbortSignal): void {
    for (const link of [...this.#links]) link.abort(signal);
    for (const exchange of this.#waiting) {
      if (exchange.request.signal !== signal) continue;
      this.#waiting.delete(exchange);
      exchange.fail('aborted');
    }
  }
}
