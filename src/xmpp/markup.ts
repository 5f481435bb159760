declare const isMarkup: unique symbol;

/** Well-formed XML that we have made: nothing gets into it but through the functions of this file. */
export type Markup = string & { readonly [isMarkup]: true };

export type Attributes = Readonly<Record<string, string | null>>;

export const noMarkup = '' as Markup;

/**
 * One element. Attributes that are null are left out. Names and attribute names must be ours: they are written as
 * they are.
 */
export function element(name: string, attributes: Attributes, ...content: readonly Markup[]): Markup {
  let start = `<${name}`;
  for (const key in attributes) {
    const value = attributes[key];
    if (value !== null && value !== undefined) start += ` ${key}='${escape(value)}'`;
  }
  const inside = content.join('');
  return (inside === '' ? `${start}/>` : `${start}>${inside}</${name}>`) as Markup;
}

export const text = (value: string): Markup => escape(value) as Markup;

// White space other than a blank is written as a reference: a reader would turn it into a blank within an attribute.
// eslint-disable-next-line no-control-regex
const special = /[<>&"'\0-\x1f\ufffe\uffff]|\p{Surrogate}/gu;
const named: Readonly<Record<string, string>> = {
  '<': '&lt;',
  '>': '&gt;',
  '&': '&amp;',
  '"': '&quot;',
  "'": '&apos;',
  '\t': '&#9;',
  '\n': '&#10;',
  '\r': '&#13;',
};

/** What XML cannot hold becomes the replacement character: one such character would end the stream. */
function escape(value: string): string {
  return value.replace(special, (character) => named[character] ?? '\ufffd');
}
