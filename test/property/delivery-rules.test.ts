import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CircuitBreaker } from '../../src/delivery-rules/circuit-breaker.js';
import { Credits, type Lane } from '../../src/delivery-rules/credits.js';
import { Pacing } from '../../src/delivery-rules/pacing.js';
import { Pause } from '../../src/delivery-rules/pause.js';
import { SendingLimits } from '../../src/delivery-rules/sending-limits.js';
import { AdaptiveWindow } from '../../src/delivery-rules/window.js';
import type { Outcome } from '../../src/domain/outcome.js';

const NOW = 1_700_000_000_000;

describe('the adaptive window', () => {
  const bounds = fc.record({
    max: fc.integer({ min: 1, max: 5_000 }),
    min: fc.integer({ min: 1, max: 10_000 }),
  });
  const answers = fc.array(
    fc.record({ isSuccess: fc.boolean(), times: fc.integer({ min: 1, max: 300 }), wasFull: fc.boolean() }),
    { maxLength: 40 },
  );

  it('begins at its upper end and never leaves its bounds', () => {
    fc.assert(
      fc.property(bounds, answers, (options, given) => {
        const window = new AdaptiveWindow(options);
        expect(window.limit).toBe(options.max);
        for (const { isSuccess, times, wasFull } of given) {
          for (let i = 0; i < times; i += 1) {
            if (isSuccess) window.succeeded(window.generation, wasFull);
            else window.failed(window.generation);
            expect(window.limit).toBeLessThanOrEqual(options.max);
            expect(window.limit).toBeGreaterThanOrEqual(Math.min(options.min, options.max));
            expect(Number.isInteger(window.limit)).toBe(true);
          }
        }
      }),
      { numRuns: 50 },
    );
  });

  it('decreases once for everything that was sent before the decrease', () => {
    fc.assert(
      fc.property(bounds, fc.integer({ min: 1, max: 500 }), (options, failures) => {
        const window = new AdaptiveWindow(options);
        const { generation } = window;
        for (let i = 0; i < failures; i += 1) window.failed(generation);
        const half = Math.max(Math.min(options.min, options.max), Math.floor(options.max / 2), 1);
        expect(window.limit).toBe(half);
        for (let i = 0; i < options.max; i += 1) window.succeeded(generation, true);
        expect(window.limit).toBe(half);
        window.failed(window.generation);
        expect(window.limit).toBeLessThanOrEqual(half);
      }),
    );
  });

  it('is at full size again after 64 full round trips, wherever it was, and grows only while it is used', () => {
    fc.assert(
      fc.property(bounds, fc.integer({ min: 1, max: 12 }), (options, failures) => {
        const window = new AdaptiveWindow(options);
        for (let i = 0; i < failures; i += 1) window.failed(window.generation);
        const shrunk = window.limit;
        for (let i = 0; i < 3 * options.max; i += 1) window.succeeded(window.generation, false);
        expect(window.limit).toBe(shrunk);
        for (let trip = 0; trip < 64; trip += 1) {
          for (let i = window.limit; i > 0; i -= 1) window.succeeded(window.generation, true);
        }
        expect(window.limit).toBe(options.max);
      }),
      { numRuns: 30 },
    );
  });
});

describe('the circuit breaker', () => {
  it('is open exactly from the last of so many failures in a row until its time to probe', () => {
    const steps = fc.array(
      fc.record({ afterMs: fc.integer({ min: 0, max: 1_500 }), isSuccess: fc.boolean() }),
      { maxLength: 60 },
    );
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5 }), steps, (failures, given) => {
        const breaker = new CircuitBreaker({ failures, probeAfterMs: 1_000 });
        let nowMs = NOW;
        let inARow = 0;
        let openedAtMs: number | null = null;
        for (const { afterMs, isSuccess } of given) {
          nowMs += afterMs;
          const isProbing = openedAtMs !== null && nowMs - openedAtMs >= 1_000;
          expect(breaker.state(nowMs)).toBe(openedAtMs === null ? 'closed' : isProbing ? 'probing' : 'open');
          expect(breaker.openUntilMs(nowMs)).toBe(
            openedAtMs === null || isProbing ? null : openedAtMs + 1_000,
          );
          if (isSuccess) {
            breaker.succeeded();
            inARow = 0;
            openedAtMs = null;
          } else {
            breaker.failed(nowMs);
            inARow += 1;
            if (isProbing || (openedAtMs === null && inARow >= failures)) openedAtMs = nowMs;
          }
        }
      }),
    );
  });
});

