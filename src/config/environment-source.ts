import { ENVIRONMENT_PREFIX, fromEnvironmentName } from './names.js';
import type { Setting } from './setting.js';

export type Environment = Readonly<Record<string, string | undefined>>;

/** Names the configuration file; not an option itself. */
export const FILE_VARIABLE = 'WAGGLE_CONFIG';

/**
 * Kubernetes and old container links announce a service called "waggle" or "waggle-..." to every container by variables
 * with our prefix (`WAGGLE_PORT=tcp://10.0.0.1:8080`, `WAGGLE_SERVICE_HOST`). Nobody wrote those, so nobody is to be
 * blamed for them. None of our own names can look like this: they have a double underscore after the section.
 */
function isServiceAnnouncement(name: string, text: string): boolean {
  const rest = name.slice(ENVIRONMENT_PREFIX.length);
  if (rest.includes('__')) return false;
  if (/(^|_)SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)$/.test(rest)) return true;
  if (/(^|_)PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$/.test(rest)) return true;
  return /(^|_)PORT$/.test(rest) && /^(tcp|udp|sctp):\/\//.test(text);
}

/** Everything in the environment that carries our prefix. */
export function readEnvironment(environment: Environment): Setting[] {
  const settings: Setting[] = [];
  for (const [name, text] of Object.entries(environment)) {
    if (text === undefined || !name.startsWith(ENVIRONMENT_PREFIX) || name === FILE_VARIABLE) continue;
    if (isServiceAnnouncement(name, text)) continue;
    settings.push({
      path: fromEnvironmentName(name),
      origin: `environment variable ${name}`,
      given: { kind: 'text', text },
    });
  }
  return settings;
}
