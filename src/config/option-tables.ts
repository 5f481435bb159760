import { stringify } from 'yaml';
import { brandSchema, standardBrands } from './brand-schema.js';
import type { EntrySectionName } from './entry-sections.js';
import type { FormatName } from './formats.js';
import { toEnvironmentName } from './names.js';
import { isNotifierType, notifierSchemas } from './notifier-schema.js';
import type { Option } from './options.js';
import type { OptionSet } from './parse-options.js';
import { describeOption } from './read-value.js';
import { sections } from './schema.js';
import { componentSchema, typeSchema } from './xmpp-schema.js';

/** A Markdown table of the options under `prefix` (`http`, `notifiers.apns`). */
export function optionTable(prefix: string, options: OptionSet): string[] {
  const rows = Object.entries(options).map(([key, option]) => {
    const names = `\`${key}\`<br>\`${toEnvironmentName([...prefix.split('.'), key])}\``;
    return `| ${names} | \`${yamlValue(option.default)}\` | ${option.unit ?? ''} | ${meaning(option)} |`;
  });
  return ['| option, environment | default | unit | meaning |', '| --- | --- | --- | --- |', ...rows];
}

/** The options of brands: one table, with a column of defaults for each standard brand and one for all others. */
export const brandTable = (keys: readonly string[] = []): string[] =>
  entryTable('brands', [...standardBrands.map(named), { head: 'your own', name: '' }], brandSchema, keys);

/** The options of types of devices (`xmpp.types`); all but two of the standard ones are alike. */
export const typeTable = (keys: readonly string[] = []): string[] =>
  entryTable('xmpp.types', [named('apns'), named('fcm'), { head: 'all others', name: '' }], typeSchema, keys);

interface Column {
  readonly head: string;
  readonly name: string;
}

const named = (name: string): Column => ({ head: name, name });

/** One table for entries that differ in their defaults only: a column of those for each. */
function entryTable(
  section: EntrySectionName,
  columns: readonly Column[],
  schemaOf: (name: string) => OptionSet,
  keys: readonly string[],
): string[] {
  const [example] = columns;
  const rows = Object.entries(chosen(section, schemaOf(example?.name ?? ''), keys)).map(([key, option]) => {
    const path = [...section.split('.'), example?.name ?? '', key];
    const defaults = columns.map(({ name }) => `\`${yamlValue(schemaOf(name)[key]?.default)}\``);
    return `| ${[`\`${key}\`<br>\`${toEnvironmentName(path)}\``, ...defaults, meaning(option)].join(' | ')} |`;
  });
  const head = ['option, environment', ...columns.map(({ head: text }) => text), 'meaning'];
  return [`| ${head.join(' | ')} |`, `|${' --- |'.repeat(head.length)}`, ...rows];
}

const BLOCK = /<!-- options: (\S+)((?: \w+)*) -->[^]*?<!-- end of options -->/g;

/**
 * A page for people with the tables of options in it made anew: what stands between `<!-- options: http -->` (all of
 * a section), `<!-- options: session listen listenCurve -->` (some of it), `<!-- options: notifiers.apns -->`,
 * `<!-- options: brands -->`, `<!-- options: xmpp.components -->` or `<!-- options: xmpp.types -->` and
 * `<!-- end of options -->`. Throws for a section or an option that there is not.
 */
export function fillOptionTables(page: string): string {
  return page.replaceAll(BLOCK, (_, prefix: string, keys: string) => {
    const wanted = keys.split(' ').filter((key) => key !== '');
    const table = tableOf(prefix, wanted).join('\n');
    return `<!-- options: ${prefix}${keys} -->\n\n${table}\n\n<!-- end of options -->`;
  });
}

function tableOf(prefix: string, keys: readonly string[]): string[] {
  if (prefix === 'brands') return brandTable(keys);
  if (prefix === 'xmpp.types') return typeTable(keys);
  const isComponent = prefix === 'xmpp.components';
  const options = isComponent ? componentSchema : optionsUnder(prefix);
  return optionTable(isComponent ? `${prefix}.name` : prefix, chosen(prefix, options, keys));
}

function chosen(prefix: string, all: OptionSet, keys: readonly string[]): OptionSet {
  if (keys.length === 0) return all;
  return Object.fromEntries(
    keys.map((key) => {
      const option = all[key];
      if (option === undefined) throw new Error(`no option ${prefix}.${key}`);
      return [key, option];
    }),
  );
}

function optionsUnder(prefix: string): OptionSet {
  const [section = '', type = ''] = prefix.split('.');
  if (section === 'notifiers' && isNotifierType(type)) return notifierSchemas[type];
  const found = Object.entries<OptionSet>(sections).find(([name]) => name === prefix);
  if (found === undefined) throw new Error(`no options under ${prefix}`);
  return found[1];
}

function meaning(option: Option): string {
  const secret = option.sensitive ? ' **Secret.**' : '';
  return `${option.doc}${rangeOf({ ...option, unit: null })}${secret}`.replaceAll('|', '\\|');
}

/** Formats whose description would only repeat what the text says. */
const plainFormats: ReadonlySet<FormatName> = new Set([
  'words',
  'host',
  'port',
  'peer-port',
  'path',
  'paths',
  'optional-paths',
  'contact',
  'service-name',
  'switch',
  'https-origin',
  'https-url',
  'xmpp-domain',
  'bare-jid',
  'xmpp-address',
  'proxies',
]);

/** What an option takes, as a sentence with a blank before it; empty where its text says so itself. */
export const rangeOf = (option: Option): string =>
  plainFormats.has(option.formatName) ? '' : ` ${capitalise(describeOption(option))}.`;

export const yamlValue = (value: unknown): string =>
  stringify(value, { lineWidth: 0, collectionStyle: 'flow', flowCollectionPadding: false }).trim();

const capitalise = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
