import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { LegacyNotice } from '../../src/domain/notice.js';
import { RecipientLimit, type RecipientLimitOptions } from '../../src/legacy/recipient-limit.js';

const NOW = 1_700_000_000_000;

const options: fc.Arbitrary<RecipientLimitOptions> = fc.record({
  perMinute: fc.integer({ min: 1, max: 6000 }),
  burst: fc.integer({ min: 1, max: 20 }),
  maxRecipients: fc.integer({ min: 2, max: 40 }),
  maxKept: fc.integer({ min: 1, max: 10 }),
  maxKeptBytes: fc.integer({ min: 100, max: 2000 }),
});

interface Step {
  readonly afterMs: number;
  readonly recipient: number;
  readonly length: number;
  /** Whether the timer woke us before. */
  readonly wakes: boolean;
}

const stepsOf = (recipients: number): fc.Arbitrary<Step[]> =>
  fc.array(
    fc.record({
      afterMs: fc.oneof(
        fc.constant(0),
        fc.integer({ min: 0, max: 200 }),
        fc.integer({ min: 0, max: 30_000 }),
      ),
      recipient: fc.nat({ max: recipients - 1 }),
      length: fc.nat({ max: 300 }),
      wakes: fc.boolean(),
    }),
    { maxLength: 150 },
  );

const noticeOf = ({ recipient, length }: Step, serial: number): LegacyNotice => ({
  kind: 'legacy',
  brand: 'session',
  recipient: `${recipient}`,
  data: 'x'.repeat(length),
  receivedAtMs: serial,
});

describe('the limit per recipient', () => {
  it('never gives one recipient more than its burst and its rate, in whatever span of time', () => {
    fc.assert(
      fc.property(options, stepsOf(4), (given, steps) => {
        // Room for all: what is forgotten has a full bucket again.
        const limit = new RecipientLimit({ ...given, maxRecipients: 100 });
        const sentAt = new Map<string, number[]>();
        const sent = ({ recipient }: LegacyNotice, atMs: number): void => {
          sentAt.set(recipient, [...(sentAt.get(recipient) ?? []), atMs]);
        };
        let now = NOW;
        steps.forEach((step, serial) => {
          now += step.afterMs;
          if (step.wakes) {
            for (let due = limit.takeDue(now); due !== null; due = limit.takeDue(now)) sent(due, now);
          }
          const notice = noticeOf(step, serial);
          if (limit.admit(notice, now).kind === 'pass') sent(notice, now);
        });
        for (const times of sentAt.values()) {
          times.forEach((fromMs, first) => {
            times.slice(first).forEach((toMs, further) => {
              const allowed = given.burst + ((toMs - fromMs) / 60_000) * given.perMinute;
              expect(further + 1).toBeLessThanOrEqual(allowed + 1e-6);
            });
          });
        }
      }),
      { numRuns: 200 },
    );
  });

  it('sends the last notice of everybody in the end, each within the time of one token of being asked for', () => {
    fc.assert(
      fc.property(options, stepsOf(6), (given, steps) => {
        const limit = new RecipientLimit({ ...given, maxKept: 1000, maxKeptBytes: 1_000_000 });
        const last = new Map<string, LegacyNotice>();
        const sent = new Map<string, LegacyNotice>();
        const keepMs = Math.ceil(60_000 / given.perMinute);
        const send = (notice: LegacyNotice): void => {
          // Never an older one after a newer one.
          expect(sent.get(notice.recipient)?.receivedAtMs ?? -1).toBeLessThan(notice.receivedAtMs);
          sent.set(notice.recipient, notice);
        };
        let now = NOW;
        const wakeUntil = (untilMs: number): void => {
          for (;;) {
            const wakeMs = limit.nextWakeMs(now);
            if (wakeMs === null || wakeMs > untilMs) break;
            expect(wakeMs - now).toBeLessThanOrEqual(keepMs);
            now = wakeMs;
            for (let due = limit.takeDue(now); due !== null; due = limit.takeDue(now)) send(due);
          }
          now = untilMs;
        };
        steps.forEach((step, serial) => {
          wakeUntil(now + step.afterMs);
          const notice = noticeOf(step, serial);
          last.set(notice.recipient, notice);
          if (limit.admit(notice, now).kind === 'pass') send(notice);
        });
        wakeUntil(now + keepMs);
        expect(limit.keptCount).toBe(0);
        expect(limit.keptBytes).toBe(0);
        expect(sent).toEqual(last);
      }),
      { numRuns: 200 },
    );
  });

  it('accounts for every notice and stays within its bounds, also when the clock jumps', () => {
    fc.assert(
      fc.property(options, stepsOf(60), fc.infiniteStream(fc.boolean()), (given, steps, jumps) => {
        const limit = new RecipientLimit(given);
        let passed = 0;
        let superseded = 0;
        let full = 0;
        let now = NOW;
        steps.forEach((step, serial) => {
          now += jumps.next().value === true && serial % 5 === 0 ? -step.afterMs : step.afterMs;
          if (step.wakes) while (limit.takeDue(now) !== null) passed += 1;
          const verdict = limit.admit(noticeOf(step, serial), now);
          if (verdict.kind === 'full') full += 1;
          else if (verdict.supersedes) superseded += 1;
          if (verdict.kind === 'pass') passed += 1;
          expect(limit.keptCount).toBeLessThanOrEqual(given.maxKept);
          expect(limit.keptBytes).toBeLessThanOrEqual(given.maxKeptBytes);
          expect(limit.recipientCount).toBeLessThanOrEqual(given.maxRecipients);
          expect(passed + superseded + full + limit.keptCount).toBe(serial + 1);
        });
        expect(limit.takeAll()).toHaveLength(steps.length - passed - superseded - full);
        expect(limit.keptBytes).toBe(0);
      }),
      { numRuns: 200 },
    );
  });
});
