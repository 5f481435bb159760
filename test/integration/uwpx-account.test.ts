import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { isLoopback } from '../../src/uwpx/account-socket.js';
import {
  defaultAccountOptions,
  type AccountEntry,
  type AccountOptions,
  type UpkeepOptions,
} from '../../src/uwpx/account-options.js';
import type { AccountDeps } from '../../src/uwpx/account-client.js';
import { createAuthority } from '../simulators/certificates.js';
import { eventually } from '../simulators/eventually.js';
import { AccountServer, type AccountServerSettings } from '../simulators/uwpx-account-server.js';
import { AccountUnderTest } from '../simulators/uwpx-account.js';
import type { XmlElement } from '../../src/xmpp/xml-element.js';
import { XmlReader } from '../../src/xmpp/xml-reader.js';
import { addDevice } from '../unit/uwpx/examples.js';

const { pep_mode: recorded } = (
  JSON.parse(readFileSync(new URL('../vectors/xmpp-push.json', import.meta.url), 'utf8')) as {
    uwpx: { pep_mode: Readonly<Record<'create' | 'subscribe' | 'unsubscribe' | 'delete' | 'event', string>> };
  }
).uwpx;

const authority = createAuthority();
const certificate = authority.issueServer();
const PASSWORD = 'pässword';
const ITEM = "<item id='1'><notification xmlns='urn:xmpp:push:0'/></item>";
const eventOf = (node: string, item = ITEM): string =>
  `<event xmlns='http://jabber.org/protocol/pubsub#event'><items node='${node}'>${item}</items></event>`;

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function serverWith(settings: Partial<AccountServerSettings> = {}): Promise<AccountServer> {
  const server = await AccountServer.start({ certificate, ...settings });
  closing.push(() => server.stop());
  return server;
}

function clientOf(
  server: Pick<AccountServer, 'port'>,
  {
    entry = {},
    options = {},
    upkeep = {},
    deps = {},
  }: {
    entry?: Partial<AccountEntry>;
    options?: Partial<AccountOptions>;
    upkeep?: Partial<UpkeepOptions>;
    deps?: Partial<AccountDeps>;
  } = {},
): AccountUnderTest {
  const account = new AccountUnderTest(
    {
      jid: 'push@localhost',
      password: PASSWORD,
      host: '127.0.0.1',
      port: server.port,
      trustAnchors: [authority.certPem],
      plainOnLoopback: false,
      ...entry,
    },
    { ...options, upkeep: { ...defaultAccountOptions.upkeep, retryMs: 20, ...upkeep } },
    deps,
  );
  closing.push(() => account.client.stop());
  return account;
}

function started(...args: Parameters<typeof clientOf>): AccountUnderTest {
  const account = clientOf(...args);
  account.client.start();
  return account;
}

const ended = (account: AccountUnderTest, kind: string, times = 1): Promise<unknown> =>
  eventually(() => account.report.ends.filter((end) => end === kind).length >= times, {
    what: `the end ${kind} (${account.report.ends.join()})`,
  });

/** Everything in it but ids and addresses, which are ours to choose. */
function shapeOf(element: XmlElement): unknown {
  const names = ['type', 'node', 'jid', 'var', 'xmlns'];
  return [
    element.name,
    element.namespace,
    names.map((name) => (element.name === 'iq' && name !== 'type' ? null : element.attribute(name))),
    element.children.map((child) => (typeof child === 'string' ? child : shapeOf(child))),
  ];
}

function parse(stanza: string): XmlElement {
  const found: XmlElement[] = [];
  const reader = new XmlReader(
    { maxStanzaChars: 100_000, maxDepth: 100, maxAttributes: 100 },
    { opened: () => undefined, stanza: (element) => found.push(element), closed: () => undefined },
  );
  reader.write(
    `<stream:stream xmlns:stream='http://etherx.jabber.org/streams' xmlns='jabber:client'>${stanza}`,
  );
  const [element] = found;
  if (element === undefined) throw new Error('a bad example');
  return element;
}

