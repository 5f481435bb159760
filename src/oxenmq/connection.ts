import type { Context, Dealer, Event, Observer } from 'zeromq';
import { assertNever } from '../domain/assert-never.js';
import type { Clock } from '../domain/clock.js';
import type { Random } from '../domain/random.js';
import { fail } from '../domain/result.js';
import type { Log } from '../telemetry/log.js';
import type { Metrics } from '../telemetry/metrics.js';
import type { SampledLog } from '../telemetry/sampled-log.js';
import { createDealer } from './dealer.js';
import { HiProbe } from './hi-probe.js';
import { OpenRequests, type Answer } from './open-requests.js';
import { DEFAULT_COMMANDS, type OxenmqOptions } from './options.js';
import type {
  KeyPair,
  OxenmqAddress,
  OxenmqConnection,
  OxenmqConnectionHandlers,
  OxenmqConnectionLimits,
} from './port.js';
import { PatientTimer } from './patient-timer.js';
import { RateLimit } from './rate-limit.js';
import type { Turns } from './turns.js';
import { classify, CommandTable, HI, MAX_COMMAND_BYTES, UNKNOWN_COMMAND } from './wire.js';

/** What all connections of one client share. */
export interface ConnectionSurroundings {
  readonly context: Context;
  readonly keyPair: KeyPair;
  readonly options: OxenmqOptions;
  readonly clock: Clock;
  readonly random: Random;
  readonly randomBytes: (size: number) => Buffer;
  readonly log: Log;
  readonly sampledLog: SampledLog;
  readonly metrics: Metrics;
  readonly turns: Turns;
}

/**
 * The life of a link:
 *
 *                 handshake / send HI             HELLO / onUp
 *   connecting ────────────────────► greeting ────────────────► up ──┐ HI probes
 *       ▲ ▲                             │                        │◄──┘
 *       │ └───────── disconnect ────────┘                        │
 *       └──────────────── disconnect / onDown ───────────────────┘
 *
 *   any ──► closed: close(), or with onClosed: no HELLO in time (10 s after `connect` or a reconnect's handshake),
 *   away for longer than maxDownMs, BYE, probes unanswered, refused by the peer's security, too many failed handshakes
 *   or short-lived links in a row, a disconnect that ZeroMQ does not follow with a retry (the socket is dead then).
 *
 * ZeroMQ reconnects by itself as long as the socket lives; which failures it does not survive is listed in spec
 * oxenmq, 9.3. Events come from the socket's monitor, messages from the socket: their order among each other is not
 * certain, so nothing relies on it.
 */
type LinkState = 'connecting' | 'greeting' | 'up' | 'closed';

export class Connection implements OxenmqConnection {
  #state: LinkState = 'connecting';
  #socket: Dealer | null = null;
  readonly #requests: OpenRequests;
  readonly #commands: CommandTable;
  readonly #unknownReplies: RateLimit;

  /** Until the link is up; only ever shortened, so that a link that comes and goes without HELLO gains no time. */
  readonly #upDeadline = new PatientTimer();
  /** From a disconnect to ZeroMQ's retry. */
  readonly #deadSocket = new PatientTimer();
  readonly #probe: HiProbe;
  /** By the monotonic clock. */
  #upSinceMs = 0;
  #strikes = 0;

