import { describe, expect, it } from 'vitest';
import type { PublishOutcome, PublishRequest } from '../../../src/xmpp/port.js';
import { p2Hash } from '../../../src/xmpp/identifiers.js';
import { XmlReader } from '../../../src/xmpp/xml-reader.js';
import { defaultXmppOptions } from '../../../src/xmpp/options.js';
import type { XmlElement } from '../../../src/xmpp/xml-element.js';
import vectors from '../../vectors/xmpp-push.json' with { type: 'json' };
import { errorOf, parseStanza, parseStanzas, plain, setUpSession } from './support.js';

interface Exchange {
  readonly id: string;
  readonly request?: string;
  readonly response?: unknown;
}

const { prosody, ejabberd } = vectors.servers;

describe('publishes as real servers send them', () => {
  const important = { hasBody: true };
  const prosodyImportant = { messageCount: 1, pendingSubscriptionCount: null, hasBody: true };
  const prosodyUnimportant = { ...prosodyImportant, hasBody: false };
  const ejabberdUnimportant = { messageCount: null, pendingSubscriptionCount: null, hasBody: false };

  it.each([
    ['Prosody, important', prosody.publish_important.stanza, prosodyImportant],
    ['Prosody, a receipt', prosody.publish_unimportant.stanza, prosodyUnimportant],
    ['Prosody, OMEMO', prosody.publish_omemo.stanza, prosodyImportant],
    ['Prosody, a call', prosody.publish_jingle_propose.stanza, prosodyImportant],
    ['Prosody, real body', prosody.publish_with_body_and_sender.stanzas[0], prosodyImportant],
    ['Prosody, sender without body', prosody.publish_with_body_and_sender.stanzas[1], prosodyUnimportant],
    ['ejabberd, important', ejabberd.publish_important.stanza, important],
    ['ejabberd, a receipt', ejabberd.publish_unimportant.stanza, ejabberdUnimportant],
    ['ejabberd, OMEMO', ejabberd.publish_omemo.stanza, ejabberdUnimportant],
  ])('%s', async (_, stanza = '', summary) => {
    const { ask, published } = setUpSession({ domain: 'push.localhost' });
    const answer = await ask(stanza);
    const request = parseStanza(stanza);
    expect(answer.attribute('type')).toBe('result');
    expect(answer.attribute('id')).toBe(request.attribute('id'));
    expect(answer.attribute('to')).toBe('localhost');
    expect(published).toHaveLength(1);
    expect(published[0]).toMatchObject({
      node: stanza.includes('node-body') ? 'node-body' : 'yxs32uqsflafdk3iuqo',
      secret: stanza.includes('secret-body') ? 'secret-body' : 'eruio234vzxc2kla-91',
      summary,
      senderDomain: 'localhost',
      isFromServer: true,
    });
  });

  it.each([
    ['Prosody', prosody.publish_important],
    ['ejabberd', ejabberd.publish_important],
  ])('%s gets the result that it took from the recorded component', async (_, recorded) => {
    const { ask } = setUpSession({ domain: 'push.localhost' });
    expect(plain(await ask(recorded.stanza))).toEqual(plain(parseStanza(recorded.our_result)));
  });

  it.each([
    ['Prosody', prosody.publish_hibernated_session.stanzas, [false, true, true]],
    ['ejabberd', ejabberd.publish_hibernated_session.stanzas, [false, true]],
  ])('%s for a hibernated session', async (_, stanzas, bodies) => {
    const { ask, published } = setUpSession({ domain: 'push.localhost' });
    for (const stanza of stanzas) await ask(stanza);
    expect(published.map(({ summary }) => summary.hasBody)).toEqual(bodies);
  });

  it.each([
    ['Prosody', prosody.publish_multi.stanzas],
    ['ejabberd', ejabberd.publish_multi.stanzas],
  ])('%s for several registrations, some without form or node', async (_, texts) => {
    const { ask, published } = setUpSession({ domain: 'push.localhost' });
    const refusals: string[] = [];
    // The stanzas came in one packet.
    const stanzas = texts.flatMap((text) => text.split(/(?<=<\/iq>)/));
    expect(stanzas).toHaveLength(parseStanzas(texts.join('')).length);
    for (const stanza of stanzas) refusals.push(errorOf(await ask(stanza)));
    expect(published.map(({ node }) => node).sort()).toEqual(['node-2', 'yxs32uqsflafdk3iuqo']);
    expect(refusals.filter((text) => text !== '').sort()).toEqual(
      stanzas.length === 4
        ? [
            'cancel/item-not-found/Error extracting options node',
            'cancel/item-not-found/Node and/or secret missing',
          ]
        : ['cancel/item-not-found/Error extracting options node'],
    );
  });

  it.each([
    ['Prosody', prosody],
    ['ejabberd', ejabberd],
  ])('errors to %s are as recorded, but for the repeated request', async (_, server) => {
    const outcomes: [PublishOutcome, string][] = [
      [{ kind: 'unknown' }, 'cancel/item-not-found/Unknown node or secret'],
      [{ kind: 'rate-limited' }, 'wait/resource-constraint/Ratelimit reached'],
      [{ kind: 'failed', text: 'APNS error' }, 'wait/internal-server-error/APNS error'],
    ];
    const recorded: Record<string, { first_error_stanza_as_sent_by_the_library: string }> =
      server.errors_sent;
    for (const [outcome, name] of outcomes) {
      const { ask } = setUpSession({ domain: 'push.localhost', publish: () => outcome });
      const answer = await ask(server.publish_important.stanza);
      const sent = parseStanza(recorded[name]?.first_error_stanza_as_sent_by_the_library ?? '');
      const errorIn = (stanza: XmlElement) =>
        stanza
          .elements()
          .filter(({ name: of }) => of === 'error')
          .map(plain);
      expect(errorIn(answer)).toEqual(errorIn(sent));
      expect(answer.elements()).toHaveLength(1);
    }
  });

  it.each([
    ['Prosody', prosody.handshake],
    ['ejabberd', ejabberd.handshake],
  ])('the stream header of %s is read in any order and quoting', (_, { sequence, stream_id: id }) => {
    const roots: XmlElement[] = [];
    const stanzas: XmlElement[] = [];
    const reader = new XmlReader(defaultXmppOptions.xml, {
      opened: (root) => roots.push(root),
      stanza: (stanza) => stanzas.push(stanza),
      closed: () => undefined,
    });
    for (const { dir, data } of sequence)
      if (dir === 'server->component') expect(reader.write(data)).toBeNull();
    expect(roots.map((root) => root.attribute('id'))).toEqual([id]);
    expect(stanzas.map(({ name, namespace }) => [name, namespace])).toEqual([
      ['handshake', 'jabber:component:accept'],
    ]);
  });
});