describe('the stanzas', () => {
  it('are those of the original, but for the deletion that no server took', async () => {
    const server = await serverWith();
    const account = started(server);
    await account.settled();
    const node = 'RzFAXn40FMNQKWw';
    account.client.changed({ added: [node], removed: [] });
    await eventually(() => account.report.nodes.length === 1);
    account.client.changed({ added: [], removed: [node] });
    await eventually(() => account.report.nodes.length === 2);
    const connection = await server.nthOnline();
    expect(connection.stanzas[0]?.name).toBe('presence');
    const sent = connection.stanzas.filter(({ name }) => name === 'iq').map(shapeOf);
    const { create, subscribe, unsubscribe } = recorded;
    const remove = recorded.delete.replace(
      "pubsub xmlns='http://jabber.org/protocol/pubsub'",
      "pubsub xmlns='http://jabber.org/protocol/pubsub#owner'",
    );
    expect(sent).toEqual(
      [create, subscribe, unsubscribe, remove].map((stanza) =>
        shapeOf(parse(stanza.replace(/RzFAXn40FMNQKWw/g, node))),
      ),
    );
    expect(account.report.nodes).toEqual(['created', 'removed']);
  });

  it('that the original heard wake a device', async () => {
    const server = await serverWith();
    const account = started(server);
    (await server.nthOnline()).write(recorded.event);
    await eventually(() => account.events.length > 0);
    expect(account.events).toEqual([
      {
        node: 'JsHZcARhdQsAohn',
        summary: { messageCount: 1, pendingSubscriptionCount: null, hasBody: true },
      },
    ]);
  });
});

describe('a message', () => {
  it('wakes nobody unless the server itself tells of a new publish', async () => {
    const server = await serverWith();
    const account = started(server);
    const connection = await server.nthOnline();
    const own = "from='push@localhost'";
    const delay = "<delay xmlns='urn:xmpp:delay' stamp='2026-01-01T00:00:00Z'/>";
    const messages = [
      [`<message ${own}>${eventOf('a', ITEM.replace("'1'", "'waggle-created'"))}</message>`, 'own'],
      [`<message ${own}>${eventOf('b')}${delay}</message>`, 'replay'],
      [`<message from='liar@localhost'>${eventOf('c')}</message>`, 'ignored'],
      [`<message from='push@localhost/other'>${eventOf('d')}</message>`, 'ignored'],
      [`<message>${eventOf('e')}</message>`, 'ignored'],
      [`<message ${own} type='error'>${eventOf('f')}</message>`, 'ignored'],
      [`<message ${own}>${eventOf('g', "<retract id='1'/>")}</message>`, 'ignored'],
      [`<message ${own}>${eventOf('h', "<item id='1'><other xmlns='x'/></item>")}</message>`, 'ignored'],
      [`<message ${own}>${eventOf('')}</message>`, 'ignored'],
      [`<message ${own}><body>hello</body></message>`, 'ignored'],
      [`<message from='Push@Localhost'>${eventOf('i')}</message>`, 'publish'],
    ] as const;
    connection.write(messages.map(([stanza]) => stanza).join(''));
    await eventually(() => account.events.length > 0);
    expect(account.report.messages).toEqual(messages.map(([, kind]) => kind));
    expect(account.events.map(({ node }) => node)).toEqual(['i']);
  });

  it('has numbers as the original reads them', async () => {
    const server = await serverWith();
    const account = started(server);
    const field = (name: string, value: string): string =>
      `<field var='${name}'><value>${value}</value></field>`;
    const form = `<x xmlns='jabber:x:data'>${field('message-count', '7x')}${field('pending-subscription-count', 'abc')}</x>`;
    const item = `<item id='1'><notification xmlns='urn:xmpp:push:0'>${form}</notification></item>`;
    (await server.nthOnline()).write(`<message from='push@localhost'>${eventOf('a', item)}</message>`);
    await eventually(() => account.events.length > 0);
    expect(account.events[0]?.summary).toEqual({
      messageCount: 7,
      pendingSubscriptionCount: 0,
      hasBody: false,
    });
  });
});

