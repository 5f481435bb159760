import { describe, expect, it } from 'vitest';
import { CircuitBreaker } from '../../../src/delivery-rules/circuit-breaker.js';
import { DeadTokenGuard } from '../../../src/delivery-rules/dead-token-guard.js';
import { tokenOf } from '../../simulators/subscriptions.js';
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
    Array.from({ length: tries }, (_, i) => guard.allow(service, tokenOf(`${i}`))).filter(Boolean).length;
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

  it('lets no more go in any stretch of its window, wherever that begins', () => {
    const { allowed, clock } = setUp(1000);
    expect(allowed(APNS, 1)).toBe(1);
    clock.now = 599_000;
    expect(allowed(APNS, 39)).toBe(39);
    clock.now = 601_000;
    expect(allowed(APNS, 40)).toBeLessThanOrEqual(11);
  });

  it('removes nothing while as many go on dying, however long, and says so in every window', () => {
    const { allowed, alarms, clock, guard } = setUp(1000);
    let removed = 0;
    for (let minute = 0; minute < 120; minute += 1) {
      clock.now = minute * 60_000;
      removed += allowed(APNS, 100);
    }
    expect(removed).toBe(50);
    expect(guard.alarmed()).toEqual([APNS]);
    expect(alarms).toHaveLength(12);
  });

  it('removes again after a whole window in which no more than allowed would have gone', () => {
    const { allowed, clock, guard } = setUp(1000);
    expect(allowed(APNS, 51)).toBe(50);
    clock.now = 599_999;
    expect(allowed(APNS, 30)).toBe(0);
    // The same again do not count.
    expect(allowed(APNS, 30)).toBe(0);
    clock.now = 600_000;
    expect(guard.alarmed()).toEqual([]);
    expect(allowed(APNS, 30)).toBe(30);
  });

  it('stays stopped no longer and no shorter because the clock was put back', () => {
    const { allowed, clock, guard } = setUp(1000);
    clock.now = 10_000_000;
    expect(allowed(APNS, 100)).toBe(50);
    clock.now = 1_000_000;
    expect(allowed(APNS, 10)).toBe(0);
    clock.now = 1_600_000;
    expect(guard.alarmed()).toEqual([]);
  });

  it('keeps servers of strangers apart from each other and from the provider of the service', () => {
    const { alarms, guard } = setUp(1000);
    const tries = (server: string | null): number =>
      Array.from({ length: 100 }, (_, i) => guard.allow(APNS, tokenOf(`${i}`), server)).filter(Boolean)
        .length;
    expect(tries('https://attacker.example')).toBe(50);
    expect(guard.alarmed()).toEqual([]);
    expect(alarms).toHaveLength(1);
    expect(tries('https://ntfy.sh')).toBe(50);
    expect(tries(null)).toBe(50);
    expect(guard.alarmed()).toEqual([APNS]);
    expect(guard.refuses(APNS, tokenOf('x'), 'https://attacker.example')).toBe(true);
    expect(guard.refuses(APNS, tokenOf('x'), 'https://another.example')).toBe(false);
  });

  it('remembers a bounded number of servers, and never forgets the service for them', () => {
    const { allowed, guard } = setUp(1000);
    expect(allowed(APNS, 51)).toBe(50);
    for (let i = 0; i < 10_000; i += 1) guard.allow(APNS, tokenOf('x'), `https://${i}.example`);
    expect(allowed(APNS, 1)).toBe(0);
    expect(guard.size).toBe(4096);
  });

  it('remembers a bounded number of the devices that would have gone', () => {
    const { allowed, clock, guard } = setUp(0);
    expect(allowed(APNS, 10_000)).toBe(20);
    clock.now = 600_000;
    expect(guard.alarmed()).toEqual([APNS]);
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
