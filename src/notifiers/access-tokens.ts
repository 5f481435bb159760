import type { Clock } from '../domain/clock.js';
import type { Outcome } from '../domain/outcome.js';
import { fail, ok, type Result } from '../domain/result.js';

/** What a token endpoint answered (RFC 6749, 5). */
export type GrantResult =
  | {
      readonly kind: 'granted';
      readonly accessToken: string;
      /** The scheme of the `authorization` header as the endpoint spells it (Microsoft: `bearer`); `Bearer` when left out. */
      readonly tokenType?: string;
      readonly expiresInSeconds: number;
    }
  /** `reason` is one of OAuth's error words. */
  | { readonly kind: 'denied'; readonly reason: string }
  | {
      readonly kind: 'failed';
      readonly cause: 'transport' | 'server' | 'throttled';
      readonly afterMs: number | null;
    };

/** How long after its issue a token is renewed, given its lifetime; it is used to its end while that does not succeed. */
export type RenewalRule = (lifetimeMs: number) => number;

const RENEW_AHEAD_MS = 5 * 60_000;

/** Five minutes before the end, or half-way for a token that lives less than ten minutes. */
export const fiveMinutesAhead: RenewalRule = (lifetimeMs) =>
  Math.max(lifetimeMs - RENEW_AHEAD_MS, lifetimeMs / 2);

/** After 80 % of the lifetime (WNS; spec uwpx-push, 6.3). */
export const atFourFifths: RenewalRule = (lifetimeMs) => lifetimeMs * 0.8;

/** A failed request is repeated at the earliest after so long, doubling; pushes meanwhile get the same outcome. */
const RETRY_FIRST_MS = 1_000;
const RETRY_MAX_MS = 60_000;
/** At most one refused token in so long is replaced: who refuses every token must not make us ask for thousands. */
const DISCARD_INTERVAL_MS = 60_000;

const waitEnded = (reason: 'aborted' | 'closed'): Outcome => ({
  kind: 'retry',
  reason,
  cause: 'transport',
  afterMs: null,
  scope: 'push',
});

type Waiter = (token: Result<string, Outcome>) => void;

/**
 * The OAuth access token of one notifier, shared by all pushes. One request at a time; renewed in the background
 * while the old one is still good, so that no push waits except for the first token.
 */
export class AccessTokens {
  #authorization: string | null = null;
  #renewAtMs = 0;
  #expiresAtMs = 0;
  #pending: Promise<Result<string, Outcome>> | null = null;
  #failure: Outcome | null = null;
  #failuresInARow = 0;
  #notBeforeMs = 0;
  #discardedAtMs = -Infinity;
  /** Pushes that wait for a token, by what ends their waiting. */
  readonly #waiting = new Map<Waiter, AbortSignal>();
  readonly #watchedSignals = new WeakSet<AbortSignal>();
  #closed = false;

  constructor(
    private readonly grant: () => Promise<GrantResult>,
    private readonly clock: Clock,
    private readonly renewAfterMs: RenewalRule = fiveMinutesAhead,
  ) {}

  /** Why there is no fresh token; null when all is well. */
  get failure(): Outcome | null {
    return this.#failure;
  }

  /** The value of the `authorization` header, if there is a good one at hand. */
  current(): string | null {
    const nowMs = this.clock.nowMs();
    if (nowMs >= this.#renewAtMs && this.#authorization !== null) void this.#renew(nowMs);
    return nowMs < this.#expiresAtMs ? this.#authorization : null;
  }

  /** Waits for a token; fails with the outcome that the push gets. Never rejects. */
  async obtain(): Promise<Result<string, Outcome>> {
    const current = this.current();
    return current === null ? this.#renew(this.clock.nowMs()) : ok(current);
  }

  /** For one request: at once as a rule. Fails with the outcome that the push gets. */
  async forRequest(signal: AbortSignal): Promise<Result<string, Outcome>> {
    const current = this.current();
    return current === null ? this.waitFor(signal) : ok(current);
  }

  /** The same for a push that may be aborted, or closed under, while it waits: neither waits for the endpoint. */
  waitFor(signal: AbortSignal): Promise<Result<string, Outcome>> {
    if (signal.aborted) return Promise.resolve(fail(waitEnded('aborted')));
    if (this.#closed) return Promise.resolve(fail(waitEnded('closed')));
    this.#watch(signal);
    return new Promise((resolve) => {
      const settle: Waiter = (token) => {
        if (this.#waiting.delete(settle)) resolve(token);
      };
      this.#waiting.set(settle, signal);
      void this.obtain().then(settle);
    });
  }

  /**
   * The provider refused this one: it is never used again. False: a fresh token was refused as well a short while ago,
   * so another one would not help.
   */
  discard(authorization: string): boolean {
    if (authorization !== this.#authorization) return true;
    const nowMs = this.clock.nowMs();
    // A clock that was put back must not keep a refused token for as long.
    const sinceMs = Math.abs(nowMs - this.#discardedAtMs);
    if (sinceMs < DISCARD_INTERVAL_MS) return false;
    this.#discardedAtMs = nowMs;
    this.#authorization = null;
    this.#expiresAtMs = 0;
    return true;
  }

  /** Ends every wait; idempotent. */
  close(): void {
    this.#closed = true;
    for (const settle of [...this.#waiting.keys()]) settle(fail(waitEnded('closed')));
  }

  /** One listener per signal, however many pushes carry it. */
  #watch(signal: AbortSignal): void {
    if (this.#watchedSignals.has(signal)) return;
    this.#watchedSignals.add(signal);
    const onAbort = (): void => {
      for (const [settle, waitingSignal] of [...this.#waiting]) {
        if (waitingSignal === signal) settle(fail(waitEnded('aborted')));
      }
    };
    signal.addEventListener('abort', onAbort, { once: true });
  }

  #renew(nowMs: number): Promise<Result<string, Outcome>> {
    if (this.#pending !== null) return this.#pending;
    if (this.#failure !== null && nowMs < this.#notBeforeMs) return Promise.resolve(fail(this.#failure));
    this.#pending = this.grant().then((result) => {
      this.#pending = null;
      return this.#take(result);
    });
    return this.#pending;
  }

  #take(result: GrantResult): Result<string, Outcome> {
    const nowMs = this.clock.nowMs();
    if (result.kind === 'granted') {
      const lifetimeMs = result.expiresInSeconds * 1000;
      this.#authorization = `${result.tokenType ?? 'Bearer'} ${result.accessToken}`;
      this.#expiresAtMs = nowMs + lifetimeMs;
      this.#renewAtMs = nowMs + this.renewAfterMs(lifetimeMs);
      this.#failure = null;
      this.#failuresInARow = 0;
      return ok(this.#authorization);
    }
    const afterMs = result.kind === 'failed' ? result.afterMs : null;
    this.#notBeforeMs =
      nowMs + (afterMs ?? Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** this.#failuresInARow));
    this.#failuresInARow = Math.min(this.#failuresInARow + 1, 10);
    this.#failure =
      result.kind === 'denied'
        ? { kind: 'misconfigured', reason: result.reason }
        : { kind: 'retry', reason: 'no-access-token', cause: result.cause, afterMs, scope: 'notifier' };
    return fail(this.#failure);
  }
}