describe('the password', () => {
  const sentTo = (server: AccountServer): string => server.connections.map(({ plain }) => plain).join('');

  it('does not go to a server without TLS', async () => {
    const server = await serverWith({ certificate: null });
    const account = started(server);
    await ended(account, 'insecure');
    expect(sentTo(server)).not.toContain('auth');
  });

  it.each([
    ['nobody vouches for', {}, { trustAnchors: undefined }],
    ['is for somebody else', {}, { jid: 'push@other.example' }],
  ] as const)('does not go to a server whose certificate %s', async (_what, settings, entry) => {
    const server = await serverWith(settings);
    const account = started(server, { entry });
    await ended(account, 'tls-failed');
    expect(sentTo(server)).not.toContain('auth');
    expect(account.report.connects).toBe(0);
  });

  it('goes without TLS to this very machine where that is allowed, and nowhere else', async () => {
    const server = await serverWith({ certificate: null });
    await started(server, { entry: { plainOnLoopback: true } }).settled();
    expect(['127.0.0.1', '127.8.9.1', '::1', '::ffff:127.0.0.1'].map(isLoopback)).toEqual([
      true,
      true,
      true,
      true,
    ]);
    expect(
      ['128.0.0.1', '10.127.0.0', '::2', '2001:db8::1', '127.0.0.1.example', undefined].map(isLoopback),
    ).toEqual(Array.from({ length: 6 }, () => false));
  });

  it('goes over TLS, whatever somebody on the way puts before it', async () => {
    const injected = "<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></stream:features>";
    const server = await serverWith({ withProceed: '' });
    await started(server).settled();
    const tampered = await serverWith({ withProceed: injected });
    const account = started(tampered);
    await eventually(() => account.report.connects > 0 || account.report.ends.length > 0);
    expect(sentTo(server) + sentTo(tampered)).not.toContain('auth');
  });

  it('is refused when wrong, and when there is no way that we know', async () => {
    await ended(started(await serverWith({ password: 'another' })), 'refused', 2);
    await ended(started(await serverWith({ mechanisms: ['DIGEST-MD5'] })), 'refused');
  });
});

