import { once } from 'node:events';
import { element, text, type Markup } from '../../src/xmpp/markup.js';
import { ns } from '../../src/xmpp/namespaces.js';
import type { XmlElement } from '../../src/xmpp/xml-element.js';
import {
  defaultSettings,
  newAccount,
  type Account,
  type PushRegistration,
} from '../simulators/xmpp/real-server.js';
import { errorOf, fieldsOf, type PushAddress } from '../simulators/xmpp/xmpp-client.js';
import { XmppServer } from '../simulators/xmpp/xmpp-server.js';
import type { DemoUser, DemoXmppServer } from './xmpp-servers.js';

/** Prosody's `push_max_errors`. */
const MAX_ERRORS = 16;
const PUBLISH_OPTIONS = `${ns.pubsub}#publish-options`;
const SUMMARY = 'urn:xmpp:push:summary';

interface Registration extends PushRegistration {
  errors: number;
}

/**
 * In the place of Prosody on a machine that has none: it speaks to the component as Prosody does, over a socket; its users
 * have no connection of their own. Source: spec xmpp-push, 3.1 and section 4.
 */
export class StandInXmppServer implements DemoXmppServer {
  readonly kind = 'prosody';
  readonly description = 'a stand-in that speaks to components as Prosody does; its users are simulated too';
  readonly domain = defaultSettings.domain;
  readonly component = defaultSettings.components[0];
  readonly #registrations = new Map<string, Registration[]>();
  readonly #present = new Set<string>();
  readonly #underWay = new Set<Promise<void>>();
  #lastId = 0;

  private constructor(private readonly server: XmppServer) {}

  static async start(): Promise<StandInXmppServer> {
    const [{ domain, secret }] = defaultSettings.components;
    return new StandInXmppServer(await XmppServer.start({ secrets: { [domain]: secret } }));
  }

  get componentPort(): number {
    return this.server.port;
  }

  addAccount(name: string): Promise<Account> {
    return Promise.resolve(newAccount(this.domain, name));
  }

  connect(account: Account): Promise<DemoUser> {
    this.#present.add(account.jid);
    const askCommand = async (node: string, fields: Readonly<Record<string, string>>): Promise<PushAddress> =>
      addressIn(
        await this.#ask(
          `${account.jid}/demo`,
          element('command', { xmlns: ns.commands, node, action: 'execute' }, formOf(fields)),
        ),
      );
    return Promise.resolve({
      account,
      registerV1: (_component, fields) => askCommand('v1-register-push', { ...fields }),
      registerP2: (_component, service, fields) => askCommand(`register-push-${service}`, { ...fields }),
      enablePush: ({ jid, node = null, secret = null }) => {
        const others = this.#of(account).filter((known) => known.jid !== jid || known.node !== node);
        this.#registrations.set(account.jid, [...others, { jid, node, secret, errors: 0 }]);
        return Promise.resolve();
      },
      sendMessage: (to, body) => {
        this.#deliver(account, to, body);
        return Promise.resolve();
      },
      sync: async () => {
        await Promise.all(this.#underWay);
      },
      goAway: () => {
        this.#present.delete(account.jid);
        return Promise.resolve();
      },
    });
  }

  registrations(account: Account): Promise<readonly PushRegistration[]> {
    return Promise.resolve(this.#of(account).map(({ jid, node, secret }) => ({ jid, node, secret })));
  }

  remove(): Promise<void> {
    return this.server.stop();
  }

  #of(account: Account): Registration[] {
    return this.#registrations.get(account.jid) ?? [];
  }

  #deliver(from: Account, to: Account, body: string | null): void {
    if (this.#present.has(to.jid)) return;
    for (const registration of this.#of(to)) {
      const publishing = this.#publish(to, registration, from, body);
      this.#underWay.add(publishing);
      void publishing.finally(() => this.#underWay.delete(publishing));
    }
  }

  async #publish(to: Account, registration: Registration, from: Account, body: string | null): Promise<void> {
    const { node, secret } = registration;
    const summary = {
      FORM_TYPE: SUMMARY,
      'message-count': '1',
      'last-message-sender': from.jid,
      'last-message-body': body,
    };
    const notification = element('notification', { xmlns: ns.push }, formOf(summary));
    const answer = await this.#askOrNull(
      this.domain,
      element(
        'pubsub',
        { xmlns: ns.pubsub },
        element('publish', { node }, element('item', {}, notification)),
        element('publish-options', {}, formOf({ FORM_TYPE: PUBLISH_OPTIONS, secret })),
      ),
    );
    if (answer === null) return;
    const error = errorOf(answer);
    if (error === null) registration.errors = 0;
    else if (!error.startsWith('wait/')) registration.errors += 1;
    if (registration.errors < MAX_ERRORS) return;
    const left = this.#of(to).filter((known) => known !== registration);
    this.#registrations.set(to.jid, left);
  }

  /** Null: the component has gone before it answered, which says nothing about a registration. */
  #askOrNull(from: string, payload: Markup): Promise<XmlElement | null> {
    return this.#ask(from, payload).catch(() => null);
  }

  async #ask(from: string, payload: Markup): Promise<XmlElement> {
    const connection = this.server.online().at(-1);
    if (connection === undefined) throw new Error('the component is not connected');
    this.#lastId += 1;
    const id = `demo-${this.#lastId}`;
    const iq = element('iq', { type: 'set', from, to: this.component.domain, id }, payload);
    const gone = once(connection.socket, 'close').then(() => {
      throw new Error('the component has gone');
    });
    gone.catch(() => undefined);
    return Promise.race([connection.ask(iq), gone]);
  }
}

function addressIn(answer: XmlElement): PushAddress {
  const error = errorOf(answer);
  const { jid, node, secret } = fieldsOf(answer);
  if (!jid || !node || !secret) throw new Error(`a registration was refused: ${error ?? 'no address in it'}`);
  return { jid, node, secret };
}

function formOf(fields: Readonly<Record<string, string | null>>): Markup {
  const written = Object.entries(fields).map(([name, value]) =>
    element('field', { var: name }, ...(value === null ? [] : [element('value', {}, text(value))])),
  );
  return element('x', { xmlns: ns.dataForm, type: 'submit' }, ...written);
}
