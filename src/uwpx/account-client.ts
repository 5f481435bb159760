import { assertNever } from '../domain/assert-never.js';
import type { Clock } from '../domain/clock.js';
import type { RandomBytes } from '../crypto/sodium.js';
import type { Random } from '../domain/random.js';
import type { LibraryElement } from '@xmpp/client';
import type { Log } from '../telemetry/log.js';
import { SampledLog } from '../telemetry/sampled-log.js';
import { isRefusal, type AccountEnd } from './account-end.js';
import type { AccountEntry, AccountOptions } from './account-options.js';
import type { AccountNodes, NodeChange, OnEvent, UwpxNodeStore, WhenAccountReady } from './account-port.js';
import { resolveSrv as resolveSrvOfNode, type SocketTools } from './account-socket.js';
import { readEvent } from './account-stanzas.js';
import { AccountStream } from './account-stream.js';
import { NodeUpkeep, type NodeResult } from './node-upkeep.js';

export type AccountState = 'idle' | 'not-ready' | 'opening' | 'online' | 'backing-off' | 'stopped';

export interface AccountStatus {
  readonly state: AccountState;
  /** Logins, since the start. */
  readonly connects: number;
  /** In a row. */
  readonly failures: number;
  /** Of the last connection; null when none has ended yet. */
  readonly lastEnd: AccountEnd['kind'] | null;
  /** All nodes have been made since the login, and no change waits. */
  readonly isSettled: boolean;
}

/** Where it is told what happens; names of metrics are made from these. Must not throw. */
export interface AccountReport {
  connected(): void;
  ended(end: AccountEnd['kind']): void;
  /** `own`: of an item of ours. `replay`: told again. `ignored`: a message of somebody else. */
  message(kind: 'publish' | 'own' | 'replay' | 'ignored'): void;
  node(result: NodeResult): void;
}

export interface AccountDeps {
  readonly store: Pick<UwpxNodeStore, 'nodesAfter'>;
  readonly onEvent: OnEvent;
  /**
   * The database is there, and this process is the one that uses the account: of two, each would end the other's session,
   * or both would wake every device.
   */
  readonly whenReady: WhenAccountReady;
  readonly clock: Clock;
  readonly random: Random;
  readonly randomBytes: RandomBytes;
  readonly log: Log;
  readonly report: AccountReport;
  readonly resolveSrv?: SocketTools['resolveSrv'];
}

const JITTER = 0.2;

/**
 * Publishes at an ordinary account, in place of a component: every account of a device is a node of ours there, open to
 * all, and its events are what wakes the device. For clients that know the address of the original, whose account this
 * was. What servers publish while we are away is lost, and so is their answer: they always hear that it was taken.
 *
 * The account has to be at a server that takes nodes which anybody may publish to, and lets the field `secret` of publishes
 * pass: Prosody does; ejabberd 23.01 refuses both.
 *
 * idle → not-ready (until `whenReady`) → opening → online → backing-off → not-ready → …; `stop` leads to stopped.
 *
 * Source: spec uwpx-push, 6.1.
 */
export class AccountClient implements AccountNodes {
  #state: AccountState = 'idle';
  #connects = 0;
  #failures = 0;
  #lastEnd: AccountEnd['kind'] | null = null;
  #onlineSinceMs: number | null = null;
  #stream: AccountStream | null = null;
  #timer: NodeJS.Timeout | null = null;
  #stopped: Promise<void> | null = null;
  readonly #stopping = new AbortController();
  readonly #sampled: SampledLog;
  readonly #upkeep: NodeUpkeep;

