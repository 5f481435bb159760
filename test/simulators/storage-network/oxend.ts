import { randomBytes } from 'node:crypto';
import type { Context } from 'zeromq';
import type { KeyPair } from '../../../src/oxenmq/port.js';
import { systemClock, type Clock } from '../../../src/domain/clock.js';
import { OxenmqListener, type Reply, type Route } from './listener.js';

/** Spec storage-server, 2.3. */
const BLOCK_SUBSCRIPTION_MS = 30 * 60_000;

/** One entry of the node list. Everything may be missing or wrong, as in real life (spec storage-server, 2.2). */
export interface NodeEntry {
  readonly pubkey_x25519?: string;
  readonly public_ip?: string;
  readonly storage_lmq_port?: number;
  readonly swarm_id?: bigint;
  /** Anything else, as JSON text, such as `"swarm_id":"text"`. */
  readonly raw?: string;
}

export interface OxendOptions {
  /** `beldexd` knows the list by other names, and not by oxend's (spec bchat-push, section 2). */
  readonly daemon?: 'oxend' | 'beldexd';
  /** CURVE when given, plain otherwise. */
  readonly keyPair?: KeyPair | null;
  readonly bind?: string;
  readonly clock?: Clock;
  readonly context?: Context;
}

/** The daemon that knows the nodes and the blocks. */
export class SimulatedOxend {
  /** What the list of nodes has. */
  nodes: NodeEntry[] = [];
  height = 1_800_000;
  blockHash: Buffer = randomBytes(32);

  /** Knobs: the body, or all reply parts, whatever the list says; a second reply with the same tag (2.2). */
  rawBody: string | null = null;
  rawReply: readonly (Buffer | string)[] | null = null;
  repliesTwice = false;
  pong = 'pong';

  /** Counters. */
  nodeListRequests = 0;
  blockSubscriptionRequests = 0;
  /** The JSON of the last request for the list. */
  lastNodeListRequest: unknown = null;

  readonly #blockSubscribers = new Map<string, { readonly route: Route; expiresAtMs: number }>();
  #listener: OxenmqListener | null = null;

  private constructor(
    private readonly clock: Clock,
    private readonly listKey: string,
  ) {}

  static async start(options: OxendOptions = {}): Promise<SimulatedOxend> {
    const isBeldexd = options.daemon === 'beldexd';
    const listKey = isBeldexd ? 'master_node_states' : 'service_node_states';
    const listCommand = isBeldexd ? 'rpc.get_master_nodes' : 'rpc.get_service_nodes';
    const oxend = new SimulatedOxend(options.clock ?? systemClock, listKey);
    oxend.#listener = await OxenmqListener.start({
      keyPair: options.keyPair ?? null,
      ...(options.bind !== undefined && { bind: options.bind }),
      ...(options.context !== undefined && { context: options.context }),
      requests: {
        'ping.ping': (_route, _parts, reply) => reply(oxend.pong),
        [listCommand]: (_route, parts, reply) => oxend.#listNodes(parts, reply),
        'sub.block': (route, _parts, reply) => oxend.#subscribeBlocks(route, reply),
      },
    });
    return oxend;
  }

  get listener(): OxenmqListener {
    if (this.#listener === null) throw new Error('oxend was not started');
    return this.#listener;
  }

  /** As `session.oxend` takes it. */
  get address(): string {
    return this.listener.address;
  }

  get blockSubscribers(): number {
    return this.#blockSubscribers.size;
  }

  /** Everybody who subscribed is told height and hash. How many. */
  newBlock(): number {
    this.height += 1;
    this.blockHash = randomBytes(32);
    const now = this.clock.nowMs();
    let told = 0;
    for (const { route, expiresAtMs } of this.#blockSubscribers.values()) {
      if (expiresAtMs <= now) continue;
      if (this.listener.send(route, ['notify.block', String(this.height), this.blockHash])) told += 1;
    }
    return told;
  }

  /** A new process on the same port, which knows no subscribers. */
  async restart(): Promise<void> {
    this.#blockSubscribers.clear();
    await this.listener.restart();
  }

  stop(): void {
    this.listener.stop();
  }

  #subscribeBlocks(route: Route, reply: Reply): void {
    this.blockSubscriptionRequests += 1;
    const key = route.toString('hex');
    const known = this.#blockSubscribers.get(key);
    const expiresAtMs = this.clock.nowMs() + BLOCK_SUBSCRIPTION_MS;
    const isRenewal = known !== undefined && known.expiresAtMs > this.clock.nowMs();
    this.#blockSubscribers.set(key, { route: Buffer.from(route), expiresAtMs });
    reply(isRenewal ? 'ALREADY' : 'OK');
  }

  #listNodes(parts: readonly Buffer[], reply: Reply): void {
    this.nodeListRequests += 1;
    const answer = this.rawReply ?? this.#nodeListReply(parts);
    reply(...answer);
    if (this.repliesTwice) reply(...answer);
  }

  #nodeListReply(parts: readonly Buffer[]): readonly string[] {
    const [text, ...more] = parts;
    if (text === undefined || text.length === 0 || more.length > 0)
      return ['400', 'one part of JSON expected'];
    let request: unknown;
    try {
      request = JSON.parse(text.toString());
    } catch {
      return ['400', 'Failed to parse the request'];
    }
    this.lastNodeListRequest = request;
    if (this.rawBody !== null) return ['200', this.rawBody];
    const hash = this.blockHash.toString('hex');
    if (pollHashOf(request) === hash) return ['200', '{"status":"OK","unchanged":true}'];
    const states = this.nodes.map(nodeText).join(',');
    const unchanged = pollHashOf(request) === null ? '' : ',"unchanged":false';
    return [
      '200',
      `{"block_hash":"${hash}","height":${this.height},"${this.listKey}":[${states}],"status":"OK"${unchanged}}`,
    ];
  }
}

function pollHashOf(request: unknown): unknown {
  if (typeof request !== 'object' || request === null || !('poll_block_hash' in request)) return null;
  return request.poll_block_hash;
}

/** By hand: `JSON.stringify` has no 64-bit integers. */
function nodeText(node: NodeEntry): string {
  const { swarm_id: swarmId, raw, ...plain } = node;
  const fields = Object.entries(plain).map(([key, value]) => `"${key}":${JSON.stringify(value)}`);
  if (swarmId !== undefined) fields.push(`"swarm_id":${swarmId}`, `"swarm":"${swarmId.toString(16)}"`);
  if (raw !== undefined) fields.push(raw);
  return `{${fields.join(',')}}`;
}
