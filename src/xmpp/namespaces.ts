/** XML namespaces on our side of XMPP. Source: spec xmpp-push, table of namespaces. */
export const ns = {
  component: 'jabber:component:accept',
  stream: 'http://etherx.jabber.org/streams',
  streamErrors: 'urn:ietf:params:xml:ns:xmpp-streams',
  stanzaErrors: 'urn:ietf:params:xml:ns:xmpp-stanzas',
  pubsub: 'http://jabber.org/protocol/pubsub',
  push: 'urn:xmpp:push:0',
  dataForm: 'jabber:x:data',
  commands: 'http://jabber.org/protocol/commands',
  discoInfo: 'http://jabber.org/protocol/disco#info',
  discoItems: 'http://jabber.org/protocol/disco#items',
  ping: 'urn:xmpp:ping',
  version: 'jabber:iq:version',
} as const;
