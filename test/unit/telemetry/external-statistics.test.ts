import { describe, expect, it } from 'vitest';
import type { ServiceName } from '../../../src/domain/ids.js';
import { Metrics } from '../../../src/telemetry/metrics.js';
import { AllTimeCounters, Statistics } from '../../../src/telemetry/statistics.js';

const HUAWEI = 'huawei' as ServiceName;

function setUp(loaded: { service: string; name: string; value: number }[] = []) {
  const clock = { now: 1_700_000_000_000, nowMs: () => clock.now };
  const persisted: [string, string, number][] = [];
  const statistics = new Statistics({
    counters: new AllTimeCounters(loaded, (...change) => persisted.push(change)),
    metrics: new Metrics(),
    services: ['apns' as ServiceName],
    network: () => ({
      blockHash: '',
      blockHeight: -1,
      swarms: 0,
      nodes: 0,
      linksUp: 0,
      linksPending: 0,
      accountsMonitored: 0,
    }),
    subscriptions: () => new Map(),
    clock,
  });
  statistics.addExternal(HUAWEI);
  const shown = () =>
    (statistics.snapshot()['notifier'] as Record<string, Record<string, unknown>>)['huawei'];
  return { clock, persisted, statistics, shown };
}

describe('statistics of an external notifier', () => {
  it('are what it reports: sums, replaced numbers and texts', () => {
    const { statistics, shown } = setUp();
    expect(
      statistics.report(HUAWEI, [
        { kind: 'add', name: 'notifies', value: 5 },
        { kind: 'set', name: 'rate', value: 7 },
        { kind: 'set', name: '__proto__', value: 'text' },
      ]),
    ).toBe(true);
    statistics.report(HUAWEI, [
      { kind: 'add', name: 'notifies', value: -2 },
      { kind: 'set', name: 'rate', value: 4 },
    ]);
    expect(Object.entries(shown() ?? {})).toEqual([
      ['subscription', 0],
      ['sub_renew', 0],
      ['notifies', 3],
      ['rate', 4],
      ['__proto__', 'text'],
    ]);
    statistics.report(HUAWEI, [
      { kind: 'set', name: '__proto__', value: 1 },
      { kind: 'set', name: 'rate', value: 'high' },
    ]);
    expect(Object.entries(shown() ?? {}).slice(3)).toEqual([
      ['rate', 'high'],
      ['__proto__', 1],
    ]);
  });

  it('tell when it reported last and whether that is less than a minute ago', () => {
    const { statistics, clock } = setUp();
    expect(statistics.snapshot()).toMatchObject({ 'alive.huawei': false });
    expect(statistics.snapshot()).not.toHaveProperty('last.huawei');
    statistics.report(HUAWEI, []);
    clock.now += 60_000;
    expect(statistics.snapshot()).toMatchObject({ 'alive.huawei': true, 'last.huawei': 1_700_000_000 });
    clock.now += 1;
    expect(statistics.snapshot()).toMatchObject({ 'alive.huawei': false, 'last.huawei': 1_700_000_000 });
  });

  it('outlive a restart, the time of the last report too', () => {
    const first = setUp();
    first.statistics.report(HUAWEI, [{ kind: 'add', name: 'notifies', value: 5 }]);
    const again = setUp(first.persisted.map(([service, name, value]) => ({ service, name, value })));
    expect(again.shown()).toMatchObject({ notifies: 5 });
    expect(again.statistics.snapshot()).toMatchObject({ 'last.huawei': 1_700_000_000, 'alive.huawei': true });
  });

  it('change by a whole report or not at all', () => {
    const { statistics, shown } = setUp();
    const big = Number.MAX_SAFE_INTEGER;
    statistics.report(HUAWEI, [{ kind: 'set', name: 'big', value: big }]);
    expect(
      statistics.report(HUAWEI, [
        { kind: 'add', name: 'notifies', value: 1 },
        { kind: 'add', name: 'big', value: 1 },
      ]),
    ).toBe(false);
    expect(shown()).toEqual({ subscription: 0, sub_renew: 0, big });
    expect(statistics.report('stranger' as ServiceName, [])).toBe(false);
  });

  it('are bounded, however many names it thinks of', () => {
    const { statistics, shown } = setUp();
    for (let number = 0; number < 1000; number += 1) {
      statistics.report(HUAWEI, [{ kind: 'set', name: `name ${number}`, value: number % 2 ? 'text' : 1 }]);
    }
    expect(Object.keys(shown() ?? {}).length).toBeLessThanOrEqual(102);
  });

  it('do not count a delivery twice: it counts its own', () => {
    const { statistics, shown } = setUp();
    statistics.delivered(HUAWEI, 1);
    statistics.failed(HUAWEI);
    statistics.subscribed(HUAWEI, 'added');
    statistics.report(HUAWEI, [{ kind: 'add', name: 'notifies', value: 1 }]);
    expect(shown()).toEqual({ subscription: 1, sub_renew: 0, notifies: 1 });
  });
});
