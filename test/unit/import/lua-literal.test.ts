import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LUA_DEPTH_MAX, readLuaReturn } from '../../../src/import/lua-literal.js';
import { utf8Of, type LuaValue } from '../../../src/import/lua-value.js';
import { luaString, prosodyValue } from '../../simulators/prosody-store-files.js';

const MALFORMED = { ok: false, error: 'malformed' };
const read = (text: string): LuaValue => {
  const value = readLuaReturn(Buffer.from(text));
  if (!value.ok) throw new Error(`malformed: ${text}`);
  return value.value;
};
/** Tables as plain objects, with the kinds of their keys. */
const plain = (value: LuaValue): unknown =>
  value !== null && typeof value === 'object'
    ? [...value].map(([key, member]) => [key, plain(member)])
    : value;

describe('a value that a program in Lua returns', () => {
  test.each([
    ['return {};\n', []],
    ['return{}', []],
    [' return nil ', null],
    ['return true;', true],
    [
      'return { a = 1, b = "x"; [ "c" ] = { } }',
      [
        ['a', 1],
        ['b', 'x'],
        ['c', []],
      ],
    ],
    [
      'return { "x", true, nil, { false }; [9] = 4, }',
      [
        [1, 'x'],
        [2, true],
        [4, [[1, false]]],
        [9, 4],
      ],
    ],
    [
      'return { [true] = 1; [-2.5] = 2 }',
      [
        [true, 1],
        [-2.5, 2],
      ],
    ],
    ['return { a = 1; ["a"] = 2 }', [['a', 2]]],
    ['return { a = 1; a = nil }', []],
    ['return { a = --[==[ ]] ]==] 1 --x\n} -- the end', [['a', 1]]],
    [
      'return { [ [[k]] ] = [==[\nv]]v]==], [[w]] }',
      [
        ['k', 'v]]v'],
        [1, 'w'],
      ],
    ],
    ['return { ["k"] = [[\r\na\r\nb\rc\n\rd]] }', [['k', 'a\nb\nc\nd']]],
  ])('%s', (text, expected) => {
    expect(plain(read(text))).toEqual(expected);
  });

  test.each([
    ['0', 0],
    ['42', 42],
    ['-7', -7],
    ['- 7', -7],
    ['3.25', 3.25],
    ['.5', 0.5],
    ['5.', 5],
    ['1e3', 1000],
    ['1.5E-2', 0.015],
    ['0x1F', 31],
    ['0xA.8', 10.5],
    ['0x.8p1', 1],
    ['0x1p-1', 0.5],
    ['(1/0)', Infinity],
    ['(-1/0)', -Infinity],
    ['(0/0)', NaN],
  ])('the number %s', (text, expected) => {
    expect(read(`return ${text};`)).toBe(expected);
  });

  test.each([
    ['"plain"', 'plain'],
    ["'it\"s'", 'it"s'],
    [String.raw`"\a\b\f\n\r\t\v\\\"\'"`, '\x07\b\f\n\r\t\v\\"\''],
    [String.raw`"\0\00x\0651\255"`, '\0\0xA1\xff'],
    [String.raw`"\x41\xfF"`, 'A\xff'],
    ['"a\\\nb\\\r\nc"', 'a\nb\nc'],
    ['"a\\z \n\t b"', 'ab'],
    [String.raw`"\u{41}\u{20AC}\u{1F600}"`, Buffer.from('A€😀').latin1Slice()],
    ['"-- no comment [[ ]]"', '-- no comment [[ ]]'],
    ['[[a\\n]]', 'a\\n'],
  ])('the string %s', (text, expected) => {
    expect(read(`return ${text}`)).toBe(expected);
  });

  test.each([
    '',
    'return',
    'return;',
    '{}',
    'returnnil',
    'return {} {}',
    'return {};;',
    'return {}, {}',
    'local a = 1 return a',
    'return os.exit()',
    'return os',
    'return f {}',
    'return (1)',
    'return 1 + 1',
    'return "a" .. "b"',
    'return #{}',
    'return not true',
    'return { a }',
    'return { f() }',
    'return { [nil] = 1 }',
    'return { [(0/0)] = 1 }',
    'return { [{}] = 1 }',
    'return { and = 1 }',
    'return { 1 = 2 }',
    'return { a 1 }',
    'return { "a" "b" }',
    'return { ; }',
    'return { , 1 }',
    'return { ["a"] }',
    'return { a = 1',
    'return "a',
    'return "a\nb"',
    'return "a\rb"',
    String.raw`return "\q"`,
    String.raw`return "\256"`,
    String.raw`return "\xg0"`,
    String.raw`return "\u{D800}"`,
    String.raw`return "\u{110000}"`,
    'return "\\',
    'return [[a',
    'return [=[a]]',
    'return 1x',
    'return 1.2.3',
    'return 0x',
    'return - "1"',
    'return --1',
    'return { a = 1 } --[[',
    '\ufeffreturn {}',
    'return {}\0',
    `return ${'{'.repeat(200)}${'}'.repeat(200)}`,
  ])('is not taken from anything else: %s', (text) => {
    expect(readLuaReturn(Buffer.from(text))).toEqual(MALFORMED);
  });

  test('may be as deep as Prosody writes it, and no deeper', () => {
    const nested = (depth: number): Buffer => Buffer.from(`return ${'{'.repeat(depth)}${'}'.repeat(depth)};`);
    expect(readLuaReturn(nested(LUA_DEPTH_MAX)).ok).toBe(true);
    expect(readLuaReturn(nested(LUA_DEPTH_MAX + 1))).toEqual(MALFORMED);
  });

  test('comes back as it was written, whatever is in it', () => {
    const text = fc.string({ unit: 'binary' });
    fc.assert(
      fc.property(
        fc.dictionary(
          text,
          fc.oneof(text, fc.boolean(), fc.double({ noNaN: true, noDefaultInfinity: true })),
        ),
        (table) => {
          const value = read(prosodyValue(table));
          const entries = value !== null && typeof value === 'object' ? [...value] : [];
          expect(
            entries.map(([key, member]) => [
              utf8Of(String(key)),
              typeof member === 'string' ? utf8Of(member) : member,
            ]),
          ).toEqual(Object.entries(table).map(([key, member]) => [key, member === 0 ? 0 : member]));
        },
      ),
    );
  });

  test('no text makes it throw, or take long', () => {
    const pieces = fc.constantFrom(
      'return ',
      '{',
      '}',
      '[',
      ']',
      '=',
      '[[',
      ']]',
      '[=[',
      ']=]',
      '"',
      "'",
      '\\',
      '\\z',
      '\\x4',
      '\\u{',
      '--',
      '--[[',
      '\n',
      '\r',
      ';',
      ',',
      'nil',
      'true',
      'a',
      '0x',
      '1e',
      '.',
      '-',
      '(1/0)',
      '\0',
      'é',
    );
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 60 }), (parts) => {
        readLuaReturn(Buffer.from(`return {${parts.join('')}`));
        readLuaReturn(Buffer.from(parts.join('')));
      }),
      { numRuns: 2000 },
    );
    const startMs = performance.now();
    for (const part of ['[[', '--[[', '{', '"\\z', '[=[', '-', '0x', '((']) {
      expect(readLuaReturn(Buffer.from(`return {${part.repeat(131_072 / part.length)}`))).toEqual(MALFORMED);
    }
    expect(performance.now() - startMs).toBeLessThan(5000);
  });

  test('a string that is no UTF-8 is no text', () => {
    expect(utf8Of('\xff')).toBe(null);
    expect(utf8Of(Buffer.from('ä€').latin1Slice())).toBe('ä€');
    expect(utf8Of(read(`return ${luaString('\ufeffx')}`) as string)).toBe('\ufeffx');
  });
});
