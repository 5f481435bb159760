import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { OriginGates, originGatesDefaults, type GateResult } from '../../../src/notifiers/origin-gates.js';

const A = 'https://a.example';
const B = 'https://b.example';
const OK: GateResult = { kind: 'ok' };
const FAILED: GateResult = { kind: 'failed' };

/** One request that begins and ends at once. */
function pass(
  gates: OriginGates,
  origin: string,
  nowMs: number,
  result: GateResult,
  endpoint = `${origin}/1`,
): void {
  expect(gates.enter(origin, nowMs)).toBeNull();
  gates.leave(origin, nowMs, result, endpoint);
}

const enterMany = (gates: OriginGates, origin: string, count: number, nowMs = 0): number =>
  Array.from({ length: count }, () => gates.enter(origin, nowMs)).filter((refusal) => refusal === null)
    .length;

describe('the gate of an origin', () => {
  it('bounds the requests at once, and each origin has its own bound', () => {
    const gates = new OriginGates({ firstInFlight: 2, maxInFlight: 2 });
    expect(enterMany(gates, A, 5)).toBe(2);
    expect(gates.enter(A, 0)).toMatchObject({ reason: 'origin-busy' });
    expect(gates.enter(B, 0)).toBeNull();
    gates.leave(A, 0, OK);
    expect(gates.enter(A, 0)).toBeNull();
  });

  it('gives a stranger little, one that answers well ever more, one that fails half', () => {
    const gates = new OriginGates({ firstInFlight: 2, maxInFlight: 10 });
    for (let count = 0; count < 20; count += 1) pass(gates, A, 0, OK);
    expect(enterMany(gates, A, 50)).toBe(10);
    gates.leave(A, 0, FAILED);
    for (let count = 0; count < 9; count += 1) gates.leave(A, 0, { kind: 'unknown' });
    expect(enterMany(gates, A, 50)).toBe(5);
  });

  it('stays shut for as long as the origin asks, at most the limit', () => {
    const gates = new OriginGates({ pauseMaxMs: 60_000 });
    pass(gates, A, 1_000, { kind: 'throttled', afterMs: 2_000 });
    expect(gates.enter(A, 1_000)).toEqual({ postponeMs: 2_000, reason: 'origin-paused' });
    expect(gates.enter(A, 2_999)).toEqual({ postponeMs: 1, reason: 'origin-paused' });
    expect(gates.enter(B, 1_000)).toBeNull();
    pass(gates, A, 3_000, { kind: 'failed', afterMs: 1e12 });
    expect(gates.enter(A, 3_000)).toMatchObject({ postponeMs: 60_000 });
    pass(gates, A, 63_000, { kind: 'throttled', afterMs: null });
    expect(gates.enter(A, 63_000)).toMatchObject({ postponeMs: originGatesDefaults.throttledMs });
  });

  it('is not shut for longer because the clock was put back', () => {
    const gates = new OriginGates({ failuresUntilBackOff: 1 });
    pass(gates, A, 5_000_000, { kind: 'throttled', afterMs: 60_000 });
    pass(gates, B, 5_000_000, FAILED);
    expect(gates.enter(A, 5_000_000)).not.toBeNull();
    expect(gates.enter(B, 5_000_000)).not.toBeNull();
    expect(gates.enter(A, 1_000_000)).toBeNull();
    expect(gates.enter(B, 1_000_000)).toBeNull();
  });

  it('is not opened earlier by a second, shorter wish', () => {
    const gates = new OriginGates();
    expect(enterMany(gates, A, 2)).toBe(2);
    gates.leave(A, 0, { kind: 'throttled', afterMs: 9_000 });
    gates.leave(A, 0, { kind: 'throttled', afterMs: 1_000 });
    expect(gates.enter(A, 0)).toMatchObject({ postponeMs: 9_000 });
  });

  it('shuts after failures in a row, probes with one request, and shuts for twice as long', () => {
    const gates = new OriginGates({
      failuresUntilBackOff: 3,
      backOffFirstMs: 1_000,
      backOffMaxMs: 3_000,
      spreadMaxMs: 0,
    });
    for (let count = 0; count < 3; count += 1) pass(gates, A, 0, FAILED);
    expect(gates.enter(A, 0)).toEqual({ postponeMs: 1_000, reason: 'origin-failing' });
    expect(gates.enter(A, 1_000)).toBeNull();
    expect(gates.enter(A, 1_000)).toMatchObject({ reason: 'origin-failing' });
    gates.leave(A, 1_000, FAILED);
    expect(gates.enter(A, 1_000)).toMatchObject({ postponeMs: 2_000 });
    pass(gates, A, 3_000, FAILED);
    expect(gates.enter(A, 3_000)).toMatchObject({ postponeMs: 3_000 });
    pass(gates, A, 6_000, OK);
    expect(gates.enter(A, 6_000)).toBeNull();
  });

  it('counts those that failed together as one failure, and an answer ends the row', () => {
    const gates = new OriginGates({
      failuresUntilBackOff: 2,
      backOffFirstMs: 1_000,
      firstInFlight: 8,
      maxInFlight: 8,
    });
    expect(enterMany(gates, A, 8)).toBe(8);
    for (let count = 0; count < 8; count += 1) gates.leave(A, 0, FAILED);
    expect(gates.enter(A, 0)).toMatchObject({ postponeMs: 1_000 });
    pass(gates, B, 0, FAILED);
    pass(gates, B, 0, OK);
    pass(gates, B, 0, FAILED);
    expect(gates.enter(B, 0)).toBeNull();
  });

  it('takes a refusal for the fault of an endpoint, those of several in a row for a word to all of us', () => {
    const gates = new OriginGates({ failuresUntilBackOff: 3 });
    const refused: GateResult = { kind: 'refused', afterMs: 50_000 };
    pass(gates, A, 0, refused, 'a');
    pass(gates, A, 0, refused, 'b');
    pass(gates, A, 0, OK, 'd');
    for (let count = 0; count < 10; count += 1) pass(gates, A, 3_000, refused, 'a');
    pass(gates, A, 3_000, refused, 'b');
    pass(gates, A, 3_000, refused, 'c');
    expect(gates.enter(A, 3_000)).toMatchObject({ postponeMs: 50_000 });
  });

  it('is not shut by refusals while it takes what goes to others, nor for an hour because one endpoint asks so', () => {
    const gates = new OriginGates({ failuresUntilBackOff: 3, backOffMaxMs: 300_000 });
    const refused: GateResult = { kind: 'refused', afterMs: 3_600_000 };
    pass(gates, A, 0, OK);
    for (let nowMs = 0; nowMs < 60_000; nowMs += 1_000) {
      for (let number = 0; number < 20; number += 1) pass(gates, A, nowMs, refused, `${number}`);
      pass(gates, A, nowMs, OK);
    }
    for (let number = 0; number < 3; number += 1) pass(gates, A, 70_000, refused, `${number}`);
    expect(gates.enter(A, 70_000)).toMatchObject({ postponeMs: 300_000 });
  });

  it('is shut to a host that takes nothing, as somebody may have named it who does not own it', () => {
    const gates = new OriginGates({ failuresUntilBackOff: 3, backOffFirstMs: 2_000 });
    for (let count = 0; count < 3; count += 1) pass(gates, A, 0, { kind: 'rejected' });
    expect(gates.enter(A, 0)).toMatchObject({ postponeMs: 2_000, reason: 'origin-failing' });
    for (let count = 0; count < 16; count += 1) pass(gates, B, 0, OK);
    for (let count = 0; count < 100; count += 1) pass(gates, B, 0, { kind: 'rejected' });
    const known = new OriginGates({ isKnown: (origin) => origin === A });
    for (let count = 0; count < 100; count += 1) pass(known, A, 0, { kind: 'rejected' });
  });

  it('shares few requests among all strangers: any number of hosts that hang leaves room for the others', () => {
    const gates = new OriginGates({ strangersInFlight: 10, isKnown: (origin) => origin === B });
    for (let count = 0; count < 16; count += 1) pass(gates, A, 0, OK);
    const hanging = Array.from({ length: 50 }, (_, number) => `https://${number}.example`);
    const refusals = hanging.map((origin) => gates.enter(origin, 0)).filter((refusal) => refusal !== null);
    expect(refusals).toHaveLength(40);
    expect(refusals[0]).toEqual({ postponeMs: 500, reason: 'origin-busy' });
    expect(refusals.at(-1)).toEqual({ postponeMs: 2_000, reason: 'origin-busy' });
    expect(enterMany(gates, A, 4)).toBe(4);
    expect(enterMany(gates, B, 4)).toBe(4);
    for (const origin of hanging.slice(0, 10)) gates.leave(origin, 10_000, FAILED);
    expect(gates.enter('https://another.example', 10_000)).toBeNull();
  });

  it('takes an origin that begins to hang for a stranger again', () => {
    const gates = new OriginGates({ strangersInFlight: 1 });
    for (let count = 0; count < 1_000; count += 1) pass(gates, A, 0, OK);
    pass(gates, A, 0, FAILED);
    expect(enterMany(gates, A, 2)).toBe(2);
    gates.leave(A, 0, FAILED);
    gates.leave(A, 0, { kind: 'unknown' });
    expect(enterMany(gates, A, 2)).toBe(1);
  });

  it('lets those that wait come back one after the other', () => {
    const gates = new OriginGates({ firstInFlight: 2, maxInFlight: 2, busyRetryMs: 100, spreadMaxMs: 1_000 });
    enterMany(gates, A, 2);
    const waits = Array.from({ length: 6 }, () => gates.enter(A, 0)?.postponeMs);
    expect(waits).toEqual([100, 100, 200, 200, 300, 300]);
    for (let count = 0; count < 1_000; count += 1) gates.enter(A, 0);
    expect(gates.enter(A, 0)?.postponeMs).toBe(1_100);
  });

  it('learns nothing from a request that we ended ourselves', () => {
    const gates = new OriginGates({ failuresUntilBackOff: 1 });
    pass(gates, A, 0, { kind: 'unknown' });
    expect(gates.enter(A, 0)).toBeNull();
  });

  it('calls it a bug to leave what was not entered', () => {
    const gates = new OriginGates();
    expect(() => gates.leave(A, 0, OK)).toThrow(RangeError);
    pass(gates, A, 0, OK);
    expect(() => gates.leave(A, 0, OK)).toThrow(RangeError);
  });
});

