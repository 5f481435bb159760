import { XmlElement } from '../../../src/xmpp/xml-element.js';
import { eventually } from '../eventually.js';
import type { Account, RealXmppServer } from './real-server.js';
import { client, xml, type LibraryClient, type LibraryElement } from './xmpp-client-library.js';

export { xml };

const TIMEOUT_MS = 20_000;

const NS = {
  bind: 'urn:ietf:params:xml:ns:xmpp-bind',
  commands: 'http://jabber.org/protocol/commands',
  form: 'jabber:x:data',
  hints: 'urn:xmpp:hints',
  info: 'http://jabber.org/protocol/disco#info',
  ping: 'urn:xmpp:ping',
  publishOptions: 'http://jabber.org/protocol/pubsub#publish-options',
  push: 'urn:xmpp:push:0',
  stanzas: 'urn:ietf:params:xml:ns:xmpp-stanzas',
} as const;

/** What a client gets from the push service and hands to its own server. */
export interface PushAddress {
  readonly jid: string;
  readonly node: string;
  readonly secret: string;
}

/** A client of @xmpp/client, logged in as a user, with Stream Management (XEP-0198). */
export class XmppUser {
  #lastId = 0;

  private constructor(
    private readonly entity: LibraryClient,
    readonly account: Account,
    /** With the resource. */
    readonly address: string,
    /** All that has come, the oldest first. */
    readonly stanzas: readonly XmlElement[],
    /** Such as a stream error, or a connection that broke. */
    readonly errors: readonly Error[],
  ) {}

  /** Resolves when the user is logged in and, unless `isAvailable` is false, has sent its presence. */
  static async connect(
    server: Pick<RealXmppServer, 'domain' | 'clientPort'>,
    account: Account,
    { resource, isAvailable = true }: { readonly resource?: string; readonly isAvailable?: boolean } = {},
  ): Promise<XmppUser> {
    const entity = client({
      service: `xmpp://127.0.0.1:${server.clientPort}`,
      domain: server.domain,
      username: account.name,
      password: account.password,
      resource,
    });
    // Who is away stays away.
    entity.reconnect.stop();
    entity.timeout = TIMEOUT_MS;
    const stanzas: XmlElement[] = [];
    const errors: Error[] = [];
    entity.on('stanza', (stanza: LibraryElement) => stanzas.push(elementOf(stanza)));
    entity.on('error', (error: Error) => errors.push(error));
    try {
      const address = await entity.start();
      const user = new XmppUser(entity, account, address.toString(), stanzas, errors);
      if (isAvailable) await user.send(xml('presence', {}));
      return user;
    } catch (error) {
      entity.socket?.destroy();
      throw error;
    }
  }

  get isConnected(): boolean {
    return this.entity.status === 'online';
  }

  /** Any element. Resolves when it is written; for when the server has dealt with it: `sync` afterwards. */
  send(element: LibraryElement): Promise<void> {
    return this.entity.send(element);
  }

  /** Text as it is, well-formed or not. */
  sendRaw(text: string): void {
    this.entity.socket?.write(text);
  }

  /** Resolves with the answer, a result or an error (`errorOf`). Without `to`: from the user's own account. */
  async ask(type: 'get' | 'set', payload: LibraryElement, to?: string): Promise<XmlElement> {
    this.#lastId += 1;
    const id = `ask-${this.#lastId}`;
    await this.send(xml('iq', { type, to, id }, payload));
    return this.received(
      (stanza) =>
        stanza.name === 'iq' &&
        stanza.attribute('id') === id &&
        ['result', 'error'].includes(stanza.attribute('type') ?? ''),
      `the answer to ${payload.name}`,
    );
  }

  /** The first stanza of this kind, of those that have come and those that will. */
  received(isIt: (stanza: XmlElement) => boolean, what = 'the stanza'): Promise<XmlElement> {
    return eventually(() => this.stanzas.find(isIt), { timeoutMs: TIMEOUT_MS, everyMs: 2, what });
  }

  /** The bodies of the messages that have come. */
  bodies(): readonly string[] {
    return this.stanzas
      .filter(({ name }) => name === 'message')
      .flatMap((message) => message.child('body')?.text() ?? []);
  }

  /** Resolves when the server has dealt with all that was sent before. */
  async sync(): Promise<void> {
    succeeded(await this.ask('get', xml('ping', { xmlns: NS.ping }), domainOf(this.account.jid)));
  }

  /**
   * A message for another user; a null body stands for one that has none and is to be stored all the same, such as a
   * receipt.
   */
  sendMessage(to: Account, body: string | null): Promise<void> {
    const payload = body === null ? xml('store', { xmlns: NS.hints }) : xml('body', {}, body);
    return this.send(xml('message', { to: to.jid, type: 'chat' }, payload));
  }

  /** What an entity says of itself (XEP-0030). Without `of`: the user's own account. */
  async features(of = this.account.jid): Promise<readonly string[]> {
    const answer = succeeded(await this.ask('get', xml('query', { xmlns: NS.info }), of));
    const query = answer.child('query', NS.info);
    return (query?.elements() ?? [])
      .filter(({ name }) => name === 'feature')
      .map((feature) => feature.attribute('var') ?? '');
  }

