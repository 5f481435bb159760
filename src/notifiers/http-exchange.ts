import type { IncomingHttpHeaders } from 'node:http';
import type { Dispatcher } from 'undici';

export interface HttpRequest {
  /** http: or https:; checked by whoever took it from outside. */
  readonly url: URL;
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** Lower-case names; `host` and `content-length` follow from the rest. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer | string | null;
  readonly signal: AbortSignal;
}

/** Why no answer came. `unsent` in the comments: the peer has certainly not acted upon the request. */
export type HttpFailure =
  /** No address or no connection; unsent. */
  | 'unreachable'
  /** No connection (name, TCP and TLS) in time; unsent. */
  | 'connect-timeout'
  /** The peer's certificate is not trusted or not for this name; unsent. */
  | 'tls-failed'
  /** No whole answer within the time limit; the peer may have acted. */
  | 'timeout'
  /** The connection ended with the request under way; the peer may have acted. */
  | 'connection-lost'
  /** The guard does not allow any address of the host, or the URL itself; unsent. */
  | 'forbidden-address'
  | 'aborted'
  | 'closed'
  /** What came back is no HTTP/1.1; the peer may have acted. */
  | 'malformed';

export type HttpResult =
  | {
      readonly kind: 'answer';
      readonly status: number;
      /** Lower-case names; of a repeated header the first value. */
      readonly headers: Readonly<Record<string, string>>;
      /** UTF-8; cut at `maxResponseBytes`. */
      readonly body: string;
    }
  | { readonly kind: 'failure'; readonly reason: HttpFailure };

/** Tells a failed attempt to connect from a connection that failed later. */
export class ConnectFailure extends Error {
  constructor(readonly reason: HttpFailure) {
    super(reason);
  }
}

export interface ExchangeOwner {
  /** The result is there. */
  onSettled(exchange: HttpExchange, result: HttpResult): void;
  /** `isReusable`: the whole answer was read. Otherwise the connection is to be dropped. */
  onOver(exchange: HttpExchange, isReusable: boolean, error: Error | null): void;
}

/** One request until its result. It settles exactly once and is over exactly once, at the same time or afterwards. */
export class HttpExchange implements Dispatcher.DispatchHandler {
  #isSettled = false;
  #isOver = false;
  #status = 0;
  #headers: Readonly<Record<string, string>> = {};
  #bytes = 0;
  readonly #chunks: Buffer[] = [];
  readonly #timer: NodeJS.Timeout;

  constructor(
    readonly request: HttpRequest,
    timeoutMs: number,
    private readonly maxResponseBytes: number,
    private readonly owner: ExchangeOwner,
  ) {
    this.#timer = setTimeout(() => this.fail('timeout'), timeoutMs);
  }

  /** Ends it, wherever it is. */
  fail(reason: HttpFailure): void {
    this.#settle({ kind: 'failure', reason });
    this.#over(false, null);
  }

  /** The library wants to see this member; there is nothing to do yet. */
  onRequestStart(): void {}

  onResponseStart(_controller: unknown, status: number, headers: IncomingHttpHeaders): void {
    if (status < 200) return; // an interim answer (RFC 9110, 15.2); the time limit counts on
    this.#status = status;
    this.#headers = firstValues(headers);
  }

  onResponseData(_controller: unknown, chunk: Buffer): void {
    if (this.#isOver) return;
    const room = this.maxResponseBytes - this.#bytes;
    this.#bytes += chunk.length;
    if (room > 0) this.#chunks.push(chunk.length > room ? Buffer.from(chunk.subarray(0, room)) : chunk);
    if (chunk.length <= room) return;
    // Nobody reads the rest, so the connection is of no more use either.
    this.#answer();
    this.#over(false, null);
  }

  onResponseEnd(): void {
    this.#answer();
    this.#over(true, null);
  }

  onResponseError(_controller: unknown, error: Error): void {
    this.#settle({ kind: 'failure', reason: failureOf(error) });
    this.#over(false, error);
  }

  #answer(): void {
    const body = Buffer.concat(this.#chunks).toString('utf8');
    this.#settle({ kind: 'answer', status: this.#status, headers: this.#headers, body });
  }

  #settle(result: HttpResult): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    clearTimeout(this.#timer);
    this.owner.onSettled(this, result);
  }

  #over(isReusable: boolean, error: Error | null): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#chunks.length = 0;
    this.owner.onOver(this, isReusable, error);
  }
}

function firstValues(headers: IncomingHttpHeaders): Readonly<Record<string, string>> {
  const values: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    const first = Array.isArray(value) ? value[0] : value;
    if (first !== undefined) values[name.toLowerCase()] = first;
  }
  return values;
}

const brokenHttp =
  /^(HPE_|UND_ERR_HEADERS_OVERFLOW|UND_ERR_RES_CONTENT_LENGTH|UND_ERR_INVALID_ARG|UND_ERR_NOT_SUPPORTED)/;
/** The parser's words for an answer that ended in the middle. */
const brokenOff = /^HPE_(INVALID_EOF_STATE|CLOSED_CONNECTION)$/;

function failureOf(error: Error & { readonly code?: unknown }): HttpFailure {
  if (error instanceof ConnectFailure) return error.reason;
  const code = typeof error.code === 'string' ? error.code : '';
  if (brokenOff.test(code)) return 'connection-lost';
  return brokenHttp.test(code) || error.name === 'HTTPParserError' ? 'malformed' : 'connection-lost';
}