describe('a server', () => {
  it('is found by its name in DNS, the preferred one first', async () => {
    const server = await serverWith();
    const asked: string[] = [];
    const account = started(
      { port: 1 },
      {
        entry: { host: null },
        deps: {
          resolveSrv: (name) => {
            asked.push(name);
            return Promise.resolve([
              { name: '127.0.0.1', port: server.port, priority: 20, weight: 0 },
              { name: '127.0.0.1', port: 1, priority: 10, weight: 0 },
            ]);
          },
        },
      },
    );
    await account.settled();
    expect(asked).toEqual(['_xmpp-client._tcp.localhost']);
  });

  it('is the domain itself where DNS knows nothing', async () => {
    const server = await serverWith();
    const resolveSrv = (): Promise<never> => Promise.reject(new Error('ENOTFOUND'));
    await started(server, { entry: { host: null }, deps: { resolveSrv } }).settled();
  });

  it.each([
    ['mute', 'open-timeout'],
    ['garbage', 'bad-xml'],
  ] as const)('that is %s does not hold us', async (manners, end) => {
    const server = await serverWith({ manners });
    const account = started(server, { options: { openTimeoutMs: 60 } });
    await ended(account, end, 2);
    await eventually(() => server.connections.slice(0, 2).every(({ isClosed }) => isClosed));
  });

  it.each([
    ['conflict', '', 'conflict'],
    ['see-other-host', 'localhost:1', 'stream-error'],
    ['system-shutdown', '', 'stream-error'],
  ])('that ends the stream by %s gets a new connection after a pause', async (condition, content, end) => {
    const server = await serverWith();
    const account = started(server);
    (await server.nthOnline()).streamError(condition, content);
    await account.settled(2);
    expect(account.report.ends).toEqual([end]);
  });

  it.each([
    ['more than there may be', `<message><body>${'x'.repeat(2_000)}`],
    ['no XML', '<message>&#1;</message>'],
    ['wrong ends', '<message></iq>'],
  ])('that sends %s is left', async (_what, text) => {
    const server = await serverWith();
    const account = started(server, { options: { maxStanzaChars: 1_000 } });
    (await server.nthOnline()).write(text);
    await ended(account, 'bad-xml');
    await account.settled(2);
  });

  it('that says nothing any more is left', async () => {
    const server = await serverWith({
      answer: (request) => (request.child('ping', 'urn:xmpp:ping') === null ? 'result' : 'silence'),
    });
    const account = started(server, { options: { pingIntervalMs: 20, silenceMs: 40 } });
    await ended(account, 'silent', 2);
  });

  it('that does not read is left', async () => {
    const server = await serverWith();
    const account = started(server, { options: { maxSendQueueBytes: 10_000 } });
    const connection = await server.nthOnline();
    connection.socket.pause();
    const flood = "<iq type='get' id='1' from='stranger@localhost/r'><x xmlns='y'/></iq>".repeat(500);
    await eventually(() => {
      connection.write(flood);
      return account.report.ends.includes('send-queue-full');
    });
  });

  it('has its pings answered, and strangers hear that we do nothing for them', async () => {
    const server = await serverWith();
    started(server);
    const connection = await server.nthOnline();
    connection.write(
      "<iq type='get' id='p1' from='localhost'><ping xmlns='urn:xmpp:ping'/></iq>" +
        "<iq type='set' id='q2' from='x@y/z'><query xmlns='jabber:iq:roster'/></iq>" +
        "<iq type='result' id='w1' from='x@y/z'/><presence from='x@y/z' type='subscribe'/>",
    );
    const answerOf = (id: string): Promise<XmlElement> =>
      eventually(() => connection.stanzas.find((stanza) => stanza.attribute('id') === id));
    expect(shapeOf(await answerOf('p1'))).toEqual(shapeOf(parse("<iq type='result'/>")));
    const refusal = await answerOf('q2');
    expect([refusal.attribute('type'), refusal.attribute('to')]).toEqual(['error', 'x@y/z']);
    expect(refusal.child('error')?.elements()[0]?.name).toBe('service-unavailable');
  });
});

