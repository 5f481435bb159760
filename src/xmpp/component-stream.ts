import type { Socket } from 'node:net';
import { component, type ComponentEntity } from '@xmpp/component';
import { element, type Markup } from './markup.js';
import { ns } from './namespaces.js';
import type { ComponentEntry, XmppOptions } from './options.js';
import { ReadCoalescer } from './read-coalescer.js';
import type { StreamEnd } from './stream-end.js';
import { streamParserClass } from './stream-parser.js';
import type { XmlElement } from './xml-element.js';

export interface ComponentStreamEvents {
  /** The server has taken our handshake. */
  online(): void;
  /** While closing, too: what was under way to us when we closed our side. It cannot be answered any more. */
  stanza(stanza: XmlElement): void;
  /** A stanza beyond the limits of XML, without what was in it; null: not even its attributes could be read. */
  oversized(stanza: XmlElement | null): void;
  /** Once, and the last of all. */
  ended(end: StreamEnd): void;
}

type State = 'opening' | 'online' | 'closing' | 'ended';

const REFUSALS = new Set(['not-authorized', 'host-unknown']);
/** A quarter of what one read brings at most. */
const LARGE_READ_CHARS = 16_384;
const STREAM_END = '</stream:stream>' as Markup;

/**
 * One connection of one component, from its connect to its end; `ComponentLink` makes the next one.
 *
 * opening (TCP, stream headers, handshake) → online → closing (our `</stream:stream>` is sent) → ended; every state can
 * go to ended at once.
 *
 * The library does TCP, header and handshake. Everything after that is ours, because what it does there can bring the
 * process down or cost users their registrations: see `streamParserClass`. Source: XEP-0114; spec xmpp-push, section 1.
 */
export class ComponentStream {
  #state: State = 'opening';
  readonly #entity: ComponentEntity;
  readonly #reads: ReadCoalescer;
  #socket: Socket | null = null;
  #outgoing = '';
  #isFlushDue = false;
  #hasHeard = false;
  #pings = 0;
  /** At most one: for the opening, the next ping, its answer, or the closing. */
  #timer: NodeJS.Timeout | null = null;
  #whenEnded: (() => void)[] = [];

  constructor(
    private readonly entry: ComponentEntry,
    private readonly options: XmppOptions,
    private readonly events: ComponentStreamEvents,
  ) {
    this.#reads = new ReadCoalescer(options.coalesceMs, LARGE_READ_CHARS);
    this.#entity = this.#createEntity();
    this.#open();
  }

