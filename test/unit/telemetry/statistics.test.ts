import { describe, expect, it } from 'vitest';
import type { ServiceName } from '../../../src/domain/ids.js';
import { DeliveryRates } from '../../../src/telemetry/delivery-rates.js';
import { Metrics } from '../../../src/telemetry/metrics.js';
import { Statistics } from '../../../src/telemetry/statistics.js';

const APNS = 'apns' as ServiceName;

function memoryCounters() {
  const values = new Map<string, number>();
  return {
    add: (service: string, name: string, delta: number) =>
      void values.set(`${service} ${name}`, (values.get(`${service} ${name}`) ?? 0) + delta),
    valueOf: (service: string, name: string) => values.get(`${service} ${name}`) ?? 0,
    namesOf: (service: string) =>
      [...values.keys()]
        .filter((key) => key.startsWith(`${service} `))
        .map((key) => key.slice(service.length + 1)),
  };
}

describe('delivery rates', () => {
  it('say 86,400 a day for one a second, in every window, also shortly after the start', () => {
    const clock = { now: 1_700_000_005_000, nowMs: () => clock.now };
    const rates = new DeliveryRates(clock);
    for (let second = 1; second <= 7200; second += 1) {
      clock.now += 1000;
      rates.add();
      if (second === 30 || second === 7200) {
        for (const window of ['60m', '10m', '1m'] as const) {
          expect(Math.abs(rates.perDay(window) - 86_400) / 86_400).toBeLessThan(0.05);
        }
      }
    }
  });

  it('fall to nothing after the window has passed without deliveries', () => {
    const clock = { now: 1_700_000_000_000, nowMs: () => clock.now };
    const rates = new DeliveryRates(clock);
    rates.add(100);
    clock.now += 3_700_000;
    expect(rates.perDay('60m')).toBe(0);
  });
});

describe('statistics', () => {
  it('tell what the original told, under its keys', () => {
    const clock = { now: 1_700_000_000_000, nowMs: () => clock.now };
    const metrics = new Metrics();
    const statistics = new Statistics({
      counters: memoryCounters(),
      metrics,
      services: [APNS],
      network: () => ({
        blockHash: 'ab',
        blockHeight: 7,
        swarms: 4,
        nodes: 20,
        linksUp: 19,
        linksPending: 1,
        accountsMonitored: 2,
      }),
      subscriptions: () => new Map([[APNS, 3]]),
      clock,
    });
    statistics.subscribed(APNS, 'added');
    statistics.subscribed(APNS, 'updated');
    statistics.delivered(APNS, 1);
    statistics.failed(APNS);
    metrics.framesReceived.add(5);
    metrics.pushesAccepted.of('apns').add(2);
    clock.now += 1500;
    const once = statistics.snapshot();
    expect(statistics.snapshot()).toEqual(once);
    expect(once).toMatchObject({
      block_hash: 'ab',
      block_height: 7,
      swarms: 4,
      snodes: 20,
      connections: 19,
      pending_connections: 1,
      accounts_monitored: 2,
      uptime: 1.5,
      subscriptions: { apns: 3, total: 3 },
      subscription: 1,
      sub_renew: 1,
      notifications: 2,
      pushes: 5,
      'last.apns': 1_700_000_001,
      'alive.apns': true,
      notifier: { apns: { subscription: 1, sub_renew: 1, notifies: 1, notify_retries: 1, failures: 1 } },
    });
  });
});
