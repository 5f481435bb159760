import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

/** Runs a fixture in a process of its own; its exit code and what it printed. */
async function run(fixture: string): Promise<{ code: number | null; output: string }> {
  const child = spawn(
    process.execPath,
    ['--import', 'tsx', fileURLToPath(new URL(`./fixtures/${fixture}`, import.meta.url))],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  // A process that does not end would otherwise outlive the test.
  const limit = setTimeout(() => child.kill('SIGKILL'), 20_000);
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const code = await new Promise<number | null>((resolve) => child.on('exit', resolve));
  clearTimeout(limit);
  return { code, output };
}

it('a closed client leaves no request pending and lets the process end', async () => {
  const { code, output } = await run('close-and-exit.ts');
  expect(output).toBe('unavailable unavailable unavailable\n');
  expect(code).toBe(0);
});
