import type { Socket } from 'node:net';
import { client, xml, type ClientEntity, type LibraryElement, type ParserClass } from '@xmpp/client';
import type { RandomBytes } from '../crypto/sodium.js';
import { codeOf, type AccountEnd } from './account-end.js';
import { AccountLogin, libraryNameOf } from './account-login.js';
import { domainOf, localPartOf, type AccountEntry, type AccountOptions } from './account-options.js';
import { accountParserClass } from './account-parser.js';
import { openAccountSocket, type SocketTools } from './account-socket.js';
import { answerTo, ping, type IqResult } from './account-stanzas.js';
import { bytesAsText } from './scram.js';

export interface AccountEvents {
  /** Logged in, and reachable for messages. */
  online(): void;
  /** Everything but requests and answers. */
  stanza(stanza: LibraryElement): void;
  /** Once, and the last of all. */
  ended(end: AccountEnd): void;
}

interface Request {
  readonly resolve: (result: IqResult) => void;
  readonly timer: NodeJS.Timeout;
}

type State = 'opening' | 'online' | 'closing' | 'ended';

const STREAM_END = '</stream:stream>';

/**
 * One session of the account, from its connect to its end; `AccountClient` makes the next one.
 *
 * opening (socket with TLS, stream, login, resource) → online → closing (our `</stream:stream>` is sent) → ended; every
 * state can go to ended at once.
 *
 * The library logs in and binds the resource; what comes before and after that is ours (`openAccountSocket`,
 * `accountParserClass`). Source: RFC 6120; spec uwpx-push, 6.1.
 */
export class AccountStream {
  #state: State = 'opening';
  readonly #entity: ClientEntity;
  readonly #login: AccountLogin;
  readonly #opening = new AbortController();
  #socket: Socket | null = null;
  #outgoing = '';
  #isFlushDue = false;
  #hasHeard = false;
  #lastId = 0;
  readonly #requests = new Map<string, Request>();
  /** At most one: for the opening, the next ping, its answer, or the closing. */
  #timer: NodeJS.Timeout | null = null;
  #whenEnded: (() => void)[] = [];

  constructor(
    private readonly entry: AccountEntry,
    private readonly options: AccountOptions,
    private readonly tools: {
      readonly resolveSrv: SocketTools['resolveSrv'];
      readonly randomBytes: RandomBytes;
    },
    private readonly events: AccountEvents,
  ) {
    const { jid, password } = entry;
    this.#login = new AccountLogin({ username: localPartOf(jid), password }, tools.randomBytes);
    this.#entity = this.#createEntity();
    this.#after(options.openTimeoutMs, () => this.#end({ kind: 'open-timeout' }));
    void this.#open();
  }

  get openRequests(): number {
    return this.#requests.size;
  }

  /** A request to our own account. Settles at the latest after `requestTimeoutMs`; never rejects. */
  request(payload: LibraryElement): Promise<IqResult> {
    return this.#ask('set', payload, null);
  }

  /** Closes the stream, and resolves when the connection is gone. */
  close(): Promise<void> {
    if (this.#state === 'ended') return Promise.resolve();
    if (this.#state === 'opening') {
      this.#end({ kind: 'stopped' });
      return Promise.resolve();
    }
    if (this.#state === 'online') {
      this.#outgoing += STREAM_END;
      this.#flush();
      this.#setState('closing');
      this.#after(this.options.closeTimeoutMs, () => this.#end({ kind: 'stopped' }));
    }
    return new Promise((resolve) => this.#whenEnded.push(resolve));
  }

  #createEntity(): ClientEntity {
    const { entry, options } = this;
    const entity = client({
      service: 'xmpp://account',
      domain: domainOf(entry.jid),
      username: bytesAsText(localPartOf(entry.jid)),
      password: bytesAsText(entry.password),
      resource: options.resource,
    });
    entity.reconnect.stop();
    entity.timeout = options.openTimeoutMs;
    for (const [name, mechanism] of this.#login.mechanisms()) entity.sasl.use(name, mechanism);
    entity.on('online', () => this.#goOnline());
    entity.on('error', (error: unknown) => {
      if (this.#state !== 'opening') return;
      const code = codeOf(error);
      // Without a code it is no error of the socket: the server did not answer the login as it should.
      this.#end(
        code === null ? { kind: 'refused', condition: 'login-failed' } : { kind: 'unreachable', code },
      );
    });
    return entity;
  }

  async #open(): Promise<void> {
    const { entry, options } = this;
    const entity = this.#entity;
    const transport = entity.transports.find((candidate) => {
      try {
        return candidate.prototype.socketParameters('xmpp://account') !== undefined;
      } catch {
        return false;
      }
    });
    if (transport === undefined) throw new Error('the library has no TCP');
    const { Parser } = transport.prototype;
    const opened = await openAccountSocket(
      entry,
      { Parser, resolveSrv: this.tools.resolveSrv },
      this.#opening.signal,
    );
    if (!opened.ok) {
      this.#end(opened.error);
      return;
    }
    const socket = opened.value;
    if (this.#state !== 'opening') {
      socket.destroy();
      return;
    }
    this.#socket = socket;
    // Characters that a packet cuts in two would be lost in the library; the socket puts them together.
    socket.setEncoding('utf8');
    socket.on('close', () => {
      this.#end(this.#state === 'closing' ? { kind: 'stopped' } : { kind: 'closed-by-server' });
    });
    entity.Transport = transport;
    entity.Parser = this.#parserClass(Parser);
    entity._attachSocket(socket);
    socket.resume();
    // Errors come as an event too, and a time-out of ours is at least as quick.
    await entity.open({ domain: domainOf(entry.jid), timeout: options.openTimeoutMs }).catch(() => undefined);
  }

  #parserClass(Parser: ParserClass): ParserClass {
    const { maxStanzaChars } = this.options;
    const isOnline = (): boolean => this.#state === 'online' || this.#state === 'closing';
    return accountParserClass(
      Parser,
      { maxStanzaChars, isOnline },
      {
        heard: () => {
          this.#hasHeard = true;
        },
        chooseMechanism: (offered) => {
          const chosen = this.#login.choose(offered);
          return chosen === null ? null : libraryNameOf(chosen);
        },
        isProven: (lastWord) => this.#login.isServerProven(lastWord),
        refused: (condition) => this.#end({ kind: 'refused', condition }),
        stanza: (stanza) => this.#take(stanza),
        streamError: (condition) =>
          this.#end(condition === 'conflict' ? { kind: 'conflict' } : { kind: 'stream-error', condition }),
        badXml: () => this.#end({ kind: 'bad-xml' }),
        closed: () => this.#endByServer(),
      },
    );
  }

  #goOnline(): void {
    if (this.#state !== 'opening') return;
    this.#setState('online');
    // Without it the server delivers no message to us (RFC 6121, 4.2).
    this.#send(xml('presence'));
    this.#scheduleProbe();
    this.events.online();
  }

  #take(stanza: LibraryElement): void {
    if (!stanza.is('iq')) {
      this.events.stanza(stanza);
      return;
    }
    const answer = answerTo(stanza);
    if (answer === null) this.#takeAnswer(stanza);
    else this.#send(answer);
  }