  constructor(
    private readonly surroundings: ConnectionSurroundings,
    private readonly handlers: OxenmqConnectionHandlers,
    private readonly forget: (connection: Connection) => void,
  ) {
    const { options } = surroundings;
    this.#requests = new OpenRequests(surroundings.randomBytes, options.maxOpenRequests);
    this.#commands = new CommandTable(handlers.commands ?? DEFAULT_COMMANDS);
    this.#probe = new HiProbe(
      options,
      surroundings.random,
      () => this.#send([HI]),
      () => this.#end('probes unanswered'),
    );
    this.#unknownReplies = new RateLimit(surroundings.clock, options.maxUnknownCommandReplies, 1000);
  }

  get isUp(): boolean {
    return this.#state === 'up';
  }

  /** Called once. What the system refuses (too many sockets) arrives as `onClosed`, like every other failure. */
  open(address: OxenmqAddress, limits: OxenmqConnectionLimits): void {
    const { context, keyPair, options } = this.surroundings;
    try {
      const socket = createDealer(context, address, keyPair, options, limits);
      this.#socket = socket;
      // The monitor starts when `events` is first touched: before `connect`, or the first events are missed.
      void this.#watch(socket, socket.events);
      socket.connect(address.endpoint);
      this.#upDeadline.start(options.helloTimeoutMs, () => this.#end('no HELLO in time'));
      void this.#receive(socket);
    } catch (error) {
      this.refuse(`cannot be opened: ${errorCode(error)}`);
    }
  }

  /** Instead of `open`, or when it fails. Not from within `connect`: the caller does not hold the connection yet. */
  refuse(reason: string): void {
    setImmediate(() => this.#end(reason));
  }

  request(
    command: string,
    parts: readonly Buffer[],
    timeoutMs: number = this.surroundings.options.requestTimeoutMs,
  ): Promise<Answer> {
    const opened = this.#state === 'up' ? this.#requests.open(command, timeoutMs) : null;
    if (opened === null) return Promise.resolve(fail({ kind: 'unavailable' }));
    const { tag, answer } = opened;
    this.#send([command, tag, ...parts], () => this.#requests.fail(tag, { kind: 'unavailable' }));
    return answer;
  }

  close(): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#upDeadline.clear();
    this.#deadSocket.clear();
    this.#probe.stop();
    this.#socket?.close();
    this.#socket = null;
    this.forget(this);
    this.#requests.failAll({ kind: 'unavailable' });
  }

  #end(reason: string): void {
    if (this.#state === 'closed') return;
    this.close();
    this.#guarded(() => this.handlers.onClosed(reason));
  }

  // ---- Events of the socket -------------------------------------------------------------------------------------

  /** Our own loop instead of `events.on`, where a fault of ours in a listener would be an unhandled rejection. */
  async #watch(socket: Dealer, observer: Observer): Promise<void> {
    try {
      while (!observer.closed) this.#onEvent(await observer.receive());
    } catch (error) {
      if (this.#socket === socket) this.#end(`events ended: ${errorCode(error)}`);
    }
  }

  #onEvent(event: Event): void {
    if (this.#state === 'closed') return;
    switch (event.type) {
      case 'handshake':
        this.#deadSocket.clear();
        this.#greet();
        break;
      case 'disconnect':
        this.#onDisconnect();
        break;
      case 'connect:retry':
        this.#deadSocket.clear();
        break;
      case 'handshake:error:other':
        this.#strike('handshake failed');
        break;
      case 'handshake:error:protocol':
      case 'handshake:error:auth':
        this.#end('refused in the handshake');
        break;
      default:
    }
  }

  #greet(): void {
    this.#state = 'greeting';
    this.#upSinceMs = performance.now();
    this.#upDeadline.startIfSooner(this.surroundings.options.helloTimeoutMs, () => {
      this.#end('no HELLO in time');
    });
    this.#send([HI]);
  }

  #onDisconnect(): void {
    const was = this.#state;
    this.#state = 'connecting';
    this.#probe.stop();
    // What was under way is lost: ZeroMQ drops the queue of a broken link, and the remote's answer has no way here.
    this.#requests.failAll({ kind: 'unavailable' });
    const { options } = this.surroundings;
    this.#deadSocket.startIfSooner(options.deadSocketGraceMs, () => this.#end('broken for good'));
    if (was === 'up') {
      this.#upDeadline.startIfSooner(options.maxDownMs, () => this.#end('away for too long'));
      this.#guarded(() => this.handlers.onDown('disconnected'));
    }
    if (was !== 'connecting') this.#judgeLifetime();
  }

  /** A remote that lets us in and throws us out would otherwise be visited four times a second for ever. */
  #judgeLifetime(): void {
    if (performance.now() - this.#upSinceMs >= this.surroundings.options.stableAfterMs) {
      this.#strikes = 0;
    } else {
      this.#strike('links do not last');
    }
  }

  #strike(reason: string): void {
    this.#strikes += 1;
    if (this.#strikes >= this.surroundings.options.maxStrikes) this.#end(reason);
  }

  // ---- Messages of the remote -----------------------------------------------------------------------------------

  async #receive(socket: Dealer): Promise<void> {
    const { turns } = this.surroundings;
    let handledInTurn = 0;
    for (;;) {
      let parts: Buffer[];
      try {
        parts = await socket.receive();
      } catch (error) {
        // Closing a socket rejects its pending `receive`.
        if (this.#socket === socket) this.#end(`cannot be read: ${errorCode(error)}`);
        return;
      }
      if (this.#state === 'closed') return;
      this.#handle(parts);
      handledInTurn += 1;
      if (turns.isOver(handledInTurn)) {
        await turns.next();
        handledInTurn = 0;
      }
    }
  }

  #handle(parts: Buffer[]): void {
    this.#probe.heard();
    try {
      const name = parts.shift();
      if (name === undefined) return;
      const command = this.#commands.find(name);
      if (command === null) this.#handleControl(name, parts);
      else this.handlers.onCommand(command, parts);
    } catch (error) {
      this.#onHandlerFault(error);
    }
  }

  #handleControl(name: Buffer, rest: Buffer[]): void {
    const { oxenmqMalformed } = this.surroundings.metrics;
    const message = classify(name, rest);
    switch (message.kind) {
      case 'hello':
        this.#onHello();
        break;
      case 'reply':
        if (!this.#requests.reply(message.tag, message.data)) oxenmqMalformed.of('stray-reply').add();
        break;
      case 'refused-tag':
        this.#requests.fail(message.tag, { kind: 'refused', word: message.word });
        break;
      case 'refused-command':
        this.#requests.failCommand(message.command, { kind: 'refused', word: message.word });
        break;
      case 'bye':
        this.#end('BYE');
        break;
      case 'hi':
        // Meant for listeners; ignored on an outgoing connection (spec 4.1).
        break;
      case 'meaningless':
        oxenmqMalformed.of('meaningless').add();
        break;
      case 'unknown-command':
        oxenmqMalformed.of('unknown-command').add();
        if (message.name.length <= MAX_COMMAND_BYTES && this.#unknownReplies.take()) {
          this.#send([UNKNOWN_COMMAND, message.name]);
        }
        break;
      default:
        assertNever(message);
    }
  }

  #onHello(): void {
    if (this.#state !== 'greeting') return;
    this.#state = 'up';
    this.#upSinceMs = performance.now();
    this.#upDeadline.clear();
    this.#probe.start();
    this.#guarded(() => this.handlers.onUp());
  }

  // ---- Sending --------------------------------------------------------------------------------------------------

  /** Queued at once or not at all (`sendTimeout: 0`), so sends never overlap and keep their order. */
  #send(frames: (string | Buffer)[], onFailure: () => void = () => {}): void {
    const socket = this.#socket;
    if (socket === null) {
      onFailure();
      return;
    }
    try {
      // Asking makes ZeroMQ look at its mailbox, where a link that has just come up may still be waiting; `send` by
      // itself looks only once a millisecond and would find no link.
      void socket.writable;
      socket.send(frames).catch(onFailure);
    } catch {
      onFailure();
    }
  }

  #guarded(call: () => void): void {
    try {
      call();
    } catch (error) {
      this.#onHandlerFault(error);
    }
  }

  #onHandlerFault(error: unknown): void {
    this.surroundings.metrics.stageFailures.of('oxenmq-handler').add();
    this.surroundings.sampledLog.note('handler', (occurrences) => {
      this.surroundings.log.error({ err: error, occurrences }, 'a handler of an OxenMQ connection threw');
    });
  }
}

function errorCode(error: unknown): string {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code;
  return error instanceof Error ? error.name : 'unknown';
}
