import { createHash } from 'node:crypto';
import { lstat, mkdir, realpath, unlink } from 'node:fs/promises';
import { createConnection, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fail, ok, type Result } from '../domain/result.js';

/** Held until released or until the process is gone, however it goes. */
export interface Lock {
  release(): Promise<void>;
}

/** sun_path holds 108 bytes on Linux, 104 elsewhere, with a zero at the end. */
const SOCKET_PATH_MAX_BYTES = 103;
const PROBE_TIMEOUT_MS = 1000;
const SETTLE_MS = 50;
const ATTEMPTS = 5;

/**
 * A single-instance lock tied to a file or directory, which need not exist: a listening unix socket `<path>.lock`
 * (under the temporary directory when that is too long for a socket). A socket whose process has died refuses
 * connections, so what a `kill -9` leaves behind never blocks.
 *
 * Cleaning up after the dead is where such locks go wrong: of two that find the same dead socket, the slower one could
 * remove the live socket of the faster one. On Linux an abstract socket, which the kernel removes with its process, is
 * therefore taken first and decides among all processes of one network namespace; the file decides among containers
 * that share a volume. Throws on file system errors (no permission, a foreign file of that name).
 */
export async function acquireInstanceLock(path: string): Promise<Result<Lock, 'held'>> {
  const directory = dirname(resolve(path));
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const { dev, ino } = await lstat(await realpath(directory));
  // By the directory's identity, so that a symbolic link or a second mount of it is the same lock.
  const name = createHash('sha256')
    .update(`${dev}:${ino}/${basename(path)}`)
    .digest('hex')
    .slice(0, 32);

  const guard = process.platform === 'linux' ? await bind(`\0waggle-lock-${name}`) : null;
  if (guard === 'taken') return fail('held');
  try {
    const server = await bindFile(socketPath(`${resolve(path)}.lock`, name));
    if (server !== null) return ok({ release: () => closeAll([server, guard]) });
  } catch (error) {
    await closeAll([guard]);
    throw error;
  }
  await closeAll([guard]);
  return fail('held');
}

const socketPath = (wanted: string, name: string): string =>
  Buffer.byteLength(wanted) <= SOCKET_PATH_MAX_BYTES ? wanted : join(tmpdir(), `waggle-${name}.lock`);

/** Null: somebody alive has it. */
async function bindFile(path: string): Promise<Server | null> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const server = await bind(path);
    if (server !== 'taken') {
      // Somebody may have taken our fresh socket for the dead one; then ours is no longer at the path.
      const ours = await inodeOf(path);
      if (attempt > 0) await delay(SETTLE_MS);
      if (ours !== null && (await inodeOf(path)) === ours) return server;
      await closeAll([server]);
      continue;
    }
    const before = await inodeOf(path);
    if (await isAlive(path)) return null;
    // Between bind and listen a live socket refuses too: look again before calling it dead.
    await delay(SETTLE_MS);
    if (await isAlive(path)) return null;
    if (before !== null && (await inodeOf(path)) === before) await unlink(path).catch(ignoreMissing);
  }
  return null;
}

/** The inode of a socket, null when nothing is there. */
async function inodeOf(path: string): Promise<number | null> {
  try {
    const found = await lstat(path);
    if (!found.isSocket()) throw new Error(`${path} is in the way: it is not a lock of ours`);
    return found.ino;
  } catch (error) {
    ignoreMissing(error);
    return null;
  }
}

function ignoreMissing(error: unknown): void {
  if (codeOf(error) !== 'ENOENT') throw error;
}

function bind(path: string): Promise<Server | 'taken'> {
  return new Promise((resolve, reject) => {
    // Whoever connects only wants to know whether we live.
    const server = createServer((socket) => {
      socket.on('error', () => {});
      socket.destroy();
    });
    server.once('error', (error) => {
      if (codeOf(error) === 'EADDRINUSE') resolve('taken');
      else reject(error);
    });
    server.listen(path, () => {
      server.on('error', () => {});
      server.unref();
      resolve(server);
    });
  });
}

function isAlive(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(path);
    const finish = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    // A queue that is full or a process that is stopped belongs to somebody alive.
    socket.setTimeout(PROBE_TIMEOUT_MS, () => finish(true));
    socket.on('connect', () => finish(true));
    socket.on('error', (error) => {
      const code = codeOf(error);
      if (code === 'ECONNREFUSED' || code === 'ENOENT') finish(false);
      else if (code === 'EACCES' || code === 'EPERM' || code === 'EAGAIN') finish(true);
      else reject(error);
    });
  });
}

const codeOf = (error: unknown): unknown => (error instanceof Error && 'code' in error ? error.code : null);

/** Closing removes the socket's file. */
async function closeAll(servers: readonly (Server | null)[]): Promise<void> {
  for (const server of servers) {
    if (server !== null) await new Promise<void>((resolve) => server.close(() => resolve()));
  }
}
