import { constants, type ClientHttp2Session, type ClientHttp2Stream, type Settings } from 'node:http2';
import type { Socket } from 'node:net';
import { LinkedSet } from '../domain/linked-set.js';
import type { Exchange, ExchangeCarrier, Http2Failure } from './http2-exchange.js';

const { NGHTTP2_REFUSED_STREAM } = constants;

/** How many sweeper ticks make the time limit of one request. */
export const TICKS_PER_TIMEOUT = 10;
/** Stream numbers run out at 2^30 requests, which a busy server reaches within weeks. */
const MAX_REQUESTS_PER_SESSION = 2 ** 29;
/** For a peer that ends nothing from its side after we have ended ours. */
const SOCKET_LINGER_MS = 1_000;

/** Makes a session that is on its way; rejects or throws only for faults of its own. Has no 'error' listener yet. */
export type OpenSession = () => Promise<ClientHttp2Session>;

export interface SessionLimits {
  readonly connectTimeoutMs: number;
  /** Per session; the peer's own limit counts as well. */
  readonly maxInFlight: number;
  /** Requests that ran into their time limit in a row, with nothing answered meanwhile, before we give a session up. */
  readonly deadAfterTimeouts: number;
  readonly pingIntervalTicks: number;
  readonly pingTimeoutMs: number;
  readonly maxResponseBytes: number;
}

/** What a session tells the client that owns it. */
export interface SessionOwner {
  readonly tick: number;
  /** Usable, or has room for more. */
  onRoom(): void;
  /** The peer answered something. */
  onAnswer(): void;
  /** Takes no more requests; those under way go on. `failure` null: it ended in good order. */
  onRetired(link: SessionLink, failure: Http2Failure | null): void;
  /** Nothing is left of it. */
  onGone(link: SessionLink): void;
  /** The peer has certainly not acted upon this one: it may go again. */
  onRefused(exchange: Exchange): void;
}

/**
 * One HTTP/2 session to one provider.
 *
 *   connecting ──SETTINGS of the peer──► open ──GOAWAY, error, dead, used up──► draining ──last request over──► gone
 *        └──────────error, time limit───────────────────────────────────────────────────────────────────────────┘
 *
 * `open` begins with the peer's SETTINGS, not with the TLS handshake: only then is it known how many streams it takes.
 */
export class SessionLink implements ExchangeCarrier {
  state: 'connecting' | 'open' | 'draining' | 'gone' = 'connecting';
  readonly inFlight = new LinkedSet<Exchange>();
  /** Whether the peer has ever answered on it: a connection that never did is no better than none. */
  hasAnswered = false;
  #session: ClientHttp2Session | null = null;
  #socket: Socket | null = null;
  #peerMaxStreams = 0;
  #requests = 0;
  /** Handed to the session in this turn of the event loop, so not yet in what it says of the peer's window. */
  #unsentBytes = 0;
  #largestBodyBytes = 0;
  #timeoutsInARow = 0;
  #lastAnswerTick: number;
  #lastPingTick: number;
  #lastStartTick: number;
  /** Streams above this number were not touched by the peer (RFC 9113, 6.8). */
  #goawayLastStream: number | null = null;
  #failure: Http2Failure | null = null;
  readonly #connectTimer: NodeJS.Timeout;
  #pingTimer: NodeJS.Timeout | null = null;

  constructor(
    open: OpenSession,
    private readonly limits: SessionLimits,
    private readonly owner: SessionOwner,
  ) {
    this.#lastAnswerTick = owner.tick;
    this.#lastPingTick = owner.tick;
    this.#lastStartTick = owner.tick;
    this.#connectTimer = setTimeout(() => this.retire('connect-timeout'), limits.connectTimeoutMs);
    open().then(
      (session) => this.#attach(session),
      () => this.retire('unreachable'),
    );
  }

  get maxResponseBytes(): number {
    return this.limits.maxResponseBytes;
  }

