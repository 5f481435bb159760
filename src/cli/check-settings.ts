import { BlockList, isIP } from 'node:net';
import { isLoopback } from '../config/loopback.js';
import { notifierReadiness } from '../config/notifier-credentials.js';
import type {
  ApnsNotifierConfig,
  Config,
  NotifierConfig,
  SessionConfig,
  UnifiedpushNotifierConfig,
  WebpushNotifierConfig,
  WnsNotifierConfig,
} from '../config/types.js';
import { assertNever } from '../domain/assert-never.js';
import { parseListenAddress } from '../oxenmq/listen-address.js';
import { checkBrands } from './check-brands.js';
import { checkUwpx } from './check-uwpx.js';
import { checkXmpp } from './check-xmpp.js';
import { error, warning, type Finding } from './finding.js';

/** What each option allows and an operator hardly means: settings without effect, or that contradict each other. */
export function* checkSettings(config: Config): Iterable<Finding> {
  const { http, delivery, database } = config;
  if (http.trustProxy === true && !isLoopback(http.host)) {
    const message = 'anybody who reaches the port can choose the address that the rate limit sees';
    yield warning('http.trustProxy', message);
  }
  if (delivery.durability === 'journal' && database.url === null) {
    const message =
      'journal: every push waits for a write of the embedded database; PostgreSQL (database.url) is made for that';
    yield warning('delivery.durability', message);
  }
  yield* checkListeners(config);
  yield* checkBrands(config);
  yield* checkXmpp(config);
  yield* checkUwpx(config);
  yield* checkTwins(config);
  for (const entry of Object.values(config.notifiers)) yield* checkEntry(entry);
}

function* checkListeners({ session, notifiers }: Config): Iterable<Finding> {
  for (const key of ['listen', 'listenCurve', 'listenCurveAdmin'] as const) {
    const parsed = session[key] === null ? null : parseListenAddress(session[key]);
    if (parsed === null) continue;
    if (!parsed.ok) yield error(`session.${key}`, parsed.error);
    else if (key === 'listen' && !parsed.value.isLocal) {
      const message =
        'is open to the network: whoever reaches it has all rights, unencrypted; use listenCurve';
      yield warning('session.listen', message);
    }
  }
  const admins = session.listenCurveAdmins.length;
  if (admins > 0 && session.listenCurve === null && session.listenCurveAdmin === null) {
    yield warning(
      'session.listenCurveAdmins',
      'without effect: neither listenCurve nor listenCurveAdmin is set',
    );
  }
  if (session.notifiersExpected.length > 0 && !hasAdminListener(session)) {
    const message = 'nobody can register: set session.listen, or a CURVE listener with listenCurveAdmins';
    yield warning('session.notifiersExpected', message);
  }
  for (const name of session.notifiersExpected) {
    const entry = Object.hasOwn(notifiers, name) ? notifiers[name] : undefined;
    if (entry === undefined || notifierReadiness(entry).kind !== 'ready') continue;
    const message = `${name} is an entry of notifiers too, and that serves it; an external notifier of this name does not`;
    yield warning('session.notifiersExpected', message);
  }
  if (session.notifierAwaySeconds <= EXTERNAL_REGISTER_SECONDS) {
    const message = `external notifiers register every ${EXTERNAL_REGISTER_SECONDS} s: they would be away in between`;
    yield warning('session.notifierAwaySeconds', message);
  }
}

/** Spec session-push-v2, 8.1. */
const EXTERNAL_REGISTER_SECONDS = 5;

const hasAdminListener = ({
  listen,
  listenCurve,
  listenCurveAdmin,
  listenCurveAdmins,
}: SessionConfig): boolean =>
  listen !== null || ((listenCurve ?? listenCurveAdmin) !== null && listenCurveAdmins.length > 0);

/** Two services of one app in one environment: mostly, one of them was meant for the other environment. */
function* checkTwins({ notifiers }: Config): Iterable<Finding> {
  const seen = new Map<string, string>();
  for (const entry of Object.values(notifiers)) {
    const target = targetOf(entry);
    if (target === null) continue;
    const twin = seen.get(target.id);
    if (twin === undefined) seen.set(target.id, entry.name);
    else
      yield warning(`notifiers.${entry.name}`, `the same ${target.what} as notifiers.${twin}${target.hint}`);
  }
}

interface Target {
  readonly id: string;
  readonly what: string;
  readonly hint: string;
}

