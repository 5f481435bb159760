import { xmppComplaints } from './checks-xmpp.js';
import type { Complaint } from './complaint.js';
import { isLoopback } from './loopback.js';
import type { ConfigProblem } from './problem.js';
import type { ApnsNotifierConfig, BrandConfig, Config, SessionConfig } from './types.js';

/**
 * What no option can be blamed for alone. `originOf` says where a key was set; `isWrong` whether it, or
 * something in it, has a problem already (then its value here is only the default, or missing).
 */
export function checkTogether(
  config: Config,
  originOf: (key: string) => string,
  isWrong: (key: string) => boolean,
): ConfigProblem[] {
  return [...complaints(config)]
    .filter(({ keys }) => !keys.some(isWrong))
    .map(({ keys: [key], message }) => ({ key, origin: originOf(key), message }));
}

function* complaints(config: Config): Iterable<Complaint> {
  const { http, admin, session, delivery } = config;
  if (admin.token === null && !isLoopback(admin.host)) {
    const message = `required because admin.host (${admin.host}) is not a loopback address`;
    yield { keys: ['admin.token', 'admin.host'], message };
  }
  if (http.port !== 0 && http.port === admin.port && http.host === admin.host) {
    const keys = ['admin.port', 'http.port', 'admin.host', 'http.host'] as const;
    yield { keys, message: 'is the same as http.port' };
  }
  if (session.renewMinSeconds > session.renewMaxSeconds) {
    const keys = ['session.renewMinSeconds', 'session.renewMaxSeconds'] as const;
    yield { keys, message: 'must not be larger than session.renewMaxSeconds' };
  }
  if (delivery.retryBaseMs > delivery.retryMaxMs) {
    const keys = ['delivery.retryBaseMs', 'delivery.retryMaxMs'] as const;
    yield { keys, message: 'must not be larger than delivery.retryMaxMs' };
  }
  if (delivery.windowMin > delivery.maxInFlight) {
    const keys = ['delivery.windowMin', 'delivery.maxInFlight'] as const;
    yield { keys, message: 'must not be larger than delivery.maxInFlight' };
  }
  yield* listenerComplaints(session);
  const { statisticsPeriodHours: hours } = config.legacy;
  if (24 % hours !== 0 && hours % 24 !== 0) {
    const message = 'must divide 24 or be a multiple of it, so that periods begin at midnight UTC';
    yield { keys: ['legacy.statisticsPeriodHours'], message };
  }
  if (config.legacy.writePatienceMs > config.legacy.answerTimeoutMs) {
    const keys = ['legacy.writePatienceMs', 'legacy.answerTimeoutMs'] as const;
    yield { keys, message: 'must not be larger than legacy.answerTimeoutMs' };
  }
  yield* xmppComplaints(config);
  yield* brandComplaints(Object.values(config.brands).filter(({ enabled }) => enabled));
  for (const [name, entry] of Object.entries(config.notifiers)) {
    if (entry.type === 'apns') yield* apnsComplaints(name, entry);
  }
}

/** One port has one level of rights, so no two of them are one address. */
function* listenerComplaints(session: SessionConfig): Iterable<Complaint> {
  const listeners = ['listen', 'listenCurve', 'listenCurveAdmin'] as const;
  for (const [index, later] of listeners.entries()) {
    const same = listeners.slice(0, index).find((earlier) => session[earlier] === session[later]);
    if (session[later] === null || same === undefined) continue;
    yield { keys: [`session.${later}`, `session.${same}`], message: `is the same as session.${same}` };
  }
  if (session.listenCurveAdmin !== null && session.listenCurveAdmins.length === 0) {
    const keys = ['session.listenCurveAdmin', 'session.listenCurveAdmins'] as const;
    yield { keys, message: 'nobody may come there: session.listenCurveAdmins is empty' };
  }
}

/** A path names a brand and its salt, a prefix the network of an account: neither may mean two of them. */
function* brandComplaints(brands: readonly BrandConfig[]): Iterable<Complaint> {
  const seen = new Map<string, string>();
  for (const brand of brands) {
    for (const key of ['v2Path', 'v4Path', 'accountPrefix'] as const) {
      const value = brand[key];
      if (value === null) continue;
      const own = `brands.${brand.name}.${key}`;
      const earlier = seen.get(value);
      if (earlier === undefined) seen.set(value, own);
      else yield { keys: [own, earlier], message: `is the same as ${earlier}` };
    }
  }
}

function* apnsComplaints(name: string, entry: ApnsNotifierConfig): Iterable<Complaint> {
  if (entry.certFile !== null && (entry.keyId !== null || entry.teamId !== null)) {
    const message = 'either a certificate or a token key (keyId, teamId), not both';
    yield { keys: [`notifiers.${name}.certFile`], message };
  }
  const others = (['certFile', 'keyFile', 'keyId', 'teamId'] as const).filter((key) => entry[key] !== null);
  if (entry.pfxFile !== null && others.length > 0) {
    const message = `holds certificate and key: not together with ${others.join(', ')}`;
    yield { keys: [`notifiers.${name}.pfxFile`], message };
  }
}
