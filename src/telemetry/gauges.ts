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
    readonly unwritten: number;
  };
  /** Services whose dead tokens are not removed now, because there are too many. */
  readonly deadTokenGuard: { alarmed(): readonly string[] };
  readonly clock: { nowMs(): number };
  /** Apps whose older clients are served. */
  readonly legacy: readonly {
    readonly brand: { readonly name: string };
    readonly directory: {
      readonly deviceCount: number;
      readonly groupCount: number;
      readonly membershipCount: number;
    };
  }[];
  /** Devices of XMPP users and connections to XMPP servers; absent where none are served. */
  readonly xmpp?: {
    /** Types are those of the configuration. */
    countsByType(): Iterable<readonly [string, number]>;
    links(): readonly { readonly domain: string; readonly state: string }[];
  };
  /** How long the first load of the index took; 0 while it is under way. */
  readonly loadSeconds: () => number;
}

/** Everything that is read rather than counted, under its Prometheus name. */
export function registerGauges(
  metrics: Metrics,
  { index, network, actors, outbox, deadTokenGuard, clock, loadSeconds, legacy, xmpp }: GaugeSources,
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
  metrics.gauge(
    'waggle_outbox_unwritten',
    'of these: not committed yet, so that a crash would lose them',
    () => outbox.unwritten,
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

  const ofBrands = (which: 'deviceCount' | 'groupCount' | 'membershipCount') =>
    function* (): Iterable<[string, number]> {
      for (const { brand, directory } of legacy) yield [brand.name, directory[which]];
    };
  metrics.labelledGauge('waggle_legacy_devices', 'tokens of older clients', 'brand', ofBrands('deviceCount'));
  metrics.labelledGauge('waggle_legacy_groups', 'groups of older clients', 'brand', ofBrands('groupCount'));
  metrics.labelledGauge(
    'waggle_legacy_memberships',
    'members of all groups of older clients',
    'brand',
    ofBrands('membershipCount'),
  );

  if (xmpp !== undefined) {
    metrics.labelledGauge('waggle_xmpp_devices', 'devices of XMPP users', 'type', () => xmpp.countsByType());
    metrics.labelledGauge(
      'waggle_xmpp_connections',
      'component connections that are up',
      'domain',
      function* () {
        const links = xmpp.links();
        for (const domain of new Set(links.map((link) => link.domain))) {
          yield [domain, links.filter((link) => link.domain === domain && isUp(link.state)).length];
        }
      },
    );
  }

  const loopDelay = monitorEventLoopDelay({ resolution: 10 });
  loopDelay.enable();
  metrics.gauge('waggle_event_loop_longest_stall_seconds', 'since the last time this was read', () => {
    const longest = loopDelay.max / 1e9;
    loopDelay.reset();
    return longest;
  });
}

/** Of `LinkState`; a draining connection still answers. */
const isUp = (state: string): boolean => state === 'online' || state === 'draining';
