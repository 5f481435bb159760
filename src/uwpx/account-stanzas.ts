import { xml, type LibraryElement } from '@xmpp/client';
import { noSummary, type PublishSummary } from '../domain/publish.js';
import { ns } from './account-namespaces.js';
import { countOf } from './push-body.js';

/** Of the empty item that we publish to make a node: its event is nobody's message. */
export const OWN_ITEM_ID = 'waggle-created';

/** Field, type, value, as the original has them. */
const nodeOptions = [
  ['access_model', 'list-single', 'open'],
  ['publish_model', 'list-single', 'open'],
  ['deliver_notifications', 'boolean', '1'],
  ['deliver_payloads', 'boolean', '1'],
  ['persist_items', 'boolean', '1'],
  ['subscribe', 'boolean', '1'],
  ['presence_based_delivery', 'boolean', '0'],
  ['notification_type', 'list-single', 'normal'],
] as const;

const field = (name: string, type: string, value: string): LibraryElement =>
  xml('field', { var: name, type }, xml('value', {}, value));

const pubsub = (...children: readonly LibraryElement[]): LibraryElement =>
  xml('pubsub', { xmlns: ns.pubsub }, ...children);

/** Makes a node that everybody may publish to; one that is there gets a new last item. Source: spec uwpx-push, 6.1. */
export const createNode = (node: string): LibraryElement =>
  pubsub(
    xml('publish', { node }, xml('item', { id: OWN_ITEM_ID }, xml('notification', { xmlns: ns.push }))),
    xml(
      'publish-options',
      {},
      xml(
        'x',
        { xmlns: ns.dataForm, type: 'submit' },
        field('FORM_TYPE', 'hidden', ns.publishOptions),
        ...nodeOptions.map(([name, type, value]) => field(`pubsub#${name}`, type, value)),
      ),
    ),
  );

export const subscribe = (node: string, jid: string): LibraryElement =>
  pubsub(xml('subscribe', { jid, node }));

export const unsubscribe = (node: string, jid: string): LibraryElement =>
  pubsub(xml('unsubscribe', { jid, node }));

/** The original asks in a namespace that no server answers, so its nodes stay for ever. Source: XEP-0060, 8.4. */
export const deleteNode = (node: string): LibraryElement =>
  xml('pubsub', { xmlns: ns.pubsubOwner }, xml('delete', { node }));

export const ping = (): LibraryElement => xml('ping', { xmlns: ns.ping });

export interface NodeEvent {
  readonly node: string;
  readonly summary: PublishSummary;
}

/** `own`: of the item that made the node. `replay`: the server tells again what it has told. Null: no event for us. */
export type ReadEvent =
  { readonly kind: 'publish'; readonly event: NodeEvent } | { readonly kind: 'own' | 'replay' };

/**
 * A publish to one of our nodes, as the server tells it: only what comes from our own bare JID counts, since anybody can
 * send us a message that looks like it. Source: XEP-0060, 7.1.2; XEP-0163, 4.3.
 */
export function readEvent(stanza: LibraryElement, ownJid: string): ReadEvent | null {
  if (!stanza.is('message') || stanza.attrs.type === 'error') return null;
  if (stanza.attrs.from?.toLowerCase() !== ownJid) return null;
  const items = stanza.getChild('event', ns.pubsubEvent)?.getChild('items');
  const node = items?.attrs.node;
  if (items === undefined || node === undefined || node === '') return null;
  const notifications = items
    .getChildren('item')
    .filter((item) => item.getChild('notification', ns.push) !== undefined);
  const last = notifications.filter(({ attrs }) => attrs.id !== OWN_ITEM_ID).at(-1);
  if (last === undefined) return notifications.length > 0 ? { kind: 'own' } : null;
  // When we come online some servers send the last item of every node, which was told long ago.
  if (stanza.getChild('delay', ns.delay) !== undefined) return { kind: 'replay' };
  return { kind: 'publish', event: { node, summary: readSummary(last) } };
}

function readSummary(item: LibraryElement): PublishSummary {
  const form = item.getChild('notification', ns.push)?.getChild('x', ns.dataForm);
  if (form === undefined) return noSummary;
  const valueOf = (name: string): string | null =>
    form
      .getChildren('field')
      .find(({ attrs }) => attrs.var === name)
      ?.getChild('value')
      ?.text() ?? null;
  const numberOf = (name: string): number | null => {
    const text = valueOf(name);
    return text === null ? null : countOf(text);
  };
  return {
    messageCount: numberOf('message-count'),
    pendingSubscriptionCount: numberOf('pending-subscription-count'),
    hasBody: valueOf('last-message-body') !== null,
  };
}

/** What of a request's answer is of interest. */
export type IqResult =
  | { readonly kind: 'result' }
  | { readonly kind: 'error'; readonly condition: string }
  /** No answer in time. */
  | { readonly kind: 'late' }
  /** The connection is gone. */
  | { readonly kind: 'lost' };

/** What may be written back without making the stream end: nothing that XML has no form for. */
// eslint-disable-next-line no-control-regex -- XML forbids them
const unwritable = /[\0-\x1f\ufffe\uffff]|\p{Surrogate}/u;

/**
 * The answer to a request of a server or a stranger: a ping's is empty, everything else we do not do. Null: it needs
 * none. Source: RFC 6120, 8.2.3; XEP-0199.
 */
export function answerTo(stanza: LibraryElement): LibraryElement | null {
  const { type, id, from } = stanza.attrs;
  if (!stanza.is('iq') || (type !== 'get' && type !== 'set') || id === undefined) return null;
  if (unwritable.test(id) || unwritable.test(from ?? '')) return null;
  const to = from === undefined ? {} : { to: from };
  if (type === 'get' && stanza.getChild('ping', ns.ping) !== undefined) {
    return xml('iq', { ...to, id, type: 'result' });
  }
  const error = xml('service-unavailable', { xmlns: ns.stanzaErrors });
  return xml('iq', { ...to, id, type: 'error' }, xml('error', { type: 'cancel' }, error));
}
