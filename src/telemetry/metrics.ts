import { monitorEventLoopDelay } from 'node:perf_hooks';
import {
  collectDefaultMetrics,
  Counter as PromCounter,
  Gauge as PromGauge,
  Histogram,
  Registry,
} from 'prom-client';

/**
 * A number that a hot path adds to; Prometheus sees it only when somebody asks. prom-client's own counters hash
 * their labels on every increment, which would be the dearest step of the pipeline.
 */
export class Tally {
  value = 0;

  add(amount = 1): void {
    this.value += amount;
  }
}

/** One tally per value of one label. Values must come from a fixed set (our notifiers, our kinds), never from a peer. */
export class TallyFamily {
  readonly #tallies = new Map<string, Tally>();

  of(labelValue: string): Tally {
    let tally = this.#tallies.get(labelValue);
    if (tally === undefined) {
      tally = new Tally();
      this.#tallies.set(labelValue, tally);
    }
    return tally;
  }

  entries(): IterableIterator<[string, Tally]> {
    return this.#tallies.entries();
  }

  total(): number {
    let sum = 0;
    for (const tally of this.#tallies.values()) sum += tally.value;
    return sum;
  }
}

type Reading = () => number;
type LabelledReading = () => Iterable<readonly [string, number]>;

/** Every metric of the program, by the name that Prometheus sees. Counters only grow; gauges are read when asked. */
export class Metrics {
  readonly registry = new Registry();

  // The way of a notice.
  readonly framesReceived = this.#tally('waggle_frames_received_total', 'notify.message frames that arrived');
  readonly framesMalformed = this.#family(
    'waggle_frames_malformed_total',
    'frames that do not parse',
    'kind',
  );
  readonly framesForeign = this.#tally(
    'waggle_frames_foreign_total',
    'frames about an account of another swarm than the sender belongs to',
  );
  readonly framesDuplicate = this.#tally(
    'waggle_frames_duplicate_total',
    'further copies of a message handed over',
  );
  readonly framesUnmatched = this.#tally(
    'waggle_frames_unmatched_total',
    'frames that no subscription asked for',
  );
  readonly stageFailures = this.#family(
    'waggle_stage_failures_total',
    'faults of our own in a stage',
    'stage',
  );

  // Pushes.
  readonly pushesAccepted = this.#family(
    'waggle_pushes_accepted_total',
    'pushes taken by a notifier',
    'notifier',
  );
  readonly pushesSpilled = this.#family(
    'waggle_pushes_spilled_total',
    'pushes sent to the outbox',
    'notifier',
  );
  readonly pushesLost = this.#family(
    'waggle_pushes_lost_total',
    'pushes lost: outbox full or away',
    'notifier',
  );
  readonly outboxEvicted = this.#family(
    'waggle_outbox_evicted_total',
    'pushes lost because more waited than the outbox may hold: the oldest go',
    'notifier',
  );
  readonly pushesExpired = this.#family(
    'waggle_pushes_expired_total',
    'pushes that expired unsent',
    'notifier',
  );
  readonly delivered = this.#family('waggle_pushes_delivered_total', 'pushes the provider took', 'notifier');
  readonly deadTokens = this.#family('waggle_pushes_dead_token_total', 'pushes to a dead token', 'notifier');
  readonly retried = this.#family('waggle_pushes_retried_total', 'attempts to be repeated', 'notifier');
  readonly pushesPostponed = this.#family(
    'waggle_pushes_postponed_total',
    'pushes put off unsent because their endpoint is paused or busy',
    'notifier',
  );
  readonly pushesSuperseded = this.#family(
    'waggle_pushes_superseded_total',
    'pushes that pacing left out for a later one of the same device',
    'notifier',
  );
  readonly dropped = this.#family('waggle_pushes_dropped_total', 'pushes given up', 'notifier');
  readonly misconfigured = this.#family(
    'waggle_pushes_misconfigured_total',
    'pushes refused for our credentials',
    'notifier',
  );
  readonly pushLatency = new Histogram({
    name: 'waggle_push_latency_seconds',
    help: 'from the arrival of a notice to the answer of the provider',
    labelNames: ['notifier'],
    buckets: [0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 30, 300],
    registers: [this.registry],
  });

  // Subscriptions.
  readonly subscriptionChanges = this.#family(
    'waggle_subscription_changes_total',
    'added, updated, stale, removed, expired, dead-token, restored, corrected, refused',
    'change',
  );
  readonly requests = this.#family(
    'waggle_http_requests_total',
    'answered client requests by result',
    'result',
  );
  readonly onionRequests = this.#family('waggle_onion_requests_total', 'onion requests by result', 'result');

  // The network.
  readonly linkConnects = this.#tally('waggle_link_connects_total', 'storage node links that came up');
  readonly linkFailures = this.#tally(
    'waggle_link_failures_total',
    'storage node links that failed or broke',
  );
  readonly oxenmqMalformed = this.#family('waggle_oxenmq_malformed_total', 'OxenMQ messages refused', 'kind');
  readonly monitorRequests = this.#family(
    'waggle_monitor_requests_total',
    'monitor.messages by result',
    'result',
  );
  readonly monitorEntries = this.#family(
    'waggle_monitor_entries_total',
    'entries of replies by result',
    'result',
  );
  readonly nodeListUpdates = this.#family('waggle_node_list_updates_total', 'node lists by result', 'result');
  readonly accountsMoved = this.#tally('waggle_accounts_moved_total', 'accounts that moved to another swarm');

  // Actors.
  readonly actorMessages = this.#family('waggle_actor_messages_total', 'messages handled', 'actor');
  readonly actorFailures = this.#family(
    'waggle_actor_failures_total',
    'messages whose handler threw',
    'actor',
  );

  // Store.
  readonly storeFailures = this.#family('waggle_store_failures_total', 'failed database calls', 'operation');

  /** Adds the process metrics of prom-client (CPU, memory, event loop lag). */
  collectProcessMetrics(): void {
    collectDefaultMetrics({ register: this.registry });
  }

  gauge(name: string, help: string, read: Reading): void {
    new PromGauge({
      name,
      help,
      registers: [this.registry],
      collect() {
        this.set(read());
      },
    });
  }

  labelledGauge(name: string, help: string, label: string, read: LabelledReading): void {
    new PromGauge({
      name,
      help,
      labelNames: [label],
      registers: [this.registry],
      collect() {
        this.reset();
        for (const [value, reading] of read()) this.set({ [label]: value }, reading);
      },
    });
  }

  /** A reading that may fail or hang (the database is away): the metric is then left out of that answer. */
  asyncLabelledGauge(
    name: string,
    help: string,
    label: string,
    read: () => Promise<Iterable<readonly [string, number]>>,
  ): void {
    new PromGauge({
      name,
      help,
      labelNames: [label],
      registers: [this.registry],
      async collect() {
        this.reset();
        try {
          for (const [value, reading] of await inTime(read())) this.set({ [label]: value }, reading);
        } catch {
          this.reset();
        }
      },
    });
  }

  #tally(name: string, help: string): Tally {
    const tally = new Tally();
    new PromCounter({
      name,
      help,
      registers: [this.registry],
      collect() {
        this.reset();
        this.inc(tally.value);
      },
    });
    return tally;
  }

  #family(name: string, help: string, label: string): TallyFamily {
    const family = new TallyFamily();
    new PromCounter({
      name,
      help,
      labelNames: [label],
      registers: [this.registry],
      collect() {
        this.reset();
        for (const [value, tally] of family.entries()) this.inc({ [label]: value }, tally.value);
      },
    });
    return family;
  }
}

