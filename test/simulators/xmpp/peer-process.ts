import { spawn, type ChildProcess } from 'node:child_process';
import { open, readFile, stat } from 'node:fs/promises';
import { createServer } from 'node:net';
import { eventually } from '../eventually.js';

export interface PeerPlan {
  /** For error texts. */
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  /** The whole environment. */
  readonly env: Readonly<Record<string, string>>;
  /** Where it runs; stdout and stderr go to `output.log` in there. */
  readonly directory: string;
  /** What it writes by itself; is only ever appended to. */
  readonly logFile: string;
  /** The log says all of this once it takes connections. */
  readonly ready: readonly string[];
  /** The log says one of this when a port of it is in use. */
  readonly portTaken: readonly string[];
  /** stdout is a pipe to us, instead of going to the file. */
  readonly pipesStdout: boolean;
}

const START_TIMEOUT_MS = 30_000;

/**
 * Somebody else's server, run in the foreground as our child. Its files stay from one run to the next. Its stdin is a
 * pipe from us; it is to end when that does, so that nothing is left behind by a test run that was killed.
 */
export class PeerProcess {
  #child: ChildProcess | null = null;

  constructor(private readonly plan: PeerPlan) {
    process.once('exit', this.#killOnExit);
  }

  get isRunning(): boolean {
    return this.#child !== null && !hasEnded(this.#child);
  }

  /** Of the run under way. */
  get child(): ChildProcess {
    if (this.#child === null) throw new Error(`${this.plan.name} has not been started`);
    return this.#child;
  }

  /** Resolves when it takes connections, or with `port-taken` (and it is ended) when somebody else has its port. */
  async start(): Promise<'ready' | 'port-taken'> {
    if (this.isRunning) throw new Error(`${this.plan.name} is still running`);
    const { command, args, env, directory, name, ready, portTaken, pipesStdout } = this.plan;
    const before = await sizeOf(this.plan.logFile);
    const output = await open(this.#outputFile, 'a');
    const child = spawn(command, args, {
      cwd: directory,
      env: { ...env },
      stdio: ['pipe', pipesStdout ? 'pipe' : output.fd, output.fd],
    });
    child.stdin?.on('error', () => undefined);
    const failed = new Promise<never>((_, reject) => child.once('error', reject));
    failed.catch(() => undefined);
    this.#child = child;
    await output.close();
    const look = async (): Promise<'ready' | 'port-taken' | null> => {
      if (hasEnded(child)) throw new Error(`${name} has ended by itself`);
      const log = await textFrom(this.plan.logFile, before);
      if (portTaken.some((text) => log.includes(text))) return 'port-taken';
      return ready.every((text) => log.includes(text)) ? 'ready' : null;
    };
    const state = await Promise.race([
      failed,
      eventually(look, { timeoutMs: START_TIMEOUT_MS, everyMs: 15, what: `the start of ${name}` }),
    ]).catch(async (error: unknown) => {
      await this.end('SIGKILL');
      throw new Error(`${name} does not start:\n${await this.#lastWords()}`, { cause: error });
    });
    if (state === 'port-taken') await this.end('SIGKILL');
    return state;
  }

  /** Nothing happens when it is not running. */
  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }

  /** Resolves when it is gone, and all its connections with it. */
  async end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    if (child === null || hasEnded(child)) return;
    const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    child.kill(signal);
    await ended;
  }

  /** Everything it has logged, over all runs. */
  log(): Promise<string> {
    return textFrom(this.plan.logFile, 0);
  }

  /** Ends it whatever it is at. */
  async dispose(): Promise<void> {
    await this.end('SIGKILL');
    process.removeListener('exit', this.#killOnExit);
  }

  readonly #killOnExit = (): void => {
    this.#child?.kill('SIGKILL');
  };

  get #outputFile(): string {
    return `${this.plan.directory}/output.log`;
  }

  async #lastWords(): Promise<string> {
    const texts = await Promise.all([textFrom(this.#outputFile, 0), this.log()]);
    return texts.map((text) => text.slice(-2_000)).join('\n');
  }
}

/**
 * Ports of 127.0.0.1 that nobody listens on, outside the range from which outgoing connections get theirs: a server
 * comes back on the same port, and meanwhile nobody else must have got it by chance.
 */
export async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>();
  while (ports.size < count) {
    const port = 10_000 + Math.floor(Math.random() * 20_000);
    if (!ports.has(port) && (await isFree(port))) ports.add(port);
  }
  return [...ports];
}

function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

/** Tries `start` again until the ports that it needs are free. */
export async function startWhenPortsAreFree(process: PeerProcess): Promise<void> {
  await eventually(async () => (await process.start()) === 'ready', {
    timeoutMs: START_TIMEOUT_MS,
    everyMs: 100,
    what: 'a free port',
  });
}

const hasEnded = (child: ChildProcess): boolean => child.exitCode !== null || child.signalCode !== null;

const sizeOf = (file: string): Promise<number> =>
  stat(file).then(
    ({ size }) => size,
    () => 0,
  );

const textFrom = (file: string, start: number): Promise<string> =>
  readFile(file).then(
    (bytes) => bytes.subarray(start).toString('utf8'),
    () => '',
  );
