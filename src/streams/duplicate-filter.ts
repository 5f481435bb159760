import type { Clock } from '../domain/clock.js';
import { FingerprintSet, type Fingerprint } from './fingerprint-set.js';

export interface DuplicateFilterOptions {
  /** A mark lives for one to two lifetimes. */
  readonly lifetimeMs: number;
  /** When a generation holds so many, it is turned early: memory stays bounded, old marks go sooner. */
  readonly maxEntries: number;
  /** Two 32-bit numbers that outsiders cannot know. */
  readonly seeds: readonly [number, number];
}

/**
 * Remembers what was handed over, in two generations: a mark is made in the young one, looked up in both, and gone
 * when its generation has been turned twice. Unlike the original's, generations turn by the clock even when nothing
 * arrives, and a mark is made after the hand-over, so that a push that nobody took is tried again with the next copy.
 * Source: spec session-push-v2, section 10 and 21 (#3, #36).
 */
export class DuplicateFilter {
  #young = new FingerprintSet();
  #old = new FingerprintSet();
  #turnedAtMs: number;
  readonly #seedLow: number;
  readonly #seedHigh: number;

  constructor(
    private readonly options: DuplicateFilterOptions,
    private readonly clock: Clock,
  ) {
    this.#turnedAtMs = clock.nowMs();
    [this.#seedLow, this.#seedHigh] = options.seeds;
  }

  get size(): number {
    return this.#young.size + this.#old.size;
  }

  /** The fingerprint of the concatenation of two byte strings. */
  fingerprint(first: Buffer, second: Buffer): Fingerprint {
    let low = this.#seedLow ^ first.length;
    let high = this.#seedHigh ^ second.length;
    for (let part = first; ; part = second) {
      const wholeWords = part.length & ~3;
      for (let at = 0; at < wholeWords; at += 4) {
        const word = part.readInt32LE(at);
        low = Math.imul(low ^ word, 0x9e3779b1);
        low ^= low >>> 15;
        high = Math.imul(high ^ word, 0x85ebca6b);
        high = (high << 13) | (high >>> 19);
      }
      for (let at = wholeWords; at < part.length; at += 1) {
        low = Math.imul(low ^ (part[at] ?? 0), 0x9e3779b1);
        high = Math.imul(high ^ (part[at] ?? 0), 0x85ebca6b) ^ (high >>> 17);
      }
      if (part === second) break;
    }
    low = Math.imul(low ^ (low >>> 16), 0xc2b2ae35);
    high = Math.imul(high ^ (high >>> 15), 0x27d4eb2f);
    return { low: (low ^ (low >>> 13)) >>> 0, high: (high ^ (high >>> 16)) >>> 0 };
  }

  has(fingerprint: Fingerprint): boolean {
    this.#turnIfDue();
    return this.#young.has(fingerprint) || this.#old.has(fingerprint);
  }

  mark(fingerprint: Fingerprint): void {
    this.#young.add(fingerprint);
  }

  /** Takes a mark back: what was handed over got lost after all. */
  forget(fingerprint: Fingerprint): void {
    this.#young.delete(fingerprint);
    this.#old.delete(fingerprint);
  }

  #turnIfDue(): void {
    const now = this.clock.nowMs();
    const elapsed = now - this.#turnedAtMs;
    if (elapsed < this.options.lifetimeMs && this.#young.size < this.options.maxEntries) return;
    // After two lifetimes of silence both generations are too old.
    this.#old = elapsed >= 2 * this.options.lifetimeMs ? new FingerprintSet() : this.#young;
    this.#young = new FingerprintSet();
    this.#turnedAtMs = now;
  }
}
