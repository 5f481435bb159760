/** The text is no literal as it may be here. Caught by `readLuaReturn`; says nothing of what is in the text. */
export class NotLua extends Error {
  override readonly name = 'NotLua';
}

const blanks = /[ \t\n\v\f\r]+/y;
const name = /[A-Za-z_][A-Za-z0-9_]*/y;
const hexNumber =
  /0[xX](?:([0-9a-fA-F]+)(?:\.([0-9a-fA-F]*))?|\.([0-9a-fA-F]+))(?:[pP]([+-]?\d{1,9}))?(?![A-Za-z0-9_.])/y;
const decimalNumber = /(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?![A-Za-z0-9_.])/y;
const longOpening = /\[(=*)\[(?:\r\n|\n\r|\n|\r)?/y;
const lineEnd = /\r\n|\n\r|\n|\r/y;
const restOfLine = /[^\n\r]*/y;
const plain = { '"': /[^"\\\n\r]+/y, "'": /[^'\\\n\r]+/y } as const;
const escapedByte = /x([0-9a-fA-F]{2})|(\d{1,3})/y;
const escapedCodePoint = /u\{0*([0-9a-fA-F]{1,6})\}/y;
const skippedBlanks = /z[ \t\n\v\f\r]*/y;
const simpleEscapes: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '\\': '\\',
  '"': '"',
  "'": "'",
};

/**
 * Goes through the bytes of a program in Lua, token by token: one character per byte. Throws `NotLua`. Source: Lua 5.4
 * reference manual, 3.1; strict where Lua 5.1 is not (unknown escapes).
 */
export class LuaScanner {
  #at = 0;

  constructor(private readonly text: string) {}

  get isAtEnd(): boolean {
    this.#skip();
    return this.#at === this.text.length;
  }

  /** The next character behind blanks and comments; '' at the end. */
  peek(): string {
    this.#skip();
    return this.text.charAt(this.#at);
  }

  /** Whether it was there; then it is behind us. */
  take(symbol: string): boolean {
    this.#skip();
    if (!this.text.startsWith(symbol, this.#at)) return false;
    this.#at += symbol.length;
    return true;
  }

  expect(symbol: string): void {
    if (!this.take(symbol)) throw new NotLua();
  }

  /** A name or a word of the language; null when there is none. */
  word(): string | null {
    this.#skip();
    return this.#match(name)?.[0] ?? null;
  }

  /** Without a sign; null when there is none. */
  number(): number | null {
    this.#skip();
    const hex = this.#match(hexNumber);
    if (hex !== null) return hexValue(hex);
    const decimal = this.#match(decimalNumber);
    return decimal === null ? null : Number(decimal[0]);
  }

  /** In quotes or long brackets; null when there is none. */
  string(): string | null {
    this.#skip();
    const quote = this.text.charAt(this.#at);
    if (quote !== '"' && quote !== "'") return this.#longString();
    this.#at += 1;
    let value = '';
    for (;;) {
      value += this.#match(plain[quote])?.[0] ?? '';
      const next = this.text.charAt(this.#at);
      this.#at += 1;
      if (next === quote) return value;
      if (next !== '\\') throw new NotLua();
      value += this.#escaped();
    }
  }

  startsLongString(): boolean {
    this.#skip();
    longOpening.lastIndex = this.#at;
    return longOpening.test(this.text);
  }

  /** What stands behind a backslash. */
  #escaped(): string {
    if (this.#match(lineEnd) !== null) return '\n';
    if (this.#match(skippedBlanks) !== null) return '';
    const byte = this.#match(escapedByte);
    if (byte !== null) {
      const code = byte[1] === undefined ? Number(byte[2]) : Number.parseInt(byte[1], 16);
      if (code > 0xff) throw new NotLua();
      return String.fromCharCode(code);
    }
    const point = this.#match(escapedCodePoint)?.[1];
    if (point !== undefined) return utf8Bytes(Number.parseInt(point, 16));
    const simple = simpleEscapes[this.text.charAt(this.#at)];
    if (simple === undefined) throw new NotLua();
    this.#at += 1;
    return simple;
  }

  #longString(): string | null {
    const opening = this.#match(longOpening);
    if (opening === null) return null;
    const closing = `]${opening[1] ?? ''}]`;
    const end = this.text.indexOf(closing, this.#at);
    if (end < 0) throw new NotLua();
    const value = this.text.slice(this.#at, end).replaceAll(/\r\n|\n\r|\r/g, '\n');
    this.#at = end + closing.length;
    return value;
  }

  #skip(): void {
    for (;;) {
      this.#match(blanks);
      if (!this.text.startsWith('--', this.#at)) return;
      this.#at += 2;
      if (this.#longString() === null) this.#match(restOfLine);
    }
  }

  #match(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.text);
    if (match !== null) this.#at = pattern.lastIndex;
    return match;
  }
}

function hexValue([, whole = '', fraction = '', onlyFraction = '', exponent = '0']: RegExpExecArray): number {
  let value = 0;
  for (const digit of whole) value = value * 16 + Number.parseInt(digit, 16);
  let weight = 1 / 16;
  for (const digit of fraction + onlyFraction) {
    value += Number.parseInt(digit, 16) * weight;
    weight /= 16;
  }
  return value * 2 ** Number(exponent);
}

/** Half a surrogate pair has no bytes. */
function utf8Bytes(codePoint: number): string {
  if (codePoint > 0x10_ffff || (codePoint >= 0xd800 && codePoint <= 0xdfff)) throw new NotLua();
  return Buffer.from(String.fromCodePoint(codePoint)).toString('latin1');
}
