import type { LegacyNotice } from '../domain/notice.js';

export interface RecipientLimitOptions {
  /** What a recipient gets in the long run; above 0. */
  readonly perMinute: number;
  /** What a recipient gets at once after a rest; at least 1. */
  readonly burst: number;
  /** Recipients whose bucket is remembered, at most (2 or more); one that is forgotten has a full bucket again. */
  readonly maxRecipients: number;
  /** Notices that are kept at once, at most; one for each recipient that is over the limit. */
  readonly maxKept: number;
  /** Memory of the kept ones, at most, as far as it grows with what clients write. Bytes. */
  readonly maxKeptBytes: number;
}

export const recipientLimitDefaults: RecipientLimitOptions = {
  perMinute: 600,
  burst: 3000,
  maxRecipients: 100_000,
  maxKept: 10_000,
  maxKeptBytes: 32 * 1024 * 1024,
};

/**
 * `pass`: to be sent now; counts. `kept`: to be sent later, and instead of one that was kept before where `supersedes`
 * says so. `full`: no room to keep it.
 */
export type LimitVerdict =
  | { readonly kind: 'pass'; readonly supersedes: boolean }
  | { readonly kind: 'kept'; readonly supersedes: boolean }
  | { readonly kind: 'full' };

interface Bucket {
  /** Tokens at `atMs`, -1 to `burst`, with fractions. */
  level: number;
  /** Unix milliseconds. */
  atMs: number;
}

interface Kept {
  notice: LegacyNotice;
  readonly bucket: Bucket;
  readonly keptAtMs: number;
}

const MS_PER_MINUTE = 60_000;
const BYTES_PER_CHARACTER = 2;

const PASS: LimitVerdict = { kind: 'pass', supersedes: false };
const FULL: LimitVerdict = { kind: 'full' };

/**
 * So many notices for one recipient, and no more: the protocol knows no sender, so anybody may call anybody's phone.
 * A bucket for each recipient; of what comes while it is empty the newest is kept until there is a token again. So a
 * flood neither keeps a phone lit nor dark: the last word always arrives. Time comes in with every call.
 *
 * Buckets live in two generations: one that nobody asked for while so many others came is forgotten, which may give a
 * token too many, never one too few. What is kept waits as long as one token takes, for everybody the same, so that the
 * first in the map is the next one due.
 */
export class RecipientLimit {
  #young = new Map<string, Bucket>();
  #old = new Map<string, Bucket>();
  readonly #kept = new Map<string, Kept>();
  #keptBytes = 0;
  readonly #msPerToken: number;
  /** Whole, as times are. */
  readonly #keepMs: number;

  constructor(private readonly options: RecipientLimitOptions) {
    this.#msPerToken = MS_PER_MINUTE / options.perMinute;
    this.#keepMs = Math.ceil(this.#msPerToken);
  }

  get keptCount(): number {
    return this.#kept.size;
  }

  get keptBytes(): number {
    return this.#keptBytes;
  }

  /** Recipients whose bucket is remembered. */
  get recipientCount(): number {
    return this.#young.size + this.#old.size;
  }

  admit(notice: LegacyNotice, nowMs: number): LimitVerdict {
    const key = keyOf(notice);
    const kept = this.#kept.get(key);
    const bucket = this.#bucketOf(key, kept, nowMs);
    this.#fill(bucket, nowMs);
    if (bucket.level >= 1) {
      bucket.level -= 1;
      if (kept === undefined) return PASS;
      // Later than the one that is kept, and there is a token for one of them.
      this.#remove(key, kept);
      return { kind: 'pass', supersedes: true };
    }
    const bytes = bytesOf(notice);
    const freedBytes = kept === undefined ? 0 : bytesOf(kept.notice);
    if (this.#keptBytes - freedBytes + bytes > this.options.maxKeptBytes) return FULL;
    if (kept === undefined && this.#kept.size >= this.options.maxKept) return FULL;
    this.#keptBytes += bytes - freedBytes;
    // It takes the place of the other also in time: a flood must not put the sending off for ever.
    if (kept === undefined) this.#kept.set(key, { notice, bucket, keptAtMs: nowMs });
    else kept.notice = notice;
    return { kind: 'kept', supersedes: kept !== undefined };
  }

  /** The next kept notice whose time has come; it counts as sent. Null when there is none. */
  takeDue(nowMs: number): LegacyNotice | null {
    for (const [key, kept] of this.#kept) {
      if (this.#dueAtMs(kept, nowMs) > nowMs) return null;
      this.#remove(key, kept);
      // A whole token's time has passed, so there is one, but for rounding and a clock that was put back: hence a debt.
      const { bucket } = kept;
      this.#fill(bucket, nowMs);
      bucket.level = Math.max(bucket.level - 1, -1);
      return kept.notice;
    }
    return null;
  }

  /** When to ask for due notices, Unix milliseconds; null when nothing is kept. */
  nextWakeMs(nowMs: number): number | null {
    const [first] = this.#kept.values();
    return first === undefined ? null : this.#dueAtMs(first, nowMs);
  }

  /** Everything that is kept, due or not; nothing is kept afterwards. */
  takeAll(): LegacyNotice[] {
    const notices = [...this.#kept.values()].map(({ notice }) => notice);
    this.#kept.clear();
    this.#keptBytes = 0;
    return notices;
  }

  #dueAtMs({ keptAtMs }: Kept, nowMs: number): number {
    // Kept in the future: the clock was put back.
    return keptAtMs > nowMs ? nowMs : keptAtMs + this.#keepMs;
  }

  #remove(key: string, { notice }: Kept): void {
    this.#kept.delete(key);
    this.#keptBytes -= bytesOf(notice);
  }

  #fill(bucket: Bucket, nowMs: number): void {
    const passedMs = Math.max(0, nowMs - bucket.atMs);
    bucket.level = Math.min(this.options.burst, bucket.level + passedMs / this.#msPerToken);
    bucket.atMs = nowMs;
  }

  #bucketOf(key: string, kept: Kept | undefined, nowMs: number): Bucket {
    const young = this.#young.get(key);
    if (young !== undefined) return young;
    const bucket = this.#old.get(key) ?? kept?.bucket ?? { level: this.options.burst, atMs: nowMs };
    if (this.#young.size >= Math.max(1, Math.floor(this.options.maxRecipients / 2))) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#old.delete(key);
    this.#young.set(key, bucket);
    return bucket;
  }
}

/** No brand holds a NUL. */
const keyOf = ({ brand, recipient }: LegacyNotice): string => `${brand}\0${recipient}`;

const bytesOf = ({ recipient, data }: LegacyNotice): number =>
  BYTES_PER_CHARACTER * (2 * recipient.length + (data?.length ?? 0));
