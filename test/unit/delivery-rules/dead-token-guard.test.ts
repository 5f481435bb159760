import { describe, expect, it } from 'vitest';
import { CircuitBreaker } from '../../../src/delivery-rules/circuit-breaker.js';
import { DeadTokenGuard } from '../../../src/delivery-rules/dead-token-guard.js';
import type { ServiceName } from '../../../src/domain/ids.js';

const APNS = 'apns' as ServiceName;
const FCM = 'firebase' as ServiceName;

function setUp(subscriptions: number) {
  const clock = { now: 0, nowMs: () => clock.now };
  const alarms: ServiceName[] = [];
  const options = { percent: 5, minimum: 20, windowMs: 600_000 };
  const guard = new DeadTokenGuard(
    options,
    clock,
    () => subscriptions,
    (service) => alarms.push(service),
  );
  const allowed = (service: ServiceName, tries: number): number =>
    Array.from({ length: tries }, () => guard.allow(service)).filter(Boolean).length;
  return { clock, alarms, guard, allowed };
}

describe('the dead-token guard', () => {
  it('always lets a small number through', () => {
    expect(setUp(10).allowed(APNS, 100)).toBe(20);
  });

  it('stops at the share of a large service and raises one alarm', () => {
    const { allowed, alarms, guard } = setUp(10_000);
    expect(allowed(APNS, 2000)).toBe(500);
    expect(alarms).toEqual([APNS]);
    expect(guard.alarmed()).toEqual([APNS]);
  });

  it('keeps services apart', () => {
    const { allowed } = setUp(1000);
    expect(allowed(APNS, 100)).toBe(50);
    expect(allowed(FCM, 100)).toBe(50);
  });

  it('begins anew after its window', () => {
    const { allowed, clock, guard } = setUp(1000);
    expect(allowed(APNS, 100)).toBe(50);
    clock.now = 600_000;
    expect(guard.alarmed()).toEqual([]);
    expect(allowed(APNS, 100)).toBe(50);
  });
});

describe('the circuit breaker', () => {
  const make = () => new CircuitBreaker({ failures: 3, probeAfterMs: 1000 });

  it('opens after failures in a row only', () => {
    const breaker = make();
    breaker.failed(0);
    breaker.failed(0);
    breaker.succeeded();
    breaker.failed(0);
    breaker.failed(0);
    expect(breaker.state(0)).toBe('closed');
    breaker.failed(0);
    expect(breaker.state(0)).toBe('open');
  });

  it('probes after its time, and opens again when the probe fails', () => {
    const breaker = make();
    for (let i = 0; i < 3; i += 1) breaker.failed(0);
    expect(breaker.state(999)).toBe('open');
    expect(breaker.state(1000)).toBe('probing');
    breaker.failed(1000);
    expect(breaker.state(1500)).toBe('open');
    expect(breaker.state(2000)).toBe('probing');
    breaker.succeeded();
    expect(breaker.state(2000)).toBe('closed');
  });

  it('stays open no longer because the clock was put back', () => {
    const breaker = make();
    for (let i = 0; i < 3; i += 1) breaker.failed(10_000);
    expect(breaker.state(10_001)).toBe('open');
    expect(breaker.state(5_000)).toBe('probing');
  });
});
