import type { Dirent } from 'node:fs';
import { open, opendir, readdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fail, ok, type Result } from '../domain/result.js';
import { readLuaReturn } from './lua-literal.js';
import { utf8Of, type LuaValue } from './lua-value.js';

/** One store of one host in Prosody's data directory (its storage `internal`): a file for each key. */
export interface ProsodyStore {
  readonly path: string;
  /** The host's directory as it is named, such as `push%2eexample%2eorg`. */
  readonly host: string;
}

/** One key's value. `inode` finds the file again without telling its name, which is the key. */
export interface StoredValue {
  readonly inode: number;
  readonly content: Result<{ readonly key: string; readonly value: LuaValue }, StoredFault>;
}

/** `odd-file`: no plain file, or no name that Prosody gives. */
export type StoredFault = 'odd-file' | 'too-large' | 'malformed';

/** For the operator; names no file, because its name is a client's. */
export class StoreUnreadable extends Error {
  override readonly name = 'StoreUnreadable';
}

const SUFFIX = '.dat';
/** A request that registers has 4096 bytes, and a byte is four characters at most in a file. */
const FILE_MAX_BYTES = 131_072;
const FILES_AT_ONCE = 32;

/**
 * Finds the store of a module in `directory`, which is Prosody's data directory, a host's directory in it, or the store's
 * own (under any name, when there are values in it). The error is a sentence for the operator.
 */
export async function findProsodyStores(
  directory: string,
  store: string,
): Promise<Result<readonly ProsodyStore[], string>> {
  let entries: Dirent[];
  try {
    entries = await readdir(directory, { withFileTypes: true });
  } catch (error) {
    return fail(`${directory} cannot be read (${codeOf(error)})`);
  }
  if (basename(directory) === store) return ok([storeAt(directory)]);
  if (await isDirectory(join(directory, store))) return ok([storeAt(join(directory, store))]);
  const stores: ProsodyStore[] = [];
  for (const { name } of entries) {
    const path = join(directory, name, store);
    if (await isDirectory(path)) stores.push(storeAt(path));
  }
  if (stores.length > 0) return ok(stores.sort((a, b) => (a.host < b.host ? -1 : 1)));
  if (entries.some((entry) => isValue(entry))) return ok([storeAt(directory)]);
  return fail(
    `${directory} holds no ${store}: name Prosody's data directory, the component's directory in it, or ${store} in that`,
  );
}

/** About how many values there are, for the progress of `readProsodyStore`. */
export async function countValues({ path }: ProsodyStore): Promise<number> {
  let count = 0;
  for await (const entry of await openStore(path)) if (isValue(entry)) count += 1;
  return count;
}

/**
 * All values, in no order. Prosody may write to the store meanwhile: each file is from before a change or from after it.
 * Throws `StoreUnreadable`.
 */
export async function* readProsodyStore({ path }: ProsodyStore): AsyncGenerator<StoredValue> {
  let files: Promise<StoredValue | null>[] = [];
  for await (const entry of await openStore(path)) {
    if (!isValue(entry)) continue;
    files.push(readValueFile(join(path, entry.name), entry));
    if (files.length < FILES_AT_ONCE) continue;
    yield* present(await Promise.all(files));
    files = [];
  }
  yield* present(await Promise.all(files));
}

const present = (values: readonly (StoredValue | null)[]): StoredValue[] =>
  values.filter((value) => value !== null);

const storeAt = (path: string): ProsodyStore => ({ path, host: basename(dirname(path)) });

const isDirectory = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );

/** Beside the values lie lists (`.list`) and what is just being written (`.dat~`). */
const isValue = (entry: Dirent): boolean => entry.name.endsWith(SUFFIX) && !entry.isDirectory();

async function openStore(path: string): Promise<AsyncIterable<Dirent>> {
  try {
    return await opendir(path, { bufferSize: 256 });
  } catch (error) {
    throw new StoreUnreadable(`${path} cannot be read (${codeOf(error)})`);
  }
}

/** Null: it has gone meanwhile. */
async function readValueFile(path: string, entry: Dirent): Promise<StoredValue | null> {
  try {
    if (!entry.isFile()) return { inode: Number((await stat(path)).ino), content: fail('odd-file') };
    const file = await open(path, 'r');
    try {
      const { ino, size } = await file.stat();
      const bytes = size > FILE_MAX_BYTES ? null : await file.readFile();
      return { inode: Number(ino), content: readContent(entry.name, bytes) };
    } finally {
      await file.close();
    }
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null;
    throw new StoreUnreadable(`${dirname(path)} holds a file that cannot be read (${codeOf(error)})`);
  }
}

function readContent(fileName: string, bytes: Buffer | null): StoredValue['content'] {
  if (bytes === null) return fail('too-large');
  const key = keyOf(fileName.slice(0, -SUFFIX.length));
  if (key === null) return fail('odd-file');
  const value = readLuaReturn(bytes);
  return value.ok ? ok({ key, value: value.value }) : value;
}

/**
 * Every byte of a key that is no letter or digit of ASCII is `%` and two lower-case hex digits. A file whose name is
 * written in another way is one that Prosody never finds.
 */
function keyOf(name: string): string | null {
  if (!/^(?:[A-Za-z0-9]|%[0-9a-f]{2})+$/.test(name)) return null;
  const bytes = name.replaceAll(/%(..)/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return encodeKey(bytes) === name ? utf8Of(bytes) : null;
}

const encodeKey = (bytes: string): string =>
  bytes.replaceAll(/[^A-Za-z0-9]/g, (c) => `%${c.charCodeAt(0).toString(16).padStart(2, '0')}`);

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string'
    ? error.code
    : 'unknown error';
}