describe('a pause', () => {
  const asked = fc.array(
    fc.record({
      stepMs: fc.integer({ min: 0, max: 5_000 }),
      afterMs: fc.option(fc.integer({ min: 0, max: 10_000_000 })),
    }),
    { minLength: 1, maxLength: 30 },
  );

  it('lasts at least as long as the provider asked, but never longer than the longest', () => {
    const maxMs = 60_000;
    fc.assert(
      fc.property(asked, (given) => {
        const pause = new Pause(maxMs);
        let nowMs = NOW;
        for (const { stepMs, afterMs } of given) {
          nowMs += stepMs;
          const before = pause.untilMs(nowMs) ?? 0;
          pause.ask(nowMs, afterMs);
          const until = pause.untilMs(nowMs) ?? nowMs;
          expect(until).toBeGreaterThanOrEqual(before);
          // A reading of the clock may be almost a millisecond old.
          if (afterMs !== null) expect(until).toBeGreaterThanOrEqual(nowMs + Math.min(afterMs + 1, maxMs));
          expect(until).toBeLessThanOrEqual(nowMs + maxMs);
          expect(pause.untilMs(until)).toBeNull();
        }
      }),
    );
  });

  it('without a length doubles until something is delivered', () => {
    const pause = new Pause(3_600_000);
    let nowMs = NOW;
    const lengths = Array.from({ length: 8 }, () => {
      pause.ask(nowMs, null);
      pause.ask(nowMs, null);
      const lengthMs = (pause.untilMs(nowMs) ?? nowMs) - nowMs;
      nowMs += lengthMs;
      return lengthMs;
    });
    expect(lengths).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
    pause.delivered();
    pause.ask(nowMs, null);
    expect(pause.untilMs(nowMs)).toBe(nowMs + 1_000);
  });

  it('is neither longer nor shorter because the clock was put back', () => {
    const pause = new Pause(60_000);
    pause.ask(NOW, 60_000);
    expect(pause.untilMs(NOW + 10_000)).toBe(NOW + 60_000);
    expect(pause.untilMs(NOW + 9_999)).toBe(NOW + 59_999);
    expect(pause.untilMs(NOW - 30_000)).toBe(NOW + 20_000);
    expect(pause.untilMs(NOW - 3_600_000)).toBe(NOW - 3_550_000);
    expect(pause.untilMs(NOW - 3_550_000)).toBeNull();
  });
});

describe('sending limits', () => {
  const limitsOf = () =>
    new SendingLimits({
      windowMax: 64,
      windowMin: 8,
      breakerFailures: 1,
      breakerProbeMs: 5_000,
      maxPauseMs: 60_000,
    });
  const clock = { nowMs: () => NOW };

  it('are not touched by a push that was not sent, nor by what a provider says of a single token', () => {
    const limits = limitsOf();
    const outcomes: Outcome[] = [
      { kind: 'postponed', reason: 'origin-paused', afterMs: 1_000 },
      { kind: 'retry', reason: 'TooManyRequests', cause: 'throttled', afterMs: 9_000, scope: 'push' },
      { kind: 'retry', reason: 'InternalServerError', cause: 'server', afterMs: null, scope: 'push' },
    ];
    for (const outcome of outcomes) {
      limits.hear(outcome, clock);
      limits.learn(outcome, limits.generation, true, NOW);
    }
    expect(limits.window).toBe(64);
    expect(limits.heldUntilMs(NOW)).toBeNull();
    expect(limits.breaker(NOW)).toBe('closed');
  });

  it('a postponed push does not close a breaker that probes', () => {
    const limits = limitsOf();
    limits.learn({ kind: 'misconfigured', reason: 'key' }, 0, true, NOW);
    expect(limits.heldUntilMs(NOW)).toBe(NOW + 5_000);
    expect(limits.breaker(NOW + 5_000)).toBe('probing');
    limits.learn({ kind: 'postponed', reason: 'busy', afterMs: 1 }, 0, true, NOW + 5_000);
    expect(limits.inFlightLimit(NOW + 5_000)).toBe(1);
    limits.learn({ kind: 'delivered' }, 0, true, NOW + 5_000);
    expect(limits.inFlightLimit(NOW + 5_000)).toBe(64);
  });

  it('hold back until both the pause and the breaker allow', () => {
    const limits = limitsOf();
    const throttled: Outcome = {
      kind: 'retry',
      reason: '429',
      cause: 'throttled',
      afterMs: 2_000,
      scope: 'notifier',
    };
    limits.hear(throttled, clock);
    expect(limits.heldUntilMs(NOW)).toBe(NOW + 2_001);
    limits.learn(throttled, 0, true, NOW);
    expect(limits.window).toBe(32);
    limits.learn(
      { kind: 'retry', reason: 'reset', cause: 'transport', afterMs: null, scope: 'push' },
      0,
      true,
      NOW,
    );
    expect(limits.heldUntilMs(NOW)).toBe(NOW + 5_000);
    expect(limits.window).toBe(32);
  });
});

