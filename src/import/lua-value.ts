/**
 * What a literal in Lua stands for; null is nil. Lua's strings are bytes: here each is a text with one character per byte
 * (U+0000 to U+00FF); `utf8Of` makes texts of them.
 */
export type LuaValue = string | number | boolean | null | LuaTable;
export type LuaTable = ReadonlyMap<LuaKey, LuaValue>;
export type LuaKey = string | number | boolean;

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The text that these bytes are in UTF-8; null when they are none. */
export function utf8Of(bytes: string): string | null {
  try {
    return utf8.decode(Buffer.from(bytes, 'latin1'));
  } catch {
    return null;
  }
}
