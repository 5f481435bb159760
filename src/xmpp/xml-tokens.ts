/** A start tag as written, its prefixes not resolved yet. */
export interface Tag {
  /** With its prefix. */
  readonly name: string;
  /** Name, value, name, value, … */
  readonly attributes: readonly string[];
  /** Prefix ('' = the default namespace), namespace, prefix, namespace, … */
  readonly declarations: readonly string[];
}

const GREATER_THAN = 62;
const DOUBLE_QUOTE = 34;
const SINGLE_QUOTE = 39;

const tagName = /[^\s<>"'=/&:]+(?::[^\s<>"'=/&:]+)?/y;
const attribute = /[ \t\r\n]+([^\s<>"'=/&]+)[ \t\r\n]*=[ \t\r\n]*(?:"([^"<]*)"|'([^'<]*)')/y;
const blank = /[ \t\r\n]*$/y;

/** Characters that XML 1.0 (section 2.2) knows in no form. */
export const hasForbiddenCharacter = (text: string): boolean =>
  // eslint-disable-next-line no-control-regex
  /[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/.test(text);

/**
 * The place of the `>` that ends a tag: one within quotes does not. `quote`: the code of the quote that is open at
 * `from`, 0 for none. `end` is -1 when it has not come; then `quote` is for the next call.
 */
export function findTagEnd(input: string, from: number, quote: number): { end: number; quote: number } {
  let open = quote;
  for (let at = from; at < input.length; at += 1) {
    const code = input.charCodeAt(at);
    if (open !== 0) {
      if (code === open) open = 0;
    } else if (code === GREATER_THAN) {
      return { end: at, quote: 0 };
    } else if (code === DOUBLE_QUOTE || code === SINGLE_QUOTE) {
      open = code;
    }
  }
  return { end: -1, quote: open };
}

/** Reads what stands between `<` and `>` or `/>`. */
export function readTag(text: string, maxAttributes: number): Tag | 'not-well-formed' | 'policy-violation' {
  tagName.lastIndex = 0;
  const name = tagName.exec(text)?.[0];
  if (name === undefined) return 'not-well-formed';
  let at = name.length;
  const attributes: string[] = [];
  const declarations: string[] = [];
  while (at < text.length) {
    attribute.lastIndex = at;
    const found = attribute.exec(text);
    if (found === null) break;
    if (attributes.length + declarations.length >= 2 * maxAttributes) return 'policy-violation';
    const key = found[1] ?? '';
    const value = decodeText(found[2] ?? found[3] ?? '');
    if (value === null) return 'not-well-formed';
    const isDeclaration = key === 'xmlns' || key.startsWith('xmlns:');
    const target = isDeclaration ? declarations : attributes;
    const kept = isDeclaration ? key.slice(6) : key;
    if (isNameIn(target, kept)) return 'not-well-formed';
    target.push(kept, value);
    at = attribute.lastIndex;
  }
  blank.lastIndex = at;
  return blank.test(text) ? { name, attributes, declarations } : 'not-well-formed';
}

function isNameIn(pairs: readonly string[], name: string): boolean {
  for (let i = 0; i < pairs.length; i += 2) if (pairs[i] === name) return true;
  return false;
}

const named: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', apos: "'", quot: '"' };

/** Resolves references; null when one is none of the five, or names no character. */
export function decodeText(text: string): string | null {
  if (!text.includes('&')) return text;
  let isSound = true;
  const decoded = text.replaceAll(
    /&(?:#x([0-9a-fA-F]{1,6});|#([0-9]{1,7});|([a-z]{2,4});)?/g,
    (...groups) => {
      const [, hex, decimal, name] = groups as (string | undefined)[];
      const character =
        name === undefined
          ? characterOf(hex === undefined ? Number(decimal ?? Number.NaN) : Number.parseInt(hex, 16))
          : Object.hasOwn(named, name)
            ? named[name]
            : undefined;
      if (character === undefined) isSound = false;
      return character ?? '';
    },
  );
  return isSound ? decoded : null;
}

function characterOf(code: number): string | undefined {
  if (!(code <= 0x10ffff) || (code >= 0xd800 && code <= 0xdfff)) return undefined;
  const character = String.fromCodePoint(code);
  return hasForbiddenCharacter(character) ? undefined : character;
}
