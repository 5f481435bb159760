export interface BucketOptions {
  /** At once, after a rest; at least 1. */
  readonly burst: number;
  /** In the long run; above 0. */
  readonly perHour: number;
  /** Buckets that are remembered, at most (2 or more). */
  readonly maxKeys: number;
}

interface Bucket {
  /** Tokens at `atMs`, 0 to `burst`, with fractions. */
  level: number;
  /** Unix milliseconds. */
  atMs: number;
}

const MS_PER_HOUR = 3_600_000;

/**
 * A token bucket for each key. Buckets live in two generations: one that nobody asked for while so many others came is
 * forgotten and full again, which may give a token too many, never one too few. Time comes in with every call.
 */
export class TokenBuckets {
  #young = new Map<string, Bucket>();
  #old = new Map<string, Bucket>();
  readonly #msPerToken: number;

  constructor(private readonly options: BucketOptions) {
    this.#msPerToken = MS_PER_HOUR / options.perHour;
  }

  /** Buckets that are remembered. */
  get size(): number {
    return this.#young.size + this.#old.size;
  }

  /** False: nothing is left for this key now. */
  take(key: string, nowMs: number): boolean {
    const bucket = this.#bucketOf(key, nowMs);
    // A clock that was put back fills nothing and takes nothing.
    const passedMs = Math.max(0, nowMs - bucket.atMs);
    bucket.level = Math.min(this.options.burst, bucket.level + passedMs / this.#msPerToken);
    bucket.atMs = nowMs;
    if (bucket.level < 1) return false;
    bucket.level -= 1;
    return true;
  }

  /** A token that was taken was not used. */
  giveBack(key: string): void {
    const bucket = this.#young.get(key) ?? this.#old.get(key);
    if (bucket !== undefined) bucket.level = Math.min(this.options.burst, bucket.level + 1);
  }

  #bucketOf(key: string, nowMs: number): Bucket {
    const young = this.#young.get(key);
    if (young !== undefined) return young;
    const bucket = this.#old.get(key) ?? { level: this.options.burst, atMs: nowMs };
    if (this.#young.size >= Math.max(1, Math.floor(this.options.maxKeys / 2))) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#old.delete(key);
    this.#young.set(key, bucket);
    return bucket;
  }
}
