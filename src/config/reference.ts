import { brandSchema, standardBrands } from './brand-schema.js';
import type { EntrySectionName } from './entry-sections.js';
import { notifierDocs, notifierSchemas, notifierTypes } from './notifier-schema.js';
import { brandTable, optionTable, rangeOf, typeTable, yamlValue } from './option-tables.js';
import type { OptionSet } from './parse-options.js';
import { sectionDocs, sections, type SectionName } from './schema.js';
import type { NotifierType } from './types.js';
import { componentSchema, standardTypes, typeSchema } from './xmpp-schema.js';

/**
 * The two files that are made from the schema. Both are kept in the repository for people to read; a test compares
 * them, and `npx vitest run test/unit/config/reference.test.ts -u` writes them anew.
 */
const MADE_FROM =
  'Made from the schema in src/config; `npx vitest run test/unit/config/reference.test.ts -u` writes it anew.';
const COMMENT_WIDTH = 100;

const sectionNames = Object.keys(sections) as readonly SectionName[];
/** As in the page about options: notifiers stand before delivery, brands behind the older clients whose they are. */
const order: readonly (SectionName | 'brands' | 'notifiers')[] = sectionNames.flatMap((name) => {
  if (name === 'legacy') return [name, 'brands'];
  return name === 'delivery' ? ['notifiers', name] : [name];
});

/** `config/default.yaml`: every option with its default, unit and meaning. */
export function renderDefaultFile(): string {
  const lines = [
    '# Every option of Waggle with its default. Copy what you change; what is left out has the value given here.',
    '# Environment variables (WAGGLE_HTTP__PORT=9000) and flags (--http.port 9000) win over the file.',
    '# Relative paths are relative to this file. Secrets may be given as file:PATH.',
    `# ${MADE_FROM}`,
  ];
  for (const name of order) {
    lines.push('', ...comment(sectionDocs[name], ''), `${name}:`);
    if (name === 'notifiers') lines.push(...notifierExamples());
    else if (name === 'brands') lines.push(...brandExamples());
    else lines.push(...optionLines(sections[name], '  '));
    if (name === 'xmpp') lines.push(...componentExample(), ...typeExamples());
  }
  return `${lines.join('\n')}\n`;
}

/** Types that need no credentials: as an entry they would be a service at once, so they stand there as a comment. */
const commentedTypes: ReadonlySet<NotifierType> = new Set(['unifiedpush', 'dummy']);

/** The service name of the example entry is that of its type. */
function notifierExamples(): string[] {
  return notifierTypes.flatMap((type) => {
    const lines = [...comment(notifierDocs[type], '  '), `  ${type}:`, `    type: ${type}`];
    lines.push(...optionLines(notifierSchemas[type], '    '));
    return commentedTypes.has(type) ? commented(lines, '  ') : lines;
  });
}

const commented = (lines: readonly string[], indent: string): string[] =>
  lines.map((line) => (line.startsWith(`${indent}#`) ? line : `${indent}# ${line.slice(indent.length)}`));

const brandExamples = (): string[] => standardEntries(standardBrands, brandSchema, '  ');

/** As a comment: there is none until somebody names one. */
function componentExample(): string[] {
  const lines = ['    push.example.org:', ...optionLines(componentSchema, '      ')];
  return [...comment(sectionDocs['xmpp.components'], '  '), '  components:', ...commented(lines, '    ')];
}

const typeExamples = (): string[] => [
  ...comment(sectionDocs['xmpp.types'], '  '),
  '  types:',
  ...standardEntries(standardTypes, typeSchema, '    '),
];

/** Entries that are there in any case, as they are; from the second on only their values, for the meaning is the same. */
function standardEntries(
  names: readonly string[],
  schemaOf: (name: string) => OptionSet,
  indent: string,
): string[] {
  const inner = `${indent}  `;
  return names.flatMap((name, index) => {
    const options = schemaOf(name);
    const values = Object.entries(options).map(
      ([key, option]) => `${inner}${key}: ${yamlValue(option.default)}`,
    );
    return [`${indent}${name}:`, ...(index === 0 ? optionLines(options, inner) : values)];
  });
}

function optionLines(options: OptionSet, indent: string): string[] {
  return Object.entries(options).flatMap(([key, option]) => [
    ...comment(`${option.doc}${rangeOf(option)}`, indent),
    `${indent}${key}: ${yamlValue(option.default)}`,
  ]);
}

function comment(text: string, indent: string): string[] {
  const lines: string[] = [];
  let line = `${indent}#`;
  for (const word of text.split(' ')) {
    if (line.length + 1 + word.length > COMMENT_WIDTH && !line.endsWith('#')) {
      lines.push(line);
      line = `${indent}#`;
    }
    line += ` ${word}`;
  }
  return [...lines, line];
}

/** `docs/configuration.md`. */
export function renderReference(): string {
  const lines = [
    '# Configuration',
    '',
    `<!-- ${MADE_FROM} -->`,
    '',
    'A YAML file, then the environment, then flags; later ones win. `waggle serve --config FILE` or `WAGGLE_CONFIG=FILE` names the file; there need not be one.',
    '',
    '- **Environment**: the option in capitals, words split by `_`, levels by `__`, prefix `WAGGLE_`: `http.bodyLimitBytes` is `WAGGLE_HTTP__BODY_LIMIT_BYTES`. Lists are split at commas. An empty variable means null where the option may be null. In the name of an entry (a notifier, a brand, ...) `-` is written `_`: `WAGGLE_NOTIFIERS__APNS_SANDBOX__TOPIC`.',
    '- **Flags**: `--http.port 9000` or `--http.port=9000`.',
    '- **Unknown names** are an error that names the nearest known one, in all three places.',
    '- **Secrets** (marked) may be given as `file:PATH`, and are never shown.',
    '- **Relative paths** are relative to the directory of the file, or to the working directory when there is none.',
    '- `waggle check-config` reads every file that the configuration names and says what is wrong; `--show` prints the outcome.',
    '',
    '`config/default.yaml` holds all of it with its defaults; `config/single-machine.yaml`, `config/cluster.yaml` and `config/xmpp.yaml` are examples.',
  ];
  for (const name of order) {
    lines.push('', `## ${name}`, '', sectionDocs[name]);
    if (name === 'notifiers') lines.push(...notifierTypes.flatMap(notifierSection));
    else if (name === 'brands') lines.push('', ...brandTable());
    else lines.push('', ...optionTable(name, sections[name]));
    if (name === 'xmpp') lines.push(...xmppEntrySections());
  }
  return `${lines.join('\n')}\n`;
}

const subsection = (name: EntrySectionName, table: readonly string[]): string[] => [
  '',
  `### ${name}`,
  '',
  sectionDocs[name],
  '',
  ...table,
];

const xmppEntrySections = (): string[] => [
  ...subsection('xmpp.components', optionTable('xmpp.components.name', componentSchema)),
  ...subsection('xmpp.types', typeTable()),
];

function notifierSection(type: NotifierType): string[] {
  return [
    '',
    `### type: ${type}`,
    '',
    notifierDocs[type],
    '',
    ...optionTable(`notifiers.${type}`, notifierSchemas[type]),
  ];
}