export interface GaugeSources {
  readonly index: {
    readonly size: number;
    readonly accountCount: number;
    readonly reservedBytes: number;
    countsByService(): ReadonlyMap<string, number>;
  };
  readonly network: () => {
    readonly nodes: number;
    readonly swarms: number;
    readonly linksUp: number;
    readonly linksPending: number;
    readonly accountsMonitored: number;
    readonly blockHeight: number;
    readonly lastListAtMs: number | null;
  };
  readonly actors: ReadonlyMap<
    string,
    {
      status(): {
        readonly held: number;
        readonly inFlight: number;
        readonly waiting: number;
        readonly paced: number;
        readonly window: number;
        readonly pausedUntilMs: number | null;
        readonly breaker: string;
      };
      readonly notifier: {
        health(): {
          readonly state: string;
          readonly connections?: {
            readonly open: number;
            readonly opened: number;
            readonly replaced: number;
          };
        };
      };
    }
  >;
  readonly outbox: {
    stats(): Promise<ReadonlyMap<string, { readonly waiting: number }>>;
    readonly isFull: boolean;
  };
  /** Services whose dead tokens are not removed now, because there are too many. */
  readonly deadTokenGuard: { alarmed(): readonly string[] };
  readonly clock: { nowMs(): number };
  /** How long the first load of the index took; 0 while it is under way. */
  readonly loadSeconds: () => number;
}