describe('credits', () => {
  const steps = fc.array(
    fc.record({
      kind: fc.constantFrom<'offer' | 'claim' | 'end-fresh' | 'end-claimed'>(
        'offer',
        'claim',
        'end-fresh',
        'end-claimed',
      ),
      isBacklog: fc.boolean(),
      times: fc.integer({ min: 1, max: 50 }),
    }),
    { maxLength: 100 },
  );

  it('are never exceeded by more than the one row that looks whether something waits', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 200 }),
        fc.integer({ min: 1, max: 100 }),
        steps,
        (total, batch, given) => {
          const credits = new Credits(total);
          const held: Record<Lane, number> = { fresh: 0, claimed: 0 };
          const take = (lane: Lane, count: number): void => {
            credits.take(lane, count);
            held[lane] += count;
          };
          for (const { kind, isBacklog, times } of given) {
            for (let i = 0; i < times; i += 1) {
              if (kind === 'offer' && credits.hasRoomForFresh(isBacklog)) take('fresh', 1);
              if (kind === 'claim') {
                const room = credits.roomForClaim(batch, isBacklog);
                expect(room).toBeLessThanOrEqual(batch);
                take('claimed', room);
              }
              if (kind === 'end-fresh' && held.fresh > 0) take('fresh', -1);
              if (kind === 'end-claimed' && held.claimed > 0) take('claimed', -1);
            }
            expect(credits.held).toBe(held.fresh + held.claimed);
            expect(credits.held).toBeLessThanOrEqual(total + 1);
          }
        },
      ),
    );
  });

  it('give the outbox its share under any pressure of fresh pushes, and fresh pushes theirs', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 500 }),
        fc.integer({ min: 1, max: 500 }),
        fc.integer({ min: 1, max: 20 }),
        (total, batch, endsPerRound) => {
          const credits = new Credits(total);
          let fresh = 0;
          let claimed = 0;
          let freshDone = 0;
          let claimedDone = 0;
          for (let round = 0; round < 4 * total + 20; round += 1) {
            while (credits.hasRoomForFresh(true)) {
              credits.take('fresh');
              fresh += 1;
            }
            const room = credits.roomForClaim(batch, true);
            credits.take('claimed', room);
            claimed += room;
            for (let i = 0; i < endsPerRound; i += 1) {
              if (fresh > 0 && (round + i) % 4 !== 0) {
                credits.give('fresh');
                fresh -= 1;
                freshDone += 1;
              } else if (claimed > 0) {
                credits.give('claimed');
                claimed -= 1;
                claimedDone += 1;
              }
            }
          }
          expect(claimedDone).toBeGreaterThan(0);
          if (total > 1) expect(freshDone).toBeGreaterThan(0);
        },
      ),
      { numRuns: 50 },
    );
  });
});