  constructor(
    private readonly entry: AccountEntry,
    private readonly deps: AccountDeps,
    private readonly options: AccountOptions,
  ) {
    const { store, log, report, clock } = deps;
    this.#sampled = new SampledLog(clock);
    this.#upkeep = new NodeUpkeep(entry.jid, store, options.upkeep, {
      log,
      sampled: this.#sampled,
      onResult: (result) => report.node(result),
    });
  }

  status(): AccountStatus {
    return {
      state: this.#state,
      connects: this.#connects,
      failures: this.#isStable() ? 0 : this.#failures,
      lastEnd: this.#lastEnd,
      isSettled: this.#upkeep.isDone,
    };
  }

  start(): void {
    if (this.#state === 'idle') this.#attempt();
  }

  changed(change: NodeChange): void {
    this.#upkeep.changed(change);
  }

  /** Closes the stream. What waits is made up for by the next start. The same promise every time. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  #attempt(): void {
    this.#state = 'not-ready';
    const { signal } = this.#stopping;
    this.deps.whenReady(signal).then(
      () => {
        if (!signal.aborted) this.#connect();
      },
      () => {
        if (!signal.aborted) this.#retryAfter(this.#backOffMs(this.options.backOffSeconds));
      },
    );
  }

  #connect(): void {
    this.#state = 'opening';
    const { resolveSrv = resolveSrvOfNode, randomBytes } = this.deps;
    const stream = new AccountStream(
      this.entry,
      this.options,
      { resolveSrv, randomBytes },
      {
        online: () => this.#goOnline(stream),
        stanza: (stanza) => this.#take(stanza),
        ended: (end) => this.#ended(end),
      },
    );
    this.#stream = stream;
  }

  #goOnline(stream: AccountStream): void {
    const { clock, log, report } = this.deps;
    this.#state = 'online';
    this.#connects += 1;
    this.#onlineSinceMs = clock.nowMs();
    report.connected();
    log.info(this.#logFields(), 'UWPX: the account is online');
    this.#upkeep.online((payload) => stream.request(payload));
  }

  #take(stanza: LibraryElement): void {
    const { report, onEvent } = this.deps;
    const read = readEvent(stanza, this.entry.jid);
    switch (read?.kind) {
      case undefined:
        if (stanza.is('message')) report.message('ignored');
        return;
      case 'own':
      case 'replay':
        report.message(read.kind);
        return;
      case 'publish':
        report.message('publish');
        onEvent(read.event.node, read.event.summary);
        return;
      default:
        assertNever(read);
    }
  }

  #ended(end: AccountEnd): void {
    this.#stream = null;
    this.#upkeep.offline();
    this.#lastEnd = end.kind;
    this.deps.report.ended(end.kind);
    if (this.#stopping.signal.aborted) return;
    this.#failures = this.#isStable() ? 1 : this.#failures + 1;
    this.#onlineSinceMs = null;
    const { refusedBackOffSeconds, backOffSeconds } = this.options;
    // Whoever took our place is at work; we come back slowly, or the two throw each other out for ever.
    const isSlow = isRefusal(end) || end.kind === 'conflict';
    const waitMs = this.#backOffMs(isSlow ? refusedBackOffSeconds : backOffSeconds);
    this.#logEnd(end, waitMs);
    this.#retryAfter(waitMs);
  }

  #isStable(): boolean {
    const { clock } = this.deps;
    return this.#onlineSinceMs !== null && clock.nowMs() - this.#onlineSinceMs >= this.options.stableAfterMs;
  }

  #backOffMs(steps: readonly number[]): number {
    const step = steps[Math.min(Math.max(this.#failures, 1), steps.length) - 1] ?? 0;
    return Math.round(step * 1000 * (1 + JITTER * this.deps.random()));
  }

  #retryAfter(ms: number): void {
    this.#state = 'backing-off';
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#attempt();
    }, ms);
  }

  async #stop(): Promise<void> {
    this.#stopping.abort(new Error('the account is stopped'));
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    const stream = this.#stream;
    this.#upkeep.offline();
    await stream?.close();
    this.#state = 'stopped';
  }

  #logEnd(end: AccountEnd, waitMs: number): void {
    const fields = { ...this.#logFields(), ...end, failures: this.#failures, waitMs };
    this.#sampled.note(end.kind, (occurrences) => {
      if (isRefusal(end)) {
        this.deps.log.error(
          { ...fields, occurrences },
          "UWPX: the account cannot log in: look at its password, and at the server's certificate",
        );
      } else this.deps.log.warn({ ...fields, occurrences }, 'UWPX: the account is not online');
    });
  }

  #logFields(): { host: string | null; port: number } {
    return { host: this.entry.host, port: this.entry.port };
  }
}
