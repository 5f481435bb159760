import { fail, type Result } from '../domain/result.js';
import type {
  OxenmqAddress,
  OxenmqClient,
  OxenmqConnection,
  OxenmqConnectionHandlers,
  RequestError,
} from '../oxenmq/port.js';
import type { Metrics } from '../telemetry/metrics.js';
import type { FrameSender } from './frame-authority.js';
import type { StorageNode } from './node-list.js';
import type { MonitorPeer } from './node-plan.js';

export const NOTIFY_MESSAGE = 'notify.message';

export interface NodeLinkHandlers {
  /** The node can be asked, and may have forgotten everything. */
  readonly onUp: (link: NodeLink) => void;
  /** The node was up and is not now. */
  readonly onDown: (link: NodeLink) => void;
  /** The attempt is over, or the link is beyond recovery: a new attempt is needed. */
  readonly onFailed: (link: NodeLink, reason: string) => void;
  /** The one data part of a `notify.message`: a view, copy what is kept. */
  readonly onFrame: (link: NodeLink, frame: Buffer) => void;
}

export interface NodeLinkOptions {
  readonly connectTimeoutMs: number;
  /** How long a broken link may take to come up again by itself. */
  readonly recoveryMs: number;
}

type LinkState = 'idle' | 'connecting' | 'up' | 'recovering' | 'closed';

/** A link that breaks more often than this within a minute is closed and waits like one that failed. */
const MAX_BREAKS_PER_MINUTE = 4;

/**
 * The connection to one storage node.
 *
 *   idle ──connect──► connecting ──onUp──► up ──onDown──► recovering ──onUp──► up
 *    ▲                    │                               │ too long, or broken too often
 *    └──── onFailed ◄─────┴───────────────────────────────┘
 *   closed: from anywhere, for good
 *
 * Callbacks of a connection that was given up are ignored, so a node that left the list cannot speak any more.
 */
export class NodeLink implements MonitorPeer, FrameSender {
  readonly publicKeyHex: string;
  #node: StorageNode;
  #state: LinkState = 'idle';
  #connection: OxenmqConnection | null = null;
  /** Names the connection whose callbacks count. */
  #attempt = 0;
  #timer: NodeJS.Timeout | null = null;
  #breaks: number[] = [];
  /** Of the swarm columns, for the hot path; -1 while unknown. */
  swarmIndex = -1;
  previousSwarmId: bigint | null = null;
  swarmChangedAtMs = 0;
  /** For the pool: attempts that failed in a row, and when the next may begin. */
  failures = 0;
  nextAttemptAtMs = 0;

  constructor(
    node: StorageNode,
    private readonly client: OxenmqClient,
    private readonly handlers: NodeLinkHandlers,
    private readonly options: NodeLinkOptions,
    private readonly metrics: Metrics,
    private readonly nowMs: () => number,
  ) {
    this.publicKeyHex = node.publicKeyHex;
    this.#node = node;
  }

  get swarmId(): bigint {
    return this.#node.swarmId;
  }

  get state(): LinkState {
    return this.#state;
  }

  get isUp(): boolean {
    return this.#state === 'up';
  }

  hasAddressOf(node: StorageNode): boolean {
    return this.#node.ip === node.ip && this.#node.port === node.port;
  }

  /** What the list says now. The caller gives up the connection first when the address differs. */
  describe(node: StorageNode): void {
    if (node.swarmId !== this.#node.swarmId) {
      this.previousSwarmId = this.#node.swarmId;
      this.swarmChangedAtMs = this.nowMs();
    }
    this.#node = node;
  }

  connect(): void {
    if (this.#state !== 'idle') return;
    this.#state = 'connecting';
    const address: OxenmqAddress = {
      endpoint: `tcp://${this.#node.ip}:${this.#node.port}`,
      serverKey: Buffer.from(this.publicKeyHex, 'hex'),
    };
    this.#startTimer(this.options.connectTimeoutMs, 'connect-timeout');
    this.#attempt += 1;
    const attempt = this.#attempt;
    try {
      const connection = this.client.connect(address, this.#handlersOf(attempt));
      // A connection may report its end before `connect` has returned.
      if (attempt === this.#attempt) this.#connection = connection;
      else connection.close();
    } catch {
      // Out of sockets or descriptors, or an address that ZeroMQ refuses.
      this.#fail('connect-refused');
    }
  }

  async request(
    command: string,
    parts: readonly Buffer[],
    timeoutMs: number,
  ): Promise<Result<Buffer[], RequestError>> {
    const connection = this.#connection;
    if (connection === null || this.#state !== 'up') return fail({ kind: 'unavailable' });
    return connection.request(command, parts, timeoutMs);
  }

  /** Back to `idle` without a word to the pool, because its address changed. Says `onDown` if it was up. */
  reset(): void {
    if (this.#state === 'closed') return;
    const wasUp = this.isUp;
    this.#letGo('idle');
    this.#breaks = [];
    if (wasUp) this.handlers.onDown(this);
  }

  /** For good; idempotent. */
  close(): void {
    if (this.#state === 'closed') return;
    const wasUp = this.isUp;
    this.#letGo('closed');
    if (wasUp) this.handlers.onDown(this);
  }

  #handlersOf(attempt: number): OxenmqConnectionHandlers {
    const isCurrent = (): boolean => attempt === this.#attempt;
    return {
      commands: [NOTIFY_MESSAGE],
      onUp: () => {
        if (isCurrent()) this.#up();
      },
      onDown: (reason) => {
        if (isCurrent()) this.#down(reason);
      },
      onClosed: (reason) => {
        if (isCurrent()) this.#fail(reason);
      },
      onCommand: (command, parts) => {
        // The hot path: no allocation.
        if (attempt !== this.#attempt) return;
        const frame = parts[0];
        if (command !== NOTIFY_MESSAGE) this.metrics.oxenmqMalformed.of('unexpected-command').add();
        else if (frame === undefined || parts.length !== 1) this.metrics.framesMalformed.of('parts').add();
        else this.handlers.onFrame(this, frame);
      },
    };
  }

  #up(): void {
    this.#stopTimer();
    this.#state = 'up';
    this.metrics.linkConnects.add();
    this.handlers.onUp(this);
  }

  #down(reason: string): void {
    if (this.#state === 'connecting') {
      this.#fail(reason);
      return;
    }
    if (this.#state !== 'up') return;
    const now = this.nowMs();
    this.#breaks = this.#breaks.filter((at) => now - at < 60_000);
    this.#breaks.push(now);
    if (this.#breaks.length > MAX_BREAKS_PER_MINUTE) {
      this.#fail('flapping');
      return;
    }
    this.metrics.linkFailures.add();
    this.#state = 'recovering';
    this.#startTimer(this.options.recoveryMs, 'no-recovery');
    this.handlers.onDown(this);
  }

  #fail(reason: string): void {
    const wasUp = this.isUp;
    this.#letGo('idle');
    this.metrics.linkFailures.add();
    if (wasUp) this.handlers.onDown(this);
    this.handlers.onFailed(this, reason);
  }

  #letGo(state: 'idle' | 'closed'): void {
    this.#stopTimer();
    const connection = this.#connection;
    this.#connection = null;
    // From here on nobody listens to that connection.
    this.#attempt += 1;
    this.#state = state;
    connection?.close();
  }

  #startTimer(delayMs: number, reason: string): void {
    this.#stopTimer();
    this.#timer = setTimeout(() => this.#fail(reason), delayMs);
  }

  #stopTimer(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }
}