  /**
   * Has the user's server publish to this address (XEP-0357). Without `secret`: with no form at all. Rejects when the
   * server refuses.
   */
  async enablePush({ jid, node, secret }: Partial<PushAddress> & { readonly jid: string }): Promise<void> {
    const form =
      secret === undefined ? undefined : submitForm({ FORM_TYPE: NS.publishOptions, secret: secret });
    succeeded(await this.ask('set', xml('enable', { xmlns: NS.push, jid, node }, form)));
  }

  /** Without `node`: all of the service. Rejects when the server refuses. */
  async disablePush({ jid, node }: { readonly jid: string; readonly node?: string }): Promise<void> {
    succeeded(await this.ask('set', xml('disable', { xmlns: NS.push, jid, node })));
  }

  /** Executes a command of a component (XEP-0050) with a form of these fields. */
  command(component: string, node: string, fields: Readonly<Record<string, string>>): Promise<XmlElement> {
    const command = xml('command', { xmlns: NS.commands, node, action: 'execute' }, submitForm(fields));
    return this.ask('set', command, component);
  }

  /** Registers at a push service as clients of mod_push_appserver do. Rejects when it is refused. */
  async registerV1(
    component: string,
    fields: { readonly type: string; readonly node: string; readonly token: string },
  ): Promise<PushAddress> {
    return addressIn(await this.command(component, 'v1-register-push', { ...fields }));
  }

  async unregisterV1(
    component: string,
    fields: { readonly type: string; readonly node: string },
  ): Promise<void> {
    succeeded(await this.command(component, 'v1-unregister-push', { ...fields }));
  }

  /** Registers as clients of p2 do (Conversations: `gcm`, `android-id`). Rejects when it is refused. */
  async registerP2(
    component: string,
    service: 'fcm' | 'gcm' | 'apns',
    fields: { readonly token: string; readonly 'device-id': string; readonly muc?: string },
  ): Promise<PushAddress> {
    return addressIn(await this.command(component, `register-push-${service}`, { ...fields }));
  }

  async unregisterP2(
    component: string,
    service: 'fcm' | 'gcm' | 'apns',
    fields: { readonly 'device-id': string; readonly muc?: string },
  ): Promise<void> {
    succeeded(await this.command(component, `unregister-push-${service}`, { ...fields }));
  }

  /** Ends the session: messages are stored from here on, and the server publishes for each. */
  async goAway(): Promise<void> {
    await this.entity.stop();
  }

  /** Is gone without a word, as out of reach: the server keeps the session for a while, and publishes at once. */
  async vanish(): Promise<void> {
    this.entity.socket?.destroy();
    await eventually(() => !this.isConnected, { what: 'the end of the connection' });
  }
}

/** `type/condition` of an error stanza; null for any other one. */
export function errorOf(answer: XmlElement): string | null {
  if (answer.attribute('type') !== 'error') return null;
  const error = answer.child('error');
  const condition = error
    ?.elements()
    .find(({ name, namespace }) => namespace === NS.stanzas && name !== 'text');
  return `${error?.attribute('type') ?? ''}/${condition?.name ?? ''}`;
}

/** The values of the form in an answer to a command, by name. */
export function fieldsOf(answer: XmlElement): Readonly<Record<string, string>> {
  const form = answer.child('command', NS.commands)?.child('x', NS.form);
  return Object.fromEntries(
    (form?.elements() ?? []).map((field) => [
      field.attribute('var') ?? '',
      field.child('value')?.text() ?? '',
    ]),
  );
}

function submitForm(fields: Readonly<Record<string, string>>): LibraryElement {
  return xml(
    'x',
    { xmlns: NS.form, type: 'submit' },
    ...Object.entries(fields).map(([name, value]) => xml('field', { var: name }, xml('value', {}, value))),
  );
}

function succeeded(answer: XmlElement): XmlElement {
  const error = errorOf(answer);
  if (error !== null) throw new Error(`refused: ${error}`);
  return answer;
}

function addressIn(answer: XmlElement): PushAddress {
  const { jid, node, secret } = fieldsOf(succeeded(answer));
  if (!jid || !node || !secret) throw new Error('the answer to a registration lacks jid, node or secret');
  return { jid, node, secret };
}

const domainOf = (jid: string): string => jid.slice(jid.indexOf('@') + 1);

/** The library's element as the rest of the tests know elements. */
function elementOf(element: LibraryElement): XmlElement {
  const attributes = Object.entries(element.attrs).flatMap(([name, value]) =>
    value === undefined || /^xmlns(:|$)/.test(name) ? [] : [name, value],
  );
  const name = element.name.slice(element.name.indexOf(':') + 1);
  const converted = new XmlElement(name, element.getNS() ?? 'jabber:client', attributes);
  converted.children.push(
    ...element.children.map((child) => (typeof child === 'string' ? child : elementOf(child))),
  );
  return converted;
}