/** Everything that is read rather than counted, under its Prometheus name. */
export function registerGauges(
  metrics: Metrics,
  { index, network, actors, outbox, deadTokenGuard, clock, loadSeconds }: GaugeSources,
): void {
  const ofActors = (
    read: (status: ReturnType<NonNullable<ReturnType<typeof actors.get>>['status']>) => number,
  ) =>
    function* (): Iterable<[string, number]> {
      for (const [service, actor] of actors) yield [service, read(actor.status())];
    };
  metrics.labelledGauge('waggle_subscriptions', 'subscriptions held', 'notifier', () =>
    index.countsByService(),
  );
  metrics.gauge('waggle_accounts', 'accounts with a subscription', () => index.accountCount);
  metrics.gauge('waggle_index_bytes', 'memory of subscription records', () => index.reservedBytes);
  metrics.gauge('waggle_index_load_seconds', 'the first load of the index', loadSeconds);
  metrics.gauge('waggle_swarms', 'swarms of the last node list', () => network().swarms);
  metrics.gauge('waggle_nodes', 'usable storage nodes', () => network().nodes);
  metrics.gauge('waggle_links_up', 'storage node links that are up', () => network().linksUp);
  metrics.gauge('waggle_links_pending', 'connection attempts under way', () => network().linksPending);
  metrics.gauge('waggle_accounts_monitored', 'accounts that have a swarm', () => network().accountsMonitored);
  metrics.gauge('waggle_block_height', 'of the last node list', () => network().blockHeight);
  metrics.gauge('waggle_node_list_age_seconds', 'since the last node list; -1 before the first', () => {
    const at = network().lastListAtMs;
    return at === null ? -1 : (clock.nowMs() - at) / 1000;
  });
  metrics.labelledGauge(
    'waggle_notifier_held',
    'pushes in memory, without those that pacing holds',
    'notifier',
    ofActors((status) => status.held),
  );
  metrics.labelledGauge(
    'waggle_notifier_in_flight',
    'pushes at the provider',
    'notifier',
    ofActors((status) => status.inFlight),
  );
  metrics.labelledGauge(
    'waggle_notifier_waiting',
    'pushes in memory that wait for the window',
    'notifier',
    ofActors((status) => status.waiting),
  );
  metrics.labelledGauge(
    'waggle_notifier_paced',
    'pushes held until their device may get another one',
    'notifier',
    ofActors((status) => status.paced),
  );
  metrics.labelledGauge(
    'waggle_notifier_window',
    'pushes that may be at the provider at once, now',
    'notifier',
    ofActors((status) => status.window),
  );
  metrics.labelledGauge(
    'waggle_notifier_paused',
    '1 while the provider wants a pause',
    'notifier',
    ofActors((status) => (status.pausedUntilMs === null ? 0 : 1)),
  );
  metrics.labelledGauge(
    'waggle_notifier_breaker',
    '0 closed, 1 probing, 2 open',
    'notifier',
    ofActors((status) => (status.breaker === 'open' ? 2 : status.breaker === 'probing' ? 1 : 0)),
  );
  metrics.labelledGauge(
    'waggle_notifier_failing',
    '1 while its connection or its credentials are in trouble',
    'notifier',
    function* () {
      for (const [service, { notifier }] of actors)
        yield [service, notifier.health().state === 'failing' ? 1 : 0];
    },
  );
  const ofConnections = (which: 'open' | 'opened' | 'replaced') =>
    function* (): Iterable<[string, number]> {
      for (const [service, { notifier }] of actors) {
        const { connections } = notifier.health();
        if (connections !== undefined) yield [service, connections[which]];
      }
    };
  metrics.labelledGauge(
    'waggle_notifier_connections',
    'open connections to the provider',
    'notifier',
    ofConnections('open'),
  );
  metrics.labelledGauge(
    'waggle_notifier_connections_opened',
    'connections to the provider opened since the start',
    'notifier',
    ofConnections('opened'),
  );
  metrics.labelledGauge(
    'waggle_notifier_connections_replaced',
    'of these: replaced because they had died, or at the wish of the provider',
    'notifier',
    ofConnections('replaced'),
  );
  metrics.asyncLabelledGauge('waggle_outbox_waiting', 'pushes waiting in the outbox', 'notifier', async () =>
    [...(await outbox.stats())].map(([service, { waiting }]) => [service, waiting] as const),
  );
  metrics.gauge('waggle_outbox_full', '1 while the last sweep found the outbox at its bound', () =>
    outbox.isFull ? 1 : 0,
  );

  metrics.labelledGauge(
    'waggle_dead_token_guard',
    '1 while the subscriptions of dead tokens are kept, because there are too many of them',
    'notifier',
    function* () {
      const alarmed = new Set(deadTokenGuard.alarmed());
      for (const service of new Set([...actors.keys(), ...alarmed]))
        yield [service, alarmed.has(service) ? 1 : 0];
    },
  );

  const loopDelay = monitorEventLoopDelay({ resolution: 10 });
  loopDelay.enable();
  metrics.gauge('waggle_event_loop_longest_stall_seconds', 'since the last time this was read', () => {
    const longest = loopDelay.max / 1e9;
    loopDelay.reset();
    return longest;
  });
}

/** Whoever asks for metrics waits some seconds at most, and wants the others above all when something hangs. */
const READING_TIMEOUT_MS = 2_000;

async function inTime<Value>(reading: Promise<Value>): Promise<Value> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error('late')), READING_TIMEOUT_MS);
  });
  try {
    return await Promise.race([reading, late]);
  } finally {
    clearTimeout(timer);
  }
}
