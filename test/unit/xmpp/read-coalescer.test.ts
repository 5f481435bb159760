import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ReadCoalescer } from '../../../src/xmpp/read-coalescer.js';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

function coalescerOf(intervalMs: number, maxChars = 100) {
  const taken: string[] = [];
  const reads = new ReadCoalescer(intervalMs, maxChars);
  reads.handTo((text) => taken.push(text));
  return { reads, taken };
}

describe('ReadCoalescer', () => {
  it('hands on at once what comes after a pause', () => {
    const { reads, taken } = coalescerOf(4);
    reads.add('a');
    expect(taken).toEqual(['a']);
    vi.advanceTimersByTime(4);
    reads.add('b');
    expect(taken).toEqual(['a', 'b']);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('hands on together what comes thick, in its order, at most once in the interval', () => {
    const { reads, taken } = coalescerOf(4);
    for (const text of ['a', 'b', 'c']) reads.add(text);
    vi.advanceTimersByTime(3);
    reads.add('d');
    expect(taken).toEqual(['a']);
    vi.advanceTimersByTime(1);
    expect(taken).toEqual(['a', 'bcd']);
    reads.add('e');
    expect(taken).toEqual(['a', 'bcd']);
    vi.advanceTimersByTime(4);
    expect(taken).toEqual(['a', 'bcd', 'e']);
  });

  it('lets nothing wait that is large', () => {
    const { reads, taken } = coalescerOf(4, 10);
    reads.add('a');
    reads.add('bcdef');
    expect(taken).toEqual(['a']);
    reads.add('ghijk');
    expect(taken).toEqual(['a', 'bcdefghijk']);
    vi.advanceTimersByTime(100);
    expect(taken).toHaveLength(2);
  });

  it('hands on what waits when it is told to, and once only', () => {
    const { reads, taken } = coalescerOf(4);
    reads.add('a');
    reads.add('b');
    reads.flush();
    reads.flush();
    expect(taken).toEqual(['a', 'b']);
    vi.advanceTimersByTime(100);
    expect(taken).toEqual(['a', 'b']);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('forgets what waits when it is told to', () => {
    const { reads, taken } = coalescerOf(4);
    reads.add('a');
    reads.add('b');
    reads.drop();
    vi.advanceTimersByTime(100);
    expect(taken).toEqual(['a']);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('hands on everything at once with an interval of 0', () => {
    const { reads, taken } = coalescerOf(0);
    for (const text of ['a', 'b', 'c']) reads.add(text);
    expect(taken).toEqual(['a', 'b', 'c']);
  });
});
