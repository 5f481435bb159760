import { isComponentNameText, isTypeNameText } from './formats.js';
import { gatherEntries, type NamedEntry, type NamedSection } from './named-entries.js';
import { parseOptions, type OptionSet } from './parse-options.js';
import type { ConfigProblem } from './problem.js';
import type { Setting } from './setting.js';
import type { XmppComponentConfig, XmppTypeConfig } from './types-xmpp.js';
import { wrapSecrets } from './wrap-secrets.js';
import { componentSchema, standardTypes, typeSchema } from './xmpp-schema.js';

const componentSection: NamedSection = {
  section: 'xmpp.components',
  what: 'a component',
  isName: isComponentNameText,
  nameRule: 'letters, digits, -, _ and ., at most 253, and is no number',
  hasDottedNames: true,
  standard: [],
};

const typeSection: NamedSection = {
  section: 'xmpp.types',
  what: 'a type',
  isName: isTypeNameText,
  nameRule: '1 to 32 letters, digits, - and _, first a letter',
  standard: standardTypes,
};

interface EntryContext {
  readonly baseDirectory: string;
  readonly problems: ConfigProblem[];
}

/** All settings under `xmpp.components`. `isEnabled`: only then must they be complete. */
export function readComponents(
  settings: readonly Setting[],
  { isEnabled, ...context }: EntryContext & { readonly isEnabled: boolean },
): Record<string, XmppComponentConfig> {
  const components: Record<string, XmppComponentConfig> = {};
  for (const entry of gatherEntries(settings, componentSection, context.problems)) {
    const values = readEntry(entry, componentSection, componentSchema, context);
    if (values === null) continue;
    const { name, origin } = entry;
    // A word without a dot is a name for the entry ("prosody"), and hardly ever a domain.
    const domain = values['domain'] ?? (name.includes('.') ? name.toLowerCase() : null);
    const complain = (key: string, message: string): void => {
      context.problems.push({ key: `xmpp.components.${name}.${key}`, origin, message });
    };
    if (isEnabled && domain === null)
      complain('domain', "missing; the entry's name is taken for it only when it has a dot in it");
    if (isEnabled && values['secret'] === null) complain('secret', 'missing');
    // The schema has checked every key and value.
    components[name] = { ...values, name, domain: domain ?? name } as unknown as XmppComponentConfig;
  }
  return components;
}

/** All settings under `xmpp.types`; the standard ones come first. */
export function readTypes(
  settings: readonly Setting[],
  context: EntryContext,
): Record<string, XmppTypeConfig> {
  const types: Record<string, XmppTypeConfig> = {};
  for (const entry of gatherEntries(settings, typeSection, context.problems)) {
    const values = readEntry(entry, typeSection, typeSchema(entry.name), context);
    if (values === null) continue;
    const { name } = entry;
    types[name] = { ...values, name, service: values['service'] ?? name } as unknown as XmppTypeConfig;
  }
  return types;
}

/** Null when anything in it is wrong. */
function readEntry(
  entry: NamedEntry,
  { section }: NamedSection,
  schema: OptionSet,
  context: EntryContext,
): Record<string, unknown> | null {
  const before = context.problems.length;
  const options = parseOptions(schema, entry.settings, { prefix: `${section}.${entry.name}`, ...context });
  return context.problems.length > before ? null : wrapSecrets(options);
}