function targetOf(entry: NotifierConfig): Target | null {
  if (notifierReadiness(entry).kind !== 'ready') return null;
  switch (entry.type) {
    case 'apns': {
      const environment = entry.sandbox ? 'sandbox' : 'production';
      const hint = `: a device token is good in one environment only; is sandbox meant to be ${String(!entry.sandbox)} in one of them?`;
      return {
        id: JSON.stringify(['apns', entry.topic, environment, entry.pushType, entry.endpoint]),
        what: `topic, environment (${environment}) and push type`,
        hint,
      };
    }
    case 'firebase':
      return {
        id: JSON.stringify(['firebase', entry.serviceAccountFile]),
        what: 'service account',
        hint: '',
      };
    default:
      return null;
  }
}

function* checkEntry(entry: NotifierConfig): Iterable<Finding> {
  const prefix = `notifiers.${entry.name}`;
  switch (entry.type) {
    case 'apns':
      yield* checkApnsSettings(prefix, entry);
      return;
    case 'huawei':
      if (entry.apiVersion === 'v1' && entry.projectId !== null)
        yield warning(`${prefix}.projectId`, 'without effect: apiVersion is v1');
      return;
    case 'wns':
      yield* checkWnsSettings(prefix, entry);
      return;
    case 'webpush':
    case 'unifiedpush':
      yield* checkEndpointSettings(prefix, entry);
      return;
    case 'firebase':
    case 'dummy':
      return;
    default:
      assertNever(entry);
  }
}

function* checkApnsSettings(prefix: string, entry: ApnsNotifierConfig): Iterable<Finding> {
  if (entry.pfxPassphrase !== null && entry.pfxFile === null)
    yield warning(`${prefix}.pfxPassphrase`, 'without effect: pfxFile is not set');
  if (/sandbox|develop/i.test(entry.name) && !entry.sandbox) {
    const message = `the entry is called ${entry.name}, yet sends to Apple's production environment`;
    yield warning(`${prefix}.sandbox`, message);
  }
  if (entry.pushType === 'alert' && !entry.mutableContent) {
    const message =
      'false: no extension of the app runs, so nobody decrypts the push; the user sees the alert text only';
    yield warning(`${prefix}.mutableContent`, message);
  }
  if (entry.pushType === 'background' && entry.priority !== null && entry.priority !== 5)
    yield error(`${prefix}.priority`, 'Apple takes background pushes with priority 5 only');
  if (entry.pushType === 'voip' && !entry.topic.endsWith('.voip')) {
    const message = 'for the push type voip Apple wants the bundle identifier with .voip behind it';
    yield error(`${prefix}.topic`, message);
  }
}

function* checkWnsSettings(prefix: string, entry: WnsNotifierConfig): Iterable<Finding> {
  if (entry.packageSid === null) return;
  const isSid = entry.packageSid.startsWith('ms-app://');
  if (entry.tenantId === null && !isSid)
    yield warning(
      `${prefix}.packageSid`,
      'is no package SID (ms-app://...); an app of Entra ID needs tenantId',
    );
  if (entry.tenantId !== null && isSid)
    yield warning(
      `${prefix}.packageSid`,
      'is a package SID; with tenantId it is the application (client) id',
    );
}

function* checkEndpointSettings(
  prefix: string,
  entry: WebpushNotifierConfig | UnifiedpushNotifierConfig,
): Iterable<Finding> {
  for (const network of entry.allowNetworks) {
    const reached = inside.filter(({ address }) => networkHolds(network, address)).map(({ what }) => what);
    if (reached.length > 0) {
      const message = `${network} lets whoever subscribes make this server talk to ${reached.join(', ')}`;
      yield warning(`${prefix}.allowNetworks`, message);
    }
  }
  if (entry.ports.length === 0) {
    const message = 'any port: whoever subscribes can make this server talk to any service of a public host';
    yield warning(`${prefix}.ports`, message);
  }
  if (entry.allowHttp && entry.allowNetworks.length === 0) {
    const message =
      'endpoints of the public internet are taken without TLS: everybody on the way sees where pushes go';
    yield warning(`${prefix}.allowHttp`, message);
  }
}

/** What hardly anybody means to open. */
const inside = [
  { address: '127.0.0.1', what: 'this machine itself' },
  { address: '::1', what: 'this machine itself' },
  { address: '169.254.169.254', what: "the cloud's metadata service" },
  { address: 'fe80::1', what: 'link-local addresses' },
] as const;

function networkHolds(network: string, address: string): boolean {
  const [base = '', bits] = network.split('/');
  const family = isIP(base) === 4 ? 'ipv4' : 'ipv6';
  if ((isIP(address) === 4 ? 'ipv4' : 'ipv6') !== family) return false;
  const list = new BlockList();
  list.addSubnet(base, Number(bits ?? (family === 'ipv4' ? 32 : 128)), family);
  return list.check(address, family);
}
