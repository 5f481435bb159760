/** XML namespaces of a client's connection. Source: RFC 6120; XEP-0060, 0357, 0004, 0199. */
export const ns = {
  client: 'jabber:client',
  stream: 'http://etherx.jabber.org/streams',
  streamErrors: 'urn:ietf:params:xml:ns:xmpp-streams',
  stanzaErrors: 'urn:ietf:params:xml:ns:xmpp-stanzas',
  tls: 'urn:ietf:params:xml:ns:xmpp-tls',
  sasl: 'urn:ietf:params:xml:ns:xmpp-sasl',
  bind: 'urn:ietf:params:xml:ns:xmpp-bind',
  pubsub: 'http://jabber.org/protocol/pubsub',
  pubsubOwner: 'http://jabber.org/protocol/pubsub#owner',
  pubsubEvent: 'http://jabber.org/protocol/pubsub#event',
  publishOptions: 'http://jabber.org/protocol/pubsub#publish-options',
  push: 'urn:xmpp:push:0',
  dataForm: 'jabber:x:data',
  ping: 'urn:xmpp:ping',
  delay: 'urn:xmpp:delay',
} as const;
