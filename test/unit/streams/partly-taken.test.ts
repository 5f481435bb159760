import { describe, expect, it } from 'vitest';
import type { LegacyNotice } from '../../../src/domain/notice.js';
import { PartlyTaken } from '../../../src/streams/partly-taken.js';

const notice = (recipient: string, data = 'data', brand = 'session'): LegacyNotice => ({
  kind: 'legacy',
  brand,
  recipient,
  data,
  receivedAtMs: 0,
});

function setUp(maxTokens = 100) {
  const clock = { now: 1_000_000, nowMs: () => clock.now };
  return { clock, memory: new PartlyTaken({ maxTokens, lifetimeMs: 1000 }, clock) };
}

describe('the memory of notices that were taken in part', () => {
  it('knows a notice by brand, recipient and data, and tells of it once', () => {
    const { memory } = setUp();
    memory.remember(notice('a'), new Set(['one']));
    for (const other of [
      notice('b'),
      notice('a', 'other'),
      notice('a', 'data', 'bchat'),
      notice('', 'a\0data'),
    ])
      expect(memory.take(other)).toBeNull();
    expect(memory.take({ ...notice('a'), receivedAtMs: 99 })).toEqual(new Set(['one']));
    expect(memory.take(notice('a'))).toBeNull();
    expect(memory.tokenCount).toBe(0);
  });

  it('forgets after its time, and what a clock that was put back would keep for long', () => {
    const { memory, clock } = setUp();
    memory.remember(notice('a'), new Set(['one']));
    memory.remember(notice('b'), new Set(['two']));
    clock.now += 999;
    expect(memory.take(notice('a'))).not.toBeNull();
    clock.now += 1;
    expect(memory.take(notice('b'))).toBeNull();
    memory.remember(notice('c'), new Set(['three']));
    clock.now -= 5000;
    memory.remember(notice('d'), new Set(['four']));
    expect(memory.take(notice('c'))).toBeNull();
    expect(memory.take(notice('d'))).not.toBeNull();
  });

  it('holds so many tokens and forgets the oldest notices for newer ones', () => {
    const { memory } = setUp(10);
    for (let n = 0; n < 100; n += 1) {
      memory.remember(notice(`${n}`), new Set(['one', 'two', 'three']));
      expect(memory.tokenCount).toBeLessThanOrEqual(10);
    }
    expect(memory.take(notice('96'))).toBeNull();
    expect(memory.take(notice('97'))).not.toBeNull();
    memory.remember(notice('huge'), new Set(Array.from({ length: 11 }, (_, n) => `${n}`)));
    expect(memory.tokenCount).toBe(0);
  });

  it('replaces what it knew of the same notice', () => {
    const { memory } = setUp();
    memory.remember(notice('a'), new Set(['one']));
    memory.remember(notice('a'), new Set(['one', 'two']));
    expect(memory.tokenCount).toBe(2);
    expect(memory.take(notice('a'))?.size).toBe(2);
  });
});