  /** False when the connection is not there: then nothing is kept. Sent together with what else comes in this turn. */
  send(markup: Markup): boolean {
    if (this.#state !== 'online') return false;
    this.#outgoing += markup;
    if (!this.#isFlushDue) {
      this.#isFlushDue = true;
      // Not a microtask: every answer of a provider that comes in this turn is an event of its own, and a write takes as
      // long as everything else about a publish.
      setImmediate(this.#flush);
    }
    return true;
  }

  /** Sends what waits, closes the stream, and resolves when the connection is gone. */
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
      this.#after(this.options.closeTimeoutMs, () => {
        this.#end({ kind: 'stopped' });
      });
    }
    return new Promise((resolve) => this.#whenEnded.push(resolve));
  }

  #createEntity(): ComponentEntity {
    const { entry, options } = this;
    // The library hashes the secret as Latin-1; this makes of it the UTF-8 bytes that servers hash.
    const secret = Buffer.from(entry.secret, 'utf8').toString('latin1');
    const entity = component({
      service: 'xmpp://component',
      domain: entry.domain,
      password: (authenticate) => authenticate(secret),
    });
    entity.reconnect.stop();
    entity.timeout = options.openTimeoutMs;
    entity.socketParameters = () => ({ host: entry.host, port: entry.port });
    entity.Parser = streamParserClass(options.xml, this.#reads, {
      heard: () => {
        this.#hasHeard = true;
      },
      // Not at the library's `online`, which comes some promises later: a stanza of the same packet would be lost.
      accepted: () => {
        this.#goOnline();
      },
      stanza: (stanza) => {
        if (this.#state === 'online' || this.#state === 'closing') this.events.stanza(stanza);
      },
      oversized: (stanza) => {
        if (this.#state === 'online') this.events.oversized(stanza);
        else if (this.#state === 'opening') this.#end({ kind: 'bad-xml', fault: 'policy-violation' });
      },
      streamError: (condition) => {
        this.#endByError(condition);
      },
      badXml: (fault) => {
        this.#end({ kind: 'bad-xml', fault });
      },
      closed: () => {
        this.#endByServer();
      },
    });
    return entity;
  }

  #open(): void {
    const entity = this.#entity;
    // A failure of the socket while opening; everything else that the library calls an error has its own way to #end.
    entity.on('error', (failure: NodeJS.ErrnoException) => {
      if (this.#state === 'opening') this.#end({ kind: 'unreachable', code: failure.code ?? 'unknown' });
    });
    this.#after(this.options.openTimeoutMs, () => {
      this.#end({ kind: 'handshake-timeout' });
    });
    const connected = entity.connect('xmpp://component');
    const { socket } = entity;
    this.#socket = socket;
    // Characters that a packet cuts in two would be lost in the library; the socket puts them together.
    socket?.setEncoding('utf8');
    socket?.setNoDelay(true);
    // After the library's own listener: what has come is worked off by then.
    socket?.on('data', (text: string) => {
      if (text.length >= LARGE_READ_CHARS) this.#letOthersWork(socket);
    });
    // The library takes its own listener away with the connection; an error after that must find one.
    socket?.on('error', () => undefined);
    socket?.on('close', () => {
      this.#reads.flush();
      this.#end(this.#state === 'closing' ? { kind: 'stopped' } : { kind: 'closed-by-server' });
    });
    const { openTimeoutMs } = this.options;
    connected
      .then(() => entity.open({ domain: this.entry.domain, timeout: openTimeoutMs }))
      // Errors come as an event too, and a time-out of ours is at least as quick.
      .catch(() => undefined);
  }

  /**
   * A server that has much to say is read in pieces, of which a single turn of the event loop would take up to 32: some
   * thousand publishes, and nobody else's answer leaves before they are done.
   */
  #letOthersWork(socket: Socket): void {
    socket.pause();
    setImmediate(() => socket.resume());
  }

  #goOnline(): void {
    if (this.#state !== 'opening') return;
    this.#setState('online');
    this.#scheduleProbe();
    this.events.online();
  }

  readonly #flush = (): void => {
    this.#isFlushDue = false;
    const socket = this.#socket;
    if (this.#state !== 'online' || socket === null || this.#outgoing === '') return;
    const outgoing = this.#outgoing;
    this.#outgoing = '';
    if (socket.writableLength + Buffer.byteLength(outgoing) > this.options.maxSendQueueBytes) {
      this.#end({ kind: 'send-queue-full' });
      return;
    }
    this.#entity.write(outgoing).catch(() => undefined);
  };

  #scheduleProbe(): void {
    this.#after(this.options.pingIntervalMs, () => {
      this.#hasHeard = false;
      this.#ping(this.#pingDomain());
      // The server may not know its own domain as we guess it; a ping to ourselves comes back in any case.
      this.#ping(this.entry.domain);
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

  #pingDomain(): string {
    const { pingDomain, domain } = this.entry;
    return pingDomain ?? (domain.includes('.') ? domain.slice(domain.indexOf('.') + 1) : domain);
  }

  #ping(to: string): void {
    this.#pings += 1;
    const attributes = { type: 'get', from: this.entry.domain, to, id: `waggle-ping-${this.#pings}` };
    this.send(element('iq', attributes, element('ping', { xmlns: ns.ping })));
  }

  #endByError(condition: string): void {
    if (condition === 'conflict') this.#end({ kind: 'conflict' });
    else if (REFUSALS.has(condition)) this.#end({ kind: 'refused', condition });
    else this.#end({ kind: 'stream-error', condition });
  }

  /** The server has said all that it will say. It may still read: what waits and our own end go out. */
  #endByServer(): void {
    const wasClosing = this.#state === 'closing';
    if (this.#state === 'online') {
      this.#outgoing += STREAM_END;
      this.#flush();
    }
    this.#socket?.end();
    this.#end(wasClosing ? { kind: 'stopped' } : { kind: 'closed-by-server' });
  }

  #end(end: StreamEnd): void {
    if (this.#state === 'ended') return;
    this.#setState('ended');
    this.#reads.drop();
    this.#outgoing = '';
    // Ends the library's waits, whose timers would outlive us.
    this.#entity.emit('error', new Error('the connection has ended'));
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
