import {
  collectDefaultMetrics,
  Counter as PromCounter,
  Gauge as PromGauge,
  Histogram,
  Registry,
} from 'prom-client';
import { Tally, TallyCube, TallyFamily, TallyTable } from './tally.js';

export type { Tally, TallyFamily, TallyTable } from './tally.js';

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
    'pushes lost because more waited than the outbox may hold: the oldest go, of the notifiers that have most',
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

  // Older clients.
  readonly legacyRequests = this.#cube(
    'waggle_legacy_requests_total',
    'methods that older clients called, by result: done, partly-done, unchanged, unknown-id, refused, full, busy, away, timeout, failed',
    ['brand', 'method', 'result'],
  );
  readonly legacyMessages = this.#table(
    'waggle_legacy_messages_total',
    "older clients' notify by what its id was: account, group, untracked; too-long: dropped before",
    ['brand', 'kind'],
  );
  readonly legacyPushes = this.#table(
    'waggle_legacy_pushes_total',
    "pushes of older clients' messages that were made: ios, android, huawei",
    ['brand', 'type'],
  );
  readonly legacyLimited = this.#table(
    'waggle_legacy_limited_total',
    'notify beyond what one recipient may get: held until it may, superseded by a later one, refused',
    ['brand', 'result'],
  );

  // XMPP servers, and what their users register.
  readonly xmppAnswers = this.#table(
    'waggle_xmpp_answers_total',
    'requests of XMPP servers and clients by answer: result, wait, refused, late: the time was up, fault: of ours, overload',
    ['request', 'answer'],
  );
  readonly xmppAnswerTime = new Histogram({
    name: 'waggle_xmpp_answer_seconds',
    help: 'from reading a request of an XMPP server or client to writing its answer',
    labelNames: ['request'],
    buckets: [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25],
    registers: [this.registry],
  });
  readonly xmppAnswersLost = this.#tally(
    'waggle_xmpp_answers_lost_total',
    'answers that had no connection to go to any more',
  );
  readonly xmppUnanswerable = this.#tally(
    'waggle_xmpp_unanswerable_total',
    'XMPP requests without an id or a sender',
  );
  readonly xmppConnects = this.#family(
    'waggle_xmpp_connects_total',
    'component connections that came up',
    'domain',
  );
  readonly xmppEnds = this.#table(
    'waggle_xmpp_ends_total',
    'component connections that ended, or did not come up: unreachable, handshake-timeout, refused, conflict, stream-error, bad-xml, silent, send-queue-full, closed-by-server, stopped',
    ['domain', 'reason'],
  );
  readonly xmppPublishes = this.#family(
    'waggle_xmpp_publishes_total',
    'publishes by outcome: accepted, unknown: node or secret, dead-token, rate-limited, failed',
    'outcome',
  );
  readonly xmppDeferred = this.#tally(
    'waggle_xmpp_deferred_total',
    'publishes that came too soon after the one before, whose push waits for its time',
  );
  readonly xmppLookUps = this.#family(
    'waggle_xmpp_look_ups_total',
    'nodes or secrets unknown to memory that the database was asked for: found, unknown, away, late, full: too many waited',
    'result',
  );
  readonly xmppRegistrations = this.#cube(
    'waggle_xmpp_registrations_total',
    'register and unregister by way (command, http) and outcome: registered, unregistered, not-found, unknown-type, bad-token, rate-limited, unavailable',
    ['way', 'request', 'outcome'],
  );

  readonly xmppDeviceChanges = this.#family(
    'waggle_xmpp_device_changes_total',
    "devices of XMPP users by what happened to them, besides their clients' doing: dead-token, restored, secret-replaced",
    'change',
  );

  // UWPX clients.
  readonly uwpxConnections = this.#family(
    'waggle_uwpx_connections_total',
    'connections to the UWPX listener by what became of them at first: secured, full, address-full, limited: too many of one address in a while, evicted, handshake-failed, handshake-timeout, gone, stopped',
    'result',
  );
  readonly uwpxClosed = this.#family(
    'waggle_uwpx_closed_total',
    'secured UWPX connections that ended: done, idle, slow-reader, too-long, faults, lost, stopped',
    'reason',
  );
  readonly uwpxMessages = this.#table(
    'waggle_uwpx_messages_total',
    'messages of UWPX clients by result: ok, malformed, invalid, unsupported, bad-channel, unknown-device, limited, full, test-push-failed, test-push-limited, busy, timeout, failed',
    ['request', 'result'],
  );
  readonly uwpxOutdated = this.#tally(
    'waggle_uwpx_outdated_total',
    'UWPX devices removed because nobody used them any more',
  );
  readonly uwpxAccountConnects = this.#tally(
    'waggle_uwpx_account_connects_total',
    'logins to the account that UWPX nodes are at',
  );
  readonly uwpxAccountEnds = this.#family(
    'waggle_uwpx_account_ends_total',
    'connections of that account that ended or never came up, by reason',
    'reason',
  );
  readonly uwpxAccountMessages = this.#family(
    'waggle_uwpx_account_messages_total',
    'messages to that account: publish, own, replay, ignored',
    'kind',
  );
  readonly uwpxAccountNodes = this.#family(
    'waggle_uwpx_account_nodes_total',
    'nodes of that account by what was done: created, removed, failed',
    'result',
  );

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
  readonly httpConnectionsRefused = this.#tally(
    'waggle_http_connections_refused_total',
    'client connections closed at once because there were http.maxConnections already',
  );
  readonly appServerAnswers = this.#table(
    'waggle_app_server_answers_total',
    'requests to /push_appserver (register, unregister, push) by answer: registered, unregistered, accepted, unknown-type, bad-token, not-found, unknown: node or secret, dead-token, rate-limited, unavailable, failed, late, fault, bad-request, too-large, aborted, shed; those of one address beyond its rate are not among them',
    ['request', 'answer'],
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

  #cube(name: string, help: string, labels: readonly [string, string, string]): TallyCube {
    const cube = new TallyCube();
    const [first, second, third] = labels;
    new PromCounter({
      name,
      help,
      labelNames: [...labels],
      registers: [this.registry],
      collect() {
        this.reset();
        for (const [firstValue, table] of cube.entries()) {
          for (const [secondValue, family] of table.entries()) {
            for (const [thirdValue, tally] of family.entries()) {
              this.inc({ [first]: firstValue, [second]: secondValue, [third]: thirdValue }, tally.value);
            }
          }
        }
      },
    });
    return cube;
  }

  #table(name: string, help: string, labels: readonly [string, string]): TallyTable {
    const table = new TallyTable();
    const [first, second] = labels;
    new PromCounter({
      name,
      help,
      labelNames: [...labels],
      registers: [this.registry],
      collect() {
        this.reset();
        for (const [firstValue, family] of table.entries()) {
          for (const [secondValue, tally] of family.entries()) {
            this.inc({ [first]: firstValue, [second]: secondValue }, tally.value);
          }
        }
      },
    });
    return table;
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
