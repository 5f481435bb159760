import type { Context } from 'zeromq';
import type { KeyPair } from '../../../src/oxenmq/port.js';
import { systemClock, type Clock } from '../../../src/domain/clock.js';
import { randomKeyPair } from './keys.js';
import { OxenmqListener, type Reply, type Route } from './listener.js';
import { checkMonitorEntry, errorReply, parseMonitorRequest, SUCCESS, type MonitorRules } from './monitor.js';
import { accountKeyOf, encodeMessage, type EncodedMessage, type StoredMessage } from './stored-message.js';

/** Spec storage-server, 4.4. */
const SUBSCRIPTION_LIFETIME_MS = 65 * 60_000;

const NOTIFY_MESSAGE = Buffer.from('notify.message');

export interface NodeSubscription {
  readonly route: Route;
  namespaces: readonly number[];
  wantData: boolean;
  expiresAtMs: number;
}

export interface StorageNodeOptions {
  readonly keyPair?: KeyPair;
  readonly clock?: Clock;
  /** Verify signatures as the real one does; default off, for load. */
  readonly verify?: boolean;
  readonly userPrefix?: number;
  readonly accountsByKey?: Map<string, Buffer>;
  readonly sendHighWaterMark?: number;
  readonly maxMessageBytes?: number;
  readonly context?: Context;
  /** `tcp://127.0.0.1:*` by default. */
  readonly bind?: string;
}

/** A storage server, as far as a push server sees it: CURVE, `monitor.messages`, `notify.message`. */
export class SimulatedStorageNode {
  /** Knobs. */
  replyDelayMs = 0;
  /** The next so many requests get no answer at all. */
  ignoreNextRequests = 0;
  /** The next so many requests fail as a whole. */
  failNextRequests = 0;
  /** Answers instead of checking, by hex account id. */
  readonly refusals = new Map<string, { readonly errcode: number; readonly error: string }>();

  /** Counters. */
  requests = 0;
  entries = 0;
  accepted = 0;
  refused = 0;
  notified = 0;
  /** Entries of the largest request. */
  largestRequest = 0;

  readonly #subscriptions = new Map<string, NodeSubscription[]>();
  readonly #rules: MonitorRules;
  #routes: Route[] = [];

  #listener: OxenmqListener | null = null;

