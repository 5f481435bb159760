/** A start tag as written, its prefixes not resolved yet. */
export interface Tag {
  /** With its prefix. */
  readonly name: string;
  /** Name, value, name, value, … */
  readonly attributes: readonly string[];
  /** Prefix ('' = the default namespace), namespace, prefix, namespace, … */
  readonly declarations: readonly string[];
}

const EQUALS = 61;
const GREATER_THAN = 62;
const LESS_THAN = 60;
const DOUBLE_QUOTE = 34;
const SINGLE_QUOTE = 39;

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

/**
 * Reads what stands between `<` and `>` or `/>`. By hand: a regular expression makes an array of each name and value, and
 * tags are most of what a stream consists of.
 */
export function readTag(text: string, maxAttributes: number): Tag | 'not-well-formed' | 'policy-violation' {
  let at = endOfName(text, 0);
  const name = text.slice(0, at);
  if (!isQualifiedName(name)) return 'not-well-formed';
  let attributes = NONE;
  let declarations = NONE;
  for (;;) {
    const start = skipBlank(text, at);
    if (start === text.length) return { name, attributes, declarations };
    if (start === at) return 'not-well-formed';
    const keyEnd = endOfName(text, start);
    const equals = skipBlank(text, keyEnd);
    const quoted = skipBlank(text, equals + 1);
    const quote = text.charCodeAt(quoted);
    if (keyEnd === start || text.charCodeAt(equals) !== EQUALS) return 'not-well-formed';
    if (quote !== DOUBLE_QUOTE && quote !== SINGLE_QUOTE) return 'not-well-formed';
    const end = endOfValue(text, quoted + 1, quote);
    if (end === -1) return 'not-well-formed';
    if (attributes.length + declarations.length >= 2 * maxAttributes) return 'policy-violation';
    const key = text.slice(start, keyEnd);
    const value = decodeText(text.slice(quoted + 1, end));
    if (value === null) return 'not-well-formed';
    const isDeclaration = key === 'xmlns' || key.startsWith('xmlns:');
    const kept = isDeclaration ? key.slice(6) : key;
    const target = isDeclaration ? declarations : attributes;
    if (isNameIn(target, kept)) return 'not-well-formed';
    if (target.length > 0) target.push(kept, value);
    else if (isDeclaration) declarations = [kept, value];
    else attributes = [kept, value];
    at = end + 1;
  }
}

/** Never written to. */
const NONE: string[] = [];

/** What may not stand in a name: white space and `<>"'=/&`. By code, below 128. */
const endsName = new Uint8Array(128);
for (const character of '\t\n\v\f\r <>"\'=/&') endsName[character.charCodeAt(0)] = 1;

function endOfName(text: string, from: number): number {
  for (let at = from; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code < 128 ? endsName[code] === 1 : /\s/.test(text.charAt(at))) return at;
  }
  return text.length;
}

/** With one colon at most, and something on both sides of it. */
function isQualifiedName(name: string): boolean {
  const colon = name.indexOf(':');
  if (colon === -1) return name !== '';
  return colon > 0 && colon < name.length - 1 && name.indexOf(':', colon + 1) === -1;
}

function skipBlank(text: string, from: number): number {
  let at = from;
  while (at < text.length) {
    const code = text.charCodeAt(at);
    if (code !== 32 && code !== 9 && code !== 10 && code !== 13) break;
    at += 1;
  }
  return at;
}

/** -1: there is none, or a `<` before it. */
function endOfValue(text: string, from: number, quote: number): number {
  for (let at = from; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === quote) return at;
    if (code === LESS_THAN) return -1;
  }
  return -1;
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
