import { spawn, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export interface Child {
  /** Resolves with the next line of stdout; rejects when the process ends first. */
  line(): Promise<string>;
  /** At once, as nothing else does it; resolves when it is gone. */
  kill9(): Promise<void>;
  /** When it is gone: what it wrote in whole lines and nobody has read. */
  rest(): Promise<readonly string[]>;
}

/** Runs a TypeScript file of this directory as a process of its own. */
export function startChild(file: string, args: readonly string[]): Child {
  const path = fileURLToPath(new URL(file, import.meta.url));
  const child: ChildProcess = spawn(process.execPath, ['--import', 'tsx', path, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()));
  let text = '';
  let look: () => void = () => {};
  child.stdout?.on('data', (chunk: Buffer) => {
    text += chunk.toString();
    look();
  });
  return {
    line: () =>
      new Promise((resolve, reject) => {
        look = () => {
          const end = text.indexOf('\n');
          if (end < 0) return;
          resolve(text.slice(0, end));
          text = text.slice(end + 1);
        };
        look();
        void ended.then(() => reject(new Error('the child process ended')));
      }),
    kill9: async () => {
      child.kill('SIGKILL');
      await ended;
    },
    rest: async () => {
      await closed;
      return text.split('\n').slice(0, -1);
    },
  };
}