  private constructor(
    readonly keyPair: KeyPair,
    private readonly clock: Clock,
    options: StorageNodeOptions,
  ) {
    this.#rules = {
      verify: options.verify ?? false,
      userPrefix: options.userPrefix ?? 0x05,
      nowSeconds: () => Math.floor(clock.nowMs() / 1000),
      accountsByKey: options.accountsByKey ?? new Map<string, Buffer>(),
    };
  }

  static async start(options: StorageNodeOptions = {}): Promise<SimulatedStorageNode> {
    const keyPair = options.keyPair ?? randomKeyPair();
    const node = new SimulatedStorageNode(keyPair, options.clock ?? systemClock, options);
    const { bind, sendHighWaterMark, maxMessageBytes, context } = options;
    node.#listener = await OxenmqListener.start({
      keyPair,
      ...(bind !== undefined && { bind }),
      ...(sendHighWaterMark !== undefined && { sendHighWaterMark }),
      ...(maxMessageBytes !== undefined && { maxMessageBytes }),
      ...(context !== undefined && { context }),
      requests: { 'monitor.messages': (route, parts, reply) => node.#monitor(route, parts, reply) },
    });
    return node;
  }

  /** Knobs and counters of the wire: `silent`, `answersHi`, `refuseWith`, `received`, `routes`, `sendFailures`. */
  get listener(): OxenmqListener {
    if (this.#listener === null) throw new Error('the node was not started');
    return this.#listener;
  }

  get port(): number {
    return this.listener.port;
  }

  /** `curve://127.0.0.1:PORT/KEY`. */
  get address(): string {
    return this.listener.address;
  }

  get pubkeyHex(): string {
    return this.keyPair.publicKey.toString('hex');
  }

  get isRunning(): boolean {
    return this.listener.isRunning;
  }

  /** Accounts with at least one subscription, expired ones included. */
  get monitoredAccounts(): number {
    return this.#subscriptions.size;
  }

  /** What is subscribed for an account now, one per route. */
  subscriptionsOf(account: Buffer): readonly NodeSubscription[] {
    const now = this.clock.nowMs();
    return (this.#subscriptions.get(accountKeyOf(account)) ?? []).filter((entry) => entry.expiresAtMs > now);
  }

  /** Stores a new message: every route that monitors account and namespace is told. How many. */
  storeMessage(message: StoredMessage): number {
    return this.storeEncoded(encodeMessage(message));
  }

  /** The same for a message that was encoded before: what benchmarks and `deliver` use. */
  storeEncoded(message: EncodedMessage): number {
    const subscriptions = this.#subscriptions.get(message.accountKey);
    if (subscriptions === undefined) return 0;
    const now = this.clock.nowMs();
    let told = 0;
    for (const { route, namespaces, wantData, expiresAtMs } of subscriptions) {
      if (expiresAtMs <= now || !namespaces.includes(message.namespace)) continue;
      const payload = wantData ? message.withData : message.withoutData;
      if (this.listener.send(route, [NOTIFY_MESSAGE, payload])) told += 1;
    }
    this.notified += told;
    return told;
  }

  sendRaw(route: Route, parts: readonly (Buffer | string)[]): void {
    this.listener.send(route, parts);
  }

  stop(): void {
    this.listener.stop();
  }

  /** A new process on the same port: every link breaks and every subscription is forgotten. */
  async restart(): Promise<void> {
    this.#subscriptions.clear();
    this.#routes = [];
    await this.listener.restart();
  }

  #monitor(route: Route, parts: Buffer[], reply: Reply): void {
    this.requests += 1;
    if (this.ignoreNextRequests > 0) {
      this.ignoreNextRequests -= 1;
      return;
    }
    const body = this.#bodyOf(route, parts);
    if (this.replyDelayMs > 0) setTimeout(() => reply(body), this.replyDelayMs);
    else reply(body);
  }

  #bodyOf(route: Route, parts: Buffer[]): string {
    if (this.failNextRequests > 0) {
      this.failNextRequests -= 1;
      return errorReply(1, 'Invalid arguments: Failed to parse monitor.messages data value');
    }
    const request = parseMonitorRequest(parts);
    if (request.kind === 'failed') return request.reply;
    if (request.kind === 'single') return this.#subscribe(route, request.dict);
    this.largestRequest = Math.max(this.largestRequest, request.dicts.length);
    return `l${request.dicts.map((dict) => this.#subscribe(route, dict)).join('')}e`;
  }

  #subscribe(route: Route, dict: Buffer): string {
    this.entries += 1;
    const verdict = checkMonitorEntry(dict, this.#rules);
    const refusal =
      verdict.ok && this.refusals.size > 0
        ? this.refusals.get(verdict.entry.account.toString('hex'))
        : undefined;
    if (!verdict.ok || refusal !== undefined) {
      this.refused += 1;
      return verdict.ok ? errorReply(refusal?.errcode ?? 1, refusal?.error ?? '') : verdict.reply;
    }
    this.accepted += 1;
    this.#remember(route, verdict.entry.account, verdict.entry.namespaces, verdict.entry.wantData);
    return SUCCESS;
  }

  /** A further request of the same connection adds: namespaces united, data wanted if ever, expiry renewed. */
  #remember(route: Route, account: Buffer, namespaces: readonly number[], wantData: boolean): void {
    const expiresAtMs = this.clock.nowMs() + SUBSCRIPTION_LIFETIME_MS;
    const key = accountKeyOf(account);
    let subscriptions = this.#subscriptions.get(key);
    if (subscriptions === undefined) {
      subscriptions = [];
      this.#subscriptions.set(key, subscriptions);
    }
    const known = subscriptions.find((entry) => entry.route.equals(route));
    if (known === undefined) {
      subscriptions.push({ route: this.#shared(route), namespaces, wantData, expiresAtMs });
      return;
    }
    // What has run out adds nothing to what comes after it.
    const isAlive = known.expiresAtMs > this.clock.nowMs();
    known.namespaces = isAlive ? [...new Set([...known.namespaces, ...namespaces])] : namespaces;
    known.wantData = wantData || (isAlive && known.wantData);
    known.expiresAtMs = expiresAtMs;
  }

  /** One buffer per route, not one per subscription. */
  #shared(route: Route): Route {
    let shared = this.#routes.find((known) => known.equals(route));
    if (shared === undefined) {
      shared = Buffer.from(route);
      this.#routes.push(shared);
    }
    return shared;
  }
}
