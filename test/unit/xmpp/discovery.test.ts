import { describe, expect, it } from 'vitest';
import { commandInfos } from '../../../src/xmpp/commands.js';
import vectors from '../../vectors/xmpp-push.json' with { type: 'json' };
import { errorOf, plain, parseStanza, setUpSession } from './support.js';

const info = 'http://jabber.org/protocol/disco#info';
const items = 'http://jabber.org/protocol/disco#items';
const get = (content: string) => `<iq type='get' id='1' from='a@example/b' to='push.example'>${content}</iq>`;
const query = (namespace: string, node: string | null = null) =>
  get(`<query xmlns='${namespace}'${node === null ? '' : ` node='${node}'`}/>`);

describe('discovery', () => {
  it('says what we are, as XEP-0357 wants it', async () => {
    const { ask } = setUpSession();
    const answer = (await ask(query(info))).child('query', info)?.elements() ?? [];
    const [identity, ...features] = answer;
    expect(['category', 'type', 'name'].map((name) => identity?.attribute(name))).toEqual([
      'pubsub',
      'push',
      'Waggle',
    ]);
    expect(features.map((feature) => feature.attribute('var'))).toEqual([
      info,
      items,
      'urn:xmpp:push:0',
      'http://jabber.org/protocol/commands',
      'jabber:x:data',
      'urn:xmpp:ping',
      'jabber:iq:version',
    ]);
  });

  it('lists the commands, and describes each', async () => {
    const { ask } = setUpSession();
    const list = (await ask(query(items, 'http://jabber.org/protocol/commands'))).child('query', items);
    const listed = list?.elements() ?? [];
    expect(listed.map((item) => item.attribute('node'))).toEqual(commandInfos.map(({ node }) => node));
    expect(new Set(listed.map((item) => item.attribute('jid')))).toEqual(new Set(['push.example']));
    for (const { node } of commandInfos) {
      const described = (await ask(query(info, node))).child('query', info);
      expect(described?.attribute('node')).toBe(node);
      expect(described?.child('identity')?.attribute('type')).toBe('command-node');
    }
    const ofList = (await ask(query(info, 'http://jabber.org/protocol/commands'))).child('query', info);
    expect(ofList?.child('identity')?.attribute('type')).toBe('command-list');
  });

  it('has no items and knows no other node, with the original text', async () => {
    const exchanges = new Map(vectors.mpa_v2022.exchanges.map((exchange) => [exchange.id, exchange]));
    const { ask } = setUpSession({ domain: 'app.localhost' });
    const recorded = exchanges.get('mpa.disco.items');
    expect(plain(await ask(recorded?.request ?? ''))).toEqual(
      plain(parseStanza(typeof recorded?.response === 'string' ? recorded.response : '')),
    );
    for (const namespace of [info, items]) {
      expect(errorOf(await ask(query(namespace, 'x')))).toBe('cancel/item-not-found/Node does not exist');
    }
  });
});

describe('other requests', () => {
  it('a ping has an empty result, a version name and version', async () => {
    const { ask } = setUpSession();
    expect((await ask(get("<ping xmlns='urn:xmpp:ping'/>"))).children).toEqual([]);
    const version = (await ask(query('jabber:iq:version'))).child('query', 'jabber:iq:version');
    expect(version?.elements().map((element) => [element.name, element.text()])).toEqual([
      ['name', 'Waggle'],
      ['version', '1.2.3'],
    ]);
  });

  it('what nobody knows is service-unavailable', async () => {
    const { ask } = setUpSession();
    for (const text of [
      get("<vCard xmlns='vcard-temp'/>"),
      get("<pubsub xmlns='http://jabber.org/protocol/pubsub'/>"),
      get("<ping xmlns='other'/>"),
      get("<ping xmlns='urn:xmpp:ping'/>").replace("'get'", "'set'"),
    ]) {
      expect(errorOf(await ask(text))).toBe('cancel/service-unavailable');
    }
  });

  it('what is no proper IQ is a bad request', async () => {
    const { ask } = setUpSession();
    for (const text of [
      get(''),
      get('text'),
      get("<a xmlns='b'/><c xmlns='d'/>"),
      get("<ping xmlns='urn:xmpp:ping'/>").replace("'get'", "'x'"),
      get("<ping xmlns='urn:xmpp:ping'/>").replace("type='get'", ''),
    ]) {
      expect(errorOf(await ask(text))).toBe('modify/bad-request');
    }
  });
});
