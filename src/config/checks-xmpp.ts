import { isLoopback } from './loopback.js';
import type { Complaint } from './complaint.js';
import type { Config, NotifierConfig } from './types.js';
import type { UwpxConfig } from './types-xmpp.js';

/** What of `xmpp` and `uwpx` contradicts itself, or lacks what it cannot do without. */
export function* xmppComplaints(config: Config): Iterable<Complaint> {
  const { xmpp, uwpx } = config;
  if (xmpp.conflictBackOffMinSeconds > xmpp.conflictBackOffMaxSeconds) {
    const keys = ['xmpp.conflictBackOffMinSeconds', 'xmpp.conflictBackOffMaxSeconds'] as const;
    yield { keys, message: 'must not be larger than xmpp.conflictBackOffMaxSeconds' };
  }
  if (xmpp.writePatienceMs > xmpp.answerTimeoutSeconds * 1000) {
    const keys = ['xmpp.writePatienceMs', 'xmpp.answerTimeoutSeconds'] as const;
    yield { keys, message: 'must not be longer than xmpp.answerTimeoutSeconds' };
  }
  if (xmpp.enabled) {
    yield* componentComplaints(config);
    yield* typeComplaints(config);
  }
  if (uwpx.enabled) yield* uwpxComplaints(config);
}

/** A second connection of one domain is what `connections` is for; as an entry of its own it would be a conflict. */
function* componentComplaints({ xmpp }: Config): Iterable<Complaint> {
  const seen = new Map<string, string>();
  for (const { name, host, port, domain } of Object.values(xmpp.components)) {
    const address = JSON.stringify([domain, host.toLowerCase(), port]);
    const earlier = seen.get(address);
    seen.set(address, earlier ?? name);
    if (earlier === undefined) continue;
    const message = `has the same domain at the same server as xmpp.components.${earlier}; for several connections there is connections`;
    yield { keys: [`xmpp.components.${name}.domain`], message };
  }
}

function* typeComplaints({ xmpp, notifiers }: Config): Iterable<Complaint> {
  for (const { name, enabled, service, priority } of Object.values(xmpp.types)) {
    const entry = notifierOf(notifiers, service);
    if (!enabled || priority !== 'voip' || entry === null || canRing(entry)) continue;
    const message = `voip needs a notifier of type apns, and ${service} is one of type ${entry.type}`;
    yield { keys: [`xmpp.types.${name}.priority`], message };
  }
}

const canRing = ({ type }: NotifierConfig): boolean => type === 'apns' || type === 'dummy';

function* uwpxComplaints({ uwpx, xmpp, notifiers }: Config): Iterable<Complaint> {
  if (uwpx.certificateFile === null)
    yield { keys: ['uwpx.certificateFile'], message: 'required with uwpx.enabled' };
  const entry = notifierOf(notifiers, uwpx.service);
  if (entry === null)
    yield {
      keys: ['uwpx.service', `notifiers.${uwpx.service}`],
      message: `there is no notifier ${uwpx.service}; it must be one of type wns`,
    };
  else if (entry.type !== 'wns' && entry.type !== 'dummy') {
    const message = `must be a notifier of type wns, and ${uwpx.service} is one of type ${entry.type}`;
    yield { keys: ['uwpx.service'], message };
  }
  yield* accountComplaints(uwpx);
  const hasComponent = xmpp.enabled && Object.keys(xmpp.components).length > 0;
  if (!hasComponent && uwpx.accountJid === null) {
    const message =
      'XMPP servers have nowhere to publish to: a component in xmpp (enabled), or accountJid, is needed';
    yield { keys: ['uwpx.enabled', 'xmpp.enabled', 'xmpp.components'], message };
  }
}

function* accountComplaints(uwpx: UwpxConfig): Iterable<Complaint> {
  const { accountJid, accountPassword, accountHost, accountPlainOnLoopback } = uwpx;
  if (accountJid !== null && accountPassword === null)
    yield { keys: ['uwpx.accountPassword', 'uwpx.accountJid'], message: 'required with uwpx.accountJid' };
  if (accountPlainOnLoopback && (accountHost === null || !isLoopback(accountHost))) {
    const keys = ['uwpx.accountPlainOnLoopback', 'uwpx.accountHost'] as const;
    yield { keys, message: 'only with an accountHost that is this machine (127.0.0.1)' };
  }
}

/** Null: there is none of this name. */
export const notifierOf = (notifiers: Config['notifiers'], service: string): NotifierConfig | null =>
  Object.hasOwn(notifiers, service) ? (notifiers[service] ?? null) : null;
