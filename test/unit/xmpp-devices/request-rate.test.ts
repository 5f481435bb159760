import { describe, expect, it } from 'vitest';
import { RequestRate } from '../../../src/xmpp-devices/request-rate.js';

const take = (rate: RequestRate, sender: string, nowMs: number, times: number): number => {
  let taken = 0;
  for (let n = 0; n < times; n += 1) if (rate.take(sender, nowMs)) taken += 1;
  return taken;
};

describe('the rate of requests', () => {
  it('lets a minute of them through at once, and then one for each that has passed', () => {
    const rate = new RequestRate(7, 10);
    expect(take(rate, 'a', 1_000_000, 20)).toBe(7);
    expect(take(rate, 'a', 1_000_000 + 60_000, 20)).toBe(7);
    expect(take(rate, 'a', 1_000_000 + 60_000 + 8_600, 20)).toBe(1);
    expect(take(rate, 'b', 1_000_000, 20)).toBe(7);
  });

  it('is not held up by a clock that is put back', () => {
    const rate = new RequestRate(10, 10);
    expect(take(rate, 'a', 1_000_000_000, 10)).toBe(10);
    expect(take(rate, 'a', 0, 10)).toBe(0);
    expect(take(rate, 'a', 60_000, 20)).toBe(10);
  });

  it('remembers so many senders and no more: those that asked last', () => {
    const rate = new RequestRate(1, 2);
    for (const sender of ['a', 'b', 'a', 'c']) rate.take(sender, 0);
    expect(rate.size).toBe(2);
    expect([rate.take('a', 0), rate.take('c', 0), rate.take('b', 0)]).toEqual([false, false, true]);
  });
});
