import type { IncomingHttpHeaders } from 'node:http';
import type { Dispatcher } from 'undici';

export interface HttpRequest {
  /** http: or https:; checked by whoever took it from outside. */
  readonly url: URL;
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** Without `host` and `content-length`, which follow from the rest. */
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

type DispatchController = Dispatcher.DispatchController;

/**
 * One request until its result. It settles exactly once, and that may be long before the HTTP library is through with
 * it (a time-out while the connection is being made): `onOver` tells when.
 */
export class HttpExchange implements Dispatcher.DispatchHandler {
  #settle: ((result: HttpResult) => void) | null;
  #controller: DispatchController | null = null;
  #timer: NodeJS.Timeout;
  #status = 0;
  #headers: Readonly<Record<string, string>> = {};
  readonly #chunks: Buffer[] = [];
  #bytes = 0;
  #isOver = false;

  constructor(
    readonly request: HttpRequest,
    timeoutMs: number,
    private readonly maxResponseBytes: number,
    private readonly failureOf: (error: unknown) => HttpFailure,
    /** The library has let go of it; called once at most, and never for one that was not dispatched. */
    private readonly onOver: (exchange: HttpExchange, error: unknown) => void,
    settle: (result: HttpResult) => void,
  ) {
    this.#settle = settle;
    this.#timer = setTimeout(() => this.fail('timeout'), timeoutMs);
  }

  get isSettled(): boolean {
    return this.#settle === null;
  }

  fail(reason: HttpFailure): void {
    this.#finish({ kind: 'failure', reason });
    this.#drop();
  }

  onRequestStart(controller: DispatchController): void {
    this.#controller = controller;
    if (this.isSettled) this.#drop();
  }

  onResponseStart(_controller: DispatchController, status: number, headers: IncomingHttpHeaders): void {
    if (status < 200) return; // an interim answer (RFC 9110, 15.2); the time limit counts on
    this.#status = status;
    this.#headers = firstValues(headers);
  }

  onResponseData(_controller: DispatchController, chunk: Buffer): void {
    const room = this.maxResponseBytes - this.#bytes;
    this.#bytes += chunk.length;
    if (room > 0) this.#chunks.push(chunk.length > room ? Buffer.from(chunk.subarray(0, room)) : chunk);
    if (chunk.length <= room) return;
    // Nobody reads the rest, so the connection is of no more use either.
    this.#answer();
    this.#drop();
  }

  onResponseEnd(): void {
    this.#answer();
    this.#over(null);
  }

  onResponseError(_controller: DispatchController | undefined, error: Error): void {
    this.#finish({ kind: 'failure', reason: this.failureOf(error) });
    this.#over(error);
  }

  #answer(): void {
    const body = Buffer.concat(this.#chunks).toString('utf8');
    this.#finish({ kind: 'answer', status: this.#status, headers: this.#headers, body });
  }

  #finish(result: HttpResult): void {
    const settle = this.#settle;
    this.#settle = null;
    clearTimeout(this.#timer);
    settle?.(result);
  }

  #drop(): void {
    this.#controller?.abort(new Error('given up'));
  }

  #over(error: unknown): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.onOver(this, error);
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
