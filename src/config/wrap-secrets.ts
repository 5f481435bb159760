import type { ParsedOptions } from './parse-options.js';
import { redactDatabaseUrl, Secret } from './secret.js';

/** The values with every sensitive text in a `Secret`; of a database's address the harmless parts stay visible. */
export function wrapSecrets({ values, isSensitive, fileOf }: ParsedOptions): Record<string, unknown> {
  const wrap = ([key, value]: [string, unknown]): [string, unknown] => {
    if (!isSensitive(key) || typeof value !== 'string') return [key, value];
    const shown = key === 'url' ? redactDatabaseUrl(value) : undefined;
    return [key, new Secret(value, shown, fileOf(key))];
  };
  return Object.fromEntries(Object.entries(values).map(wrap));
}
