import { assertNever } from '../domain/assert-never.js';

const MAX_DOUBLINGS = 30;

/** Why a request to an origin must wait, and for how long at least. */
export interface GateRefusal {
  readonly postponeMs: number;
  readonly reason: 'origin-busy' | 'origin-paused' | 'origin-failing';
}

/** What came of a request that had entered. */
export type GateResult =
  /** The origin took what it was sent. */
  | { readonly kind: 'ok' }
  /**
   * It answered that it takes nothing for this endpoint. From an origin that took others it says nothing about the origin;
   * from a stranger it may be a host that never asked for any of this.
   */
  | { readonly kind: 'rejected' }
  /** It asked for a pause of everything; null = it did not say how long. */
  | { readonly kind: 'throttled'; readonly afterMs: number | null }
  /** It said no in a way that may be about one endpoint alone: only several endpoints in a row are about the origin. */
  | { readonly kind: 'refused'; readonly afterMs: number | null }
  /** No answer, or an answer that says that it is in trouble; `afterMs` is its own wish. */
  | { readonly kind: 'failed'; readonly afterMs?: number | null }
  /** Nothing was learnt about it (aborted, closed). */
  | { readonly kind: 'unknown' };

export interface OriginGatesOptions {
  /** Requests at once to an origin that nothing is known about … */
  readonly firstInFlight: number;
  /** … one more with every good answer, up to so many; halved with every failure. */
  readonly maxInFlight: number;
  /**
   * Requests at once to all strangers together: origins that have not taken much yet, or failed since. Anybody can name
   * any number of hosts that hang, and must not fill the notifier's window with them.
   */
  readonly strangersInFlight: number;
  /** Origins that are no strangers from the beginning. */
  readonly isKnown: (origin: string) => boolean;
  /** Origins that are remembered; those with requests under way are remembered in any case. */
  readonly maxOrigins: number;
  /** Failures in a row after which an origin is left alone for a while. */
  readonly failuresUntilBackOff: number;
  /** The first such while; doubles with every further failure. */
  readonly backOffFirstMs: number;
  readonly backOffMaxMs: number;
  /** For an origin that throttles without a `Retry-After`. */
  readonly throttledMs: number;
  /** A longer wish of an origin is cut to this. */
  readonly pauseMaxMs: number;
  /** How soon to ask again while an origin is busy; those that wait together come back this far apart … */
  readonly busyRetryMs: number;
  /** … but none so much later than the first. */
  readonly spreadMaxMs: number;
}

export const originGatesDefaults: OriginGatesOptions = {
  firstInFlight: 8,
  maxInFlight: 64,
  strangersInFlight: Infinity,
  isKnown: () => false,
  maxOrigins: 4096,
  failuresUntilBackOff: 3,
  backOffFirstMs: 2_000,
  backOffMaxMs: 300_000,
  throttledMs: 30_000,
  pauseMaxMs: 3_600_000,
  busyRetryMs: 500,
  spreadMaxMs: 15_000,
};

/** Good answers after which an origin is no stranger any more … */
const STRANGER_UNTIL = 16;
/** … and so many are remembered to its credit; a failure leaves a quarter. */
const MAX_CREDIT = 64;
/** While an origin takes pushes this frequently, refusals of single endpoints are not about everybody. */
const TAKES_OTHERS_MS = 2_000;

interface Gate {
  inFlight: number;
  /** Of these, those that entered as a stranger's. */
  asStranger: number;
  /** Good answers, about; infinite for a known origin. */
  credit: number;
  lastOkAtMs: number;
  seenAtMs: number;
  /** Endpoints that it refused since the last good answer, as many as matter. */
  readonly refused: Set<string>;
  /** Requests at once that it may have now. */
  allowance: number;
  pausedUntilMs: number;
  failures: number;
  backOffUntilMs: number;
  /** Refused and not yet seen again, roughly. */
  waiting: number;
}

