import { describe, expect, it } from 'vitest';
import { TokenBuckets } from '../../../src/delivery-rules/token-buckets.js';

const HOUR_MS = 3_600_000;

describe('token buckets', () => {
  it('give a burst, then so many in an hour, to each key', () => {
    const buckets = new TokenBuckets({ burst: 3, perHour: 6, maxKeys: 10 });
    const taken = (key: string, nowMs: number): number => {
      let count = 0;
      while (buckets.take(key, nowMs)) count += 1;
      return count;
    };
    expect(taken('a', 0)).toBe(3);
    expect(taken('b', 0)).toBe(3);
    expect(taken('a', HOUR_MS / 3)).toBe(2);
    expect(taken('a', 100 * HOUR_MS)).toBe(3);
  });

  it('take a token back, up to the burst', () => {
    const buckets = new TokenBuckets({ burst: 1, perHour: 1, maxKeys: 10 });
    expect(buckets.take('a', 0)).toBe(true);
    buckets.giveBack('a');
    buckets.giveBack('a');
    buckets.giveBack('unknown');
    expect([buckets.take('a', 0), buckets.take('a', 0)]).toEqual([true, false]);
  });

  it('are neither filled nor stuck by a clock that is put back', () => {
    const buckets = new TokenBuckets({ burst: 1, perHour: 1, maxKeys: 10 });
    expect(buckets.take('a', 10 * HOUR_MS)).toBe(true);
    expect(buckets.take('a', 0)).toBe(false);
    expect(buckets.take('a', HOUR_MS)).toBe(true);
  });

  it('remember so many keys and no more, those in use longest', () => {
    const buckets = new TokenBuckets({ burst: 1, perHour: 1, maxKeys: 100 });
    buckets.take('used', 0);
    for (let key = 0; key < 10_000; key += 1) {
      buckets.take(`${key}`, 0);
      if (key % 10 === 0) expect(buckets.take('used', 0)).toBe(false);
      expect(buckets.size).toBeLessThanOrEqual(100);
    }
  });
});

describe('token buckets that hold a minute', () => {
  const perMinute = (count: number, maxKeys: number): TokenBuckets =>
    new TokenBuckets({ burst: count, perHour: count * 60, maxKeys });
  const take = (buckets: TokenBuckets, key: string, nowMs: number, times: number): number => {
    let taken = 0;
    for (let n = 0; n < times; n += 1) if (buckets.take(key, nowMs)) taken += 1;
    return taken;
  };

  it('let a minute of them through at once, and then one for each that has passed', () => {
    const buckets = perMinute(7, 10);
    expect(take(buckets, 'a', 1_000_000, 20)).toBe(7);
    expect(take(buckets, 'a', 1_000_000 + 60_000, 20)).toBe(7);
    expect(take(buckets, 'a', 1_000_000 + 60_000 + 8_600, 20)).toBe(1);
    expect(take(buckets, 'b', 1_000_000, 20)).toBe(7);
  });

  it('are not held up by a clock that is put back', () => {
    const buckets = perMinute(10, 10);
    expect(take(buckets, 'a', 1_000_000_000, 10)).toBe(10);
    expect(take(buckets, 'a', 0, 10)).toBe(0);
    expect(take(buckets, 'a', 60_000, 20)).toBe(10);
  });

  it('remember so many keys and no more: those that were asked for last', () => {
    const buckets = perMinute(1, 2);
    for (const key of ['a', 'b', 'a', 'c']) buckets.take(key, 0);
    expect(buckets.size).toBe(2);
    expect([buckets.take('a', 0), buckets.take('c', 0), buckets.take('b', 0)]).toEqual([false, false, true]);
  });
});
