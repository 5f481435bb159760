import { isIP } from 'node:net';
import type { ConfigProblem } from './problem.js';
import type { ApnsNotifierConfig, Config } from './types.js';

/** 127.0.0.0/8, ::1 and `localhost`: nobody else can reach such a listener. */
export function isLoopback(host: string): boolean {
  const address = host.toLowerCase().replace(/^::ffff:/, '');
  if (isIP(address) === 4) return address.startsWith('127.');
  return address === '::1' || address === '0:0:0:0:0:0:0:1' || address === 'localhost';
}

interface Complaint {
  /** The first is the one to blame; if any of them is wrong by itself the complaint would only confuse. */
  readonly keys: readonly [string, ...string[]];
  readonly message: string;
}

/**
 * What no option can be blamed for alone. `originOf` says where a key was set; `isWrong` whether it has a problem
 * already (then its value here is only the default).
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
  if (session.listen !== null && session.listen === session.listenCurve) {
    const keys = ['session.listenCurve', 'session.listen'] as const;
    yield { keys, message: 'is the same as session.listen' };
  }
  for (const [name, entry] of Object.entries(config.notifiers)) {
    if (entry.type === 'apns') yield* apnsComplaints(name, entry);
  }
}

function* apnsComplaints(name: string, entry: ApnsNotifierConfig): Iterable<Complaint> {
  if (entry.certFile !== null && (entry.keyId !== null || entry.teamId !== null)) {
    const message = 'either a certificate or a token key (keyId, teamId), not both';
    yield { keys: [`notifiers.${name}.certFile`], message };
  }
}
