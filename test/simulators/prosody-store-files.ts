import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

export type LuaTableSource = Readonly<Record<string, string | number | boolean>>;

/** Every byte of a key or host that is no letter or digit is `%` and two hex digits. */
export const prosodyName = (text: string): string =>
  [...Buffer.from(text)]
    .map((byte) => String.fromCharCode(byte))
    .map((c) => (/[A-Za-z0-9]/.test(c) ? c : `%${c.charCodeAt(0).toString(16).padStart(2, '0')}`))
    .join('');

const escapes: Readonly<Record<string, string>> = {
  '\x07': '\\a',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
  '\\': '\\\\',
  '"': '\\"',
  "'": "\\'",
};

/** A string as Prosody writes it: every byte that is not printable ASCII as `\ddd`. */
export const luaString = (text: string): string =>
  `"${Buffer.from(text)
    .latin1Slice()
    .replaceAll(
      // eslint-disable-next-line no-control-regex -- what Prosody escapes in these files
      /[\0-\x1f"'\\\x7f-\xff]/g,
      (c) => escapes[c] ?? `\\${c.charCodeAt(0).toString().padStart(3, '0')}`,
    )}"`;

const luaTable = (table: LuaTableSource): string =>
  `{\n${Object.entries(table)
    .map(
      ([key, value]) => `\t[${luaString(key)}] = ${typeof value === 'string' ? luaString(value) : value};\n`,
    )
    .join('')}}`;

/** The content of a file of Prosody's storage `internal`. */
export const prosodyValue = (table: LuaTableSource): string => `return ${luaTable(table)};\n`;

/** Prosody's data directory as its storage `internal` fills it: `HOST/STORE/KEY.dat`. */
export class ProsodyFiles {
  constructor(readonly dataDirectory: string) {}

  storeDirectory(host: string, store: string): string {
    return join(this.dataDirectory, prosodyName(host), store);
  }

  fileOf(host: string, store: string, key: string): string {
    return join(this.storeDirectory(host, store), `${prosodyName(key)}.dat`);
  }

  /** Answers the file. */
  async set(host: string, store: string, key: string, content: LuaTableSource | string): Promise<string> {
    const file = this.fileOf(host, store, key);
    await mkdir(this.storeDirectory(host, store), { recursive: true });
    await writeFile(file, typeof content === 'string' ? content : prosodyValue(content));
    return file;
  }
}

/** A record of mod_push_appserver. Source: spec xmpp-push, section 8. */
export const pushAppserverRecord = (
  node: string,
  changes: LuaTableSource = {},
): Record<string, string | number | boolean> => ({
  type: 'apns',
  node,
  token: 'a'.repeat(64),
  secret: Buffer.from(node.padEnd(32, 's').slice(0, 32)).toString('hex'),
  registered: '2021-03-04T05:06:07Z',
  ...changes,
});

/** All of a device of mod_push_appserver in one host's store. */
export const setPushAppserverDevice = (
  files: ProsodyFiles,
  host: string,
  node: string,
  changes: LuaTableSource = {},
): Promise<string> => files.set(host, 'push_appserver', node, pushAppserverRecord(node, changes));