/**
 * One gate per origin, for notifiers whose pushes go to many servers of strangers: one that is slow, throttles or is
 * gone must neither hold the notifier's window nor open its breaker, and one that everybody uses must not crawl.
 *
 * open ──failures in a row──► backing off ──time over──► one probe at a time ──ok──► open
 *                                  ▲──────────fails, twice as long──────┘
 *
 * Beside that: paused until the time that the origin named, and bounded in requests at once. Time is passed in.
 */
export class OriginGates {
  /** Least recently used first. */
  readonly #gates = new Map<string, Gate>();
  readonly #options: OriginGatesOptions;
  #strangersInFlight = 0;
  /** Refused because there were too many of them, and not yet seen again, roughly. */
  #strangersWaiting = 0;

  constructor(options: Partial<OriginGatesOptions> = {}) {
    const merged = { ...originGatesDefaults, ...options };
    this.#options = { ...merged, firstInFlight: Math.min(merged.firstInFlight, merged.maxInFlight) };
  }

  /** How many origins are remembered. */
  get size(): number {
    return this.#gates.size;
  }

  inFlight(origin: string): number {
    return this.#gates.get(origin)?.inFlight ?? 0;
  }

  /** Null: go ahead, and call `leave` exactly once afterwards. */
  enter(origin: string, nowMs: number): GateRefusal | null {
    const gate = this.#touch(origin, nowMs);
    const { busyRetryMs, failuresUntilBackOff } = this.#options;
    if (nowMs < gate.pausedUntilMs) return this.#refuse(gate, gate.pausedUntilMs - nowMs, 'origin-paused');
    if (nowMs < gate.backOffUntilMs) return this.#refuse(gate, gate.backOffUntilMs - nowMs, 'origin-failing');
    const isProbed = gate.failures >= failuresUntilBackOff && gate.inFlight > 0;
    if (isProbed) return this.#refuse(gate, busyRetryMs, 'origin-failing');
    if (gate.inFlight >= gate.allowance) return this.#refuse(gate, busyRetryMs, 'origin-busy');
    if (gate.credit < STRANGER_UNTIL) {
      if (this.#strangersInFlight >= this.#options.strangersInFlight) return this.#refuseStranger();
      this.#strangersInFlight += 1;
      gate.asStranger += 1;
      if (this.#strangersWaiting > 0) this.#strangersWaiting -= 1;
    }
    gate.inFlight += 1;
    if (gate.waiting > 0) gate.waiting -= 1;
    return null;
  }

  /** `endpoint`: which one of the origin the request went to. */
  leave(origin: string, nowMs: number, result: GateResult, endpoint = ''): void {
    const gate = this.#gates.get(origin);
    if (gate === undefined || gate.inFlight === 0)
      throw new RangeError('left an origin that was not entered');
    gate.inFlight -= 1;
    if (gate.asStranger > 0) {
      gate.asStranger -= 1;
      this.#strangersInFlight -= 1;
    }
    switch (result.kind) {
      case 'ok':
        this.#recover(gate);
        gate.lastOkAtMs = nowMs;
        if (gate.credit < MAX_CREDIT) gate.credit += 1;
        gate.allowance = Math.min(gate.allowance + 1, this.#options.maxInFlight);
        break;
      case 'rejected':
        if (gate.credit >= STRANGER_UNTIL) this.#recover(gate);
        else this.#countFailure(gate, nowMs);
        break;
      case 'throttled':
        this.#pause(gate, nowMs, result.afterMs ?? this.#options.throttledMs);
        break;
      case 'refused':
        this.#hearRefusal(gate, nowMs, endpoint, result.afterMs ?? 0);
        break;
      case 'failed':
        gate.credit = Math.floor(gate.credit / 4);
        gate.allowance = Math.max(1, gate.allowance >> 1);
        this.#countFailure(gate, nowMs);
        this.#pause(gate, nowMs, result.afterMs ?? 0);
        break;
      case 'unknown':
        break;
      default:
        assertNever(result);
    }
    this.#evict();
  }

  /** Those that are refused together come back one after the other, as many at a time as may enter. */
  #refuse(gate: Gate, waitMs: number, reason: GateRefusal['reason']): GateRefusal {
    const { busyRetryMs, spreadMaxMs } = this.#options;
    const spreadMs = Math.min(spreadMaxMs, Math.floor(gate.waiting / gate.allowance) * busyRetryMs);
    if (spreadMs < spreadMaxMs) gate.waiting += 1;
    return { postponeMs: waitMs + spreadMs, reason };
  }

  /** Many hosts, each of them refused once: they come back spread as if they were one. */
  #refuseStranger(): GateRefusal {
    const { busyRetryMs, spreadMaxMs, strangersInFlight } = this.#options;
    const spreadMs = Math.min(
      spreadMaxMs,
      Math.floor(this.#strangersWaiting / strangersInFlight) * busyRetryMs,
    );
    if (spreadMs < spreadMaxMs) this.#strangersWaiting += 1;
    return { postponeMs: busyRetryMs + spreadMs, reason: 'origin-busy' };
  }

  #recover(gate: Gate): void {
    gate.failures = 0;
    gate.backOffUntilMs = 0;
    gate.refused.clear();
  }

  /**
   * One endpoint that is sent too much, or a few of one client, must not silence the whole server for long: it takes
   * several, with nothing taken meanwhile, and what one of them asks for holds for all no longer than a back-off.
   */
  #hearRefusal(gate: Gate, nowMs: number, endpoint: string, afterMs: number): void {
    const { failuresUntilBackOff, backOffMaxMs } = this.#options;
    if (gate.refused.size < failuresUntilBackOff) gate.refused.add(endpoint);
    if (gate.refused.size < failuresUntilBackOff) return;
    const sinceOkMs = nowMs - gate.lastOkAtMs;
    if (sinceOkMs >= 0 && sinceOkMs < TAKES_OTHERS_MS) return;
    gate.failures = Math.max(gate.failures, failuresUntilBackOff - 1);
    if (this.#countFailure(gate, nowMs)) this.#pause(gate, nowMs, Math.min(afterMs, backOffMaxMs));
  }

  /** True: there were enough of them in a row for a back-off. */
  #countFailure(gate: Gate, nowMs: number): boolean {
    const { failuresUntilBackOff, backOffFirstMs, backOffMaxMs } = this.#options;
    // Those that were under way when the first ones failed tell nothing new.
    if (nowMs < gate.backOffUntilMs) return true;
    gate.failures = Math.min(gate.failures + 1, failuresUntilBackOff + MAX_DOUBLINGS);
    const beyond = gate.failures - failuresUntilBackOff;
    if (beyond < 0) return false;
    gate.backOffUntilMs = nowMs + Math.min(backOffMaxMs, backOffFirstMs * 2 ** beyond);
    return true;
  }

