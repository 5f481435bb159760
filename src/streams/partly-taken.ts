import { blake2b } from '../crypto/keyed-hash.js';
import type { Clock } from '../domain/clock.js';
import type { LegacyNotice } from '../domain/notice.js';

export interface PartlyTakenOptions {
  /** Tokens over all notices; beyond it the oldest notices are forgotten, and their repetition goes to everybody. */
  readonly maxTokens: number;
  /** A client that was told to come again does so soon, or not at all. Milliseconds. */
  readonly lifetimeMs: number;
}

interface Remembered {
  readonly tokens: ReadonlySet<string>;
  /** Unix milliseconds. */
  readonly atMs: number;
}

const KEY_BYTES = 16;

/**
 * Notices of which only some pushes were taken, with the tokens of these: their clients are told to come again, and a
 * repetition reaches only the other tokens. Empty as long as everything is taken, and then it costs nothing.
 *
 * A repetition is known by its words (brand, recipient, data), for the protocol has nothing else.
 */
export class PartlyTaken {
  readonly #notices = new Map<string, Remembered>();
  #tokenCount = 0;

  constructor(
    private readonly options: PartlyTakenOptions,
    private readonly clock: Clock,
  ) {}

  get tokenCount(): number {
    return this.#tokenCount;
  }

  /** Who has this notice already; null: nobody, as far as is known. It is forgotten with this call. */
  take(notice: LegacyNotice): ReadonlySet<string> | null {
    if (this.#notices.size === 0) return null;
    const key = keyOf(notice);
    const known = this.#notices.get(key);
    if (known === undefined) return null;
    this.#forget(key, known);
    return this.#isAlive(known) ? known.tokens : null;
  }

  remember(notice: LegacyNotice, tokens: ReadonlySet<string>): void {
    const key = keyOf(notice);
    const before = this.#notices.get(key);
    if (before !== undefined) this.#forget(key, before);
    const remembered = { tokens, atMs: this.clock.nowMs() };
    this.#notices.set(key, remembered);
    this.#tokenCount += tokens.size;
    for (const [oldestKey, oldest] of this.#notices) {
      if (this.#tokenCount <= this.options.maxTokens && this.#isAlive(oldest)) return;
      this.#forget(oldestKey, oldest);
    }
  }

  #forget(key: string, { tokens }: Remembered): void {
    this.#notices.delete(key);
    this.#tokenCount -= tokens.size;
  }

  #isAlive({ atMs }: Remembered): boolean {
    // A clock that was put back must not keep anything for long.
    return Math.abs(this.clock.nowMs() - atMs) < this.options.lifetimeMs;
  }
}

/** No brand and no recipient holds a NUL, so nothing else reads the same. */
const keyOf = ({ brand, recipient, data }: LegacyNotice): string =>
  blake2b(KEY_BYTES, [Buffer.from(`${brand}\0${recipient}\0${data ?? ''}`)]).latin1Slice();
