import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { brandSchema, standardBrands } from '../../../src/config/brand-schema.js';
import { notifierSchemas, notifierTypes } from '../../../src/config/notifier-schema.js';
import { fillOptionTables } from '../../../src/config/option-tables.js';
import { renderDefaultFile, renderReference } from '../../../src/config/reference.js';
import { sections } from '../../../src/config/schema.js';
import { componentSchema, standardTypes, typeKeys } from '../../../src/config/xmpp-schema.js';
import { loadGood } from './support.js';

const defaultFile = new URL('../../../config/default.yaml', import.meta.url);

async function pretty(text: string, parser: 'yaml' | 'markdown'): Promise<string> {
  return format(text, { ...(await resolveConfig(defaultFile)), parser });
}

describe('tables in pages', () => {
  const table = (options: string) => fillOptionTables(`<!-- options: ${options} --><!-- end of options -->`);

  it('of brands have a column for each standard brand', () => {
    const text = table('brands markers apns');
    expect(text).toContain('| option, environment | session | bchat | your own | meaning |');
    expect(text).toContain('WAGGLE_BRANDS__SESSION__MARKERS` | `[spns]` | `[spns, pns]` | `[spns]` |');
    expect(text).toContain('WAGGLE_BRANDS__SESSION__APNS');
    expect(text).not.toContain('V2_PATH');
  });

  it('of types of devices have a column for those that differ', () => {
    const text = table('xmpp.types service priority');
    expect(text).toContain('| option, environment | apns | fcm | all others | meaning |');
    expect(text).toContain('WAGGLE_XMPP__TYPES__APNS__SERVICE` | `null` | `firebase` | `null` |');
    expect(text).not.toContain('ALERT_TITLE');
  });

  it('of components name the place of their name', () => {
    expect(table('xmpp.components secret')).toContain('WAGGLE_XMPP__COMPONENTS__NAME__SECRET');
  });

  it.each(['brands nothing', 'legacy nothing', 'xmpp.types nothing', 'xmpp.components nothing', 'nothing'])(
    'there is none of %s',
    (options) => {
      expect(() => table(options)).toThrow('no option');
    },
  );
});

describe('the files made from the schema', () => {
  it('config/default.yaml is up to date', async () => {
    await expect(await pretty(renderDefaultFile(), 'yaml')).toMatchFileSnapshot(
      '../../../config/default.yaml',
    );
  });

  it('docs/configuration.md is up to date', async () => {
    await expect(await pretty(renderReference(), 'markdown')).toMatchFileSnapshot(
      '../../../docs/configuration.md',
    );
  });

  it('config/default.yaml holds every option of every section with its default', () => {
    const file = parse(readFileSync(defaultFile, 'utf8')) as Record<string, Record<string, unknown>>;
    for (const [name, options] of Object.entries(sections)) {
      const defaults = Object.entries(options).map(([key, option]) => [
        key,
        (option as { default: unknown }).default,
      ]);
      const { components, types, ...written } = file[name] ?? {};
      expect(written).toEqual(Object.fromEntries(defaults));
      expect(types !== undefined).toBe(name === 'xmpp');
      expect(components ?? null).toBeNull();
    }
    expect(Object.keys(file).sort()).toEqual([...Object.keys(sections), 'brands', 'notifiers'].sort());
  });

  it('config/default.yaml holds the standard brands as they are without it', () => {
    const { brands } = loadGood({ file: fileURLToPath(defaultFile) });
    expect(brands).toEqual(loadGood().brands);
    const file = parse(readFileSync(defaultFile, 'utf8')) as { brands: Record<string, object> };
    for (const name of standardBrands) {
      expect(Object.keys(file.brands[name] ?? {})).toEqual(Object.keys(brandSchema(name)));
    }
  });

  it('config/default.yaml holds the standard types of devices as they are without it, and shows a component', () => {
    const { xmpp } = loadGood({ file: fileURLToPath(defaultFile) });
    expect(xmpp).toEqual(loadGood().xmpp);
    const text = readFileSync(defaultFile, 'utf8');
    const file = parse(text) as { xmpp: { types: Record<string, object> } };
    expect(Object.keys(file.xmpp.types)).toEqual(standardTypes);
    for (const type of standardTypes) expect(Object.keys(file.xmpp.types[type] ?? {})).toEqual(typeKeys);
    const [commented = ''] = /(?<=^ {2}components:\n)( {4}#.*\n)+/m.exec(text) ?? [];
    const shown = parse(commented.replaceAll(/^ {4}# /gm, '')) as Record<string, object>;
    expect(Object.keys(shown['push.example.org'] ?? {})).toEqual(Object.keys(componentSchema));
  });

  it('config/default.yaml shows every option of every notifier type', () => {
    // Entries that need no credentials stand there as a comment.
    const text = readFileSync(defaultFile, 'utf8').replaceAll(/^ {2}# ( *\w+:( |$))/gm, '  $1');
    const file = parse(text) as { notifiers: Record<string, Record<string, unknown>> };
    for (const type of notifierTypes) {
      expect(Object.keys(file.notifiers[type] ?? {}).sort()).toEqual(
        ['type', ...Object.keys(notifierSchemas[type])].sort(),
      );
    }
  });
});
