import { constants, type ClientHttp2Stream, type OutgoingHttpHeaders } from 'node:http2';
import type { Linked } from '../domain/linked-set.js';

const { NGHTTP2_CANCEL } = constants;
/** The flag of a HEADERS frame that says: no body follows (RFC 9113, 6.2). */
const END_STREAM = 0x1;

export interface Http2Request {
  /** Pseudo-headers included. The same object is sent again when a stream is refused. */
  readonly headers: OutgoingHttpHeaders;
  /** ASCII only: it is written as Latin-1, the cheapest way into a frame. */
  readonly body: string;
  readonly signal: AbortSignal;
}

/** Why no answer came. `unsent` in the comments: the peer has certainly not acted upon the request. */
export type Http2Failure =
  /** No connection, or a recent attempt failed and the next one is not due yet; unsent. */
  | 'unreachable'
  | 'connect-timeout'
  /** The peer's certificate is not trusted, or it does not trust ours. */
  | 'tls-failed'
  /** No answer within the time limit; the peer may have acted. */
  | 'timeout'
  /** The connection ended with the request under way; the peer may have acted. */
  | 'connection-lost'
  /** The peer reset this one stream; it may have acted. */
  | 'reset'
  /** Refused again and again (REFUSED_STREAM, GOAWAY); unsent. */
  | 'refused'
  /** More requests at once than the caller may have; unsent. */
  | 'busy'
  /** The caller wants nothing more to be sent now (`holdBack`); unsent. */
  | 'held-back'
  | 'aborted'
  | 'closed';

export type Http2Result =
  | {
      readonly kind: 'answer';
      readonly status: number;
      readonly retryAfter: string | null;
      /** Empty for status 200 (nobody reads it) and when it exceeded the size limit. */
      readonly body: string;
    }
  | { readonly kind: 'failure'; readonly reason: Http2Failure };

/** What an exchange tells the session that carries it. */
export interface ExchangeCarrier {
  readonly maxResponseBytes: number;
  /** The peer has answered this request. */
  onAnswer(): void;
  /** The stream is over; `answered` false: no answer came and the carrier decides what to do. */
  onStreamOver(exchange: Exchange, stream: ClientHttp2Stream, answered: boolean): void;
}

const OK: Http2Result = { kind: 'answer', status: 200, retryAfter: null, body: '' };

/**
 * One request until its result, over one stream or, when that one is refused, over several. It settles exactly once.
 * A stream may outlive its result: after the headers of a 200 there is nothing more to learn.
 */
export class Exchange implements Linked<Exchange> {
  /** While a session carries it. */
  before: Exchange | null = null;
  after: Exchange | null = null;
  resends = 0;
  readonly signal: AbortSignal;
  /** Given up with the result: the stream refers to this, and the garbage collector may find the stream late. */
  #request: Http2Request | null;
  #stream: ClientHttp2Stream | null = null;
  #done: ((result: Http2Result) => void) | null;

  constructor(
    request: Http2Request,
    done: (result: Http2Result) => void,
    /** In ticks of the client's sweeper. */
    readonly startedTick: number,
  ) {
    this.#request = request;
    this.signal = request.signal;
    this.#done = done;
  }

  /** To be asked for before it has settled. */
  get headers(): OutgoingHttpHeaders {
    return this.#request?.headers ?? {};
  }

  /** As `headers`. */
  get body(): string {
    return this.#request?.body ?? '';
  }

  get isSettled(): boolean {
    return this.#done === null;
  }

  fail(reason: Http2Failure): void {
    this.#settle({ kind: 'failure', reason });
  }

  /** Gives the stream up, whatever its state; no further event of it is heard. */
  dropStream(): void {
    const stream = this.#stream;
    this.#stream = null;
    if (stream !== null && !stream.destroyed) stream.close(NGHTTP2_CANCEL);
  }

  /** Sends the body and listens. The stream is a fresh one of the carrier's session. */
  run(stream: ClientHttp2Stream, carrier: ExchangeCarrier): void {
    this.#stream = stream;
    stream.on('error', ignore); // 'close' follows and says what there is to say
    stream.on('close', () => {
      if (this.#stream !== stream) return;
      this.#stream = null;
      carrier.onStreamOver(this, stream, this.isSettled);
    });
    stream.on('response', (headers, flags) => {
      if (this.#stream !== stream) return;
      const status = headers[':status'] ?? 0;
      carrier.onAnswer();
      if (status === 200) {
        this.#settle(OK);
      } else {
        const retryAfter = headers['retry-after'] ?? null;
        if (flags & END_STREAM) this.#settle({ kind: 'answer', status, retryAfter, body: '' });
        else this.#collectBody(stream, carrier.maxResponseBytes, status, retryAfter);
      }
      stream.resume();
      if (flags & END_STREAM) {
        // Both sides have ended: the stream no longer counts for the peer, so its place is free now, not at 'close'.
        this.#stream = null;
        carrier.onStreamOver(this, stream, true);
      }
    });
    stream.end(this.body, 'latin1');
  }

  #collectBody(stream: ClientHttp2Stream, maxBytes: number, status: number, retryAfter: string | null): void {
    const chunks: Buffer[] = [];
    let bytes = 0;
    stream.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= maxBytes) {
        chunks.push(chunk);
        return;
      }
      this.#settle({ kind: 'answer', status, retryAfter, body: '' });
      if (!stream.destroyed) stream.close(NGHTTP2_CANCEL);
    });
    stream.on('end', () => {
      if (this.#stream !== stream) return;
      this.#settle({ kind: 'answer', status, retryAfter, body: Buffer.concat(chunks).toString('utf8') });
    });
  }

  #settle(result: Http2Result): void {
    const done = this.#done;
    this.#done = null;
    this.#request = null;
    done?.(result);
  }
}

function ignore(): void {}
