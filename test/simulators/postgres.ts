import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { chown, mkdtemp, readdir, rm } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { eventually } from './eventually.js';

const run = promisify(execFile);

/** A real PostgreSQL on 127.0.0.1, with a data directory that is thrown away. */
export interface TestPostgres {
  /** Of the server's first database. */
  readonly url: string;
  readonly port: number;
  /** A new empty database on the same server; its URL. */
  createDatabase(): Promise<string>;
  /** Ends it in an orderly way, without waiting for clients. */
  stop(): Promise<void>;
  start(): Promise<void>;
  restart(): Promise<void>;
  /** The whole server at once, as in a crash. */
  kill9(): Promise<void>;
  /** Stops it and removes its files. */
  remove(): Promise<void>;
}

/** The directory with initdb and postgres of the newest version here, null when none is installed. */
export async function findPostgres(): Promise<string | null> {
  const versions = await readdir('/usr/lib/postgresql').catch(() => []);
  const newest = versions
    .map(Number)
    .filter(Number.isFinite)
    .sort((a, b) => b - a)[0];
  return newest === undefined ? null : `/usr/lib/postgresql/${newest}/bin`;
}

/** PostgreSQL refuses to run as root: then it runs as a user that is there anyway. */
async function unprivilegedUser(): Promise<{ uid: number; gid: number } | null> {
  if (process.getuid?.() !== 0) return null;
  for (const name of ['postgres', 'nobody']) {
    try {
      const [uid, gid] = await Promise.all(['-u', '-g'].map((flag) => run('id', [flag, name])));
      if (uid !== undefined && gid !== undefined) return { uid: Number(uid.stdout), gid: Number(gid.stdout) };
    } catch {
      // Not here; the next one.
    }
  }
  throw new Error('PostgreSQL does not run as root, and there is no user postgres or nobody');
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

export async function startPostgres(bin: string): Promise<TestPostgres> {
  const user = await unprivilegedUser();
  const directory = await mkdtemp(join(tmpdir(), 'waggle-postgres-'));
  if (user !== null) await chown(directory, user.uid, user.gid);
  const as = { ...user, cwd: directory, env: { PATH: process.env.PATH, LC_ALL: 'C.UTF-8' } };
  const data = join(directory, 'data');
  await run(join(bin, 'initdb'), ['-D', data, '-U', 'waggle', '-A', 'trust', '-E', 'UTF8', '--no-sync'], as);
  const port = await freePort();
  let server: ChildProcess | null = null;
  let databases = 0;

  const exited = (child: ChildProcess): Promise<void> =>
    child.exitCode !== null || child.signalCode !== null
      ? Promise.resolve()
      : new Promise((resolve) => child.once('exit', () => resolve()));
  const killOnExit = (): void => {
    server?.kill('SIGQUIT');
  };
  process.once('exit', killOnExit);

  const start = async (): Promise<void> => {
    // After a crash the shared memory may still be attached for a moment: try again.
    await eventually(
      async () => {
        const options = ['listen_addresses=127.0.0.1', 'unix_socket_directories=', 'max_connections=60'];
        const child = spawn(
          join(bin, 'postgres'),
          ['-D', data, '-p', String(port), ...options.flatMap((option) => ['-c', option])],
          { ...as, stdio: 'ignore' },
        );
        server = child;
        while (child.exitCode === null && child.signalCode === null) {
          const ready = await run(join(bin, 'pg_isready'), [
            '-h',
            '127.0.0.1',
            '-p',
            String(port),
            '-t',
            '1',
          ]).then(
            () => true,
            () => false,
          );
          if (ready) return true;
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
        return false;
      },
      { timeoutMs: 30_000, everyMs: 200, what: 'PostgreSQL' },
    );
  };
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    if (server === null) return;
    server.kill(signal);
    await exited(server);
    server = null;
  };

  await start();
  return {
    url: `postgresql://waggle@127.0.0.1:${port}/postgres`,
    port,
    createDatabase: async () => {
      databases += 1;
      const name = `test${databases}`;
      await run(join(bin, 'createdb'), ['-h', '127.0.0.1', '-p', String(port), '-U', 'waggle', name]);
      return `postgresql://waggle@127.0.0.1:${port}/${name}`;
    },
    stop: () => end('SIGINT'),
    start,
    restart: async () => {
      await end('SIGINT');
      await start();
    },
    kill9: async () => {
      // Its children are process groups of their own: the server is ended together with each of them.
      const children = await run('pgrep', ['-P', String(server?.pid ?? 0)]).catch(() => ({ stdout: '' }));
      server?.kill('SIGSTOP');
      for (const pid of children.stdout.split('\n').filter(Boolean)) process.kill(Number(pid), 'SIGKILL');
      await end('SIGKILL');
    },
    remove: async () => {
      await end('SIGINT');
      process.removeListener('exit', killOnExit);
      await rm(directory, { recursive: true, force: true });
    },
  };
}