describe('the memory of origins', () => {
  it('forgets the one that was not used for longest, never one with requests under way', () => {
    const gates = new OriginGates({ maxOrigins: 2 });
    pass(gates, A, 0, { kind: 'throttled', afterMs: 9_000 });
    pass(gates, B, 0, { kind: 'throttled', afterMs: 9_000 });
    gates.enter(A, 0);
    pass(gates, 'https://c.example', 0, OK);
    expect(gates.enter(B, 0)).toBeNull();
    expect(gates.size).toBe(2);
    for (let count = 0; count < 10; count += 1) gates.enter(`https://${count}.example`, 0);
    expect(gates.inFlight(B)).toBe(1);
    expect(gates.size).toBe(11);
    gates.leave(B, 0, OK);
    for (let count = 0; count < 10; count += 1) gates.leave(`https://${count}.example`, 0, OK);
    expect(gates.size).toBe(2);
  });

  it('keeps its bounds and promises through any course of events', () => {
    const origins = [A, B, 'https://c.example', 'https://d.example'] as const;
    const result = fc.oneof<fc.Arbitrary<GateResult>[]>(
      fc.constant(OK),
      fc.constant({ kind: 'unknown' }),
      fc.constant({ kind: 'rejected' }),
      fc.option(fc.integer({ min: 0, max: 100_000 })).map((afterMs) => ({ kind: 'throttled', afterMs })),
      fc.option(fc.integer({ min: 0, max: 100_000 })).map((afterMs) => ({ kind: 'refused', afterMs })),
      fc.option(fc.integer({ min: 0, max: 100_000 })).map((afterMs) => ({ kind: 'failed', afterMs })),
    );
    const step = fc.record({
      origin: fc.constantFrom(...origins),
      stepMs: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 5_000 })),
      leave: fc.boolean(),
      result,
    });
    const options = {
      firstInFlight: 2,
      maxInFlight: 4,
      maxOrigins: 2,
      strangersInFlight: 3,
      pauseMaxMs: 50_000,
      backOffMaxMs: 40_000,
    };
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const gates = new OriginGates(options);
        const inFlight = new Map<string, number>(origins.map((origin) => [origin, 0]));
        let nowMs = 0;
        for (const { origin, stepMs, leave, result: outcome } of steps) {
          nowMs += stepMs;
          const under = inFlight.get(origin) ?? 0;
          if (leave && under > 0) {
            gates.leave(origin, nowMs, outcome);
            inFlight.set(origin, under - 1);
          } else {
            const refusal = gates.enter(origin, nowMs);
            if (refusal === null) inFlight.set(origin, under + 1);
            else {
              expect(refusal.postponeMs).toBeGreaterThan(0);
              expect(refusal.postponeMs).toBeLessThanOrEqual(50_000 + originGatesDefaults.spreadMaxMs);
            }
          }
          expect(gates.inFlight(origin)).toBe(inFlight.get(origin));
          expect(inFlight.get(origin)).toBeLessThanOrEqual(4);
          const busy = [...inFlight.values()].filter((count) => count > 0).length;
          expect(gates.size).toBeLessThanOrEqual(Math.max(2, busy + 1));
        }
      }),
    );
  });
});
