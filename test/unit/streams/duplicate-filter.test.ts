import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { DuplicateFilter } from '../../../src/streams/duplicate-filter.js';
import { FingerprintSet } from '../../../src/streams/fingerprint-set.js';

const clockAt = (start: number) => ({
  now: start,
  nowMs() {
    return this.now;
  },
});

const filterWith = (clock: { nowMs(): number }, maxEntries = 1_000_000) =>
  new DuplicateFilter({ lifetimeMs: 1000, maxEntries, seeds: [1, 2] }, clock);

describe('the duplicate filter', () => {
  it('remembers a mark for one to two lifetimes', () => {
    const clock = clockAt(0);
    const filter = filterWith(clock);
    const mark = filter.fingerprint(Buffer.from('account'), Buffer.from('hash'));
    expect(filter.has(mark)).toBe(false);
    clock.now = 500;
    filter.mark(mark);
    clock.now = 1500;
    expect(filter.has(mark)).toBe(true);
    clock.now = 2400;
    expect(filter.has(mark)).toBe(true);
    clock.now = 2600;
    expect(filter.has(mark)).toBe(false);
  });

  it('forgets after a long silence even though nothing arrived meanwhile', () => {
    const clock = clockAt(0);
    const filter = filterWith(clock);
    const mark = filter.fingerprint(Buffer.from('a'), Buffer.from('b'));
    filter.mark(mark);
    clock.now = 2000;
    expect(filter.has(mark)).toBe(false);
  });

  it('takes a mark back from either generation', () => {
    const clock = clockAt(0);
    const filter = filterWith(clock);
    const mark = filter.fingerprint(Buffer.from('a'), Buffer.from('b'));
    filter.mark(mark);
    clock.now = 1100;
    expect(filter.has(mark)).toBe(true);
    filter.forget(mark);
    expect(filter.has(mark)).toBe(false);
  });

  it('turns early when a generation is full, so that its memory is bounded', () => {
    const filter = filterWith(clockAt(0), 100);
    for (let i = 0; i < 1000; i += 1) {
      const mark = filter.fingerprint(Buffer.from(`${i}`), Buffer.from('h'));
      filter.has(mark);
      filter.mark(mark);
    }
    expect(filter.size).toBeLessThanOrEqual(200);
  });

  it('gives different texts different fingerprints', () => {
    const filter = filterWith(clockAt(0));
    const seen = new Set<string>();
    for (let i = 0; i < 100_000; i += 1) {
      const { low, high } = filter.fingerprint(Buffer.from('same account'), Buffer.from(`hash ${i}`));
      seen.add(`${low} ${high}`);
    }
    expect(seen.size).toBe(100_000);
    expect(filter.fingerprint(Buffer.from('ab'), Buffer.from('c'))).not.toEqual(
      filter.fingerprint(Buffer.from('a'), Buffer.from('bc')),
    );
  });
});

/** Texts that agree in the lower half of their fingerprint under every seed: differences that cancel out. */
function collidingText(n: number): Buffer {
  const text = Buffer.alloc(96, 0x41);
  for (let bit = 0; bit < 16; bit += 1) {
    if (((n >> bit) & 1) === 0) continue;
    text.writeUInt32LE((text.readUInt32LE(bit * 4) ^ 0x8000_0000) >>> 0, bit * 4);
    text.writeUInt32LE((text.readUInt32LE(bit * 4 + 4) ^ 0x8001_0000) >>> 0, bit * 4 + 4);
  }
  return text;
}

describe('the fingerprint set', () => {
  it('is not slowed down by texts that were made to collide', () => {
    const timeOf = (text: (n: number) => Buffer): number => {
      const filter = filterWith(clockAt(0));
      const marks = Array.from({ length: 20_000 }, (_, n) => filter.fingerprint(Buffer.alloc(33), text(n)));
      const startedAt = performance.now();
      for (const mark of marks) filter.mark(mark);
      for (const mark of marks) if (!filter.has(mark)) throw new Error('a mark was lost');
      return performance.now() - startedAt;
    };
    const usual = timeOf((n) => Buffer.from(`text ${n}`.padEnd(96, 'x')));
    expect(timeOf(collidingText)).toBeLessThan(10 * usual + 100);
  });

  it('agrees with a plain set through growth and deletions', () => {
    const set = new FingerprintSet();
    const model = new Map<string, { low: number; high: number }>();
    for (let i = 0; i < 30_000; i += 1) {
      const bytes = randomBytes(8);
      // Few distinct homes, so that runs form and deletions must close gaps.
      const fingerprint = { low: bytes.readUInt32LE(0) % 5000, high: bytes.readUInt32LE(4) % 7 };
      const key = `${fingerprint.low} ${fingerprint.high}`;
      if (fingerprint.low === 0 && fingerprint.high === 0) continue;
      if (i % 3 === 2) {
        set.delete(fingerprint);
        model.delete(key);
      } else {
        set.add(fingerprint);
        model.set(key, fingerprint);
      }
    }
    expect(set.size).toBe(model.size);
    for (const fingerprint of model.values()) expect(set.has(fingerprint)).toBe(true);
    for (let low = 0; low < 5000; low += 1) {
      expect(set.has({ low, high: 3 })).toBe(model.has(`${low} 3`));
    }
  });

  it('holds the fingerprint of zeros too', () => {
    const set = new FingerprintSet();
    set.add({ low: 0, high: 0 });
    expect(set.has({ low: 0, high: 0 })).toBe(true);
  });
});
