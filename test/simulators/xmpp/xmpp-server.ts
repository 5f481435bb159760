import { createHash, randomUUID } from 'node:crypto';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import type { XmlElement } from '../../../src/xmpp/xml-element.js';
import { XmlReader } from '../../../src/xmpp/xml-reader.js';
import { eventually } from '../eventually.js';

/** What a server does with a component that connects. */
export type Manners =
  /** Takes the handshake when the secret is right, like Prosody: a second connection gets `conflict`. */
  | 'prosody'
  /** The same, but takes any number of connections, like ejabberd; an unknown domain is `not-authorized`. */
  | 'ejabberd'
  /** Accepts TCP, says nothing. */
  | 'mute'
  /** Answers the header, never the handshake. */
  | 'no-handshake'
  /** Greets with something that is no XMPP. */
  | 'garbage'
  /** Sends a stream header of a different namespace. */
  | 'foreign-stream';

export interface XmppServerSettings {
  readonly secrets: Readonly<Record<string, string>>;
  manners: Manners;
  /** Answers pings to its own domains, and sends those to the component back to it. */
  answersPings: boolean;
  /** Null: a new one for each connection. */
  streamId: string | null;
  /** Sent in one packet with the answer to the handshake. */
  withHandshake: string;
}

/** An XMPP server's side of XEP-0114, over real sockets. */
export class XmppServer {
  readonly connections: ServerConnection[] = [];
  #server: Server;

  private constructor(readonly settings: XmppServerSettings) {
    this.#server = createServer((socket) => {
      this.connections.push(new ServerConnection(socket, this));
    });
  }

  static async start(settings: Partial<XmppServerSettings> = {}, port = 0): Promise<XmppServer> {
    const server = new XmppServer({
      secrets: { 'push.example': 's3cret' },
      manners: 'prosody',
      answersPings: true,
      streamId: null,
      withHandshake: '',
      ...settings,
    });
    await new Promise<void>((resolve) => server.#server.listen(port, '127.0.0.1', resolve));
    return server;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  online(): ServerConnection[] {
    return this.connections.filter((connection) => connection.state === 'online');
  }

  /** The n-th connection that got through its handshake, counting from 1. */
  nthOnline(n = 1): Promise<ServerConnection> {
    return eventually(() => this.connections.filter(({ wasOnline }) => wasOnline)[n - 1], {
      what: `connection ${n} of the component`,
    });
  }

  async stop(): Promise<void> {
    for (const connection of this.connections) connection.socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

export class ServerConnection {
  state: 'opening' | 'online' | 'closed' = 'opening';
  wasOnline = false;
  /** The component has closed its side of the stream. */
  hasStreamEnd = false;
  /** Does not answer the end of the component's stream with its own. */
  holdsEnd = false;
  domain = '';
  /** As the component sent it. */
  handshake = '';
  readonly stanzas: XmlElement[] = [];
  readonly #streamId: string;
  readonly #answers = new Map<string, (answer: XmlElement) => void>();
  readonly #reader: XmlReader;

  constructor(
    readonly socket: Socket,
    private readonly server: XmppServer,
  ) {
    this.#streamId = server.settings.streamId ?? randomUUID();
    this.#reader = new XmlReader(
      { maxStanzaChars: 1_000_000, maxDepth: 100, maxAttributes: 100 },
      {
        opened: (root) => {
          this.#greet(root);
        },
        stanza: (stanza) => {
          this.#take(stanza);
        },
        closed: () => {
          this.hasStreamEnd = true;
          if (this.state === 'online' && !this.holdsEnd) socket.end('</stream:stream>');
        },
      },
    );
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => {
      const fault = this.#reader.write(text);
      if (fault !== null) this.streamError('not-well-formed');
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.state = 'closed';
    });
  }

  write(text: string): void {
    this.socket.write(text);
  }

  /** Sends an IQ and resolves with what answers its id. */
  ask(iq: string): Promise<XmlElement> {
    const id = / id='([^']*)'/.exec(iq)?.[1] ?? '';
    const answer = new Promise<XmlElement>((resolve) => this.#answers.set(id, resolve));
    this.write(iq);
    return answer;
  }

  answersTo(id: string): XmlElement[] {
    return this.stanzas.filter((stanza) => stanza.attribute('id') === id);
  }

  streamError(condition: string): void {
    this.socket.end(
      `<stream:error><${condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>`,
    );
  }

  #greet(root: XmlElement): void {
    const { manners, secrets } = this.server.settings;
    this.domain = root.attribute('to') ?? '';
    if (manners === 'mute') return;
    if (manners === 'garbage') {
      this.write('HTTP/1.1 400 Bad Request\r\n\r\n');
      return;
    }
    const namespace =
      manners === 'foreign-stream' ? 'http://example.org/stream' : 'http://etherx.jabber.org/streams';
    const isUnknown = manners === 'prosody' && !(this.domain in secrets);
    const id = isUnknown ? '' : this.#streamId;
    this.write(
      `<?xml version='1.0'?><stream:stream xmlns:stream='${namespace}' id="${id}" from='${this.domain}' xmlns='jabber:component:accept' xml:lang='en'>`,
    );
    if (isUnknown) this.streamError('host-unknown');
  }

  #take(stanza: XmlElement): void {
    if (stanza.name === 'handshake' && this.state === 'opening') {
      this.#takeHandshake(stanza.text());
      return;
    }
    this.stanzas.push(stanza);
    if (this.server.settings.answersPings && this.#isPing(stanza)) return;
    const id = stanza.attribute('id') ?? '';
    this.#answers.get(id)?.(stanza);
    this.#answers.delete(id);
  }

  #takeHandshake(hash: string): void {
    this.handshake = hash;
    const { manners, secrets, withHandshake } = this.server.settings;
    const secret = secrets[this.domain];
    const expected = createHash('sha1').update(`${this.#streamId}${secret}`, 'utf8').digest('hex');
    if (manners === 'no-handshake') return;
    if (secret === undefined || hash !== expected) this.streamError('not-authorized');
    else if (manners === 'prosody' && this.server.online().some(({ domain }) => domain === this.domain)) {
      this.streamError('conflict');
    } else {
      this.state = 'online';
      this.wasOnline = true;
      this.write(`<handshake/>${withHandshake}`);
    }
  }

  #isPing(stanza: XmlElement): boolean {
    if (stanza.attribute('type') !== 'get' || stanza.child('ping', 'urn:xmpp:ping') === null) return false;
    const [id, to, from] = ['id', 'to', 'from'].map((name) => stanza.attribute(name) ?? '');
    this.write(
      to === this.domain
        ? `<iq type='get' from='${from}' to='${to}' id='${id}'><ping xmlns='urn:xmpp:ping'/></iq>`
        : `<iq type='result' from='${to}' to='${from}' id='${id}'/>`,
    );
    return true;
  }
}