const known: Readonly<Record<string, PublishOutcome>> = {
  'device-10': { kind: 'accepted' },
  'device-11': { kind: 'failed', text: 'some error text' },
  'device-12': { kind: 'failed', text: null },
  'device-13': { kind: 'failed', text: null },
  'device-14': { kind: 'accepted' },
};

/** Storage and providers as the recordings had them. */
function recordedOutcome({ node, secret }: PublishRequest): PublishOutcome {
  return secret === 'wrong' ? { kind: 'unknown' } : (known[node] ?? { kind: 'unknown' });
}

describe('mod_push_appserver, last version: publishes', () => {
  const exchanges = (vectors.mpa_v2022.exchanges as Exchange[]).filter(({ id }) =>
    id.startsWith('mpa.publish'),
  );
  /** Where we are better, and the spec says so. */
  const ours: Readonly<Record<string, string>> = {
    'mpa.publish.bad-sender': '',
    'mpa.publish.provider-missing': 'wait/internal-server-error/Internal error in push handler',
  };

  it.each(exchanges)('$id', async ({ id, request = '', response }) => {
    const burst = Number(/burst-of-8\.(\d)/.exec(id)?.[1] ?? 0);
    const { ask } = setUpSession({
      domain: 'app.localhost',
      publish: (publish) => (burst > 1 ? { kind: 'rate-limited' } : recordedOutcome(publish)),
    });
    const answer = await ask(request);
    const expected = ours[id];
    if (expected !== undefined) expect(errorOf(answer)).toBe(expected);
    else expect(plain(answer)).toEqual(plain(parseStanza(String(response))));
  });
});

