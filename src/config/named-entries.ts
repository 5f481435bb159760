import { levelsOf, type EntrySectionName } from './entry-sections.js';
import { entryNameKey, printableKey } from './names.js';
import type { ConfigProblem } from './problem.js';
import type { Setting } from './setting.js';

/** What was said about one entry of a section whose entries have names (`notifiers`, `xmpp.components`, ...). */
export interface NamedEntry {
  readonly name: string;
  readonly origin: string;
  /** By key; a later one has replaced an earlier one. */
  readonly settings: Map<string, Setting>;
}

export interface NamedSection {
  readonly section: EntrySectionName;
  /** For messages: "a notifier". */
  readonly what: string;
  readonly isName: (text: string) => boolean;
  /** For messages: "1 to 32 letters, digits, - and _". */
  readonly nameRule: string;
  readonly hasDottedNames?: boolean;
  /** Entries that are there though nobody mentions them. */
  readonly standard: readonly string[];
}

/** All settings of the section, in order of precedence, by entry. */
export function gatherEntries(
  settings: readonly Setting[],
  section: NamedSection,
  problems: ConfigProblem[],
): NamedEntry[] {
  const entries = new Map<string, NamedEntry>();
  for (const name of section.standard) {
    entries.set(entryNameKey(name), { name, origin: 'default', settings: new Map() });
  }
  for (const setting of settings) {
    const { name, key } = split(setting.path, section);
    const { origin, given } = setting;
    const isEmpty = given.kind === 'scalar' && given.scalar.value === null;
    if (name === undefined) {
      const message = 'must be a mapping of names to entries';
      if (!isEmpty) problems.push({ key: section.section, origin, message });
      continue;
    }
    const shown = printableKey(setting.path.join('.'));
    if (!section.isName(name)) {
      const message = `the name of ${section.what} has ${section.nameRule}`;
      problems.push({ key: shown, origin, message });
      continue;
    }
    const entry = entryFor(entries, name, setting, section, problems);
    if (key === undefined) {
      if (!isEmpty) problems.push({ key: shown, origin, message: 'must be a mapping of options' });
    } else {
      entry.settings.set(key, setting);
    }
  }
  return [...entries.values()];
}

interface EntryPath {
  readonly name: string | undefined;
  readonly key: string | undefined;
}

/** What follows the section's own words. A flag splits a name with dots (a domain) too: all but the last are the name. */
function split(path: readonly string[], { section, hasDottedNames = false }: NamedSection): EntryPath {
  const words = path.slice(levelsOf(section));
  const nameWords = hasDottedNames ? Math.max(words.length - 1, 1) : 1;
  const name = words.length === 0 ? undefined : words.slice(0, nameWords).join('.');
  return { name, key: words.length > nameWords ? words.slice(nameWords).join('.') : undefined };
}

/** The environment cannot spell names as YAML can, so spellings that differ only in case, `-` and `_` are one entry. */
function entryFor(
  entries: Map<string, NamedEntry>,
  name: string,
  { origin }: Setting,
  { section }: NamedSection,
  problems: ConfigProblem[],
): NamedEntry {
  const known = entries.get(entryNameKey(name));
  if (known === undefined) {
    const entry: NamedEntry = { name, origin, settings: new Map() };
    entries.set(entryNameKey(name), entry);
    return entry;
  }
  if (known.name !== name && !origin.startsWith('environment')) {
    const message = `differs from ${section}.${known.name} (${known.origin}) only in case, - and _`;
    problems.push({ key: `${section}.${name}`, origin, message });
  }
  return known;
}
