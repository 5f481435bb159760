import { describe, expect, it } from 'vitest';
import type { PublishOutcome } from '../../../src/xmpp/port.js';
import { errorOf, setUpSession } from './support.js';

const field = (name: string, value: string | null, more = '') =>
  `<field var='${name}' ${more}>${value === null ? '' : `<value>${value}</value>`}</field>`;
const options = (...fields: string[]) =>
  `<publish-options><x xmlns='jabber:x:data' type='submit'>${fields.join('')}</x></publish-options>`;
const publish = (publishOptions: string, { summary = '', from = 'example.org', node = "node='n'" } = {}) =>
  `<iq type='set' id='1' from='${from}' to='push.example'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish ${node}><item><notification xmlns='urn:xmpp:push:0'>${summary}</notification></item></publish>${publishOptions}</pubsub></iq>`;
const form = (...fields: string[]) => `<x xmlns='jabber:x:data' type='form'>${fields.join('')}</x>`;
const secret = options(field('secret', 's'));

async function read(stanza: string) {
  const { ask, published } = setUpSession();
  const answer = await ask(stanza);
  return { error: errorOf(answer), request: published[0] };
}

describe('a publish', () => {
  it('takes the secret from among other options, as UWPX sends them', async () => {
    const { request } = await read(
      publish(
        options(
          field('FORM_TYPE', 'http://jabber.org/protocol/pubsub#publish-options', "type='hidden'"),
          field('pubsub#access_model', 'open', "type='list-single'"),
          '<title>x</title>',
          field('secret', 's', "type='text-private'"),
          field('secret', 'second'),
          '<field><value>no name</value></field>',
        ),
      ),
    );
    expect(request?.secret).toBe('s');
  });

  it.each([
    ['a value', field('last-message-body', 'New Message!'), true],
    ['an empty value', "<field var='last-message-body'><value/></field>", true],
    ['no value', field('last-message-body', null), false],
    ['no field', '', false],
  ])('rings for a body with %s', async (_, body, hasBody) => {
    const { request } = await read(publish(secret, { summary: form(body) }));
    expect(request?.summary.hasBody).toBe(hasBody);
  });

  it.each(['', '-1', '1.5', 'x', '9'.repeat(10), ' 1'])('has no count of "%s"', async (count) => {
    const { request } = await read(publish(secret, { summary: form(field('message-count', count)) }));
    expect(request?.summary.messageCount).toBeNull();
  });

  it('reads counts', async () => {
    const summary = form(field('message-count', '3'), field('pending-subscription-count', '0'));
    const { request } = await read(publish(secret, { summary }));
    expect(request?.summary).toEqual({ messageCount: 3, pendingSubscriptionCount: 0, hasBody: false });
  });

  it.each([
    ['example.org', true, 'example.org'],
    ['EXAMPLE.org', true, 'example.org'],
    ['example.org/x', false, 'example.org'],
    ['user@example.org', false, 'example.org'],
    ['user@example.org/phone', false, 'example.org'],
  ])('from %s: a server? %s', async (from, isFromServer, senderDomain) => {
    const { request } = await read(publish(secret, { from }));
    expect(request).toMatchObject({ isFromServer, senderDomain });
  });

  it.each([
    ['no options', '', {}, 'cancel/item-not-found/Error extracting options node'],
    [
      'options without a form',
      '<publish-options/>',
      {},
      'cancel/item-not-found/Error extracting options node',
    ],
    ['a form without a secret', options(), {}, 'cancel/item-not-found/Error decoding options node'],
    [
      'a secret without a value',
      options(field('secret', null)),
      {},
      'cancel/item-not-found/Node and/or secret missing',
    ],
    ['an empty secret', options(field('secret', '')), {}, 'cancel/item-not-found/Node and/or secret missing'],
    ['no node', secret, { node: '' }, 'cancel/item-not-found/Node and/or secret missing'],
    ['an empty node', secret, { node: "node=''" }, 'cancel/item-not-found/Node and/or secret missing'],
    [
      'a huge node',
      secret,
      { node: `node='${'n'.repeat(4_097)}'` },
      'cancel/item-not-found/Unknown node or secret',
    ],
    [
      'a huge secret',
      options(field('secret', 's'.repeat(4_097))),
      {},
      'cancel/item-not-found/Unknown node or secret',
    ],
  ])('with %s is refused', async (_, publishOptions, more, expected) => {
    expect(await read(publish(publishOptions, more))).toEqual({ error: expected, request: undefined });
  });

  it('that is no push is nothing that we do', async () => {
    const ok = publish(secret);
    for (const stanza of [
      ok.replace('<notification xmlns=', '<other xmlns=').replace('</notification>', '</other>'),
      ok.replace('urn:xmpp:push:0', 'urn:xmpp:push:1'),
      ok.replace('<item>', '<thing>').replace('</item>', '</thing>'),
      ok.replace("type='set'", "type='get'"),
    ]) {
      expect((await read(stanza)).error).toBe('cancel/service-unavailable');
    }
  });

  it.each<[PublishOutcome, string]>([
    [{ kind: 'accepted' }, ''],
    [{ kind: 'unknown' }, 'cancel/item-not-found/Unknown node or secret'],
    [{ kind: 'dead-token' }, 'cancel/item-not-found/Unknown node or secret'],
    [{ kind: 'rate-limited' }, 'wait/resource-constraint/Ratelimit reached'],
    [{ kind: 'failed', text: null }, 'wait/internal-server-error/Internal error in push handler'],
    [{ kind: 'failed', text: 'a \u0000 <b> \ud800' }, 'wait/internal-server-error/a \ufffd <b> \ufffd'],
  ])('answers %j, at once and later', async (outcome, expected) => {
    expect(errorOf(await setUpSession({ publish: () => outcome }).ask(publish(secret)))).toBe(expected);
    const later = setUpSession({ publish: () => Promise.resolve(outcome) });
    expect(errorOf(await later.ask(publish(secret)))).toBe(expected);
  });
});
