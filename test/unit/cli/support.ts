import { EventEmitter } from 'node:events';
import type { StartApp, World } from '../../../src/cli/command.js';
import { runCommandLine } from '../../../src/cli/run.js';

export interface CommandRun {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface TestWorld extends World {
  readonly events: EventEmitter;
  readonly stdout: () => string;
  readonly stderr: () => string;
  readonly exits: readonly number[];
}

interface WorldOptions {
  readonly env?: Record<string, string>;
  readonly cwd?: string;
  readonly startApp?: StartApp;
}

export function createTestWorld({ env = {}, cwd = '/nowhere', startApp }: WorldOptions = {}): TestWorld {
  const out: string[] = [];
  const complaints: string[] = [];
  const exits: number[] = [];
  return {
    env,
    cwd,
    print: (line) => out.push(line),
    complain: (line) => complaints.push(line),
    events: new EventEmitter(),
    exitNow: (code) => exits.push(code),
    loadApp: async () => {
      if (startApp === undefined) throw new Error('this command is not to start the program');
      return startApp;
    },
    stdout: () => out.join('\n'),
    stderr: () => complaints.join('\n'),
    exits,
  };
}

/** Runs a command line in this process. */
export async function run(argv: readonly string[], options: WorldOptions = {}): Promise<CommandRun> {
  const world = createTestWorld(options);
  const code = await runCommandLine(argv, world);
  return { code, stdout: world.stdout(), stderr: world.stderr() };
}
