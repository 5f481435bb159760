/** How a stand-in answers one request. Everything left out is as after a success. */
export interface ScriptedAnswer {
  readonly status?: number;
  /** An object is sent as JSON, a string as it is. */
  readonly body?: object | string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly delayMs?: number;
  /**
   * Instead of an answer: `hang` never answers; `reset` and `refuse` end the stream (INTERNAL_ERROR, REFUSED_STREAM);
   * `goaway` says that this stream was not touched and goes; `destroy` breaks the connection.
   */
  readonly instead?: 'hang' | 'reset' | 'refuse' | 'goaway' | 'destroy';
}

/** What a test has told a stand-in to do: by token for good, or for the next requests whatever they are. */
export class ScriptedAnswers {
  readonly #byToken = new Map<string, ScriptedAnswer>();
  readonly #queue: ScriptedAnswer[] = [];
  /** For every request that nothing else is said about; null = success. */
  standing: ScriptedAnswer | null = null;

  /** Every request for the token, until told otherwise (null). */
  forToken(token: string, answer: ScriptedAnswer | null): void {
    if (answer === null) this.#byToken.delete(token);
    else this.#byToken.set(token, answer);
  }

  /** The next requests, one each. */
  next(...answers: readonly ScriptedAnswer[]): void {
    this.#queue.push(...answers);
  }

  take(token: string): ScriptedAnswer | null {
    if (this.#queue.length > 0) return this.#queue.shift() ?? null;
    return (this.#byToken.size > 0 ? this.#byToken.get(token) : undefined) ?? this.standing;
  }
}
