import type { Clock } from '../domain/clock.js';
import type { ServiceName } from '../domain/ids.js';
import { DeliveryRates, rateWindows, type RateWindow } from './delivery-rates.js';
import type { Metrics } from './metrics.js';

/** Where all-time counters live; `service` is empty for totals (spec session-push-v2, section 14). */
export interface CounterStore {
  add(service: string, name: string, delta: number): void;
  /** All-time values including what is not yet flushed. */
  valueOf(service: string, name: string): number;
}

export interface NetworkFigures {
  readonly blockHash: string;
  readonly blockHeight: number;
  readonly swarms: number;
  readonly nodes: number;
  readonly linksUp: number;
  readonly linksPending: number;
  readonly accountsMonitored: number;
}

export interface StatisticsDeps {
  readonly counters: CounterStore;
  readonly metrics: Metrics;
  readonly services: readonly ServiceName[];
  readonly network: () => NetworkFigures;
  readonly subscriptions: () => ReadonlyMap<ServiceName, number>;
  readonly clock: Clock;
}

/**
 * What the original's `admin.get_stats` tells, under the same keys, so that an operator's graphs go on; the rates are
 * right where the original's are not. Source: spec session-push-v2, section 13.
 */
export class Statistics {
  readonly #startedAtMs: number;
  readonly #rates = new Map<ServiceName, DeliveryRates>();
  #pushesCounted = 0;
  #framesCounted = 0;

  constructor(private readonly deps: StatisticsDeps) {
    this.#startedAtMs = deps.clock.nowMs();
    for (const service of deps.services) this.#rates.set(service, new DeliveryRates(deps.clock));
  }

  subscribed(service: ServiceName, result: 'added' | 'updated' | 'stale'): void {
    const name = result === 'added' ? 'subscription' : 'sub_renew';
    this.deps.counters.add(service, name, 1);
    this.deps.counters.add('', name, 1);
  }

  delivered(service: ServiceName, attempts: number): void {
    this.deps.counters.add(service, 'notifies', 1);
    if (attempts > 0) this.deps.counters.add(service, 'notify_retries', 1);
    this.#rates.get(service)?.add();
  }

  failed(service: ServiceName): void {
    this.deps.counters.add(service, 'failures', 1);
  }

  /** Moves what the pipeline has counted since the last call into the all-time counters. */
  collect(): void {
    const pushes = this.deps.metrics.pushesAccepted.total() + this.deps.metrics.pushesSpilled.total();
    const frames = this.deps.metrics.framesReceived.value;
    this.deps.counters.add('', 'notifications', pushes - this.#pushesCounted);
    this.deps.counters.add('', 'pushes', frames - this.#framesCounted);
    this.#pushesCounted = pushes;
    this.#framesCounted = frames;
  }

  snapshot(): Record<string, unknown> {
    this.collect();
    const { counters, network, subscriptions, clock, services } = this.deps;
    const now = clock.nowMs();
    const figures = network();
    const bySubscriptions = Object.fromEntries(subscriptions());
    const total = [...subscriptions().values()].reduce((sum, count) => sum + count, 0);
    const perService: Record<string, unknown> = {};
    const reports: Record<string, unknown> = {};
    for (const service of services) {
      perService[service] = this.#ofService(service);
      // Notifiers live in this process: they are as alive as we are.
      reports[`last.${service}`] = Math.floor(now / 1000);
      reports[`alive.${service}`] = true;
    }
    return {
      block_hash: figures.blockHash,
      block_height: figures.blockHeight,
      swarms: figures.swarms,
      snodes: figures.nodes,
      connections: figures.linksUp,
      pending_connections: figures.linksPending,
      accounts_monitored: figures.accountsMonitored,
      uptime: (now - this.#startedAtMs) / 1000,
      subscriptions: { ...bySubscriptions, total },
      subscription: counters.valueOf('', 'subscription'),
      sub_renew: counters.valueOf('', 'sub_renew'),
      notifications: counters.valueOf('', 'notifications'),
      pushes: counters.valueOf('', 'pushes'),
      ...reports,
      notifier: perService,
    };
  }

  #ofService(service: ServiceName): Record<string, number> {
    const { counters } = this.deps;
    const values: Record<string, number> = {};
    for (const name of ['subscription', 'sub_renew', 'notifies', 'notify_retries', 'failures']) {
      values[name] = counters.valueOf(service, name);
    }
    for (const window of Object.keys(rateWindows) as RateWindow[]) {
      values[`notifies_per_day.${window}`] = this.#rates.get(service)?.perDay(window) ?? 0;
    }
    return values;
  }
}

/** All-time counters: what the database held at the start plus what was added since; additions go on to `persist`. */
export class AllTimeCounters implements CounterStore {
  readonly #values = new Map<string, number>();

  constructor(
    loaded: Iterable<{ readonly service: string; readonly name: string; readonly value: number }>,
    private readonly persist: (service: string, name: string, delta: number) => void,
  ) {
    for (const { service, name, value } of loaded) this.#values.set(`${service}\0${name}`, value);
  }

  add(service: string, name: string, delta: number): void {
    const key = `${service}\0${name}`;
    this.#values.set(key, (this.#values.get(key) ?? 0) + delta);
    this.persist(service, name, delta);
  }

  valueOf(service: string, name: string): number {
    return this.#values.get(`${service}\0${name}`) ?? 0;
  }
}
