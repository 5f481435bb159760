import { element, text, type Markup } from './markup.js';
import { ns } from './namespaces.js';
import type { XmlElement } from './xml-element.js';

/**
 * The fields of a data form by name: null for one without a value, '' for an empty value. Of a name that comes twice the
 * first counts, of several values the first. Neither FORM_TYPE nor any type is looked at: real senders differ in them.
 * Source: XEP-0004; spec xmpp-push, 3.1.
 */
export function readFields(form: XmlElement): ReadonlyMap<string, string | null> {
  const fields = new Map<string, string | null>();
  for (const field of form.children) {
    if (typeof field === 'string' || !field.is('field', ns.dataForm)) continue;
    const name = field.attribute('var');
    if (name === null || fields.has(name)) continue;
    fields.set(name, field.child('value')?.text() ?? null);
  }
  return fields;
}

export interface FormField {
  readonly type: 'jid-single' | 'text-single';
  readonly name: string;
  readonly value: string;
}

/** A form as the answers of commands carry it: of type `form`, without FORM_TYPE, as the originals write it. */
export function formMarkup(fields: readonly FormField[]): Markup {
  const content = fields.map(({ type, name, value }) =>
    element('field', { type, var: name }, element('value', {}, text(value))),
  );
  return element('x', { xmlns: ns.dataForm, type: 'form' }, ...content);
}
