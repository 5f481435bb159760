import { parseOptions } from './parse-options.js';
import { entryNameKey, printableKey } from './names.js';
import { isServiceNameText } from './formats.js';
import { isNotifierType, notifierSchemas, notifierTypes } from './notifier-schema.js';
import { nearestKey } from './nearest.js';
import type { ConfigProblem } from './problem.js';
import { readValue } from './read-value.js';
import { Secret } from './secret.js';
import type { Setting } from './setting.js';
import type { NotifierConfig, NotifierType } from './types.js';
import { words } from './options.js';

interface Entry {
  readonly name: string;
  readonly origin: string;
  /** By key; a later one has replaced an earlier one. */
  readonly settings: Map<string, Setting>;
}

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
  for (const entry of gatherEntries(settings, problems)) {
    const type = readType(entry, problems);
    if (type === null) continue;
    const written = readEntry(entry, type, baseDirectory, problems);
    if (written !== null) notifiers[entry.name] = complete(written, maxInFlight);
  }
  return notifiers;
}

function gatherEntries(settings: readonly Setting[], problems: ConfigProblem[]): Entry[] {
  const entries = new Map<string, Entry>();
  for (const setting of settings) {
    const [, name, key, ...rest] = setting.path;
    const { origin, given } = setting;
    const isEmpty = given.kind === 'scalar' && given.scalar.value === null;
    if (name === undefined) {
      if (!isEmpty)
        problems.push({ key: 'notifiers', origin, message: 'must be a mapping of names to entries' });
      continue;
    }
    const shown = printableKey(setting.path.join('.'));
    if (!isServiceNameText(name)) {
      const message = 'the name of a notifier has 1 to 32 letters, digits, - and _';
      problems.push({ key: shown, origin, message });
      continue;
    }
    const entry = entryFor(entries, name, setting, problems);
    if (key === undefined) {
      if (!isEmpty) problems.push({ key: shown, origin, message: 'must be a mapping of options' });
    } else {
      entry.settings.set([key, ...rest].join('.'), setting);
    }
  }
  return [...entries.values()];
}

/** The environment cannot spell names as YAML can, so spellings that differ only in case, `-` and `_` are one entry. */
function entryFor(
  entries: Map<string, Entry>,
  name: string,
  { origin }: Setting,
  problems: ConfigProblem[],
): Entry {
  const known = entries.get(entryNameKey(name));
  if (known === undefined) {
    const entry: Entry = { name, origin, settings: new Map() };
    entries.set(entryNameKey(name), entry);
    return entry;
  }
  if (known.name !== name && !origin.startsWith('environment')) {
    const message = `differs from notifiers.${known.name} (${known.origin}) only in case, - and _`;
    problems.push({ key: `notifiers.${name}`, origin, message });
  }
  return known;
}

function readType(entry: Entry, problems: ConfigProblem[]): NotifierType | null {
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
  entry: Entry,
  type: NotifierType,
  baseDirectory: string,
  problems: ConfigProblem[],
): WrittenEntry | null {
  const settings = [...entry.settings].filter(([key]) => key !== 'type').map(([, setting]) => setting);
  const prefix = `notifiers.${entry.name}`;
  const before = problems.length;
  const options = parseOptions(notifierSchemas[type], settings, { prefix, baseDirectory, problems });
  if (problems.length > before) return null;
  const secrets = Object.entries(options.values).map(([key, value]) => {
    const isSecret = options.isSensitive(key) && typeof value === 'string';
    return [key, isSecret ? new Secret(value) : value] as const;
  });
  return { type, name: entry.name, ...Object.fromEntries(secrets) };
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
