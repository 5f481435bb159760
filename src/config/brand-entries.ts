import { brandSchema, standardBrands } from './brand-schema.js';
import { isBrandNameText } from './formats.js';
import { gatherEntries, type NamedEntry, type NamedSection } from './named-entries.js';
import { parseOptions } from './parse-options.js';
import type { ConfigProblem } from './problem.js';
import type { Setting } from './setting.js';
import type { BrandConfig } from './types.js';
import { wrapSecrets } from './wrap-secrets.js';

const section: NamedSection = {
  section: 'brands',
  what: 'a brand',
  isName: isBrandNameText,
  nameRule: '1 to 20 letters, digits, - and _, first a letter',
  standard: standardBrands,
};

interface BrandContext {
  readonly baseDirectory: string;
  readonly problems: ConfigProblem[];
}

/** All settings under `brands`, in order of precedence, to one checked entry per name; the standard ones come first. */
export function readBrands(settings: readonly Setting[], context: BrandContext): Record<string, BrandConfig> {
  const brands: Record<string, BrandConfig> = {};
  for (const entry of gatherEntries(settings, section, context.problems)) {
    const brand = readBrand(entry, context);
    if (brand !== null) brands[entry.name] = brand;
  }
  return brands;
}

function readBrand(entry: NamedEntry, { baseDirectory, problems }: BrandContext): BrandConfig | null {
  const prefix = `brands.${entry.name}`;
  const before = problems.length;
  const options = parseOptions(brandSchema(entry.name), entry.settings, {
    prefix,
    baseDirectory,
    problems,
  });
  if (problems.length > before) return null;
  const { values } = options;
  if (values['enabled'] === true) problems.push(...missingOf(entry, values));
  if (problems.length > before) return null;
  // The schema has checked every key and value, and what is null by necessity belongs to a brand that is not enabled.
  return {
    ...wrapSecrets(options),
    name: entry.name,
    accountPrefix: values['accountPrefix'] ?? '',
    appName: values['appName'] ?? entry.name,
    alertTitle: values['alertTitle'] ?? values['appName'] ?? entry.name,
    statisticsTotalKey: values['statisticsTotalKey'] ?? `total_${entry.name.toLowerCase()}_id_number`,
  } as unknown as BrandConfig;
}

/** What nobody can guess of a brand of the operator's own. */
function* missingOf(
  { name, origin, settings }: NamedEntry,
  values: Readonly<Record<string, unknown>>,
): Iterable<ConfigProblem> {
  for (const key of ['appName', 'accountPrefix'] as const) {
    if (values[key] !== null) continue;
    const message = 'missing; a brand of your own must give it';
    yield { key: `brands.${name}.${key}`, origin: settings.get(key)?.origin ?? origin, message };
  }
  if (values['v2Path'] === null && values['v4Path'] === null) {
    const message = 'neither v2Path nor v4Path is given: nobody could reach this brand';
    yield { key: `brands.${name}`, origin, message };
  }
}
