import type { Clock } from '../domain/clock.js';
import type { Random } from '../domain/random.js';
import type { Result } from '../domain/result.js';
import type { OxenmqAddress, OxenmqClient, OxenmqConnection, RequestError } from '../oxenmq/port.js';
import type { Log } from '../telemetry/log.js';
import type { Metrics } from '../telemetry/metrics.js';
import { SampledLog } from '../telemetry/sampled-log.js';
import { backOffMs } from './back-off.js';
import { nodeListCommand, nodeListRequest, parseNodeList, type Daemon, type NodeList } from './node-list.js';

export interface OxendOptions {
  /** Another network's daemon in the place of oxend: it differs in a few words only. */
  readonly daemon: Daemon;
  /** How often `sub.block` is renewed; oxend forgets it after 30 minutes. */
  readonly subscriptionCheckIntervalSeconds: number;
  /** The list is asked for when it has become this old without a block. */
  readonly nodePollIntervalSeconds: number;
  readonly requestTimeoutSeconds: number;
  readonly connectTimeoutSeconds: number;
}

export interface OxendDeps {
  readonly client: OxenmqClient;
  readonly address: OxenmqAddress;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly onNodeList: (list: NodeList) => void;
}

export interface OxendStatus {
  readonly isUp: boolean;
  readonly firstListIn: boolean;
  readonly blockHeight: number;
  /** 64 hex digits; empty before the first list. */
  readonly blockHash: string;
  /** When the last list came, Unix ms. */
  readonly lastListAtMs: number | null;
}

const RETRY_STEPS_SECONDS = [1, 2, 5, 10, 30];

/**
 * The one daemon that knows all nodes. Nothing that it does or fails to do ends the process: the old list stays good
 * until a new one comes.
 *
 *   connecting ──onUp──► up: ping, sub.block, list ──onDown──► recovering ──onUp──► up
 *       ▲                                                         │ connectTimeoutSeconds
 *       └───────── back-off 1, 2, 5, 10, 30 s ◄── closed ◄────────┘
 *
 * Source: spec storage-server, section 2.
 */
export class Oxend {
  #connection: OxenmqConnection | null = null;
  /** Names the connection whose callbacks count. */
  #attempt = 0;
  /** Names the stretch of being up whose answers count. */
  #session = 0;
  #isUp = false;
  #connectFailures = 0;
  #listFailures = 0;
  #isListWanted = false;
  /** The session in which a list is being fetched; 0 = none. */
  #fetchingIn = 0;
  #status = { firstListIn: false, blockHeight: 0, blockHash: '', lastListAtMs: null as number | null };
  #hasSwarms = false;
  #isStopped = true;
  readonly #timers = new Map<'connect' | 'list' | 'blocks', NodeJS.Timeout>();
  readonly #trouble: SampledLog;

  constructor(
    private readonly deps: OxendDeps,
    private readonly options: OxendOptions,
  ) {
    this.#trouble = new SampledLog(deps.clock);
  }

  get status(): OxendStatus {
    return { isUp: this.#isUp, ...this.#status };
  }

  start(): void {
    if (!this.#isStopped) return;
    this.#isStopped = false;
    this.#connect();
  }

  stop(): void {
    this.#isStopped = true;
    this.#letGo();
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
  }

  #connect(): void {
    if (this.#isStopped) return;
    this.#attempt += 1;
    const attempt = this.#attempt;
    const guarded =
      <Args extends unknown[]>(handle: (...args: Args) => void) =>
      (...args: Args): void => {
        if (attempt === this.#attempt && !this.#isStopped) handle(...args);
      };
    this.#after('connect', this.options.connectTimeoutSeconds * 1000, () => this.#lost('connect-timeout'));
    try {
      const connection = this.deps.client.connect(this.deps.address, {
        commands: ['notify.block'],
        onUp: guarded(() => this.#cameUp()),
        onDown: guarded((reason: string) => this.#wentDown(reason)),
        onClosed: guarded((reason: string) => this.#lost(reason)),
        onCommand: guarded((command: string) => {
          // Which block it is does not matter: the list tells.
          if (command === 'notify.block') this.#wantList();
          else this.deps.metrics.oxenmqMalformed.of('unexpected-command').add();
        }),
      });
      if (attempt === this.#attempt) this.#connection = connection;
      else connection.close();
    } catch {
      this.#lost('connect-refused');
      return;
    }
    // Where `onUp` came before there was a connection to ask on.
    if (this.#isUp) this.#greet();
  }

  #cameUp(): void {
    this.#isUp = true;
    this.#session += 1;
    this.#connectFailures = 0;
    this.#cancel('connect');
    this.deps.log.info(`${this.options.daemon} connected`);
    if (this.#connection !== null) this.#greet();
  }

  #greet(): void {
    void this.#ping();
    void this.#subscribeToBlocks(true);
    this.#wantList();
  }

  #wentDown(reason: string): void {
    if (!this.#isUp) return;
    this.#isUp = false;
    this.#cancel('blocks');
    this.deps.log.warn({ reason }, `${this.options.daemon} connection lost`);
    this.#after('connect', this.options.connectTimeoutSeconds * 1000, () => this.#lost('no-recovery'));
  }

  #lost(reason: string): void {
    this.#letGo();
    this.#connectFailures += 1;
    const waitMs = backOffMs(this.#connectFailures, RETRY_STEPS_SECONDS, this.deps.random);
    this.#trouble.note('connect', (occurrences) =>
      this.deps.log.warn({ reason, occurrences, waitMs }, `${this.options.daemon} cannot be reached`),
    );
    this.#after('connect', waitMs, () => this.#connect());
  }

  #letGo(): void {
    const connection = this.#connection;
    this.#connection = null;
    this.#attempt += 1;
    this.#session += 1;
    this.#fetchingIn = 0;
    this.#isUp = false;
    this.#cancel('connect');
    this.#cancel('blocks');
    connection?.close();
  }

  async #ping(): Promise<void> {
    const result = await this.#request('ping.ping', []);
    if (result?.ok === false) this.#note('ping', result.error);
  }

  async #subscribeToBlocks(isFirst: boolean): Promise<void> {
    this.#after('blocks', this.options.subscriptionCheckIntervalSeconds * 1000, () => {
      void this.#subscribeToBlocks(false);
    });
    const result = await this.#request('sub.block', []);
    if (result === null) return;
    if (!result.ok) {
      this.#note('sub.block', result.error);
      return;
    }
    const answer = result.value[0]?.toString('latin1');
    if (answer === 'OK') {
      // New on a renewal: oxend had forgotten us, and blocks may have passed.
      if (!isFirst) this.#wantList();
    } else if (answer !== 'ALREADY') {
      this.#trouble.note('sub.block', (occurrences) =>
        this.deps.log.warn(
          { occurrences },
          `${this.options.daemon} does not report blocks to us; the list is polled instead`,
        ),
      );
    }
  }

