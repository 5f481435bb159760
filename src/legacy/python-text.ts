const ECHO_MAX_CHARACTERS = 64;

/**
 * A JSON value as the original's error texts show it (Python's repr): `'windows'`, `None`, `True`, `7`. Null for a list,
 * an object, or what is too long to be repeated to its sender.
 */
export function pythonText(value: unknown): string | null {
  switch (typeof value) {
    case 'string':
      return value.length > ECHO_MAX_CHARACTERS ? null : quoted(value);
    case 'boolean':
      return value ? 'True' : 'False';
    case 'number':
      return String(value);
    default:
      return value === null || value === undefined ? 'None' : null;
  }
}

/** The type as Python calls it. */
export function pythonType(value: unknown): string {
  if (value === null || value === undefined) return 'NoneType';
  if (Array.isArray(value)) return 'list';
  switch (typeof value) {
    case 'string':
      return 'str';
    case 'boolean':
      return 'bool';
    case 'number':
      return Number.isInteger(value) ? 'int' : 'float';
    default:
      return 'dict';
  }
}

const namedEscapes: Readonly<Record<string, string>> = {
  '\\': '\\\\',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
};

/** Double quotes where only that saves escaping; what has no glyph, and half a surrogate pair, as its number. */
function quoted(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  const escaped = text.replace(/[\\\p{Cc}\p{Cs}]/gu, (character) => {
    const code = character.charCodeAt(0);
    return namedEscapes[character] ?? (code < 0x100 ? `\\x${hex(code, 2)}` : `\\u${hex(code, 4)}`);
  });
  return `${quote}${quote === "'" ? escaped.replaceAll("'", "\\'") : escaped}${quote}`;
}

const hex = (code: number, digits: number): string => code.toString(16).padStart(digits, '0');
