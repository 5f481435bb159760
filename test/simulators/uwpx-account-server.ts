import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { createSecureContext, TLSSocket, type SecureContext } from 'node:tls';
import type { XmlElement } from '../../src/xmpp/xml-element.js';
import { XmlReader } from '../../src/xmpp/xml-reader.js';
import type { TestCertificate } from './certificates.js';
import { eventually } from './eventually.js';

export interface AccountServerSettings {
  /** Null: it offers no STARTTLS. */
  certificate: TestCertificate | null;
  mechanisms: readonly string[];
  password: string;
  /** Sent in one packet with the consent to TLS, as somebody on the way might. */
  withProceed: string;
  /** What it does with a connection: nothing, something that is no XMPP, or what it should. */
  manners: 'good' | 'mute' | 'garbage';
  /** What a request is answered: an empty result (default), an error, or nothing at all. */
  answer: (
    request: XmlElement,
  ) => 'result' | 'silence' | { readonly type: string; readonly condition: string };
}

/** What a client of an account meets at an XMPP server, over real sockets: STARTTLS, SASL PLAIN, a resource. RFC 6120. */
export class AccountServer {
  readonly connections: AccountConnection[] = [];
  #server: Server;
  readonly #context: SecureContext | null;

  private constructor(readonly settings: AccountServerSettings) {
    const { certificate } = settings;
    this.#context =
      certificate === null
        ? null
        : createSecureContext({ cert: certificate.certPem, key: certificate.keyPem });
    this.#server = createServer((socket) => {
      this.connections.push(new AccountConnection(socket, settings, this.#context));
    });
  }

  static async start(settings: Partial<AccountServerSettings> = {}): Promise<AccountServer> {
    const server = new AccountServer({
      certificate: null,
      mechanisms: ['PLAIN'],
      password: 'pässword',
      withProceed: '',
      manners: 'good',
      answer: () => 'result',
      ...settings,
    });
    await new Promise<void>((resolve) => server.#server.listen(0, '127.0.0.1', resolve));
    return server;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** The n-th connection that got its resource, counting from 1. */
  nthOnline(n = 1): Promise<AccountConnection> {
    return eventually(() => this.connections.filter(({ isOnline }) => isOnline)[n - 1], {
      what: `login ${n} of the account`,
    });
  }

  async stop(): Promise<void> {
    for (const connection of this.connections) connection.socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

export class AccountConnection {
  /** All that was read before TLS, if there is any. */
  plain = '';
  isOnline = false;
  isClosed = false;
  hasStreamEnd = false;
  /** Requests with the rest of what came after the login. */
  readonly stanzas: XmlElement[] = [];
  #isAuthenticated = false;
  #reader = this.#createReader();

  constructor(
    public socket: Socket,
    private readonly settings: AccountServerSettings,
    private readonly context: SecureContext | null,
  ) {
    this.#listen();
  }

  write(text: string): void {
    this.socket.write(text);
  }

  /** The payloads of the client's requests, as `name/child/node`. */
  requests(): string[] {
    return this.stanzas
      .filter(({ name }) => name === 'iq')
      .flatMap((iq) => iq.elements())
      .filter(({ name }) => name === 'pubsub')
      .flatMap((pubsub) => pubsub.elements())
      .filter(({ name }) => name !== 'publish-options')
      .map((action) => `${action.name} ${action.attribute('node') ?? ''}`);
  }

  streamError(condition: string, content = ''): void {
    this.socket.end(
      `<stream:error><${condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'>${content}</${condition}></stream:error></stream:stream>`,
    );
  }

  #createReader(): XmlReader {
    return new XmlReader(
      { maxStanzaChars: 1_000_000, maxDepth: 100, maxAttributes: 100 },
      {
        opened: () => this.#greet(),
        stanza: (stanza) => this.#take(stanza),
        closed: () => {
          this.hasStreamEnd = true;
          this.socket.end('</stream:stream>');
        },
      },
    );
  }

  #listen(): void {
    this.socket.setEncoding('utf8');
    this.socket.on('data', (text: string) => {
      if (!(this.socket instanceof TLSSocket)) this.plain += text;
      // A new header is a new document.
      if (text.startsWith('<?xml')) this.#reader = this.#createReader();
      this.#reader.write(text);
    });
    this.socket.on('error', () => undefined);
    this.socket.on('close', () => {
      this.isClosed = true;
    });
  }

  #greet(): void {
    const { manners, mechanisms } = this.settings;
    if (manners === 'mute') return;
    if (manners === 'garbage') {
      this.write('HTTP/1.1 400 Bad Request\r\n\r\n<p>&nonsense;</q>');
      return;
    }
    const offersTls = this.context !== null && !(this.socket instanceof TLSSocket);
    const features = this.#isAuthenticated
      ? "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/><sm xmlns='urn:xmpp:sm:3'/>"
      : `<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>${mechanisms.map((name) => `<mechanism>${name}</mechanism>`).join('')}</mechanisms>`;
    this.write(
      "<?xml version='1.0'?><stream:stream xmlns:stream='http://etherx.jabber.org/streams' xmlns='jabber:client' " +
        `id='s1' from='localhost' version='1.0'><stream:features>${offersTls ? "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>" : ''}${features}</stream:features>`,
    );
  }

  #take(stanza: XmlElement): void {
    if (stanza.name === 'starttls' && this.context !== null) {
      this.#startTls(this.context);
      return;
    }
    if (stanza.name === 'auth') {
      this.#authenticate(stanza.text());
      return;
    }
    const bind = stanza.child('bind', 'urn:ietf:params:xml:ns:xmpp-bind');
    const id = stanza.attribute('id') ?? '';
    if (bind !== null) {
      this.isOnline = true;
      const resource = bind.child('resource')?.text() ?? 'some';
      this.write(
        `<iq type='result' id='${id}'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>push@localhost/${resource}</jid></bind></iq>`,
      );
      return;
    }
    this.stanzas.push(stanza);
    if (stanza.name === 'iq' && ['get', 'set'].includes(stanza.attribute('type') ?? '')) {
      this.#answer(stanza, id);
    }
  }

  #answer(stanza: XmlElement, id: string): void {
    const answer = this.settings.answer(stanza);
    if (answer === 'silence') return;
    if (answer === 'result') this.write(`<iq type='result' to='push@localhost/r' id='${id}'/>`);
    else {
      this.write(
        `<iq type='error' from='push@localhost' to='push@localhost/r' id='${id}'><error type='${answer.type}'>` +
          `<${answer.condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>`,
      );
    }
  }

  #startTls(secureContext: SecureContext): void {
    const plain = this.socket;
    plain.removeAllListeners('data');
    plain.write(`<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>${this.settings.withProceed}`);
    this.socket = new TLSSocket(plain, { isServer: true, secureContext });
    this.#reader = this.#createReader();
    this.#listen();
  }

  #authenticate(text: string): void {
    const [, name, password] = Buffer.from(text, 'base64').toString('utf8').split('\0');
    if (name === 'push' && password === this.settings.password) {
      this.#isAuthenticated = true;
      this.write("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
    } else {
      this.write("<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/></failure>");
    }
  }
}
