import { systemClock } from '../../../src/domain/clock.js';
import { createRandomBytes } from '../../../src/crypto/sodium.js';
import { silentLog } from '../../../src/telemetry/log.js';
import type { CommandOptions } from '../../../src/xmpp/command.js';
import { IqRouter } from '../../../src/xmpp/iq-router.js';
import { IqSession } from '../../../src/xmpp/iq-session.js';
import { defaultXmppOptions } from '../../../src/xmpp/options.js';
import type { PublishOutcome, PublishRequest } from '../../../src/xmpp/port.js';
import type { XmlElement } from '../../../src/xmpp/xml-element.js';
import { XmlReader } from '../../../src/xmpp/xml-reader.js';
import { routesOf } from '../../../src/xmpp/routes.js';
import { MemoryRegistrations, ReportLog } from '../../simulators/xmpp/component-under-test.js';

/** Reads stanzas as they come on a component's stream. */
export function parseStanzas(text: string): XmlElement[] {
  const stanzas: XmlElement[] = [];
  const reader = new XmlReader(defaultXmppOptions.xml, {
    opened: () => undefined,
    stanza: (stanza) => stanzas.push(stanza),
    closed: () => undefined,
  });
  const header = "<s:stream xmlns='jabber:component:accept' xmlns:s='http://etherx.jabber.org/streams'>";
  const fault = reader.write(header + text);
  if (fault !== null) throw new Error(`${fault}: ${text}`);
  return stanzas;
}

export function parseStanza(text: string): XmlElement {
  const [stanza, second] = parseStanzas(text);
  if (stanza === undefined || second !== undefined) throw new Error(`not one stanza: ${text}`);
  return stanza;
}

/** An element as something to compare: attributes in no order. `attributes`: those to look at. */
export function plain(element: XmlElement): unknown {
  const names = ['type', 'from', 'to', 'id', 'node', 'var', 'status', 'action', 'jid', 'category'];
  const attributes = Object.fromEntries(
    names.flatMap((name) => {
      const value = element.attribute(name);
      return value === null ? [] : [[name, value]];
    }),
  );
  const children = element.children.map((child) => (typeof child === 'string' ? child : plain(child)));
  return { name: element.name, namespace: element.namespace, attributes, children };
}

export interface SessionSetUp {
  readonly domain?: string;
  readonly commands?: CommandOptions;
  readonly publish?: (request: PublishRequest) => PublishOutcome | Promise<PublishOutcome>;
}

/** Everything between the wire and storage: text of stanzas in, elements of answers out. */
export function setUpSession({
  domain = 'push.example',
  commands = { statusWord: 'completed' },
  publish = () => ({ kind: 'accepted' }),
}: SessionSetUp = {}) {
  const registrations = new MemoryRegistrations();
  const report = new ReportLog();
  const published: PublishRequest[] = [];
  const routes = routesOf({
    commands,
    software: { name: 'Waggle', version: '1.2.3' },
    publishes: {
      publish: (request) => {
        published.push(request);
        return publish(request);
      },
    },
    registrations,
    randomBytes: createRandomBytes(),
    clock: { nowMs: () => 1_700_000_000_000 },
  });
  const router = new IqRouter(defaultXmppOptions, routes, systemClock, report, silentLog());
  const answers: string[] = [];
  const session = new IqSession(router, domain, (markup) => {
    answers.push(markup);
    return true;
  });
  /** The answer to one stanza. */
  const ask = async (text: string): Promise<XmlElement> => {
    const before = answers.length;
    session.take(parseStanza(text));
    await session.idle();
    if (answers.length !== before + 1) throw new Error(`${answers.length - before} answers to ${text}`);
    return parseStanza(answers.at(-1) ?? '');
  };
  return { registrations, report, published, session, ask };
}

/** `type/condition/text` of an error. */
export function errorOf(answer: XmlElement): string {
  const error = answer.child('error');
  const condition = error?.elements().find(({ name }) => name !== 'text');
  const text = error?.child('text', 'urn:ietf:params:xml:ns:xmpp-stanzas')?.text();
  return [error?.attribute('type'), condition?.name, text].filter((part) => part !== undefined).join('/');
}