  #pause(gate: Gate, nowMs: number, afterMs: number): void {
    const untilMs = nowMs + Math.min(afterMs, this.#options.pauseMaxMs);
    if (untilMs > gate.pausedUntilMs) gate.pausedUntilMs = untilMs;
  }

  #touch(origin: string, nowMs: number): Gate {
    const known = this.#gates.get(origin);
    const gate = known ?? {
      inFlight: 0,
      asStranger: 0,
      credit: this.#options.isKnown(origin) ? Infinity : 0,
      lastOkAtMs: -Infinity,
      seenAtMs: nowMs,
      refused: new Set<string>(),
      allowance: this.#options.firstInFlight,
      pausedUntilMs: 0,
      failures: 0,
      backOffUntilMs: 0,
      waiting: 0,
    };
    if (known !== undefined) this.#gates.delete(origin);
    this.#gates.set(origin, gate);
    // The clock was put back: no pause may last for as long.
    if (nowMs < gate.seenAtMs) gate.pausedUntilMs = gate.backOffUntilMs = 0;
    gate.seenAtMs = nowMs;
    if (known === undefined) this.#evict();
    return gate;
  }

  /** The newest is never evicted: it is about to be used. */
  #evict(): void {
    let excess = this.#gates.size - this.#options.maxOrigins;
    if (excess <= 0) return;
    let left = this.#gates.size;
    for (const [origin, gate] of this.#gates) {
      left -= 1;
      if (excess <= 0 || left === 0) return;
      if (gate.inFlight > 0) continue;
      this.#gates.delete(origin);
      excess -= 1;
    }
  }
}
