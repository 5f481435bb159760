import { describe, expect, it } from 'vitest';
import { Spacing, type SpacingDecision, type SpacingTurn } from '../../../src/delivery-rules/spacing.js';

const NOW = 1_700_000_000_000;
const DISTANCE = 5_000;

const setUp = (options = {}) => {
  const spacing = new Spacing({ distanceMs: DISTANCE, maxKeys: 1_000, ...options });
  const at = (afterMs: number, key = 'high a'): string => textOf(spacing.admit(key, NOW + afterMs));
  return { spacing, at };
};
const textOf = (decision: SpacingDecision): string =>
  decision.kind === 'deferred' ? `deferred to ${decision.dueAtMs - NOW}` : decision.kind;
const turnOf = (decision: SpacingDecision): SpacingTurn => {
  if (decision.kind === 'refused') throw new Error('no turn');
  return decision;
};

describe('spacing of pushes', () => {
  it('lets the first go at once, defers the second, and refuses all while that one waits', () => {
    const { at } = setUp();
    expect([0, 0, 0, 1, 4_999].map((ms) => at(ms))).toEqual([
      'at-once',
      'deferred to 5000',
      'refused',
      'refused',
      'refused',
    ]);
    // The deferred one is the one before, then.
    expect([5_000, 5_001, 9_999].map((ms) => at(ms))).toEqual(['deferred to 10000', 'refused', 'refused']);
    expect([15_000, 20_001].map((ms) => at(ms))).toEqual(['at-once', 'at-once']);
  });

  it('holds up no other key', () => {
    const { at } = setUp();
    expect([at(0, 'high a'), at(0, 'silent a'), at(0, 'high b'), at(1, 'silent a')]).toEqual([
      'at-once',
      'at-once',
      'at-once',
      'deferred to 5000',
    ]);
  });

  it('lets everything go at once when it is off, and remembers nothing', () => {
    const { at, spacing } = setUp({ distanceMs: 0 });
    expect([at(0), at(0), at(0)]).toEqual(['at-once', 'at-once', 'at-once']);
    expect(spacing.size).toBe(0);
  });

  it('keeps the distance when it is a fraction of a second', () => {
    const { at } = setUp({ distanceMs: 1.5 });
    expect([at(0), at(0), at(1), at(2)]).toEqual(['at-once', 'deferred to 1.5', 'refused', 'deferred to 3']);
  });

  it('gives the turn of a push that nobody took to the next one', () => {
    const { spacing, at } = setUp();
    const first = turnOf(spacing.admit('high a', NOW));
    spacing.giveBack('high a', first);
    expect(spacing.size).toBe(0);
    expect(at(1)).toBe('at-once');
    const second = turnOf(spacing.admit('high a', NOW + 2));
    spacing.giveBack('high a', second);
    expect(at(3)).toBe('deferred to 5001');
    // Of one that is past.
    spacing.giveBack('high a', second);
    expect(at(4)).toBe('refused');
  });

  it('lets a deferred one stand when the one before it was not taken', () => {
    const { spacing, at } = setUp();
    const first = turnOf(spacing.admit('high a', NOW));
    expect(at(1)).toBe('deferred to 5000');
    spacing.giveBack('high a', first);
    expect(at(2)).toBe('refused');
  });

  it('goes on when the clock is put back', () => {
    const { at } = setUp();
    expect(at(60_000)).toBe('at-once');
    expect([at(59_000), at(59_000)]).toEqual(['at-once', 'deferred to 64000']);
    expect(at(50_000)).toBe('at-once');
  });

  it('forgets what says nothing any more, and the oldest when there is no room', () => {
    const { spacing, at } = setUp({ maxKeys: 100 });
    for (let i = 0; i < 245; i += 1) {
      at(0, `${i}`);
      expect(spacing.size).toBeLessThanOrEqual(100);
    }
    expect(spacing.size).toBeGreaterThan(50);
    expect([at(1, '200'), at(1, '10')]).toEqual(['deferred to 5000', 'at-once']);
    for (const ms of [20_000, 40_000]) at(ms, 'another');
    expect(spacing.size).toBe(1);
  });

  it('remembers fewer keys where they are long', () => {
    const { spacing } = setUp({ maxKeys: 100 });
    for (let i = 0; i < 200; i += 1) spacing.admit(`${i}`.padEnd(4_096), NOW);
    expect(spacing.size).toBeLessThanOrEqual(6);
    expect(spacing.size).toBeGreaterThanOrEqual(3);
  });
});
