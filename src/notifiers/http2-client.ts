import { Exchange, type Http2Failure, type Http2Request, type Http2Result } from './http2-exchange.js';
import { SessionLink, TICKS_PER_TIMEOUT, type OpenSession, type SessionOwner } from './http2-session.js';

export interface Http2ClientOptions {
  /** Until the peer's first SETTINGS. */
  readonly connectTimeoutMs: number;
  /** From `send` to the answer, waiting for a connection included; kept to within a tenth. */
  readonly requestTimeoutMs: number;
  /** Per connection; a lower limit of the peer is respected. */
  readonly maxInFlight: number;
  /**
   * At most so many at once, those that only finish their last requests not counted. More than one is opened only
   * where the round trip asks for it: see `widenAfterMs`.
   */
  readonly connections: number;
  /** All streams are in use and a request has waited for so long: another connection is opened. */
  readonly widenAfterMs: number;
  /** All connections but one are closed when they had nothing to do for so long. */
  readonly surplusIdleMs: number;
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
  connections: 3,
  widenAfterMs: 100,
  surplusIdleMs: 60_000,
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
    widenAfterMs: entry.widenAfterMs ?? http2Defaults.widenAfterMs,
    surplusIdleMs: entry.surplusIdleMs ?? http2Defaults.surplusIdleMs,
    deadAfterTimeouts: entry.deadAfterTimeouts ?? http2Defaults.deadAfterTimeouts,
    pingIntervalMs: entry.pingIntervalMs ?? http2Defaults.pingIntervalMs,
    pingTimeoutMs: entry.pingTimeoutMs ?? http2Defaults.pingTimeoutMs,
    maxResponseBytes: entry.maxResponseBytes ?? http2Defaults.maxResponseBytes,
    maxResends: entry.maxResends ?? http2Defaults.maxResends,
  };
}

export interface ConnectionCounts {
  readonly open: number;
  /** Since the start; so is `replaced`. */
  readonly opened: number;
  /** Those that went while they were in use: GOAWAY, broken, dead. */
  readonly replaced: number;
}

/** After a failed attempt to connect the next one waits for so long, doubling; requests meanwhile fail at once. */
const RECONNECT_FIRST_MS = 100;
const RECONNECT_MAX_MS = 5_000;

/**
 * Requests to one provider over few long-lived HTTP/2 sessions. Every request settles within its time limit, whatever
 * the peer does: silence, resets, GOAWAY, a connection that is open but dead. A session is opened by the first request
 * that needs it and replaced when it goes. A further one is opened when requests wait because the streams of the
 * present ones are all in use, as with a peer that is far away; it closes when it has not been needed for a while.
 */
export class Http2Client implements SessionOwner {
  /** Counted in ticks instead of time, so that neither a stalled event loop nor a changed clock makes time-outs. */
  tick = 0;
  /** Why the last connection, and no other was left, went or could not be made; null after an answer. */
  lastFailure: Http2Failure | null = null;

  /** Connecting or open. */
  #active: SessionLink[] = [];
  #opened = 0;
  #replaced = 0;
  readonly #links = new Set<SessionLink>();
  /** In order of arrival. */
  readonly #waiting = new Set<Exchange>();
  #lastWaiting: Exchange | null = null;
  readonly #watchedSignals = new WeakSet<AbortSignal>();
  /** Nearly always the one of the request before. */
  #lastSignal: AbortSignal | null = null;
  #sweeper: NodeJS.Timeout | null = null;
  #holdTimer: NodeJS.Timeout | null = null;
  #widenTimer: NodeJS.Timeout | null = null;
  #holdMs = RECONNECT_FIRST_MS;
  #closed = false;

  constructor(
    private readonly open: OpenSession,
    private readonly options: Http2ClientOptions,
  ) {}

  get isConnected(): boolean {
    return this.#active.some((link) => link.state === 'open');
  }

