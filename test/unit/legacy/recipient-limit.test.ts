import { afterEach, describe, expect, it, vi } from 'vitest';
import { WakeTimer } from '../../../src/actors/wake-timer.js';
import type { LegacyNotice } from '../../../src/domain/notice.js';
import { createRecipientGate, type GateAnswer } from '../../../src/legacy/recipient-gate.js';
import {
  RecipientLimit,
  recipientLimitDefaults,
  type RecipientLimitOptions,
} from '../../../src/legacy/recipient-limit.js';
import { Metrics } from '../../../src/telemetry/metrics.js';

const NOW = 1_700_000_000_000;

const notice = (recipient: string, data = 'data', brand = 'session'): LegacyNotice => ({
  kind: 'legacy',
  brand,
  recipient,
  data,
  receivedAtMs: NOW,
});

const limitWith = (options: Partial<RecipientLimitOptions> = {}) =>
  new RecipientLimit({ ...recipientLimitDefaults, perMinute: 60, burst: 3, ...options });

const PASS = { kind: 'pass', supersedes: false };
const KEPT = { kind: 'kept', supersedes: false };
const KEPT_INSTEAD = { kind: 'kept', supersedes: true };

describe('the limit per recipient', () => {
  it('lets a burst through, keeps the newest of what comes beyond, and gives it out when a token is there', () => {
    const limit = limitWith();
    for (let n = 0; n < 3; n += 1) expect(limit.admit(notice('a', `${n}`), NOW)).toEqual(PASS);
    expect(limit.admit(notice('a', 'fourth'), NOW)).toEqual(KEPT);
    expect(limit.admit(notice('a', 'fifth'), NOW + 10)).toEqual(KEPT_INSTEAD);
    expect(limit.admit(notice('a', 'sixth'), NOW + 900)).toEqual(KEPT_INSTEAD);
    expect(limit.nextWakeMs(NOW + 900)).toBe(NOW + 1000);
    expect(limit.takeDue(NOW + 999)).toBeNull();
    expect(limit.takeDue(NOW + 1000)?.data).toBe('sixth');
    expect(limit.takeDue(NOW + 1000)).toBeNull();
    expect(limit.nextWakeMs(NOW + 1000)).toBeNull();
    expect(limit.keptBytes).toBe(0);
    expect(limit.admit(notice('a'), NOW + 1001)).toEqual(KEPT);
  });

  it('has a bucket for each recipient of each brand', () => {
    const limit = limitWith({ burst: 1 });
    expect(limit.admit(notice('a'), NOW)).toEqual(PASS);
    expect(limit.admit(notice('b'), NOW)).toEqual(PASS);
    expect(limit.admit(notice('a', 'data', 'bchat'), NOW)).toEqual(PASS);
    expect(limit.admit(notice('a'), NOW)).toEqual(KEPT);
  });

  it('sends a later one instead of the kept one when a token is there first', () => {
    const limit = limitWith({ burst: 1 });
    limit.admit(notice('a', 'first'), NOW);
    // Half of a token is there, and yet it waits for the time of a whole one.
    limit.admit(notice('a', 'kept'), NOW + 500);
    expect(limit.admit(notice('a', 'later'), NOW + 1100)).toEqual({ kind: 'pass', supersedes: true });
    expect(limit.takeDue(NOW + 10_000)).toBeNull();
    expect(limit.keptCount).toBe(0);
  });

  it('keeps so many notices and so many bytes, and gives the room back', () => {
    const limit = limitWith({ burst: 1, maxKept: 2 });
    for (const recipient of ['a', 'b', 'c']) limit.admit(notice(recipient), NOW);
    expect(limit.admit(notice('a'), NOW)).toEqual(KEPT);
    expect(limit.admit(notice('b'), NOW)).toEqual(KEPT);
    expect(limit.admit(notice('c'), NOW)).toEqual({ kind: 'full' });
    expect(limit.admit(notice('a'), NOW)).toEqual(KEPT_INSTEAD);
    expect(limit.takeAll().map(({ recipient }) => recipient)).toEqual(['a', 'b']);
    expect(limit.admit(notice('c'), NOW)).toEqual(KEPT);

    const small = limitWith({ burst: 1, maxKeptBytes: 1000 });
    small.admit(notice('a'), NOW);
    expect(small.admit(notice('a', 'x'.repeat(600)), NOW)).toEqual({ kind: 'full' });
    expect(small.admit(notice('a', 'x'.repeat(400)), NOW)).toEqual(KEPT);
    expect(small.admit(notice('a', 'x'.repeat(450)), NOW)).toEqual(KEPT_INSTEAD);
    expect(small.keptBytes).toBe(904);
  });

  it('remembers so many recipients, those that are busy above all', () => {
    const limit = limitWith({ burst: 1, maxRecipients: 100 });
    limit.admit(notice('victim'), NOW);
    for (let n = 0; n < 10_000; n += 1) {
      limit.admit(notice(`other ${n}`), NOW);
      if (n % 20 === 0) expect(limit.admit(notice('victim'), NOW).kind).toBe('kept');
      expect(limit.recipientCount).toBeLessThanOrEqual(100);
    }
    for (let n = 0; n < 200; n += 1) limit.admit(notice(`more ${n}`), NOW);
    // Its bucket is forgotten, but not with a notice that is kept.
    expect(limit.admit(notice('victim'), NOW).kind).toBe('kept');
    limit.takeAll();
    for (let n = 0; n < 200; n += 1) limit.admit(notice(`even more ${n}`), NOW);
    expect(limit.admit(notice('victim'), NOW)).toEqual(PASS);
  });

  it('neither stops nor opens for good when the clock is put back', () => {
    const limit = limitWith({ burst: 1 });
    limit.admit(notice('a'), NOW);
    limit.admit(notice('a', 'kept'), NOW);
    const back = NOW - 3_600_000;
    expect(limit.nextWakeMs(back)).toBe(back);
    expect(limit.takeDue(back)?.data).toBe('kept');
    expect(limit.admit(notice('a'), back + 1000)).toEqual(KEPT);
    expect(limit.takeDue(back + 2000)).not.toBeNull();
    expect(limit.admit(notice('a'), back + 3000)).toEqual(PASS);
  });
});

