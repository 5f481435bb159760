import { BlockList, isIP } from 'node:net';
import { isLoopback } from '../config/loopback.js';
import { notifierOf } from '../config/checks-xmpp.js';
import { notifierReadiness } from '../config/notifier-credentials.js';
import { notifierSchemas } from '../config/notifier-schema.js';
import type { Config } from '../config/types.js';
import type { XmppComponentConfig, XmppTypeConfig } from '../config/types-xmpp.js';
import { standardTypes, typeSchema } from '../config/xmpp-schema.js';
import { note, warning, type Finding } from './finding.js';

/** An app server that nobody reaches, that wakes nobody, or that tells more than it should. */
export function* checkXmpp(config: Config): Iterable<Finding> {
  const { xmpp } = config;
  if (!xmpp.enabled) {
    if (Object.keys(xmpp.components).length > 0)
      yield warning('xmpp.components', 'without effect: xmpp.enabled is false');
    return;
  }
  yield* checkDoors(config);
  for (const component of Object.values(xmpp.components)) yield* checkComponent(component);
  yield* checkTypes(config);
}

function* checkDoors({ xmpp, admin }: Config): Iterable<Finding> {
  if (Object.keys(xmpp.components).length === 0) {
    const message = xmpp.httpEnabled
      ? 'none: devices register and are woken over HTTP only, and no XMPP server is connected to'
      : 'none, and httpEnabled is false: nobody can reach the app server';
    yield warning('xmpp.components', message);
  }
  if (!xmpp.httpDebug) return;
  if (!xmpp.httpEnabled) yield warning('xmpp.httpDebug', 'without effect: httpEnabled is false');
  else {
    const readers = admin.token === null ? 'this machine' : 'this machine, or with admin.token,';
    yield warning('xmpp.httpDebug', `whoever asks from ${readers} sees devices with their tokens`);
  }
}

/** Source: spec xmpp-push, section 1. */
function* checkComponent({ name, host, connections, domain }: XmppComponentConfig): Iterable<Finding> {
  const prefix = `xmpp.components.${name}`;
  if (isPublic(host)) {
    const message = `${host} seems to be reached over a public network, and the component protocol (XEP-0114) has no encryption: everybody on the way sees the secret's proof, nodes and messages; use a tunnel`;
    yield warning(`${prefix}.host`, message);
  }
  if (!domain.includes('.'))
    yield warning(`${prefix}.domain`, `${domain} has no dot: servers elsewhere do not find it`);
  if (connections > 1) {
    const message = `right with ejabberd; Prosody takes one, and refuses the others again and again (conflict)`;
    yield note(`${prefix}.connections`, message);
  }
}

const privateNetworks = new BlockList();
for (const [network, bits] of [
  ['10.0.0.0', 8],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
  ['169.254.0.0', 16],
  // Shared by the customers of one provider, and what tunnels between machines like to use (RFC 6598).
  ['100.64.0.0', 10],
] as const)
  privateNetworks.addSubnet(network, bits, 'ipv4');
privateNetworks.addSubnet('fc00::', 7, 'ipv6');
privateNetworks.addSubnet('fe80::', 10, 'ipv6');

/** Names that only mean something within one network: of containers, of a house, of a cluster. */
const PRIVATE_NAME = /^[^.]+$|\.(localhost|local|internal|lan|home\.arpa|test)$/;

function isPublic(host: string): boolean {
  const name = host.toLowerCase().replace(/\.$/, '');
  if (isLoopback(name)) return false;
  const family = isIP(name);
  if (family === 0) return !PRIVATE_NAME.test(name);
  return !privateNetworks.check(name, family === 4 ? 'ipv4' : 'ipv6');
}

function* checkTypes(config: Config): Iterable<Finding> {
  const types = Object.values(config.xmpp.types).filter(({ enabled }) => enabled);
  if (!types.some(({ service }) => isReady(config, service))) {
    const message =
      'no type has a notifier with credentials: nobody can register (give apns, firebase or another its credentials)';
    yield warning('xmpp.types', message);
  }
  for (const type of types) {
    if (notifierOf(config.notifiers, type.service) === null && isMeant(type)) {
      const message = `there is no notifier ${type.service}: nobody can register for the type ${type.name}`;
      yield warning(`xmpp.types.${type.name}.service`, message);
    }
    yield* checkTopic(config, type);
  }
}

function isReady({ notifiers }: Config, service: string): boolean {
  const entry = notifierOf(notifiers, service);
  return entry !== null && notifierReadiness(entry).kind === 'ready';
}

/** The standard types are there in any case: that most of them have no notifier is no news. */
function isMeant({ name, service, priority }: XmppTypeConfig): boolean {
  const standard = typeSchema(name);
  const isOwn = !(standardTypes as readonly string[]).includes(name);
  return isOwn || service !== (standard.service.default ?? name) || priority !== standard.priority.default;
}

/** Source: spec xmpp-push, 10.3. */
function* checkTopic({ notifiers }: Config, { name, service, priority }: XmppTypeConfig): Iterable<Finding> {
  const entry = notifierOf(notifiers, service);
  if (entry?.type !== 'apns' || notifierReadiness(entry).kind !== 'ready') return;
  if (entry.topic.endsWith('.voip') && priority !== 'voip') {
    const message = `Apple takes nothing but calls for the topic of ${service} (.voip), and this type says ${priority}: its pushes are dropped`;
    yield warning(`xmpp.types.${name}.priority`, message);
  }
  if (entry.topic === SESSION_TOPIC) {
    const message = `is Session's, yet xmpp.types.${name} uses the entry: Apple refuses device tokens of another app; give the type a notifier of its own (service)`;
    yield warning(`notifiers.${service}.topic`, message);
  }
}

const SESSION_TOPIC = notifierSchemas.apns.topic.default;