  #takeAnswer(stanza: LibraryElement): void {
    const { id = '', type, from } = stanza.attrs;
    const request = this.#requests.get(id);
    // Strangers can send answers too.
    if (request === undefined || !this.#isFromServer(from) || (type !== 'result' && type !== 'error')) return;
    const [condition] = stanza.getChild('error')?.getChildElements() ?? [];
    this.#settle(
      id,
      type === 'result' ? { kind: 'result' } : { kind: 'error', condition: condition?.name ?? '' },
    );
  }

  #isFromServer(from: string | undefined): boolean {
    const { jid } = this.entry;
    const [bare = ''] = (from ?? jid).toLowerCase().split('/', 1);
    return bare === jid || bare === domainOf(jid);
  }

  #ask(type: 'get' | 'set', payload: LibraryElement, to: string | null): Promise<IqResult> {
    this.#lastId += 1;
    const id = `w${this.#lastId}`;
    return new Promise((resolve) => {
      if (this.#state !== 'online') {
        resolve({ kind: 'lost' });
        return;
      }
      const timer = setTimeout(() => this.#settle(id, { kind: 'late' }), this.options.requestTimeoutMs);
      this.#requests.set(id, { resolve, timer });
      this.#send(xml('iq', { type, id, ...(to === null ? {} : { to }) }, payload));
    });
  }

  #settle(id: string, result: IqResult): void {
    const request = this.#requests.get(id);
    if (request === undefined) return;
    this.#requests.delete(id);
    clearTimeout(request.timer);
    request.resolve(result);
  }

  /** Sent together with what else comes in this turn. */
  #send(element: LibraryElement): void {
    if (this.#state !== 'online') return;
    this.#outgoing += element.toString();
    if (this.#isFlushDue) return;
    this.#isFlushDue = true;
    queueMicrotask(this.#flush);
  }

  readonly #flush = (): void => {
    this.#isFlushDue = false;
    const socket = this.#socket;
    if (this.#state !== 'online' || socket === null || this.#outgoing === '') return;
    const outgoing = this.#outgoing;
    this.#outgoing = '';
    if (socket.writableLength + Buffer.byteLength(outgoing) > this.options.maxSendQueueBytes) {
      this.#end({ kind: 'send-queue-full' });
    } else this.#entity.write(outgoing).catch(() => undefined);
  };

  #scheduleProbe(): void {
    this.#after(this.options.pingIntervalMs, () => {
      this.#hasHeard = false;
      void this.#ask('get', ping(), domainOf(this.entry.jid));
      this.#after(this.options.silenceMs, () => {
        // After a long stall of ours the answer may lie in the socket, unread: reading comes before this.
        setImmediate(() => {
          if (this.#state !== 'online') return;
          if (this.#hasHeard) this.#scheduleProbe();
          else this.#end({ kind: 'silent' });
        });
      });
    });
  }

  /** The server has said all that it will say. */
  #endByServer(): void {
    const wasClosing = this.#state === 'closing';
    if (this.#state === 'online') {
      this.#outgoing += STREAM_END;
      this.#flush();
    }
    this.#socket?.end();
    this.#end(wasClosing ? { kind: 'stopped' } : { kind: 'closed-by-server' });
  }

  #end(end: AccountEnd): void {
    if (this.#state === 'ended') return;
    this.#setState('ended');
    this.#outgoing = '';
    this.#opening.abort();
    // Ends the library's waits, whose timers would outlive us.
    this.#entity.emit('error', new Error('the connection has ended'));
    for (const id of [...this.#requests.keys()]) this.#settle(id, { kind: 'lost' });
    const socket = this.#socket;
    if (socket !== null && !socket.destroyed) {
      // What has been written may still leave; a peer that does not read does not hold the socket for longer.
      if (socket.writableEnded) socket.setTimeout(this.options.closeTimeoutMs, () => socket.destroy());
      else socket.destroy();
    }
    this.events.ended(end);
    for (const resolve of this.#whenEnded) resolve();
    this.#whenEnded = [];
  }

  #setState(state: State): void {
    this.#state = state;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #after(ms: number, run: () => void): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = setTimeout(run, ms);
  }
}