  get room(): number {
    if (this.state !== 'open' || !this.#fitsWindow()) return 0;
    return Math.min(this.limits.maxInFlight, this.#peerMaxStreams) - this.inFlight.size;
  }

  /** Requests on it ran into their time limit and nothing was answered since. */
  get isSuspect(): boolean {
    return this.#timeoutsInARow > 0;
  }

  /** For how many ticks there has been nothing to do. */
  get idleTicks(): number {
    return this.state === 'open' && this.inFlight.size === 0 ? this.owner.tick - this.#lastStartTick : 0;
  }

  /** False: the session turned out to be unusable and was retired; nothing was sent. */
  start(exchange: Exchange): boolean {
    let stream: ClientHttp2Stream;
    try {
      if (this.#session === null || this.#session.closed) throw new Error('session closed');
      stream = this.#session.request(exchange.headers);
    } catch {
      this.retire(null);
      return false;
    }
    this.#count(exchange.body.length);
    this.inFlight.add(exchange);
    this.#lastStartTick = this.owner.tick;
    exchange.run(stream, this);
    this.#requests += 1;
    if (this.#requests >= MAX_REQUESTS_PER_SESSION) this.retire(null);
    return true;
  }

  onAnswer(): void {
    this.hasAnswered = true;
    this.#timeoutsInARow = 0;
    this.#lastAnswerTick = this.owner.tick;
    this.owner.onAnswer();
  }

  onStreamOver(exchange: Exchange, stream: ClientHttp2Stream, answered: boolean): void {
    if (!this.inFlight.delete(exchange)) return;
    if (!answered) this.#onUnanswered(exchange, stream);
    this.#afterRemoval();
  }

  /** Ends what has waited for longer than the time limit and watches whether the peer is still there. */
  sweep(): void {
    const tick = this.owner.tick;
    for (const exchange of this.inFlight.toArray()) {
      if (tick - exchange.startedTick <= TICKS_PER_TIMEOUT) continue;
      this.inFlight.delete(exchange);
      exchange.dropStream();
      if (exchange.isSettled) continue;
      exchange.fail('timeout');
      this.#timeoutsInARow += 1;
      if (this.#timeoutsInARow === 1) this.#ping();
    }
    if (this.state === 'open') {
      const silentTicks = tick - this.#lastAnswerTick;
      if (this.#timeoutsInARow >= this.limits.deadAfterTimeouts && silentTicks >= TICKS_PER_TIMEOUT) {
        this.retire('timeout');
      } else if (
        silentTicks >= this.limits.pingIntervalTicks &&
        tick - this.#lastPingTick >= this.limits.pingIntervalTicks
      ) {
        this.#ping();
      }
    }
    this.#afterRemoval();
  }

  abort(signal: AbortSignal): void {
    for (const exchange of this.inFlight.toArray()) {
      if (exchange.signal !== signal) continue;
      this.inFlight.delete(exchange);
      exchange.dropStream();
      exchange.fail('aborted');
    }
    this.#afterRemoval();
  }

  /** No further requests; the session goes when those under way are over. Idempotent. */
  retire(failure: Http2Failure | null): void {
    if (this.state === 'draining' || this.state === 'gone') return;
    this.state = 'draining';
    this.owner.onRetired(this, failure);
    if (this.inFlight.size === 0) this.#dispose();
  }

  /** At once, with everything under way failing as `closed`. */
  close(): void {
    this.state = 'draining';
    for (const exchange of this.inFlight.takeAll()) exchange.fail('closed');
    this.#dispose();
  }

  #attach(session: ClientHttp2Session): void {
    session.on('error', (error: Error) => {
      this.#failure = failureOf(error, this.state === 'connecting');
      this.retire(this.#failure);
    });
    session.on('close', () => this.#onSessionClose());
    if (this.state === 'gone') {
      session.destroy();
      return;
    }
    this.#session = session;
    session.on('connect', (_session: ClientHttp2Session, socket: Socket) => (this.#socket = socket));
    session.on('remoteSettings', (settings: Settings) => {
      this.#peerMaxStreams = settings.maxConcurrentStreams ?? Infinity;
      if (this.state === 'connecting') {
        clearTimeout(this.#connectTimer);
        this.state = 'open';
        this.#lastAnswerTick = this.#lastPingTick = this.#lastStartTick = this.owner.tick;
      }
      if (this.state === 'open') this.owner.onRoom();
    });
    session.on('goaway', (_code: number, lastStreamId: number) => {
      this.#goawayLastStream = lastStreamId;
      this.retire(null);
    });
  }

  /**
   * Whether the peer's window for the whole connection takes another body (RFC 9113, 5.2.1). One that is begun and has
   * to wait for the window would be overtaken by every newer request for as long as there are any: nghttp2 serves those
   * first that were sent nothing yet. So requests wait with us, in order.
   */
  #fitsWindow(): boolean {
    if (this.inFlight.size === 0 || this.#session === null) return true;
    const windowBytes = this.#session.state.remoteWindowSize ?? Infinity;
    return windowBytes - this.#unsentBytes >= this.#largestBodyBytes;
  }

  #count(bodyBytes: number): void {
    if (bodyBytes > this.#largestBodyBytes) this.#largestBodyBytes = bodyBytes;
    // node writes what was handed over before it calls us back.
    if (this.#unsentBytes === 0) setImmediate(() => (this.#unsentBytes = 0));
    this.#unsentBytes += bodyBytes;
  }

  #onUnanswered(exchange: Exchange, stream: ClientHttp2Stream): void {
    const untouched =
      stream.rstCode === NGHTTP2_REFUSED_STREAM ||
      stream.pending ||
      (this.#goawayLastStream !== null && stream.id !== undefined && stream.id > this.#goawayLastStream);
    if (untouched) this.owner.onRefused(exchange);
    else if (this.#session === null || this.#session.destroyed)
      exchange.fail(this.#failure ?? 'connection-lost');
    else exchange.fail('reset');
  }

  #onSessionClose(): void {
    this.retire(this.#failure ?? (this.state === 'connecting' ? 'unreachable' : null));
    // The streams of a destroyed session close by themselves; this is for one that did not.
    setImmediate(() => {
      for (const exchange of this.inFlight.takeAll()) exchange.fail(this.#failure ?? 'connection-lost');
      this.#dispose();
    });
  }

  #ping(): void {
    if (this.#session === null || this.#session.destroyed || this.#pingTimer !== null) return;
    this.#lastPingTick = this.owner.tick;
    this.#pingTimer = setTimeout(() => this.retire('timeout'), this.limits.pingTimeoutMs);
    this.#session.ping(() => {
      if (this.#pingTimer !== null) clearTimeout(this.#pingTimer);
      this.#pingTimer = null;
    });
  }

  #afterRemoval(): void {
    if (this.state === 'open') this.owner.onRoom();
    else if (this.state === 'draining' && this.inFlight.size === 0) this.#dispose();
  }

  #dispose(): void {
    if (this.state === 'gone') return;
    this.state = 'gone';
    clearTimeout(this.#connectTimer);
    if (this.#pingTimer !== null) clearTimeout(this.#pingTimer);
    this.#session?.destroy();
    const socket = this.#socket;
    if (socket !== null && !socket.destroyed) setTimeout(() => socket.destroy(), SOCKET_LINGER_MS).unref();
    this.owner.onGone(this);
  }
}

/** OpenSSL's and node's words for "the certificate is not good", on either side. */
const tlsTrouble =
  /^(ERR_SSL_|ERR_TLS_|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|INVALID_CA|HOSTNAME_MISMATCH)/;

function failureOf(error: Error & { code?: unknown }, connecting: boolean): Http2Failure {
  if (typeof error.code === 'string' && tlsTrouble.test(error.code)) return 'tls-failed';
  return connecting ? 'unreachable' : 'connection-lost';
}
