import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseRetryAfterMs } from '../../src/delivery-rules/retry-after.js';
import { scheduleRetry, type RetrySchedule } from '../../src/delivery-rules/retry-schedule.js';

const schedules = fc
  .record({
    baseMs: fc.integer({ min: 1, max: 60_000 }),
    factor: fc.integer({ min: 1, max: 1_000 }),
    maxAttempts: fc.integer({ min: 1, max: 2_000 }),
  })
  .map(({ baseMs, factor, maxAttempts }): RetrySchedule => ({ baseMs, maxMs: baseMs * factor, maxAttempts }));
const randoms = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const NOW = 1_700_000_000_000;

describe('the retry schedule', () => {
  const requests = fc.record({
    attempts: fc.integer({ min: 1, max: 3_000 }),
    afterMs: fc.option(fc.integer({ min: 0, max: 3_600_000 })),
    nowMs: fc.constant(NOW),
    expiresAtMs: fc.integer({ min: NOW - 1_000, max: NOW + 10_000_000 }),
  });

  it('never sends at or after expiry, never more often than allowed, never earlier than the provider asks', () => {
    fc.assert(
      fc.property(schedules, requests, randoms, (schedule, request, random) => {
        const decision = scheduleRetry(schedule, request, () => random);
        if (decision.kind === 'give-up') {
          expect(decision.reason === 'attempts').toBe(request.attempts >= schedule.maxAttempts);
          return;
        }
        expect(request.attempts).toBeLessThan(schedule.maxAttempts);
        expect(Number.isInteger(decision.dueAtMs)).toBe(true);
        expect(decision.dueAtMs).toBeLessThan(request.expiresAtMs);
        expect(decision.dueAtMs).toBeGreaterThanOrEqual(NOW + (request.afterMs ?? 0));
        const mostMs = request.afterMs === null ? schedule.maxMs : request.afterMs + schedule.baseMs;
        expect(decision.dueAtMs).toBeLessThanOrEqual(NOW + mostMs);
      }),
    );
  });

  it('doubles its ceiling with every attempt up to the maximum', () => {
    fc.assert(
      fc.property(schedules, fc.integer({ min: 1, max: 3_000 }), (schedule, attempts) => {
        const request = { attempts, afterMs: null, nowMs: NOW, expiresAtMs: Infinity };
        const decision = scheduleRetry({ ...schedule, maxAttempts: Infinity }, request, () => 0.5);
        const ceilingMs = Math.min(schedule.maxMs, schedule.baseMs * 2 ** (attempts - 1));
        expect(decision).toEqual({ kind: 'again', dueAtMs: NOW + Math.ceil(ceilingMs / 2) });
      }),
    );
  });
});

describe('Retry-After', () => {
  it('takes seconds and dates, cut to the maximum', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 10_000_000 }), (seconds) => {
        expect(parseRetryAfterMs(String(seconds), NOW, 3_600_000)).toBe(Math.min(seconds * 1000, 3_600_000));
        const date = new Date(NOW + seconds * 1000).toUTCString();
        expect(parseRetryAfterMs(date, NOW, 3_600_000)).toBe(Math.min(seconds * 1000, 3_600_000));
      }),
    );
  });

  it('is null or within bounds for any text, and never throws', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const afterMs = parseRetryAfterMs(text, NOW, 60_000);
        expect(afterMs === null || (afterMs >= 0 && afterMs <= 60_000)).toBe(true);
      }),
    );
  });
});
