import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Metrics } from './metrics.js';

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
        readonly pausedUntilMs: number | null;
        readonly breaker: string;
      };
    }
  >;
  readonly outbox: { stats(): Promise<ReadonlyMap<string, { readonly waiting: number }>> };
  readonly clock: { nowMs(): number };
  /** How long the first load of the index took; 0 while it is under way. */
  readonly loadSeconds: () => number;
}

/** Everything that is read rather than counted, under its Prometheus name. */
export function registerGauges(
  metrics: Metrics,
  { index, network, actors, outbox, clock, loadSeconds }: GaugeSources,
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
    'pushes in memory',
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
  metrics.asyncLabelledGauge('waggle_outbox_waiting', 'pushes waiting in the outbox', 'notifier', async () =>
    [...(await outbox.stats())].map(([service, { waiting }]) => [service, waiting] as const),
  );

  const loopDelay = monitorEventLoopDelay({ resolution: 10 });
  loopDelay.enable();
  metrics.gauge('waggle_event_loop_longest_stall_seconds', 'since the last time this was read', () => {
    const longest = loopDelay.max / 1e9;
    loopDelay.reset();
    return longest;
  });
}
