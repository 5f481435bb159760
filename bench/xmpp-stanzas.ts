import { COMPONENT_DOMAIN, SERVER_DOMAIN, type XmppPhone } from './xmpp-people.js';

/*
 * Publishes as servers write them (Prosody with mod_cloud_notify, ejabberd with mod_push), for messages with a body and
 * one of four without. Source: spec xmpp-push, section 3.
 */

const PUBSUB = 'http://jabber.org/protocol/pubsub';

/** The same for the one with this number wherever it is asked. */
export const hasBodyOf = (index: number): boolean => index % 4 !== 3;

const prosodySummary =
  `<x xmlns='jabber:x:data' type='form'>` +
  `<field type='hidden' var='FORM_TYPE'><value>urn:xmpp:push:summary</value></field>` +
  `<field type='text-single' var='message-count'><value>1</value></field>` +
  `<field type='text-single' var='pending-subscription-count'/><field type='jid-single' var='last-message-sender'/>` +
  `<field type='text-single' var='last-message-body'><value>New Message!</value></field></x>`;

const ejabberdSummary =
  `<x type='submit' xmlns='jabber:x:data'>` +
  `<field var='FORM_TYPE' type='hidden'><value>urn:xmpp:push:summary</value></field>` +
  `<field var='last-message-body' type='text-single' label='The body text of the last received message'>` +
  `<value>New message</value></field></x>`;

export function publishIq(index: number, id: string, { node, secret }: XmppPhone): string {
  const start =
    index % 2 === 0
      ? `<iq type='set' from='${SERVER_DOMAIN}' to='${COMPONENT_DOMAIN}' id='${id}'>`
      : `<iq to='${COMPONENT_DOMAIN}' from='${SERVER_DOMAIN}' type='set' id='${id}'>`;
  const summary = hasBodyOf(index) ? (index % 2 === 0 ? prosodySummary : ejabberdSummary) : '';
  const notification =
    summary === ''
      ? `<notification xmlns='urn:xmpp:push:0'/>`
      : `<notification xmlns='urn:xmpp:push:0'>${summary}</notification>`;
  return (
    `${start}<pubsub xmlns='${PUBSUB}'><publish node='${node}'><item>${notification}</item></publish>` +
    `<publish-options><x type='submit' xmlns='jabber:x:data'>` +
    `<field var='FORM_TYPE'><value>${PUBSUB}#publish-options</value></field>` +
    `<field var='secret'><value>${secret}</value></field></x></publish-options></pubsub></iq>`
  );
}