  get connections(): ConnectionCounts {
    const open = this.#active.filter((link) => link.state === 'open').length;
    return { open, opened: this.#opened, replaced: this.#replaced };
  }

  /** Calls `done` exactly once. An abort settles it as `aborted`. */
  send(request: Http2Request, done: (result: Http2Result) => void): void {
    const exchange = new Exchange(request, done, this.tick);
    if (this.#closed) return exchange.fail('closed');
    if (request.signal.aborted) return exchange.fail('aborted');
    if (request.signal !== this.#lastSignal) this.#watch(request.signal);
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

  /** What waits for a stream is not sent: the peer has asked to be left alone. It settles as `held-back`. */
  holdBack(): void {
    this.#failWaiting('held-back');
  }

  /** Idempotent; requests under way and waiting settle as `closed`. */
  close(): void {
    this.#closed = true;
    if (this.#sweeper !== null) clearInterval(this.#sweeper);
    if (this.#holdTimer !== null) clearTimeout(this.#holdTimer);
    if (this.#widenTimer !== null) clearTimeout(this.#widenTimer);
    this.#active = [];
    for (const link of [...this.#links]) link.close();
    this.#failWaiting('closed');
  }

  onRoom(): void {
    if (this.#waiting.size === 0) return; // most calls, and an iterator is not free
    for (const exchange of this.#waiting) {
      const link = this.#freeLink();
      if (link === null) return this.#watchWaiting();
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
    const before = this.#active.length;
    this.#active = this.#active.filter((other) => other !== link);
    const wasSurplus = this.#active.length === before;
    if (this.#closed || wasSurplus) return;
    if (failure !== null && this.#active.length === 0) this.lastFailure = failure;
    if (failure !== null && !link.hasAnswered) {
      this.#hold();
      if (this.#active.length === 0) this.#failWaiting(failure);
      return;
    }
    this.#replaced += 1;
    if (this.#waiting.size === 0) return;
    if (!this.#ensureLink()) this.#failWaiting(failure ?? 'unreachable');
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
    else {
      this.#waiting.add(exchange);
      this.#lastWaiting = exchange;
      this.#watchWaiting();
    }
  }

  /**
   * The oldest open connection with room: the others are for what it cannot take, so that they fall idle as soon as
   * they are not needed. One on which requests run into their time limit comes last.
   */
  #freeLink(): SessionLink | null {
    let suspect: SessionLink | null = null;
    for (const link of this.#active) {
      if (link.room <= 0) continue;
      if (!link.isSuspect) return link;
      suspect ??= link;
    }
    return suspect;
  }

  /** False: there is no connection and it is too early to try another. */
  #ensureLink(): boolean {
    if (this.#active.length > 0) return true;
    if (this.#holdTimer !== null) return false;
    this.#openLink();
    return true;
  }

  #openLink(): void {
    const tickMs = this.options.requestTimeoutMs / TICKS_PER_TIMEOUT;
    const pingIntervalTicks = Math.max(1, Math.ceil(this.options.pingIntervalMs / tickMs));
    const link = new SessionLink(this.open, { ...this.options, pingIntervalTicks }, this);
    this.#opened += 1;
    this.#active.push(link);
    this.#links.add(link);
  }

  /** One timer, however many wait: when it ends, the last one of those that it began with tells how long they wait. */
  #watchWaiting(): void {
    if (this.#widenTimer !== null || !this.#mayWiden()) return;
    const last = this.#lastWaiting;
    this.#widenTimer = setTimeout(() => {
      this.#widenTimer = null;
      if (last !== null && this.#waiting.has(last) && this.#mayWiden()) this.#openLink();
      this.onRoom();
    }, this.options.widenAfterMs).unref();
  }

  #mayWiden(): boolean {
    return (
      this.#holdTimer === null &&
      this.#active.length < this.options.connections &&
      this.#active.every((link) => link.state === 'open')
    );
  }

  #closeSurplus(): void {
    const idleTicks = (this.options.surplusIdleMs * TICKS_PER_TIMEOUT) / this.options.requestTimeoutMs;
    for (const link of this.#active.slice(1)) {
      if (link.idleTicks < idleTicks) continue;
      this.#active = this.#active.filter((other) => other !== link);
      link.retire(null);
    }
  }

  #hold(): void {
    if (this.#holdTimer !== null) clearTimeout(this.#holdTimer);
    this.#holdTimer = setTimeout(() => (this.#holdTimer = null), this.#holdMs).unref();
    this.#holdMs = Math.min(RECONNECT_MAX_MS, this.#holdMs * 2);
  }

  #failWaiting(reason: Http2Failure): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    this.#lastWaiting = null;
    for (const exchange of waiting) exchange.fail(reason);
  }

  #sweep(): void {
    this.tick += 1;
    for (const link of [...this.#links]) link.sweep();
    if (this.#active.length > 1) this.#closeSurplus();
    for (const exchange of this.#waiting) {
      if (this.tick - exchange.startedTick <= TICKS_PER_TIMEOUT) continue;
      this.#waiting.delete(exchange);
      exchange.fail('timeout');
    }
  }

  /** One listener per signal, however many requests carry it: adding one per request is dear. */
  #watch(signal: AbortSignal): void {
    this.#lastSignal = signal;
    if (this.#watchedSignals.has(signal)) return;
    this.#watchedSignals.add(signal);
    signal.addEventListener('abort', () => this.#abort(signal), { once: true });
  }

  #abort(signal: AbortSignal): void {
    for (const link of [...this.#links]) link.abort(signal);
    for (const exchange of this.#waiting) {
      if (exchange.signal !== signal) continue;
      this.#waiting.delete(exchange);
      exchange.fail('aborted');
    }
  }
}