  /** Any number of wishes while a request is under way lead to one more request. */
  #wantList(): void {
    this.#isListWanted = true;
    if (this.#fetchingIn !== this.#session) void this.#fetchLists();
  }

  async #fetchLists(): Promise<void> {
    const session = this.#session;
    this.#fetchingIn = session;
    this.#cancel('list');
    let isGood = true;
    while (this.#isListWanted && isGood && this.#isUp) {
      this.#isListWanted = false;
      isGood = await this.#fetchList();
      // A reconnect has begun a fetch of its own; this one may have hung on the broken connection.
      if (session !== this.#session) return;
    }
    this.#fetchingIn = 0;
    if (this.#isStopped) return;
    this.#listFailures = isGood ? 0 : this.#listFailures + 1;
    const waitMs = isGood
      ? this.options.nodePollIntervalSeconds * 1000
      : backOffMs(this.#listFailures, RETRY_STEPS_SECONDS, this.deps.random);
    this.#after('list', waitMs, () => this.#wantList());
  }

  async #fetchList(): Promise<boolean> {
    const result = await this.#request(nodeListCommand(this.options.daemon), [nodeListRequest]);
    if (result === null) return false;
    if (!result.ok) return this.#refuse(result.error.kind);
    const [code, body] = result.value;
    if (result.value.length !== 2 || code?.toString('latin1') !== '200' || body === undefined) {
      return this.#refuse('bad-reply');
    }
    const parsed = parseNodeList(body, this.options.daemon);
    if (!parsed.ok) return this.#refuse(parsed.error);
    const list = parsed.value;
    // A daemon that has just started knows nobody; believing it would cut every link.
    if (list.swarms.size === 0 && this.#hasSwarms) return this.#refuse('empty');
    return this.#accept(list);
  }

  #accept(list: NodeList): boolean {
    try {
      this.deps.onNodeList(list);
    } catch (error) {
      const fault = error instanceof Error ? error.name : typeof error;
      this.deps.log.error({ fault }, 'a node list could not be taken over');
      return this.#refuse('fault');
    }
    this.#hasSwarms ||= list.swarms.size > 0;
    this.#status = {
      firstListIn: true,
      blockHeight: list.blockHeight,
      blockHash: list.blockHash,
      lastListAtMs: this.deps.clock.nowMs(),
    };
    this.deps.metrics.nodeListUpdates.of(list.skippedEntries > 0 ? 'partial' : 'complete').add();
    return true;
  }

  #refuse(reason: string): false {
    this.deps.metrics.nodeListUpdates.of(reason).add();
    this.#trouble.note('list', (occurrences) =>
      this.deps.log.warn(
        { reason, occurrences },
        `no node list from ${this.options.daemon}; the old one stays`,
      ),
    );
    return false;
  }

  /** Null when the connection was lost meanwhile, even if it is up again. */
  async #request(command: string, parts: readonly Buffer[]): Promise<Result<Buffer[], RequestError> | null> {
    const connection = this.#connection;
    if (connection === null || !this.#isUp) return null;
    const session = this.#session;
    const result = await connection.request(command, parts, this.options.requestTimeoutSeconds * 1000);
    return session === this.#session ? result : null;
  }

  #note(command: string, error: RequestError): void {
    this.#trouble.note(command, (occurrences) =>
      this.deps.log.warn(
        { command, reason: error.kind, occurrences },
        `${this.options.daemon} does not answer`,
      ),
    );
  }

  #after(name: 'connect' | 'list' | 'blocks', delayMs: number, run: () => void): void {
    this.#cancel(name);
    if (this.#isStopped) return;
    this.#timers.set(
      name,
      setTimeout(() => {
        this.#timers.delete(name);
        run();
      }, delayMs),
    );
  }

  #cancel(name: 'connect' | 'list' | 'blocks'): void {
    clearTimeout(this.#timers.get(name));
    this.#timers.delete(name);
  }
}
