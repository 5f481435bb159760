import { uwpxPushAddress } from '../app/uwpx-options.js';
import { notifierOf } from '../config/checks-xmpp.js';
import { notifierReadiness } from '../config/notifier-credentials.js';
import type { Config } from '../config/types.js';
import { error, warning, type Finding } from './finding.js';

/** UWPX clients whose pushes nobody sends, or whose servers publish to somebody else. */
export function* checkUwpx(config: Config): Iterable<Finding> {
  const { uwpx, notifiers } = config;
  if (!uwpx.enabled) return;
  const entry = notifierOf(notifiers, uwpx.service);
  if (entry !== null) {
    const readiness = notifierReadiness(entry);
    if (readiness.kind === 'skipped')
      yield error('uwpx.service', `${uwpx.service} cannot send: ${readiness.reason}`);
  }
  if (uwpx.accountJid === null && uwpx.accountPassword !== null)
    yield warning('uwpx.accountPassword', 'without effect: accountJid is not set');
  yield* checkPushAddress(config);
}

/** Source: spec uwpx-push, 6.1. */
function* checkPushAddress(config: Config): Iterable<Finding> {
  const { uwpx, xmpp } = config;
  const address = uwpxPushAddress(config);
  if (address === null || address === uwpx.accountJid) return;
  const domain = address.slice(address.indexOf('@') + 1);
  const domains = xmpp.enabled ? Object.values(xmpp.components).map((component) => component.domain) : [];
  if (domains.includes(domain)) return;
  const message = `${domain} is the domain of no component in xmpp: what is published there does not come to this process`;
  yield warning('uwpx.pushAddress', message);
}
