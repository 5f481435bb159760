import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Spacing, type SpacingTurn } from '../../src/delivery-rules/spacing.js';

const NOW = 1_700_000_000_000;

interface Step {
  readonly afterMs: number;
  readonly key: string;
  /** What becomes of it: nobody takes it, or somebody does. */
  readonly isTaken: boolean;
}

const stepsOf = (keys: number): fc.Arbitrary<Step[]> =>
  fc.array(
    fc.record({
      afterMs: fc.oneof(fc.constant(0), fc.nat({ max: 30 }), fc.nat({ max: 400 })),
      key: fc.nat({ max: keys - 1 }).map(String),
      isTaken: fc.oneof({ weight: 4, arbitrary: fc.constant(true) }, fc.constant(false)),
    }),
    { maxLength: 200 },
  );

/** The rule in the words of the protocol: the times at which pushes of one key went, or are to go. */
class Model {
  readonly times: number[] = [];

  constructor(private readonly distanceMs: number) {}

  admit(nowMs: number): number | null {
    const last = this.times.at(-1);
    if (last !== undefined && last > nowMs) return null;
    const timeMs = last === undefined || nowMs - last >= this.distanceMs ? nowMs : last + this.distanceMs;
    this.times.push(timeMs);
    return timeMs;
  }

  /** As if it had not been. */
  giveBack(timeMs: number): void {
    if (this.times.at(-1) === timeMs) this.times.pop();
  }
}

describe('spacing of pushes', () => {
  it('decides as the rule does, whatever comes and is given back', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 200 }), stepsOf(4), (distanceMs, steps) => {
        const spacing = new Spacing({ distanceMs, maxKeys: 100 });
        const models = new Map<string, Model>();
        let now = NOW;
        for (const { afterMs, key, isTaken } of steps) {
          now += afterMs;
          const model = models.get(key) ?? new Model(distanceMs);
          models.set(key, model);
          const expected = model.admit(now);
          const decision = spacing.admit(key, now);
          const time = decision.kind === 'refused' ? null : timeOf(decision);
          expect(time).toBe(expected);
          if (decision.kind === 'at-once') expect(time).toBe(now);
          if (isTaken || decision.kind === 'refused') continue;
          model.giveBack(timeOf(decision));
          spacing.giveBack(key, decision);
        }
        // And so what was taken keeps its distance.
        for (const { times } of models.values()) {
          times.forEach((time, i) => {
            if (i > 0) expect(time - (times[i - 1] ?? 0)).toBeGreaterThanOrEqual(distanceMs);
          });
        }
      }),
      { numRuns: 300 },
    );
  });

  it('stays within its bounds, and whoever is refused has one that waits, also when the clock jumps', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 200 }),
        fc.integer({ min: 2, max: 8 }),
        fc.array(fc.tuple(fc.integer({ min: -500, max: 500 }), fc.nat({ max: 30 })), { maxLength: 200 }),
        (distanceMs, maxKeys, steps) => {
          const spacing = new Spacing({ distanceMs, maxKeys });
          const waiting = new Map<string, number>();
          let now = NOW;
          for (const [jumpMs, keyNumber] of steps) {
            now += jumpMs;
            const key = `${keyNumber}`;
            const decision = spacing.admit(key, now);
            if (decision.kind === 'refused') expect(waiting.get(key) ?? 0).toBeGreaterThan(now);
            else if (decision.kind === 'deferred') {
              expect(decision.dueAtMs).toBeGreaterThan(now);
              expect(decision.dueAtMs - now).toBeLessThanOrEqual(distanceMs);
              waiting.set(key, decision.dueAtMs);
            }
            expect(spacing.size).toBeLessThanOrEqual(maxKeys);
          }
        },
      ),
      { numRuns: 300 },
    );
  });
});

const timeOf = (turn: SpacingTurn): number => (turn.kind === 'at-once' ? turn.atMs : turn.dueAtMs);
