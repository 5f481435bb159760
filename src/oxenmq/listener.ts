import type { Router } from 'zeromq';
import { assertNever } from '../domain/assert-never.js';
import type { Clock } from '../domain/clock.js';
import { fail } from '../domain/result.js';
import type { Log } from '../telemetry/log.js';
import type { Metrics } from '../telemetry/metrics.js';
import type { SampledLog } from '../telemetry/sampled-log.js';
import { OpenRequests, type Answer } from './open-requests.js';
import type { OxenmqListenerOptions } from './options.js';
import type { AccessLevel, OxenmqPeer, SendResult, ServedCommand } from './port.js';
import { RateLimit } from './rate-limit.js';
import { codeOf } from './socket-file.js';
import { Turns } from './turns.js';
import {
  classify,
  FORBIDDEN,
  HELLO,
  MAX_COMMAND_BYTES,
  NO_REPLY_TAG,
  REPLY,
  UNKNOWN_COMMAND,
} from './wire.js';

/** What all listeners of one server share. */
export interface ListenerSurroundings {
  readonly options: OxenmqListenerOptions;
  readonly commands: ReadonlyMap<string, ServedCommand>;
  readonly clock: Clock;
  readonly randomBytes: (size: number) => Buffer;
  readonly log: Log;
  readonly sampledLog: SampledLog;
  readonly metrics: Metrics;
}

/** liboxenmq's tags have 15 bytes. A tag is kept until the reply, so it has a limit. */
const MAX_TAG_BYTES = 255;
/** A request of no bytes is some work too. */
const REQUEST_COST_BYTES = 400;
const BROKEN_SOCKET_PAUSE_MS = 100;

type ServedOneWay = Extract<ServedCommand, { kind: 'command' }>;
type ServedRequest = Extract<ServedCommand, { kind: 'request' }>;

/**
 * One bound ROUTER socket: answers HI, runs what is served (spec oxenmq, 3 to 4.2), sends commands and requests to
 * whoever is connected. ZeroMQ does not tell when a peer comes or goes, so nothing is kept about one except what is
 * under way: requests of his that we work on, requests of ours that he has not answered.
 *
 * Always reads, and never queues work: what is above a bound is dropped and counted, as liboxenmq does when its
 * queues are full (4.3). A reply that his queue has no room for, or that comes when he is gone, is lost.
 */
export class Listener {
  #router: Router | null;
  readonly #open = new Map<string, OpenRequests>();
  readonly #runningOf = new Map<string, number>();
  #running = 0;
  #runningBytes = 0;
  readonly #errorReplies: RateLimit;
  readonly #requestBytes: RateLimit;
  readonly #turns: Turns;
  /** A close gives what was just sent some time; no need when nothing was. */
  #lastSentAtMs = -Infinity;

  constructor(
    private readonly surroundings: ListenerSurroundings,
    private readonly name: string,
    readonly level: AccessLevel,
    router: Router,
  ) {
    const { clock, options } = surroundings;
    this.#router = router;
    this.#errorReplies = new RateLimit(clock, options.maxErrorReplies, 1000);
    this.#requestBytes = new RateLimit(clock, options.maxRequestBytesPerSecond[level], 1000);
    this.#turns = new Turns(options.messagesPerTurn, 1);
    void this.#receive(router);
  }

