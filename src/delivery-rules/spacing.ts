export interface SpacingOptions {
  /** From one push of a key to the next, in milliseconds; 0 = no spacing. */
  readonly distanceMs: number;
  /** Keys that are remembered at most; long ones count several times. Of the oldest the next push may come too early. */
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
/** How many dead entries a call clears away at most, so that no single call is dear. */
const CLEAR_PER_CALL = 4;

const REFUSED: SpacingDecision = { kind: 'refused' };

/**
 * Of the pushes of a key the first goes at once, the second waits until its distance from the first is kept, and those
 * that come while it waits are refused. Time comes in with every call. Source: spec xmpp-push, section 9 (V2022).
 */
export class Spacing {
  /** The last turn of each key; those of the keys that were longest not asked for first. */
  readonly #turns = new Map<string, SpacingTurn>();
  #chars = 0;

  constructor(private readonly options: SpacingOptions) {}

  /** Keys that are remembered. */
  get size(): number {
    return this.#turns.size;
  }

  /** What is admitted counts as sent, now or at its time. */
  admit(key: string, nowMs: number): SpacingDecision {
    const { distanceMs } = this.options;
    if (distanceMs <= 0) return { kind: 'at-once', atMs: nowMs };
    this.#clear(nowMs);
    const last = this.#turns.get(key);
    if (last === undefined || !this.#matters(last, nowMs)) {
      return this.#remember(key, { kind: 'at-once', atMs: nowMs });
    }
    if (last.kind === 'deferred' && last.dueAtMs > nowMs) return REFUSED;
    return this.#remember(key, { kind: 'deferred', dueAtMs: timeOf(last) + distanceMs });
  }

  /** What had this turn was not taken by anybody: the next one has it. Where one has had a turn since, that one stands. */
  giveBack(key: string, turn: SpacingTurn): void {
    if (this.#turns.get(key) !== turn) return;
    // Before one that went at once there was none that matters.
    if (turn.kind === 'at-once') this.#forget(key);
    else this.#turns.set(key, { kind: 'at-once', atMs: turn.dueAtMs - this.options.distanceMs });
  }

  #remember(key: string, turn: SpacingTurn): SpacingTurn {
    this.#forget(key);
    this.#turns.set(key, turn);
    this.#chars += key.length;
    const { maxKeys } = this.options;
    while (this.#turns.size > maxKeys || this.#chars > maxKeys * CHARS_PER_KEY) {
      const [oldest] = this.#turns.keys();
      if (oldest === undefined) break;
      this.#forget(oldest);
    }
    return turn;
  }

  #forget(key: string): void {
    if (this.#turns.delete(key)) this.#chars -= key.length;
  }

  #clear(nowMs: number): void {
    let cleared = 0;
    for (const [key, turn] of this.#turns) {
      if (cleared >= CLEAR_PER_CALL || this.#matters(turn, nowMs)) return;
      this.#forget(key);
      cleared += 1;
    }
  }

  /** Whether it holds up another one. What lies too far ahead was decided before the clock was put back. */
  #matters(turn: SpacingTurn, nowMs: number): boolean {
    const aheadMs = timeOf(turn) - nowMs;
    return (
      aheadMs > -this.options.distanceMs &&
      aheadMs <= (turn.kind === 'deferred' ? this.options.distanceMs : 0)
    );
  }
}

const timeOf = (turn: SpacingTurn): number => (turn.kind === 'at-once' ? turn.atMs : turn.dueAtMs);