describe('the gate before the pipeline', () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  function setUp(options: Partial<RecipientLimitOptions> = {}) {
    vi.useFakeTimers({ now: NOW });
    const metrics = new Metrics();
    const sent: string[] = [];
    const state = { answer: 'taken' as GateAnswer | Promise<GateAnswer> };
    const gate = createRecipientGate({
      limit: limitWith(options),
      next: ({ recipient, data }) => {
        sent.push(`${recipient} ${data}`);
        return state.answer;
      },
      isUnsent: ({ data }) => data === 'too long',
      startTimer: (onWake) => new WakeTimer(onWake),
      clock: { nowMs: () => Date.now() },
      metrics,
    });
    const limited = (result: string): number => metrics.legacyLimited.of('session', result).value;
    return { gate, sent, state, limited };
  }

  it('hands through what may pass, with the answer of the pipeline', async () => {
    const { gate, state } = setUp();
    expect(gate.next(notice('a'))).toBe('taken');
    state.answer = 'busy';
    expect(gate.next(notice('a'))).toBe('busy');
    state.answer = Promise.resolve('taken');
    expect(await gate.next(notice('a'))).toBe('taken');
  });

  it('sends the last word of a flood when the recipient may be called again, and no sooner', () => {
    const { gate, sent, limited } = setUp({ burst: 2 });
    for (let n = 0; n < 50; n += 1) expect(gate.next(notice('a', `${n}`))).toBe('taken');
    expect(sent).toEqual(['a 0', 'a 1']);
    expect([limited('held'), limited('superseded')]).toEqual([1, 47]);
    vi.advanceTimersByTime(999);
    expect(sent).toHaveLength(2);
    vi.advanceTimersByTime(1);
    expect(sent).toEqual(['a 0', 'a 1', 'a 49']);
    vi.advanceTimersByTime(60_000);
    expect(sent).toHaveLength(3);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('has one timer, however many wait, and wakes for the next one', () => {
    const { gate, sent } = setUp({ burst: 1 });
    for (let n = 0; n < 500; n += 1) {
      void gate.next(notice(`r${n}`, 'first'));
      void gate.next(notice(`r${n}`, 'second'));
      if (n % 100 === 99) vi.advanceTimersByTime(10);
    }
    expect(vi.getTimerCount()).toBe(1);
    vi.advanceTimersByTime(1100);
    expect(sent.filter((text) => text.endsWith('second'))).toHaveLength(500);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('asks for a notice again that finds no room', () => {
    const { gate, limited } = setUp({ burst: 1, maxKept: 1 });
    void gate.next(notice('a'));
    void gate.next(notice('b'));
    expect(gate.next(notice('a'))).toBe('taken');
    expect(gate.next(notice('b'))).toBe('busy');
    expect(limited('refused')).toBe(1);
  });

  it('lets what is never sent neither use up a token nor take the place of what is', () => {
    const { gate, sent } = setUp({ burst: 1 });
    for (let n = 0; n < 10; n += 1) void gate.next(notice('a', 'too long'));
    void gate.next(notice('a', 'first'));
    void gate.next(notice('a', 'kept'));
    void gate.next(notice('a', 'too long'));
    vi.advanceTimersByTime(1000);
    expect(sent.filter((text) => text !== 'a too long')).toEqual(['a first', 'a kept']);
  });

  it('sends at the stop what it kept, and keeps nothing afterwards', () => {
    const { gate, sent } = setUp({ burst: 1 });
    void gate.next(notice('a', 'first'));
    void gate.next(notice('a', 'kept'));
    gate.complete();
    expect(sent).toEqual(['a first', 'a kept']);
    expect(vi.getTimerCount()).toBe(0);
    void gate.next(notice('a', 'late'));
    expect(sent).toHaveLength(3);
  });
});
