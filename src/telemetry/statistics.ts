import type { Clock } from '../domain/clock.js';
import type { ServiceName } from '../domain/ids.js';
import { DeliveryRates, rateWindows, type RateWindow } from './delivery-rates.js';
import type { Metrics } from './metrics.js';

/** Where all-time counters live; `service` is empty for totals (spec session-push-v2, section 14). */
export interface CounterStore {
  add(service: string, name: string, delta: number): void;
  /** All-time values including what is not yet flushed. */
  valueOf(service: string, name: string): number;
  /** What was ever counted for a service. */
  namesOf(service: string): Iterable<string>;
}

/** One entry of an external notifier's report (spec session-push-v2, 8.4). */
export interface ReportedStatistic {
  readonly kind: 'set' | 'add';
  readonly name: string;
  /** A text only with `set`. */
  readonly value: number | string;
}

/** Names that one external notifier may report in all; each is a row in the database. */
const REPORTED_NAMES_MAX = 100;
/** The original's limit: it asks for a report every 5 s. */
const ALIVE_MS = 60_000;

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

/** What an external notifier told us, besides the numbers, which are counters like all others. */
interface ExternalReports {
  readonly texts: Map<string, string>;
  lastAtMs: number | null;
}

/**
 * What the original's `admin.get_stats` tells, under the same keys, so that an operator's graphs go on; the rates are
 * right where the original's are not. Source: spec session-push-v2, section 13.
 */
export class Statistics {
  readonly #startedAtMs: number;
  readonly #rates = new Map<ServiceName, DeliveryRates>();
  readonly #external = new Map<ServiceName, ExternalReports>();
  #pushesCounted = 0;
  #framesCounted = 0;

  constructor(private readonly deps: StatisticsDeps) {
    this.#startedAtMs = deps.clock.nowMs();
    for (const service of deps.services) this.#rates.set(service, new DeliveryRates(deps.clock));
  }

  /** A notifier in another process, which counts its deliveries itself and reports them. Idempotent. */
  addExternal(service: ServiceName): void {
    if (this.#external.has(service)) return;
    const lastAtMs = this.deps.counters.valueOf('', lastReportOf(service)) * 1000;
    this.#external.set(service, { texts: new Map(), lastAtMs: lastAtMs > 0 ? lastAtMs : null });
  }

  /** Takes a report as a whole, or not at all: false when something about it is wrong. Spec session-push-v2, 8.4. */
  report(service: ServiceName, statistics: readonly ReportedStatistic[]): boolean {
    const reports = this.#external.get(service);
    if (reports === undefined) return false;
    const { counters, clock } = this.deps;
    const names = new Set([...counters.namesOf(service), ...reports.texts.keys()]);
    for (const { kind, name, value } of statistics) {
      names.add(name);
      const sum = typeof value === 'number' && kind === 'add' ? counters.valueOf(service, name) + value : 0;
      if (!Number.isSafeInteger(sum)) return false;
    }
    if (names.size > REPORTED_NAMES_MAX) return false;

    for (const { kind, name, value } of statistics) {
      if (typeof value === 'string') {
        reports.texts.set(name, value);
      } else {
        reports.texts.delete(name);
        counters.add(service, name, kind === 'add' ? value : value - counters.valueOf(service, name));
      }
    }
    reports.lastAtMs = clock.nowMs();
    const last = lastReportOf(service);
    counters.add('', last, Math.floor(reports.lastAtMs / 1000) - counters.valueOf('', last));
    return true;
  }

  subscribed(service: ServiceName, result: 'added' | 'updated' | 'stale'): void {
    const name = result === 'added' ? 'subscription' : 'sub_renew';
    this.deps.counters.add(service, name, 1);
    this.deps.counters.add('', name, 1);
  }

  delivered(service: ServiceName, attempts: number): void {
    if (this.#external.has(service)) return;
    this.deps.counters.add(service, 'notifies', 1);
    if (attempts > 0) this.deps.counters.add(service, 'notify_retries', 1);
    this.#rates.get(service)?.add();
  }

  failed(service: ServiceName): void {
    if (this.#external.has(service)) return;
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
      // These notifiers live in this process: they are as alive as we are.
      reports[lastReportOf(service)] = Math.floor(now / 1000);
      reports[`alive.${service}`] = true;
    }
    for (const [service, { lastAtMs }] of this.#external) {
      if (lastAtMs !== null) reports[lastReportOf(service)] = Math.floor(lastAtMs / 1000);
      reports[`alive.${service}`] = lastAtMs !== null && now - lastAtMs <= ALIVE_MS;
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
      notifier: { ...perService, ...this.#ofExternals() },
    };
  }

  #ofExternals(): Record<string, Record<string, number | string>> {
    const { counters } = this.deps;
    const shown: [string, Record<string, number | string>][] = [];
    for (const [service, { texts }] of this.#external) {
      const values = new Map<string, number | string>();
      for (const name of ['subscription', 'sub_renew', ...counters.namesOf(service)]) {
        values.set(name, counters.valueOf(service, name));
      }
      for (const [name, text] of texts) values.set(name, text);
      // Names of a peer's choice: `fromEntries` makes a property of every one, `__proto__` too.
      shown.push([service, Object.fromEntries(values)]);
    }
    return Object.fromEntries(shown);
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

const lastReportOf = (service: string): string => `last.${service}`;

/** All-time counters: what the database held at the start plus what was added since; additions go on to `persist`. */
export class AllTimeCounters implements CounterStore {
  readonly #services = new Map<string, Map<string, number>>();

  constructor(
    loaded: Iterable<{ readonly service: string; readonly name: string; readonly value: number }>,
    private readonly persist: (service: string, name: string, delta: number) => void,
  ) {
    for (const { service, name, value } of loaded) this.#of(service).set(name, value);
  }

  add(service: string, name: string, delta: number): void {
    const values = this.#of(service);
    values.set(name, (values.get(name) ?? 0) + delta);
    this.persist(service, name, delta);
  }

  valueOf(service: string, name: string): number {
    return this.#services.get(service)?.get(name) ?? 0;
  }

  namesOf(service: string): Iterable<string> {
    return this.#services.get(service)?.keys() ?? [];
  }

  #of(service: string): Map<string, number> {
    let values = this.#services.get(service);
    if (values === undefined) {
      values = new Map();
      this.#services.set(service, values);
    }
    return values;
  }
}
