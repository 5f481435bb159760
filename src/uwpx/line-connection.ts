import type { Duplex } from 'node:stream';
import { errorAnswer } from './answers.js';
import type { ConnectionLimits } from './listener-options.js';
import { MessageBuffer } from './message-buffer.js';
import { isWholeJson } from './request.js';
import type { UwpxReply } from './service.js';

/**
 * Why a connection ended. `done`: the client ended it. `lost`: it broke. All others are ours: `idle`: no message in
 * time; `slow-reader`: an answer was not taken; `too-long`, `faults`: what was sent; `stopped`: we are stopping.
 */
export type EndReason = 'done' | 'lost' | 'idle' | 'slow-reader' | 'too-long' | 'faults' | 'stopped';

/** Reads the message before it returns, never rejects, always settles within a limit of its own. */
export type AnswerMessage = (message: Uint8Array) => Promise<UwpxReply>;

type State = 'reading' | 'answering' | 'ending' | 'closed';

/** How often a silence makes us look whether the message is whole: an honest client sends it in a piece or two. */
const QUIET_LOOKS_MAX = 3;
/** What is thrown away of a client that goes on sending after our end. */
const DISCARD_MAX_BYTES = 1_048_576;

/**
 * One client's messages, answered one after the other in their order.
 *
 *     reading ──a whole message──► answering ──the client has taken the answer──► reading
 *        │                            │
 *        └── end of the client, idle, too long, too many faults, stop ──► ending ──► closed
 *
 * While a message is being answered nothing is read, so that a client can make us hold one message, one answer and what
 * one read brought, however fast it sends and however slowly it reads. `ending`: the last answer and our end are on
 * their way; what still comes is thrown away, because closing with unread bytes would destroy that answer on its way.
 */
export class LineConnection {
  #state: State = 'reading';
  readonly #buffer: MessageBuffer;
  #reason: EndReason | null = null;
  #hasClientEnded = false;
  #isStopping = false;
  #faults = 0;
  #quietLooks = 0;
  #discardedBytes = 0;
  /** Of the present state: the next message, the taking of an answer, the client's end. */
  #deadline: NodeJS.Timeout | null = null;
  #quiet: NodeJS.Timeout | null = null;

  /** `socket`: secured, allows half-open. `onClosed` is called once. */
  constructor(
    private readonly socket: Duplex,
    private readonly answer: AnswerMessage,
    private readonly limits: ConnectionLimits,
    private readonly onClosed: (reason: EndReason) => void,
  ) {
    this.#buffer = new MessageBuffer(limits.messageMaxBytes);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.#close());
    socket.on('end', () => this.#clientEnded());
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    this.#proceed();
  }

  /** The message that is being answered gets its answer first; what was sent behind it gets none. */
  stop(): void {
    this.#isStopping = true;
    if (this.#state === 'reading') this.#end('stopped');
  }

  destroy(reason: EndReason): void {
    this.#reason ??= reason;
    this.socket.destroy();
  }

  #receive(chunk: Buffer): void {
    if (this.#state === 'ending') {
      this.#discardedBytes += chunk.length;
      if (this.#discardedBytes > DISCARD_MAX_BYTES) this.socket.destroy();
      return;
    }
    this.#buffer.append(chunk);
    if (this.#state === 'reading') this.#look();
  }

  #clientEnded(): void {
    this.#hasClientEnded = true;
    if (this.#state === 'reading') this.#look();
  }

  /** Back to reading, unless the next message is there already. */
  #proceed(): void {
    this.#state = 'reading';
    this.#quietLooks = 0;
    this.#limitTime(this.limits.idleTimeoutMs, () => this.#end('idle'));
    this.#look();
    if (this.#state === 'reading') this.socket.resume();
  }

  #look(): void {
    if (this.#isStopping) {
      this.#end('stopped');
      return;
    }
    const message = this.#buffer.take();
    if (message !== null) this.#respond(message);
    else if (this.#buffer.isTooLong) this.#end('too-long', errorAnswer('malformed'));
    else if (this.#hasClientEnded) this.#lookAtRest();
    else this.#awaitQuiet();
  }

  /** The client has ended, with or without a NUL behind its last message. */
  #lookAtRest(): void {
    const rest = this.#buffer.peek();
    this.#buffer.clear();
    if (isBlank(rest)) this.#end('done');
    else this.#respond(rest);
  }

  #awaitQuiet(): void {
    if (this.#quiet !== null) clearTimeout(this.#quiet);
    this.#quiet = null;
    if (this.#buffer.length === 0 || this.#quietLooks >= QUIET_LOOKS_MAX) return;
    this.#quiet = setTimeout(() => {
      this.#quiet = null;
      this.#quietLooks += 1;
      const rest = this.#buffer.peek();
      if (!isWholeJson(rest)) return;
      this.#buffer.clear();
      this.#respond(rest);
    }, this.limits.quietMs);
  }

  #respond(message: Uint8Array): void {
    this.#state = 'answering';
    this.#clearTimers();
    this.socket.pause();
    void this.answer(message).then((reply) => this.#send(reply));
  }

  #send({ bytes, isFault }: UwpxReply): void {
    if (this.#state !== 'answering') return;
    this.#faults = isFault ? this.#faults + 1 : 0;
    if (this.#faults >= this.limits.faultsMax) {
      this.#end('faults', bytes);
      return;
    }
    this.#limitTime(this.limits.writeTimeoutMs, () => this.destroy('slow-reader'));
    // In one write: the client stops reading at the first piece that is shorter than it could be.
    this.socket.write(bytes, (error) => {
      if (!error && this.#state === 'answering') this.#proceed();
    });
  }

  #end(reason: EndReason, lastAnswer?: Buffer): void {
    this.#state = 'ending';
    this.#reason = reason;
    this.#buffer.clear();
    this.#clearTimers();
    this.#limitTime(this.limits.lingerMs, () => this.socket.destroy());
    if (lastAnswer === undefined) this.socket.end();
    else this.socket.end(lastAnswer);
    this.socket.resume();
  }

  #close(): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#clearTimers();
    this.#buffer.clear();
    this.onClosed(this.#reason ?? 'lost');
  }

  #limitTime(ms: number, onDue: () => void): void {
    if (this.#deadline !== null) clearTimeout(this.#deadline);
    this.#deadline = setTimeout(onDue, ms);
  }

  #clearTimers(): void {
    if (this.#deadline !== null) clearTimeout(this.#deadline);
    if (this.#quiet !== null) clearTimeout(this.#quiet);
    this.#deadline = this.#quiet = null;
  }
}

/** The spaces of JSON (RFC 8259, 2), such as a line end behind the NUL. */
const isBlank = (bytes: Buffer): boolean =>
  bytes.every((byte) => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09);
