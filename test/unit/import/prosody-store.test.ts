import { mkdir, rename, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { countValues, findProsodyStores, readProsodyStore } from '../../../src/import/prosody-store.js';
import { ProsodyFiles } from '../../simulators/prosody-store-files.js';
import { createTestDirectory } from '../config/support.js';

const STORE = 'push_appserver';
const directory = createTestDirectory();
afterAll(() => directory.remove());

let files: ProsodyFiles;
let runs = 0;
beforeEach(() => {
  runs += 1;
  files = new ProsodyFiles(join(directory.path, `data${runs}`));
});

async function pathsIn(path: string): Promise<readonly string[] | string> {
  const found = await findProsodyStores(path, STORE);
  return found.ok ? found.value.map((store) => `${store.host} ${store.path}`) : found.error;
}

async function readAll(path: string): Promise<Record<string, unknown>> {
  const found = await findProsodyStores(path, STORE);
  if (!found.ok) throw new Error(found.error);
  const values: Record<string, unknown> = {};
  for (const store of found.value) {
    for await (const { inode, content } of readProsodyStore(store)) {
      values[content.ok ? content.value.key : inode] = content.ok ? content.value.value : content.error;
    }
  }
  return values;
}

describe("a module's store in Prosody's data directory", () => {
  test('is found from the data directory, from the host and by itself', async () => {
    await files.set('push.example.org', STORE, 'a', {});
    await files.set('other-host', STORE, 'a', {});
    await files.set('other-host', 'accounts', 'somebody', {});
    await files.set('third', 'accounts', 'somebody', {});
    const data = files.dataDirectory;
    const push = join(data, 'push%2eexample%2eorg', STORE);
    const other = join(data, 'other%2dhost', STORE);
    expect(await pathsIn(data)).toEqual([`other%2dhost ${other}`, `push%2eexample%2eorg ${push}`]);
    expect(await pathsIn(join(data, 'other%2dhost'))).toEqual([`other%2dhost ${other}`]);
    expect(await pathsIn(push)).toEqual([`push%2eexample%2eorg ${push}`]);
    const copied = join(data, 'copy');
    await rename(push, copied);
    expect(await pathsIn(copied)).toEqual([`data${runs} ${copied}`]);
  });

  test('is not found elsewhere; the error names the place and the cause', async () => {
    await files.set('third', 'accounts', 'somebody', {});
    expect(await pathsIn(files.dataDirectory)).toContain('holds no push_appserver');
    expect(await pathsIn(join(files.dataDirectory, 'third'))).toContain('holds no push_appserver');
    expect(await pathsIn(join(files.dataDirectory, 'nowhere'))).toContain('nowhere cannot be read (ENOENT)');
    const file = await files.set('third', 'accounts', 'somebody', {});
    expect(await pathsIn(file)).toContain('cannot be read (ENOTDIR)');
  });

  test('gives each value under its key, many at once', async () => {
    const keys = ['plain', 'Ünï', '../../etc/passwd', 'a b.dat', '%41', '\n', '😀', 'x'.repeat(80)];
    for (const key of keys) await files.set('h', STORE, key, { node: key });
    for (let n = 0; n < 100; n += 1) await files.set('h', STORE, `n${n}`, { node: `n${n}` });
    const values = await readAll(files.dataDirectory);
    expect(Object.keys(values)).toHaveLength(108);
    const latin1 = (text: string): string => Buffer.from(text).latin1Slice();
    for (const key of keys) expect(values[key]).toEqual(new Map([['node', latin1(key)]]));
  });

  test('what is no value is told by its inode, and why; what is being written is passed over', async () => {
    const inodes: Record<string, number> = {};
    const odd = async (name: string, content: string | Buffer): Promise<void> => {
      const path = join(files.storeDirectory('h', STORE), name);
      await writeFile(path, content);
      inodes[name] = (await stat(path)).ino;
    };
    await files.set('h', STORE, 'good', {});
    await odd('a%2E.dat', 'return {}');
    await odd('a%61.dat', 'return {}');
    await odd('a.b.dat', 'return {}');
    await odd('%ff.dat', 'return {}');
    await odd('.dat', 'return {}');
    await odd('large.dat', `return {};${' '.repeat(140_000)}`);
    await odd('program.dat', 'return os.exit()');
    await odd('half.dat~', 'return {');
    await odd('items.list', 'item({});');
    await mkdir(join(files.storeDirectory('h', STORE), 'directory.dat'));
    const target = await files.set('h', 'accounts', 'elsewhere', {});
    await symlink(target, join(files.storeDirectory('h', STORE), 'link.dat'));
    expect(await readAll(files.dataDirectory)).toEqual({
      good: new Map(),
      [inodes['a%2E.dat'] ?? 0]: 'odd-file',
      [inodes['a%61.dat'] ?? 0]: 'odd-file',
      [inodes['a.b.dat'] ?? 0]: 'odd-file',
      [inodes['%ff.dat'] ?? 0]: 'odd-file',
      [inodes['.dat'] ?? 0]: 'odd-file',
      [inodes['large.dat'] ?? 0]: 'too-large',
      [inodes['program.dat'] ?? 0]: 'malformed',
      [(await stat(target)).ino]: 'odd-file',
    });
    const [store] = await findProsodyStores(files.dataDirectory, STORE).then((r) => (r.ok ? r.value : []));
    expect(store && (await countValues(store))).toBe(9);
  });
});
