import type { Random } from '../domain/random.js';
import type { Clock } from '../domain/clock.js';
import type { Log } from '../telemetry/log.js';
import { SampledLog } from '../telemetry/sampled-log.js';
import { ComponentStream } from './component-stream.js';
import { IqSession } from './iq-session.js';
import type { IqRouter } from './iq-router.js';
import type { Markup } from './markup.js';
import type { ComponentEntry, XmppOptions } from './options.js';
import type { WhenReady, XmppReport } from './port.js';
import type { StreamEnd } from './stream-end.js';

export type LinkState = 'idle' | 'not-ready' | 'opening' | 'online' | 'backing-off' | 'draining' | 'stopped';

export interface LinkStatus {
  readonly domain: string;
  readonly state: LinkState;
  /** Handshakes that were taken, since the start. */
  readonly connects: number;
  /** In a row. */
  readonly failures: number;
  readonly openRequests: number;
  /** Of the last connection; null when none has ended yet. */
  readonly lastEnd: StreamEnd['kind'] | null;
}

/** What every link needs of the world. */
export interface LinkTools {
  readonly options: XmppOptions;
  readonly router: IqRouter;
  readonly whenReady: WhenReady;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly report: XmppReport;
}

const JITTER = 0.2;

/**
 * Keeps one connection of one component up, for ever.
 *
 * idle → not-ready (until `whenReady`) → opening → online → backing-off → not-ready → …
 * `stop` leads from online through draining to stopped, from everywhere else straight to stopped.
 */
export class ComponentLink {
  #state: LinkState = 'idle';
  #connects = 0;
  #failures = 0;
  #lastEnd: StreamEnd['kind'] | null = null;
  #stream: ComponentStream | null = null;
  #session: IqSession | null = null;
  #onlineSinceMs: number | null = null;
  #timer: NodeJS.Timeout | null = null;
  readonly #stopping = new AbortController();
  #stopped: Promise<void> | null = null;
  readonly #sampledLog: SampledLog;

  constructor(
    private readonly entry: ComponentEntry,
    private readonly tools: LinkTools,
  ) {
    this.#sampledLog = new SampledLog(tools.clock);
  }

  status(): LinkStatus {
    return {
      domain: this.entry.domain,
      state: this.#state,
      connects: this.#connects,
      failures: this.#isStable() ? 0 : this.#failures,
      openRequests: this.#session?.openRequests ?? 0,
      lastEnd: this.#lastEnd,
    };
  }

  start(): void {
    if (this.#state === 'idle') this.#attempt();
  }

  /** False when there is no connection; then nothing is kept. `from` must be in the component's domain. */
  send(markup: Markup): boolean {
    return this.#stream?.send(markup) ?? false;
  }

  /** Waits for the answers under way, at most `drainMs`, and closes the stream. The same promise every time. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  #attempt(): void {
    this.#state = 'not-ready';
    this.tools.whenReady(this.#stopping.signal).then(
      () => {
        if (!this.#stopping.signal.aborted) this.#connect();
      },
      () => {
        if (!this.#stopping.signal.aborted)
          this.#retryAfter(this.#backOffMs(this.tools.options.backOffSeconds));
      },
    );
  }

  #connect(): void {
    const { options, router } = this.tools;
    this.#state = 'opening';
    const session = new IqSession(router, this.entry.domain, (markup) => stream.send(markup));
    const stream = new ComponentStream(this.entry, options, {
      online: () => {
        this.#goOnline();
      },
      stanza: (stanza) => {
        session.take(stanza);
      },
      oversized: (stanza) => {
        session.takeOversized(stanza);
      },
      ended: (end) => {
        session.end();
        this.#ended(end);
      },
    });
    this.#session = session;
    this.#stream = stream;
  }

  #goOnline(): void {
    const { log, report, clock } = this.tools;
    this.#state = 'online';
    this.#connects += 1;
    this.#onlineSinceMs = clock.nowMs();
    report.connected(this.entry.domain);
    log.info(this.#logFields(), 'XMPP: the component is connected');
  }

  #ended(end: StreamEnd): void {
    const { report } = this.tools;
    this.#stream = null;
    this.#session = null;
    this.#lastEnd = end.kind;
    report.ended(this.entry.domain, end.kind);
    if (this.#stopping.signal.aborted) return;
    this.#failures = this.#isStable() ? 1 : this.#failures + 1;
    this.#onlineSinceMs = null;
    const waitMs = this.#waitAfter(end);
    this.#logEnd(end, waitMs);
    this.#retryAfter(waitMs);
  }

  /** A server that takes us and throws us out at once must not be asked again and again without a pause. */
  #isStable(): boolean {
    const { clock, options } = this.tools;
    return this.#onlineSinceMs !== null && clock.nowMs() - this.#onlineSinceMs >= options.stableAfterMs;
  }

  #waitAfter(end: StreamEnd): number {
    const { options, random } = this.tools;
    if (end.kind === 'refused') return this.#backOffMs(options.refusedBackOffSeconds);
    if (end.kind !== 'conflict') return this.#backOffMs(options.backOffSeconds);
    const [from, to] = options.conflictBackOffSeconds;
    return Math.round((from + (to - from) * random()) * 1000);
  }

  /** A step of the ladder, up to a fifth longer: links that failed together shall not come back together. */
  #backOffMs(steps: readonly number[]): number {
    const step = steps[Math.min(Math.max(this.#failures, 1), steps.length) - 1] ?? 0;
    return Math.round(step * 1000 * (1 + JITTER * this.tools.random()));
  }

  #retryAfter(ms: number): void {
    this.#state = 'backing-off';
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#attempt();
    }, ms);
  }

  async #stop(): Promise<void> {
    const stream = this.#stream;
    const session = this.#session;
    const wasOnline = this.#state === 'online';
    this.#stopping.abort(new Error('the component is stopped'));
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (wasOnline && session !== null) {
      this.#state = 'draining';
      await this.#drain(session);
    }
    const closed = stream?.close();
    session?.takeUnanswered();
    await closed;
    this.#state = 'stopped';
  }

  async #drain(session: IqSession): Promise<void> {
    const halfMs = this.tools.options.drainMs / 2;
    await within(session.idle(), halfMs);
    if (session.openRequests === 0) return;
    session.stopTaking();
    await within(session.idle(), halfMs);
    session.answerRest();
  }

  #logEnd(end: StreamEnd, waitMs: number): void {
    const fields = { ...this.#logFields(), ...end, failures: this.#failures, waitMs };
    this.#sampledLog.note(end.kind, (occurrences) => {
      if (end.kind === 'refused') {
        this.tools.log.error(
          { ...fields, occurrences },
          'XMPP: the server refuses the component: compare domain and secret with its configuration',
        );
      } else {
        this.tools.log.warn({ ...fields, occurrences }, 'XMPP: the component is not connected');
      }
    });
  }

  #logFields(): { component: string; host: string; port: number } {
    return { component: this.entry.domain, host: this.entry.host, port: this.entry.port };
  }
}

/** Resolves with the promise, or when the time is up. */
function within(promise: Promise<void>, ms: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    void promise.then(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}
