import { dirname, resolve } from 'node:path';
import { fail, ok, type Result } from '../domain/result.js';
import { readBrands } from './brand-entries.js';
import { brandKeys, standardBrands } from './brand-schema.js';
import { checkTogether } from './checks.js';
import { entrySectionOf } from './entry-sections.js';
import { FILE_VARIABLE, readEnvironment, type Environment } from './environment-source.js';
import { readFlags } from './flag-source.js';
import { printableKey } from './names.js';
import { notifierSchemas, notifierTypes } from './notifier-schema.js';
import { readNotifiers } from './notifier-entries.js';
import { parseOptions, unknownKey, type OptionSet } from './parse-options.js';
import type { ConfigProblem } from './problem.js';
import { sections, type SectionName } from './schema.js';
import type { Setting } from './setting.js';
import { readSmallFile } from './small-file.js';
import type { Config } from './types.js';
import { wrapSecrets } from './wrap-secrets.js';
import { readComponents, readTypes } from './xmpp-entries.js';
import { componentSchema, standardTypes, typeKeys } from './xmpp-schema.js';
import { readYaml } from './yaml-source.js';

const FILE_MAX_BYTES = 1024 * 1024;

export interface ConfigSources {
  /** The configuration file; null or missing: the one that `WAGGLE_CONFIG` names, or none. */
  readonly file?: string | null;
  readonly env: Environment;
  /** Only flags that set options (`splitFlags`). */
  readonly argv: readonly string[];
  readonly cwd: string;
}

const sectionNames = Object.keys(sections) as readonly SectionName[];

/** Every option that every installation has, dotted. */
export const sectionKeys: readonly string[] = sectionNames.flatMap((name) =>
  Object.keys(sections[name]).map((key) => `${name}.${key}`),
);

/** The file that would be read, absolute; null when none is named. */
export function configFilePath({ file, env, cwd }: Omit<ConfigSources, 'argv'>): string | null {
  const named = file ?? env[FILE_VARIABLE] ?? '';
  return named === '' ? null : resolve(cwd, named);
}

/**
 * File, then environment, then flags; later ones win. Everything that is wrong comes back at once. The configuration
 * is frozen to its leaves. Source: docs/configuration.md, made from the same schema.
 */
export function loadConfig(sources: ConfigSources): Result<Config, ConfigProblem[]> {
  const problems: ConfigProblem[] = [];
  const file = configFilePath(sources);
  const baseDirectory = file === null ? sources.cwd : dirname(file);
  const settings = [
    ...(file === null ? [] : readFile(file, problems)),
    ...readEnvironment(sources.env),
    ...readFlags(sources.argv, problems),
  ];
  const groups = groupBySection(settings, problems);
  const parts: Record<string, Readonly<Record<string, unknown>>> = {};
  for (const name of sectionNames) {
    const options: OptionSet = sections[name];
    const known = name === 'xmpp' ? knownKeys : sectionKeys;
    const context = { prefix: name, baseDirectory, problems, known };
    const given = (groups.get(name) ?? []).map((setting) => [keyOf(setting), setting] as const);
    parts[name] = wrapSecrets(parseOptions(options, given, context));
  }
  parts['brands'] = readBrands(groups.get('brands') ?? [], { baseDirectory, problems });
  const maxInFlight = Number(parts['delivery']?.['maxInFlight']);
  const notifierContext = { baseDirectory, maxInFlight, problems };
  parts['notifiers'] = readNotifiers(groups.get('notifiers') ?? [], notifierContext);
  const isEnabled = parts['xmpp']?.['enabled'] === true;
  const componentContext = { baseDirectory, problems, isEnabled };
  parts['xmpp'] = {
    ...parts['xmpp'],
    components: readComponents(groups.get('xmpp.components') ?? [], componentContext),
    types: readTypes(groups.get('xmpp.types') ?? [], { baseDirectory, problems }),
  };
  parts['uwpx'] = withOneFile(parts['uwpx'] ?? {});
  // The schema has just checked every key and value, and types.ts is compiled against the schema.
  const config = deepFreeze(parts) as unknown as Config;
  const wrongKeys = problems.map(({ key }) => key);
  const isWrong = (key: string): boolean =>
    wrongKeys.some((wrong) => wrong === key || wrong.startsWith(`${key}.`));
  problems.push(...checkTogether(config, originFinder(settings), isWrong));
  return problems.length === 0 ? ok(config) : fail(problems);
}

function readFile(file: string, problems: ConfigProblem[]): Setting[] {
  const read = readSmallFile(file, FILE_MAX_BYTES);
  if (read.ok) return readYaml(read.value, file, problems);
  problems.push({ key: '', origin: file, message: `the configuration file ${read.error}` });
  return [];
}

/** One PEM file may hold both. */
const withOneFile = (uwpx: Readonly<Record<string, unknown>>) => ({
  ...uwpx,
  keyFile: uwpx['keyFile'] ?? uwpx['certificateFile'],
});

/** Within its section. */
const keyOf = ({ path }: Setting): string => path.slice(1).join('.');

/** To find the nearest of an unknown one. */
const knownKeys: readonly string[] = [
  ...sectionKeys,
  ...notifierTypes.flatMap((type) =>
    Object.keys(notifierSchemas[type]).map((key) => `notifiers.${type}.${key}`),
  ),
  ...standardBrands.flatMap((name) => brandKeys.map((key) => `brands.${name}.${key}`)),
  ...Object.keys(componentSchema).map((key) => `xmpp.components.NAME.${key}`),
  ...standardTypes.flatMap((name) => typeKeys.map((key) => `xmpp.types.${name}.${key}`)),
];

/** By section, or by the part of one whose entries have names. */
function groupBySection(settings: readonly Setting[], problems: ConfigProblem[]): Map<string, Setting[]> {
  const groups = new Map<string, Setting[]>();
  for (const setting of settings) {
    const [section = ''] = setting.path;
    const entries = entrySectionOf(setting.path);
    const isEmpty = setting.given.kind === 'scalar' && setting.given.scalar.value === null;
    if (entries === null && !Object.hasOwn(sections, section)) {
      problems.push(unknownKey(setting, knownKeys));
    } else if (entries === null && setting.path.length === 1) {
      const message = 'is a section: set the options in it';
      if (!isEmpty) problems.push({ key: printableKey(section), origin: setting.origin, message });
    } else {
      const group = entries ?? section;
      groups.set(group, [...(groups.get(group) ?? []), setting]);
    }
  }
  return groups;
}

function originFinder(settings: readonly Setting[]): (key: string) => string {
  return (key) => settings.findLast(({ path }) => path.join('.') === key)?.origin ?? 'default';
}

function deepFreeze<T extends object>(value: T): T {
  for (const child of Object.values(value)) {
    if (typeof child === 'object' && child !== null) deepFreeze(child as object);
  }
  return Object.freeze(value);
}
