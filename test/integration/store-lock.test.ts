import { mkdtemp, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { acquireInstanceLock } from '../../src/lifecycle/lock.js';
import { startChild } from '../simulators/child-process.js';

let directory = '';
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'waggle-lock-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

test('one holder at a time, and again after a release', async () => {
  const path = join(directory, 'key');
  const all = await Promise.all(Array.from({ length: 5 }, () => acquireInstanceLock(path)));
  const holders = all.filter((lock) => lock.ok);
  expect(holders).toHaveLength(1);
  for (const lock of holders) if (lock.ok) await lock.value.release();
  const again = await acquireInstanceLock(path);
  expect(again.ok).toBe(true);
  if (again.ok) await again.value.release();
  await expect(stat(`${path}.lock`)).rejects.toMatchObject({ code: 'ENOENT' });
});

test('different paths do not meet; another way to the same directory does', async () => {
  const [a, b] = [
    await acquireInstanceLock(join(directory, 'a')),
    await acquireInstanceLock(join(directory, 'b')),
  ];
  expect([a.ok, b.ok]).toEqual([true, true]);
  await symlink(directory, join(directory, 'link'));
  expect((await acquireInstanceLock(join(directory, 'link', 'a'))).ok).toBe(false);
  for (const lock of [a, b]) if (lock.ok) await lock.value.release();
});

test.each(['a short path', `a long path ${'x'.repeat(120)}`])(
  'holds among processes and ends with kill -9: %s',
  async (name) => {
    const path = join(directory, name);
    const first = startChild('./lock-child.ts', [path]);
    expect(await first.line()).toBe('locked');
    expect((await acquireInstanceLock(path)).ok).toBe(false);
    const second = startChild('./lock-child.ts', [path]);
    expect(await second.line()).toBe('held');
    await first.kill9();
    const taken = await Promise.all(Array.from({ length: 3 }, () => acquireInstanceLock(path)));
    expect(taken.filter((lock) => lock.ok)).toHaveLength(1);
    for (const lock of taken) if (lock.ok) await lock.value.release();
    await second.kill9();
  },
);

test('a live socket at the path blocks even without the rest of the lock, as from another container', async () => {
  const path = join(directory, 'elsewhere');
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(`${path}.lock`, resolve));
  expect((await acquireInstanceLock(path)).ok).toBe(false);
  await new Promise((resolve) => server.close(resolve));
  const lock = await acquireInstanceLock(path);
  expect(lock.ok).toBe(true);
  if (lock.ok) await lock.value.release();
});

test('a foreign file of that name is left alone', async () => {
  const path = join(directory, 'foreign');
  await writeFile(`${path}.lock`, 'precious');
  await expect(acquireInstanceLock(path)).rejects.toThrow(/in the way/);
  expect((await stat(`${path}.lock`)).size).toBe(8);
});
