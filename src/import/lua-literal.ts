import { fail, ok, type Result } from '../domain/result.js';
import { LuaScanner, NotLua } from './lua-scanner.js';
import type { LuaKey, LuaValue } from './lua-value.js';

/** Prosody writes no deeper ones. */
export const LUA_DEPTH_MAX = 127;

/** How Prosody writes what is no number. */
const oddNumbers = [
  ['(1/0)', Infinity],
  ['(-1/0)', -Infinity],
  ['(0/0)', NaN],
] as const;

/** None of them is a name. Source: Lua 5.4 reference manual, 3.1. */
const reserved = new Set(
  (
    'and break do else elseif end false for function goto if in local nil not or repeat return then true until ' +
    'while'
  ).split(' '),
);

/**
 * Reads a program that does nothing but to return one value, written down in full: strings, numbers, booleans, nil and
 * tables of them, as Prosody keeps its data. Nothing is executed; whatever else stands there makes it `malformed`. Bound
 * the size of `program` beforehand. Source: Lua 5.4 reference manual, 3.1 and 3.4.9.
 */
export function readLuaReturn(program: Buffer): Result<LuaValue, 'malformed'> {
  const scanner = new LuaScanner(program.latin1Slice());
  try {
    if (scanner.word() !== 'return') return fail('malformed');
    const value = readValue(scanner, LUA_DEPTH_MAX);
    scanner.take(';');
    return scanner.isAtEnd ? ok(value) : fail('malformed');
  } catch (error) {
    if (error instanceof NotLua) return fail('malformed');
    throw error;
  }
}

function readValue(scanner: LuaScanner, depth: number): LuaValue {
  if (scanner.peek() === '{') return readTable(scanner, depth);
  const word = scanner.word();
  return word === null ? readScalar(scanner) : constantOf(word);
}

function readScalar(scanner: LuaScanner): string | number {
  for (const [text, value] of oddNumbers) if (scanner.take(text)) return value;
  const isNegative = scanner.take('-');
  const number = scanner.number();
  if (number !== null) return isNegative ? -number : number;
  const string = isNegative ? null : scanner.string();
  if (string === null) throw new NotLua();
  return string;
}

function constantOf(word: string): boolean | null {
  switch (word) {
    case 'nil':
      return null;
    case 'true':
    case 'false':
      return word === 'true';
    default:
      throw new NotLua();
  }
}

/** Of two with one key the later counts. */
function readTable(scanner: LuaScanner, depth: number): ReadonlyMap<LuaKey, LuaValue> {
  if (depth === 0) throw new NotLua();
  const table = new Map<LuaKey, LuaValue>();
  const put = (key: LuaKey, value: LuaValue): void => {
    table.delete(key);
    if (value !== null) table.set(key, value);
  };
  let position = 1;
  scanner.expect('{');
  while (!scanner.take('}')) {
    const key = readKey(scanner, depth);
    if (key.kind === 'named') put(key.key, readValue(scanner, depth - 1));
    else {
      put(position, key.kind === 'constant' ? key.value : readValue(scanner, depth - 1));
      position += 1;
    }
    if (!scanner.take(';') && !scanner.take(',') && scanner.peek() !== '}') throw new NotLua();
  }
  return table;
}

type FieldStart =
  | { readonly kind: 'named'; readonly key: LuaKey }
  | { readonly kind: 'positional' }
  /** A word that is a value, not a name, was read already. */
  | { readonly kind: 'constant'; readonly value: boolean | null };

/** `[key] =`, `name =`, or nothing. Before a string in long brackets stands a bracket too. */
function readKey(scanner: LuaScanner, depth: number): FieldStart {
  const word = scanner.word();
  if (word !== null) {
    if (reserved.has(word)) return { kind: 'constant', value: constantOf(word) };
    scanner.expect('=');
    return { kind: 'named', key: word };
  }
  if (scanner.peek() !== '[' || scanner.startsLongString()) return { kind: 'positional' };
  scanner.expect('[');
  const key = readValue(scanner, depth - 1);
  if (key === null || typeof key === 'object' || Number.isNaN(key)) throw new NotLua();
  scanner.expect(']');
  scanner.expect('=');
  return { kind: 'named', key };
}