describe('pacing', () => {
  const INTERVAL_MS = 10_000;
  interface Item {
    readonly device: string;
    readonly order: number;
  }
  const events = fc.array(
    fc.record({
      device: fc.integer({ min: 0, max: 5 }).map((n) => `device-${n}`),
      stepMs: fc.integer({ min: 0, max: 4_000 }),
      // The actor looks for due ones now and then, not at once.
      looks: fc.boolean(),
    }),
    { maxLength: 150 },
  );

  it('sends a device never two within the interval, the last one of a burst always, and none twice', () => {
    fc.assert(
      fc.property(events, (given) => {
        const pacing = new Pacing<Item>(
          { intervalMs: INTERVAL_MS, maxDevices: 100, maxHeld: 100 },
          (a, b) => a.order > b.order,
        );
        const sent: (Item & { atMs: number })[] = [];
        const superseded: Item[] = [];
        const last = new Map<string, Item>();
        let nowMs = NOW;
        const look = (): void => {
          for (let due = pacing.sendDue(nowMs); due !== null; due = pacing.sendDue(nowMs)) {
            sent.push({ ...due, atMs: nowMs });
          }
        };
        given.forEach(({ device, stepMs, looks }, order) => {
          nowMs += stepMs;
          if (looks) look();
          const item = { device, order };
          last.set(device, item);
          if (pacing.admit(device, nowMs) === null) {
            sent.push({ ...item, atMs: nowMs });
            return;
          }
          const result = pacing.hold(device, item);
          expect(result.kind).not.toBe('full');
          if (result.kind === 'superseded') superseded.push(result.item);
        });
        while (pacing.heldCount > 0) {
          nowMs = pacing.nextWakeMs(nowMs) ?? nowMs;
          look();
        }
        const lastSentAt = new Map<string, number>();
        for (const { device, atMs } of sent) {
          const before = lastSentAt.get(device);
          if (before !== undefined) expect(atMs - before).toBeGreaterThanOrEqual(INTERVAL_MS);
          lastSentAt.set(device, atMs);
        }
        const orders = sent.map(({ order }) => order);
        for (const { order } of last.values()) expect(orders).toContain(order);
        expect([...orders, ...superseded.map(({ order }) => order)].sort((a, b) => a - b)).toEqual(
          given.map((_event, order) => order),
        );
      }),
    );
  });

  it('holds no more than its bound and remembers no more devices than its bound', () => {
    fc.assert(
      fc.property(
        events,
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 1, max: 3 }),
        (given, most, held) => {
          const pacing = new Pacing<Item>(
            { intervalMs: INTERVAL_MS, maxDevices: most, maxHeld: held },
            () => false,
          );
          let nowMs = NOW;
          given.forEach(({ device, stepMs, looks }, order) => {
            nowMs += stepMs;
            if (looks) pacing.sendDue(nowMs);
            if (pacing.admit(device, nowMs) !== null) pacing.hold(device, { device, order });
            expect(pacing.heldCount).toBeLessThanOrEqual(held);
          });
          expect(pacing.takeAll().length).toBeLessThanOrEqual(Math.min(held, most));
          expect(pacing.heldCount).toBe(0);
        },
      ),
    );
  });

  it('forgets the device that has been idle longest when there are too many', () => {
    const pacing = new Pacing<Item>({ intervalMs: INTERVAL_MS, maxDevices: 2, maxHeld: 10 }, () => false);
    expect(pacing.admit('a', NOW)).toBeNull();
    expect(pacing.admit('b', NOW + 1)).toBeNull();
    expect(pacing.admit('c', NOW + 2)).toBeNull();
    expect(pacing.admit('b', NOW + 3)).toBe(NOW + 1 + INTERVAL_MS);
    expect(pacing.admit('a', NOW + 4)).toBeNull();
  });

  it('does not hold anybody longer because the clock was put back', () => {
    const pacing = new Pacing<Item>({ intervalMs: INTERVAL_MS, maxDevices: 10, maxHeld: 10 }, () => false);
    expect(pacing.admit('a', NOW)).toBeNull();
    expect(pacing.admit('a', NOW + 1)).not.toBeNull();
    expect(pacing.hold('a', { device: 'a', order: 1 }).kind).toBe('held');
    expect(pacing.sendDue(NOW - 3_600_000)).toMatchObject({ order: 1 });
  });

  it('counts what was not sent after all as not sent', () => {
    const pacing = new Pacing<Item>({ intervalMs: INTERVAL_MS, maxDevices: 10, maxHeld: 10 }, () => false);
    expect(pacing.admit('a', NOW)).toBeNull();
    pacing.unsent('a');
    expect(pacing.admit('a', NOW + 1)).toBeNull();
  });
});
