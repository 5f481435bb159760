import convict from 'convict';
import { entryNameKey, printableKey, toEnvironmentName } from './names.js';
import { nearestKey } from './nearest.js';
import type { Option } from './options.js';
import type { ConfigProblem } from './problem.js';
import { complaintAbout, readValue } from './read-value.js';
import { readSecret, resolveValue, type ReadSecret } from './resolve-value.js';
import type { Setting } from './setting.js';

export type OptionSet = Readonly<Record<string, Option>>;

export interface ParseContext {
  /** What stands before the keys in messages: `http`, `notifiers.apns`. */
  readonly prefix: string;
  readonly baseDirectory: string;
  /** Gets everything that is wrong. */
  readonly problems: ConfigProblem[];
  /** Dotted keys to search for the nearest one; the keys of the set when not given. */
  readonly known?: readonly string[];
}

export interface ParsedOptions {
  /** Every option of the set, by key: given or default. */
  readonly values: Readonly<Record<string, unknown>>;
  readonly isSensitive: (key: string) => boolean;
  /** The file that a secret was read from, absolute; null for none. */
  readonly fileOf: (key: string) => string | null;
}

/** What was given for an option, by its key within the section or entry. */
export type KeyedSetting = readonly [key: string, setting: Setting];

/**
 * The values of one section or notifier entry: later settings win, secrets are read, paths made absolute, and the
 * whole goes through convict's strict validation. Only the winning value of an option is judged, every unknown key is.
 */
export function parseOptions(
  options: OptionSet,
  settings: Iterable<KeyedSetting>,
  context: ParseContext,
): ParsedOptions {
  const { prefix, baseDirectory, problems } = context;
  const winners = new Map<string, Setting>();
  for (const [key, setting] of settings) {
    if (Object.hasOwn(options, key)) winners.set(key, setting);
    else
      problems.push(
        unknownKey(setting, context.known ?? Object.keys(options).map((name) => `${prefix}.${name}`)),
      );
  }
  const given: Record<string, unknown> = {};
  const files = new Map<string, string>();
  for (const [key, setting] of winners) {
    const option = options[key];
    if (option === undefined) continue;
    const read = readGood(option, setting, baseDirectory);
    if ('complaint' in read) {
      problems.push({ key: `${prefix}.${key}`, origin: setting.origin, message: read.complaint });
    } else {
      given[key] = read.value;
      if (read.file !== null) files.set(key, read.file);
    }
  }
  const values: Record<string, unknown> = { ...validated(options, given) };
  for (const [key, option] of Object.entries(options)) {
    values[key] = resolveValue(option, values[key], baseDirectory);
  }
  return {
    values,
    isSensitive: (key) => options[key]?.sensitive === true,
    fileOf: (key) => files.get(key) ?? null,
  };
}

type Good = ReadSecret | { readonly complaint: string };

function readGood(option: Option, { given }: Setting, baseDirectory: string): Good {
  const read = readValue(option, given);
  if (!read.ok) return { complaint: read.error };
  const revealed = readSecret(option, read.value, baseDirectory);
  if (!revealed.ok) return { complaint: revealed.error };
  const complaint = complaintAbout(option, revealed.value.value);
  return complaint === null ? revealed.value : { complaint };
}

/**
 * Defaults and strict validation. Environment and arguments are kept from convict: it would read the process's own,
 * and its coercion is lax. What comes here was checked one by one, so a complaint now is a bug, and convict's text may
 * quote values: it is not passed on.
 */
function validated(options: OptionSet, given: Record<string, unknown>): Record<string, unknown> {
  const config = convict<Record<string, unknown>>(options, { env: {}, args: [] });
  config.load(given);
  try {
    config.validate({ allowed: 'strict' });
  } catch {
    throw new Error(`the schema refuses values that its formats took: ${Object.keys(given).join(', ')}`);
  }
  return config.getProperties();
}

/** Names the nearest known key, in the spelling of the place where the unknown one stands. */
export function unknownKey({ path, origin }: Setting, known: readonly string[]): ConfigProblem {
  const key = path.join('.');
  const nearest = nearestKey(key, known);
  const spelled =
    nearest !== null && origin.startsWith('environment')
      ? `${nearest} (${toEnvironmentName(pathBeside(path, nearest))})`
      : nearest;
  const message = `unknown option${spelled === null ? '' : `; the nearest is ${spelled}`}`;
  return { key: printableKey(key), origin, message };
}

/** A known key as a path. Where it stands beside `path` it shares that one's parents: names of entries may have dots. */
function pathBeside(path: readonly string[], known: string): readonly string[] {
  const parents = path.slice(0, -1);
  const shared = `${parents.join('.')}.`;
  return entryNameKey(known).startsWith(entryNameKey(shared))
    ? [...parents, ...known.slice(shared.length).split('.')]
    : known.split('.');
}
