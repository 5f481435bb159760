import { stringify } from 'yaml';
import type { Config } from './types.js';

/** The whole configuration as YAML for people to read. Secrets are redacted: they turn themselves into `[redacted]`. */
export function describeConfig(config: Config): string {
  const plain: unknown = JSON.parse(JSON.stringify(config));
  return stringify(plain, { lineWidth: 0 });
}