describe('nodes', () => {
  it('are all made with every login, from bounded pages', async () => {
    const server = await serverWith();
    const account = clientOf(server, { upkeep: { pageSize: 7, concurrency: 3 } });
    for (let i = 0; i < 25; i += 1) await addDevice(account.store, `d${i}`);
    account.client.start();
    await account.settled();
    const connection = await server.nthOnline();
    const made = connection.requests().filter((request) => request.startsWith('publish'));
    expect(made).toHaveLength(25);
    expect(new Set(made).size).toBe(25);
    connection.streamError('system-shutdown');
    await account.settled(2);
    expect(account.report.nodes).toEqual(Array.from({ length: 50 }, () => 'created'));
  });

  it('are made a bounded number at once', async () => {
    const server = await serverWith({ answer: () => 'silence' });
    const account = clientOf(server, { upkeep: { concurrency: 3 } });
    for (let i = 0; i < 25; i += 1) await addDevice(account.store, `d${i}`);
    account.client.start();
    const connection = await server.nthOnline();
    await eventually(() => connection.requests().length === 3);
    connection.write("<iq type='get' id='p1' from='localhost'><ping xmlns='urn:xmpp:ping'/></iq>");
    await eventually(() => connection.stanzas.some((stanza) => stanza.attribute('id') === 'p1'));
    expect(connection.requests()).toHaveLength(3);
  });

  it('wait for a database that is away', async () => {
    const server = await serverWith();
    const account = clientOf(server);
    await addDevice(account.store, 'a');
    account.store.before = () => Promise.reject(new Error('away'));
    account.client.start();
    await eventually(() => account.report.nodes.includes('failed'));
    account.store.before = () => Promise.resolve();
    await account.settled();
    expect(account.report.nodes.at(-1)).toBe('created');
  });

  it('are tried again where the server could not, some times', async () => {
    let refusals = 2;
    const server = await serverWith({
      answer: () => (refusals-- > 0 ? { type: 'wait', condition: 'resource-constraint' } : 'result'),
    });
    const account = started(server);
    await account.settled();
    account.client.changed({ added: ['a'], removed: [] });
    await eventually(() => account.report.nodes.includes('created'));
    expect(account.report.nodes).toEqual(['failed', 'failed', 'created']);
    refusals = Infinity;
    account.client.changed({ added: ['b'], removed: [] });
    await eventually(() => account.report.nodes.length === 3 + defaultAccountOptions.upkeep.attempts);
    await account.settled();
  });

  it('that are as they should be already are no failures', async () => {
    const server = await serverWith({
      answer: (request) => {
        const action = request.elements()[0]?.elements()[0]?.name;
        if (action === 'publish') return { type: 'cancel', condition: 'conflict' };
        if (action === 'subscribe') return 'result';
        return { type: 'cancel', condition: 'item-not-found' };
      },
    });
    const account = started(server);
    await account.settled();
    account.client.changed({ added: ['a'], removed: ['b'] });
    await eventually(() => account.report.nodes.length === 2);
    expect(account.report.nodes.toSorted()).toEqual(['created', 'removed']);
  });

  it('that were removed while the server was away are removed with the next login', async () => {
    const server = await serverWith();
    const account = clientOf(server);
    account.client.changed({ added: ['a'], removed: ['b'] });
    account.client.start();
    await account.settled();
    expect((await server.nthOnline()).requests()).toEqual(['unsubscribe b', 'delete b']);
  });

  it('that are removed while they are made are gone in the end', async () => {
    const server = await serverWith({ answer: () => 'silence' });
    const account = started(server);
    const connection = await server.nthOnline();
    await account.settled();
    account.client.changed({ added: ['a'], removed: [] });
    await eventually(() => connection.requests().includes('publish a'));
    account.client.changed({ added: [], removed: ['a'] });
    server.settings.answer = () => 'result';
    const id = connection.stanzas.at(-1)?.attribute('id') ?? '';
    connection.write(`<iq type='result' id='${id}'/>`);
    await eventually(() => account.report.nodes.includes('removed'));
    expect(connection.requests()).toEqual(['publish a', 'subscribe a', 'unsubscribe a', 'delete a']);
  });

  it('that strangers answer for are not taken for made', async () => {
    const server = await serverWith({ answer: () => 'silence' });
    const account = started(server, { options: { requestTimeoutMs: 100 } });
    const connection = await server.nthOnline();
    await account.settled();
    account.client.changed({ added: ['a'], removed: [] });
    const request = await eventually(() => connection.stanzas.find(({ name }) => name === 'iq'));
    const id = request.attribute('id') ?? '';
    connection.write(`<iq type='result' id='${id}' from='liar@localhost/x'/>`);
    await eventually(() => account.report.nodes.length > 0);
    expect(account.report.nodes).toEqual(['failed']);
    expect(connection.requests()).not.toContain('subscribe a');
  });
});

describe('starting and stopping', () => {
  it('waits until it may connect', async () => {
    const server = await serverWith();
    let attempts = 0;
    const account = started(server, {
      deps: {
        whenReady: () => {
          attempts += 1;
          return attempts < 3 ? Promise.reject(new Error('away')) : Promise.resolve();
        },
      },
    });
    await account.settled();
    expect(attempts).toBe(3);
  });

  it('ends the stream in good order', async () => {
    const server = await serverWith();
    const account = started(server);
    await account.settled();
    const connection = await server.nthOnline();
    await account.client.stop();
    await eventually(() => connection.isClosed);
    expect([connection.hasStreamEnd, account.report.ends, account.client.status().state]).toEqual([
      true,
      ['stopped'],
      'stopped',
    ]);
  });

  it.each(['mute', 'good'] as const)('ends at once wherever it stands (%s)', async (manners) => {
    const server = await serverWith({ manners });
    const account = started(server);
    await eventually(() => server.connections.length > 0);
    await account.client.stop();
    await eventually(() => server.connections.every(({ isClosed }) => isClosed));
    account.client.changed({ added: ['a'], removed: ['b'] });
  });
});
