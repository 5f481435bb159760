import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { eventually } from '../simulators/eventually.js';

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const directory = mkdtempSync(join(tmpdir(), 'waggle-cli-'));
const children = new Set<ChildProcessWithoutNullStreams>();
afterEach(() => {
  for (const child of children) child.kill('SIGKILL');
  children.clear();
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

interface Run {
  readonly child: ChildProcessWithoutNullStreams;
  readonly stdout: () => string;
  readonly stderr: () => string;
  readonly ended: Promise<number | null>;
}

/** The real program as a process of its own, with no environment but its options. */
function waggle(argv: readonly string[], env: Record<string, string> = {}): Run {
  const child = spawn(process.execPath, ['--import', import.meta.resolve('tsx'), main, ...argv], {
    cwd: directory,
    env: { PATH: process.env['PATH'] ?? '', HOME: directory, ...env },
  });
  children.add(child);
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const ended = new Promise<number | null>((resolve) => child.once('close', (code) => resolve(code)));
  return { child, stdout: () => stdout, stderr: () => stderr, ended };
}

describe('the program as a process', () => {
  it('refuses a wrong configuration with 78, from file, environment and flags at once', async () => {
    const file = join(directory, 'wrong.yaml');
    writeFileSync(file, 'http:\n  prot: 1\nadmin:\n  token: [sec-ret]\n');
    const run = waggle(['check-config', '--log.level=loud'], {
      WAGGLE_CONFIG: file,
      WAGGLE_HTTP__HOSTS: 'x',
    });
    expect(await run.ended).toBe(78);
    expect(run.stderr()).toContain(`http.prot: unknown option; the nearest is http.port (${file}:2)`);
    expect(run.stderr()).toContain('WAGGLE_HTTP__HOST)');
    expect(run.stderr()).toContain('log.level: must be one of');
    expect(run.stderr()).not.toContain('sec-ret');
  });

  it('serves until SIGTERM: makes its keys, prints its address, ends with 0', async () => {
    const file = join(directory, 'good.yaml');
    writeFileSync(file, 'http: { port: 0 }\nadmin: { port: 0, token: sec-ret-token }\n');
    const check = waggle(['check-config', '--config', file]);
    expect(await check.ended, check.stderr()).toBe(0);

    const run = waggle(['serve', '--config', file]);
    const address = await eventually(
      () => /^http listening on (http:\/\/127\.0\.0\.1:\d+)$/m.exec(run.stdout())?.[1],
      {
        timeoutMs: 60_000,
        what: `the address in ${run.stderr()}`,
      },
    );
    const answer = await fetch(`${address}/subscribe`, { method: 'POST', body: '[]' });
    expect(answer.status).toBe(200);
    for (const name of ['server', 'onion']) {
      expect(statSync(join(directory, `data/keys/${name}.x25519`)).mode & 0o777).toBe(0o600);
    }
    run.child.kill('SIGTERM');
    expect(await run.ended, run.stderr()).toBe(0);
    expect(run.stderr()).toBe('');
    const secret = readFileSync(join(directory, 'data/keys/server.x25519'), 'utf8').trim();
    expect(run.stdout()).not.toContain(secret);
    expect(run.stdout()).not.toContain('sec-ret-token');
  });

  it('brings a database to its schema, first only looking', async () => {
    const dataDir = join(directory, 'migrate');
    const dry = waggle(['migrate', '--dry-run', '--database.dataDir', dataDir]);
    expect(await dry.ended, dry.stderr()).toBe(0);
    expect(dry.stdout()).toContain('would apply 0001');
    expect(() => statSync(dataDir)).toThrow();

    const first = waggle(['migrate', '--database.dataDir', dataDir]);
    expect(await first.ended, first.stderr()).toBe(0);
    expect(first.stdout()).toContain('applied 0001');

    const second = waggle(['migrate', '--dry-run', '--database.dataDir', dataDir]);
    expect(await second.ended, second.stderr()).toBe(0);
    expect(second.stdout()).toContain('nothing to do');
  });
});
