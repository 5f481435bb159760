export interface SpacingOptions {
  /** From one push of a key to the next, in milliseconds; 0 = no spacing. */
  readonly distanceMs: number;
  /**
   * Keys that are remembered at most (2 or more); long ones count several times. Of the oldest the next push may come
   * too early.
   */
  readonly maxKeys: number;
}

/** Times in unix milliseconds. */
export type SpacingTurn =
  | { readonly kind: 'at-once'; readonly atMs: number }
  | { readonly kind: 'deferred'; readonly dueAtMs: number };

export type SpacingDecision =
  | SpacingTurn
  /** One is deferred already, and stands for this one too. */
  | { readonly kind: 'refused' };

/** So many UTF-16 units of keys are remembered for each of `maxKeys`, on average. */
const CHARS_PER_KEY = 256;

const REFUSED: SpacingDecision = { kind: 'refused' };

/**
 * Of the pushes of a key the first goes at once, the second waits until its distance from the first is kept, and those
 * that come while it waits are refused. Time comes in with every call. Source: spec xmpp-push, section 9 (V2022).
 */
export class Spacing {
  /**
   * The last turn of each key, in two generations: those of a span of time go together, when none of them can say
   * anything any more. To look for the oldest in one large map, and to take it out, would cost more each time than the rest.
   */
  #young = new Map<string, SpacingTurn>();
  #old = new Map<string, SpacingTurn>();
  #youngChars = 0;
  #bornAtMs = -Infinity;

  constructor(private readonly options: SpacingOptions) {}

  /** Keys that are remembered. */
  get size(): number {
    return this.#young.size + this.#old.size;
  }

  /** What is admitted counts as sent, now or at its time. */
  admit(key: string, nowMs: number): SpacingDecision {
    const { distanceMs } = this.options;
    if (distanceMs <= 0) return { kind: 'at-once', atMs: nowMs };
    // A turn lies ahead by one distance at most, and says something for one more.
    if (Math.abs(nowMs - this.#bornAtMs) >= 2 * distanceMs) this.#age(nowMs);
    const last = this.#lastOf(key);
    if (last === undefined || !this.#matters(last, nowMs)) {
      return this.#remember(key, { kind: 'at-once', atMs: nowMs }, nowMs);
    }
    if (last.kind === 'deferred' && last.dueAtMs > nowMs) return REFUSED;
    return this.#remember(key, { kind: 'deferred', dueAtMs: timeOf(last) + distanceMs }, nowMs);
  }

  /** What had this turn was not taken by anybody: the next one has it. Where one has had a turn since, that one stands. */
  giveBack(key: string, turn: SpacingTurn): void {
    if (this.#lastOf(key) !== turn) return;
    const generation = this.#young.has(key) ? this.#young : this.#old;
    // Before one that went at once there was none that matters.
    if (turn.kind === 'deferred') {
      generation.set(key, { kind: 'at-once', atMs: turn.dueAtMs - this.options.distanceMs });
    } else if (generation.delete(key) && generation === this.#young) {
      this.#youngChars -= key.length;
    }
  }

  #lastOf(key: string): SpacingTurn | undefined {
    return this.#young.get(key) ?? this.#old.get(key);
  }

  #remember(key: string, turn: SpacingTurn, nowMs: number): SpacingTurn {
    if (!this.#young.has(key)) {
      this.#old.delete(key);
      const most = this.options.maxKeys / 2;
      const chars = this.#youngChars + key.length;
      if (this.#young.size + 1 > most || chars > most * CHARS_PER_KEY) this.#age(nowMs);
      this.#youngChars += key.length;
    }
    this.#young.set(key, turn);
    return turn;
  }

  #age(nowMs: number): void {
    this.#old = this.#young;
    this.#young = new Map();
    this.#youngChars = 0;
    this.#bornAtMs = nowMs;
  }

  /** Whether it holds up another one. What lies too far ahead was decided before the clock was put back. */
  #matters(turn: SpacingTurn, nowMs: number): boolean {
    const { distanceMs } = this.options;
    const aheadMs = timeOf(turn) - nowMs;
    return aheadMs > -distanceMs && aheadMs <= (turn.kind === 'deferred' ? distanceMs : 0);
  }
}

const timeOf = (turn: SpacingTurn): number => (turn.kind === 'at-once' ? turn.atMs : turn.dueAtMs);
