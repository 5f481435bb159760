import { spawn, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { eventually } from './eventually.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** A start on a busy machine: TypeScript is compiled on the way, and the embedded database makes its files. */
const START_TIMEOUT_MS = 40_000;

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** What one run has said of itself. */
interface Run {
  readonly child: ChildProcess;
  readonly ended: Promise<Exit>;
  exit: Exit | null;
  httpAddress: string | null;
  adminAddress: string | null;
}

/**
 * The real server as a process of its own, started by its command line on a configuration file. `log.level` must be
 * `info` or more talkative: the bound addresses are read from the log.
 */
export class ServerProcess {
  #run: Run | null = null;
  #output = '';

  private constructor(
    private readonly configFile: string,
    private readonly env: Readonly<Record<string, string>>,
  ) {}

  /** Waits until it is ready, unless `untilReady` is false. `env`: options on top of the file (`WAGGLE_…`). */
  static async start(
    configFile: string,
    {
      env = {},
      untilReady = true,
    }: { readonly env?: Readonly<Record<string, string>>; readonly untilReady?: boolean } = {},
  ): Promise<ServerProcess> {
    const server = new ServerProcess(configFile, env);
    server.launch();
    if (untilReady) await server.ready();
    return server;
  }

  get httpAddress(): string {
    return this.#run?.httpAddress ?? missing('http address');
  }

  /** Known when it is ready. */
  get adminAddress(): string {
    return this.#run?.adminAddress ?? missing('admin address');
  }

  get isRunning(): boolean {
    return this.#run !== null && this.#run.exit === null;
  }

  /** Of the present run. */
  get pid(): number {
    return this.#run?.child.pid ?? missing('process');
  }

  /** stdout and stderr of all runs so far. */
  output(): string {
    return this.#output;
  }

  /** Starts the next run; the one before must have ended. */
  launch(): void {
    if (this.isRunning) throw new Error('the server is still running');
    const child = spawn(
      process.execPath,
      ['--import', 'tsx', 'src/main.ts', 'serve', '--config', this.configFile],
      { cwd: ROOT, env: { ...surroundings(), ...this.env }, stdio: ['ignore', 'pipe', 'pipe'] },
    );
    const run: Run = {
      child,
      exit: null,
      httpAddress: null,
      adminAddress: null,
      ended: new Promise((resolve) => {
        // 'close' and not 'exit': by then everything that was written has been read.
        child.once('close', (code, signal) => {
          run.exit = { code, signal };
          process.removeListener('exit', killWithUs);
          resolve(run.exit);
        });
      }),
    };
    const killWithUs = (): void => void child.kill('SIGKILL');
    process.once('exit', killWithUs);
    let unread = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      this.#output += chunk.toString();
      unread += chunk.toString();
      const lines = unread.split('\n');
      unread = lines.pop() ?? '';
      if (run.adminAddress === null) for (const line of lines) readAddresses(line, run);
    });
    child.stderr?.on('data', (chunk: Buffer) => (this.#output += chunk.toString()));
    this.#run = run;
  }

  /** `http listening` was said: clients are served, though perhaps not everything is loaded. */
  listening(): Promise<void> {
    return this.#until((run) => run.httpAddress !== null, 'http listening');
  }

  async ready(): Promise<void> {
    await this.#until((run) => run.adminAddress !== null, 'ready');
    await this.#until(
      async () => (await fetch(`${this.adminAddress}/readyz`)).status === 200,
      'an answer 200 of /readyz',
    );
  }

  /** Resolves with how the present run ended. */
  exited(): Promise<Exit> {
    return this.#run?.ended ?? Promise.reject(new Error('the server was never started'));
  }

  signal(signal: NodeJS.Signals): void {
    this.#run?.child.kill(signal);
  }

  /** Signals and waits for the end. */
  async kill(signal: 'SIGTERM' | 'SIGKILL'): Promise<Exit> {
    this.signal(signal);
    return this.exited();
  }

  /** On the same configuration; whatever is still running is killed first. */
  async restart(): Promise<void> {
    if (this.isRunning) await this.kill('SIGKILL');
    this.launch();
    await this.ready();
  }

  /** At the end of a test, whatever state the process is in. */
  async close(): Promise<void> {
    if (this.isRunning) await this.kill('SIGKILL');
  }

  async metricsText(): Promise<string> {
    return (await fetch(`${this.adminAddress}/metrics`)).text();
  }

  /** Of one metric with this name, or with this name and labels: the sum of its series; 0 when there is none. */
  async metric(name: string): Promise<number> {
    return sumOfSeries(await this.metricsText(), name);
  }

  residentBytes(): Promise<number> {
    return this.metric('process_resident_memory_bytes');
  }

  async #until(check: (run: Run) => boolean | Promise<boolean>, what: string): Promise<void> {
    const run = this.#run ?? missing('run');
    await eventually(
      () => {
        if (run.exit !== null) {
          throw new Error(`the server ended (${JSON.stringify(run.exit)}): ${this.#output.slice(-2000)}`);
        }
        return check(run);
      },
      { timeoutMs: START_TIMEOUT_MS, everyMs: 20, what },
    );
  }
}

/** Without what is said to the tests (`WAGGLE_TEST_…`): no option of the server, which refuses what it does not know. */
function surroundings(): NodeJS.ProcessEnv {
  const entries = Object.entries(process.env).filter(([name]) => !name.startsWith('WAGGLE_TEST_'));
  return Object.fromEntries(entries);
}

/** `name` alone sums over all labels. */
export function sumOfSeries(metricsText: string, name: string): number {
  let sum = 0;
  for (const line of metricsText.split('\n')) {
    if (!line.startsWith(name)) continue;
    const rest = line.slice(name.length);
    if (rest.startsWith(' ') || rest.startsWith('{')) sum += Number(rest.slice(rest.lastIndexOf(' ') + 1));
  }
  return sum;
}

function readAddresses(line: string, run: Run): void {
  if (!line.startsWith('{')) return;
  const entry = JSON.parse(line) as Readonly<Record<string, unknown>>;
  const { msg, address, adminAddress } = entry;
  if (typeof address === 'string' && String(msg).startsWith('http listening')) run.httpAddress = address;
  if (typeof adminAddress === 'string' && msg === 'ready') run.adminAddress = adminAddress;
}

function missing(what: string): never {
  throw new Error(`the server has no ${what} yet`);
}
