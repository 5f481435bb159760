import { parseOptions } from './parse-options.js';
import { isServiceNameText } from './formats.js';
import { gatherEntries, type NamedEntry, type NamedSection } from './named-entries.js';
import { isNotifierType, notifierSchemas, notifierTypes } from './notifier-schema.js';
import { nearestKey } from './nearest.js';
import type { ConfigProblem } from './problem.js';
import { readValue } from './read-value.js';
import { wrapSecrets } from './wrap-secrets.js';
import type { Setting } from './setting.js';
import type { NotifierConfig, NotifierType } from './types.js';
import { words } from './options.js';

const section: NamedSection = {
  section: 'notifiers',
  what: 'a notifier',
  isName: isServiceNameText,
  nameRule: '1 to 32 letters, digits, - and _',
  standard: [],
};

const typeOption = words({ doc: '', default: '' });

interface NotifierContext {
  readonly baseDirectory: string;
  /** For entries that name none. */
  readonly maxInFlight: number;
  readonly problems: ConfigProblem[];
}

/** All settings under `notifiers`, in order of precedence, to one checked entry per service name. */
export function readNotifiers(
  settings: readonly Setting[],
  { baseDirectory, maxInFlight, problems }: NotifierContext,
): Record<string, NotifierConfig> {
  const notifiers: Record<string, NotifierConfig> = {};
  for (const entry of gatherEntries(settings, section, problems)) {
    const type = readType(entry, problems);
    if (type === null) continue;
    const written = readEntry(entry, type, baseDirectory, problems);
    if (written !== null) notifiers[entry.name] = complete(written, maxInFlight);
  }
  return notifiers;
}

function readType(entry: NamedEntry, problems: ConfigProblem[]): NotifierType | null {
  const key = `notifiers.${entry.name}.type`;
  const setting = entry.settings.get('type');
  if (setting === undefined) {
    // Enough for the environment alone: WAGGLE_NOTIFIERS__APNS__CERT_FILE says all that is needed.
    if (isNotifierType(entry.name)) return entry.name;
    problems.push({ key, origin: entry.origin, message: `missing; one of ${notifierTypes.join(', ')}` });
    return null;
  }
  const read = readValue(typeOption, setting.given);
  const type = read.ok && typeof read.value === 'string' ? read.value : '';
  if (isNotifierType(type)) return type;
  const message = `no such type; it must be one of ${notifierTypes.join(', ')}; the nearest is ${nearestKey(type, notifierTypes) ?? ''}`;
  problems.push({ key, origin: setting.origin, message });
  return null;
}

function readEntry(
  entry: NamedEntry,
  type: NotifierType,
  baseDirectory: string,
  problems: ConfigProblem[],
): WrittenEntry | null {
  const settings = [...entry.settings].filter(([key]) => key !== 'type');
  const prefix = `notifiers.${entry.name}`;
  const before = problems.length;
  const options = parseOptions(notifierSchemas[type], settings, { prefix, baseDirectory, problems });
  if (problems.length > before) return null;
  return { type, name: entry.name, ...wrapSecrets(options) };
}

interface WrittenEntry {
  readonly type: NotifierType;
  readonly name: string;
  readonly [key: string]: unknown;
}

/** Fills in what the entry leaves to others. The schema of the type has checked every key and value before. */
function complete(entry: WrittenEntry, maxInFlight: number): NotifierConfig {
  const completed = { ...entry, maxInFlight: entry['maxInFlight'] ?? maxInFlight };
  // One PEM file may hold both, as in the original's settings.
  if (entry.type !== 'apns') return completed as unknown as NotifierConfig;
  return { ...completed, keyFile: entry['keyFile'] ?? entry['certFile'] } as unknown as NotifierConfig;
}