  /** Settles when what was sent last had its chance to leave. */
  async close(): Promise<void> {
    const router = this.#router;
    if (router === null) return;
    this.#router = null;
    const { lingerMs } = this.surroundings.options;
    router.linger = lingerMs;
    router.close();
    for (const requests of [...this.#open.values()]) requests.failAll({ kind: 'unavailable' });
    const waitMs = Math.min(this.#lastSentAtMs + lingerMs - performance.now(), lingerMs);
    if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
  }

  // ---- To peers -------------------------------------------------------------------------------------------------

  async request(
    route: Buffer,
    command: string,
    parts: readonly Buffer[],
    timeoutMs: number = this.surroundings.options.requestTimeoutMs,
  ): Promise<Answer> {
    const { options, randomBytes } = this.surroundings;
    const key = route.latin1Slice();
    const requests = this.#open.get(key) ?? new OpenRequests(randomBytes, options.maxOpenRequests);
    const opened = this.#router === null ? null : requests.open(command, timeoutMs);
    if (opened === null) return fail({ kind: 'unavailable' });
    this.#open.set(key, requests);
    const sent = await this.send(route, [command, opened.tag, ...parts]);
    if (sent !== 'sent') requests.fail(opened.tag, { kind: 'unavailable' });
    try {
      return await opened.answer;
    } finally {
      if (requests.size === 0 && this.#open.get(key) === requests) this.#open.delete(key);
    }
  }

  /**
   * Queued at once or not at all (`sendTimeout: 0`), so sends never overlap (spec oxenmq, 9.1), keep their order and
   * nothing waits.
   */
  async send(route: Buffer, frames: readonly (string | Buffer)[]): Promise<SendResult> {
    const router = this.#router;
    if (router === null) return 'unreachable';
    try {
      // Makes ZeroMQ look at its mailbox, where a peer that has just come or gone may still be waiting.
      void router.writable;
      this.#lastSentAtMs = performance.now();
      await router.send([route, ...frames]);
      return 'sent';
    } catch (error) {
      return codeOf(error) === 'EAGAIN' ? 'full' : 'unreachable';
    }
  }

  // ---- From peers -----------------------------------------------------------------------------------------------

  async #receive(router: Router): Promise<void> {
    for (let handledInTurn = 0; ;) {
      try {
        this.#handle(await router.receive());
      } catch (error) {
        if (this.#router !== router) return;
        this.#onFault('read', error);
        await new Promise((resolve) => setTimeout(resolve, BROKEN_SOCKET_PAUSE_MS));
      }
      if (this.#router !== router) return;
      handledInTurn += 1;
      if (this.#turns.isOver(handledInTurn)) {
        await this.#turns.next();
        handledInTurn = 0;
      }
    }
  }

  #handle(message: Buffer[]): void {
    const [route, name, ...parts] = message;
    if (route === undefined || name === undefined) {
      this.#count('meaningless');
      return;
    }
    const text = name.length <= MAX_COMMAND_BYTES ? name.latin1Slice() : '';
    const served = this.surroundings.commands.get(text);
    if (served === undefined) {
      this.#handleControl(route, name, parts);
    } else if (served.access === 'admin' && this.level !== 'admin') {
      this.#count('forbidden');
      this.#refuse(route, FORBIDDEN, name, served.kind === 'request' ? parts[0] : undefined);
    } else if (served.kind === 'command') {
      this.#run(route, served, parts);
    } else {
      this.#start(route, name, served, parts);
    }
  }

  #handleControl(route: Buffer, name: Buffer, rest: Buffer[]): void {
    const message = classify(name, rest);
    switch (message.kind) {
      case 'hi':
        void this.send(route, [HELLO]);
        break;
      case 'hello':
      case 'bye':
        // Meant for those who connect; ignored by a listener (spec 4.1).
        break;
      case 'reply': {
        const requests = this.#open.get(route.latin1Slice());
        if (requests?.reply(message.tag, message.data) !== true) this.#count('stray-reply');
        break;
      }
      case 'refused-tag':
        this.#open.get(route.latin1Slice())?.fail(message.tag, { kind: 'refused', word: message.word });
        break;
      case 'refused-command':
        this.#open
          .get(route.latin1Slice())
          ?.failCommand(message.command, { kind: 'refused', word: message.word });
        break;
      case 'meaningless':
        this.#count('meaningless');
        break;
      case 'unknown-command':
        this.#count('unknown-command');
        if (message.name.length <= MAX_COMMAND_BYTES) this.#refuse(route, UNKNOWN_COMMAND, message.name);
        break;
      default:
        assertNever(message);
    }
  }

  #run(route: Buffer, served: ServedOneWay, parts: readonly Buffer[]): void {
    try {
      served.run(this.#peer(route), parts);
    } catch (error) {
      this.#onFault('handler', error);
    }
  }

  #start(route: Buffer, name: Buffer, served: ServedRequest, [tag, ...parts]: Buffer[]): void {
    if (tag === undefined) {
      this.#count('no-reply-tag');
      this.#refuse(route, NO_REPLY_TAG, name);
      return;
    }
    if (tag.length > MAX_TAG_BYTES) {
      this.#count('meaningless');
      return;
    }
    const { maxRunning, maxRunningPerPeer, maxRunningBytes } = this.surroundings.options;
    const peer = this.#peer(route);
    const ofPeer = this.#runningOf.get(peer.key) ?? 0;
    const bytes = parts.reduce((sum, part) => sum + part.length, 0);
    if (
      this.#running >= maxRunning[this.level] ||
      ofPeer >= maxRunningPerPeer[this.level] ||
      (this.#running > 0 && this.#runningBytes + bytes > maxRunningBytes) ||
      !this.#requestBytes.take(REQUEST_COST_BYTES + bytes)
    ) {
      this.#count('overload');
      return;
    }
    this.#running += 1;
    this.#runningBytes += bytes;
    this.#runningOf.set(peer.key, ofPeer + 1);
    // A small frame may be a view of memory that ZeroMQ lends out.
    void this.#answer(peer, served, Buffer.from(tag), parts).finally(() => {
      this.#running -= 1;
      this.#runningBytes -= bytes;
      const left = (this.#runningOf.get(peer.key) ?? 1) - 1;
      if (left > 0) this.#runningOf.set(peer.key, left);
      else this.#runningOf.delete(peer.key);
    });
  }

  async #answer(peer: Peer, served: ServedRequest, tag: Buffer, parts: readonly Buffer[]): Promise<void> {
    try {
      const reply = await served.run(peer, parts);
      if ((await this.send(peer.route, [REPLY, tag, ...reply])) !== 'sent') this.#count('reply-lost');
    } catch (error) {
      this.#onFault('handler', error);
    }
  }

  /** The two shapes of 4.2: with the tag where the name is a request's and there was one. */
  #refuse(route: Buffer, word: string, name: Buffer, tag?: Buffer): void {
    if (!this.#errorReplies.take()) return;
    const isTagged = tag !== undefined && tag.length <= MAX_TAG_BYTES;
    void this.send(route, isTagged ? [word, REPLY, tag] : [word, name]);
  }

  #peer(route: Buffer): Peer {
    return new Peer(this, this.name, Buffer.from(route));
  }

  #count(kind: string): void {
    this.surroundings.metrics.oxenmqMalformed.of(`listener-${kind}`).add();
  }

  #onFault(what: 'read' | 'handler', error: unknown): void {
    const { metrics, sampledLog, log } = this.surroundings;
    metrics.stageFailures.of(`oxenmq-listener-${what}`).add();
    const fault = error instanceof Error ? error.name : typeof error;
    sampledLog.note(what, (occurrences) => {
      log.error({ door: this.name, what, fault, occurrences }, 'a fault of ours at an OxenMQ listener');
    });
  }
}

class Peer implements OxenmqPeer {
  readonly key: string;

  constructor(
    private readonly listener: Listener,
    door: string,
    readonly route: Buffer,
  ) {
    this.key = `${door} ${route.latin1Slice()}`;
  }

  get level(): AccessLevel {
    return this.listener.level;
  }

  request(command: string, parts: readonly Buffer[], timeoutMs?: number): Promise<Answer> {
    return this.listener.request(this.route, command, parts, timeoutMs);
  }

  send(command: string, parts: readonly Buffer[]): Promise<SendResult> {
    return this.listener.send(this.route, [command, ...parts]);
  }
}