describe('mod_push_appserver, version with working commands', () => {
  const exchanges = (vectors.mpa_v2020.exchanges as Exchange[]).filter(({ id }) =>
    id.startsWith('mpa.adhoc'),
  );
  const requestOf = (id: string): string => exchanges.find((exchange) => exchange.id === id)?.request ?? '';
  const responseOf = (id: string): XmlElement =>
    parseStanza(String(exchanges.find((exchange) => exchange.id === id)?.response));
  const literal = { domain: 'app.localhost', commands: { statusWord: 'complete' } } as const;

  it('registers, and again with the old secret, in the literal form of the original', async () => {
    const { ask, registrations } = setUpSession(literal);
    const answers: XmlElement[] = [];
    for (const id of ['mpa.adhoc.register', 'mpa.adhoc.register.again']) {
      const answer = await ask(requestOf(id));
      const withoutSecret = (stanza: XmlElement) =>
        JSON.stringify(plain(stanza)).replace(/[0-9a-f]{64}/, 'SECRET');
      expect(withoutSecret(answer)).toBe(withoutSecret(responseOf(id)));
      expect(answer.child('command', 'http://jabber.org/protocol/commands')?.attribute('sessionid')).toMatch(
        /^[A-Za-z0-9_-]{24}$/,
      );
      answers.push(answer);
    }
    const secrets = answers.map((answer) => /[0-9a-f]{64}/.exec(JSON.stringify(plain(answer)))?.[0]);
    expect(secrets[0]).toBe(secrets[1]);
    expect(registrations.calls.map(({ target, token }) => ({ ...target, token }))).toEqual(
      ['token-1', 'token-2'].map((token) => ({
        kind: 'v1',
        type: 'null',
        node: 'device-1',
        accountDomain: 'driver.localhost',
        token,
      })),
    );
  });

  it.each(['mpa.adhoc.register.missing-token', 'mpa.adhoc.register.no-form'])('%s', async (id) => {
    const { ask } = setUpSession(literal);
    expect(plain(await ask(requestOf(id)))).toEqual(plain(responseOf(id)));
  });

  it.each([
    ['mpa.adhoc.register.empty-token', 'modify/not-acceptable/Unknown command data'],
    ['mpa.adhoc.register.no-action', ''],
    ['mpa.adhoc.unknown-command', 'cancel/item-not-found'],
    ['mpa.adhoc.unregister', 'cancel/item-not-found/Node not found!'],
  ])('%s: better than the original', async (id, expected) => {
    const { ask } = setUpSession(literal);
    expect(errorOf(await ask(requestOf(id)))).toBe(expected);
  });

  it('unregisters what is registered, which the original never did', async () => {
    const { ask } = setUpSession({ domain: 'app.localhost' });
    await ask(requestOf('mpa.adhoc.register'));
    const answer = await ask(requestOf('mpa.adhoc.unregister'));
    const command = answer.child('command', 'http://jabber.org/protocol/commands');
    expect(command?.attribute('status')).toBe('completed');
    expect(JSON.stringify(command && plain(command))).toContain('"device-1"');
    expect(errorOf(await ask(requestOf('mpa.adhoc.unregister')))).toBe(
      'cancel/item-not-found/Node not found!',
    );
  });
});

describe('p2', () => {
  const { device_hash: device, channel_hash: channel, register } = vectors.p2;

  it('names devices and rooms', () => {
    expect(p2Hash(device.bare_jid, device.device_id)).toBe(device.sha1_hex);
    expect(p2Hash(channel.room, channel.device_id)).toBe(channel.sha1_hex);
  });

  it('registers', async () => {
    const { ask, registrations } = setUpSession();
    const answer = await ask(register.request);
    expect(registrations.calls).toEqual([
      {
        target: {
          kind: 'p2',
          service: 'fcm',
          device: register.device_hash,
          channel: '',
          accountDomain: 'example.org',
        },
        token: 'fcm-token',
      },
    ]);
    const values = (stanza: XmlElement) =>
      JSON.stringify(plain(stanza)).replaceAll(/"children":\["[^"]*"\]/g, '"children":["…"]');
    expect(values(answer)).toBe(values(parseStanza(register.response_shape)));
    expect(answer.child('command', 'http://jabber.org/protocol/commands')?.attribute('sessionid')).toBe(
      '1700000000000',
    );
  });
});
