import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { TOPIC } from '../test/simulators/world.js';
import { until } from './process.js';
import type { WorldFacts } from './world.js';

/** Node's flags as `npm start` and the container set them. */
export const AS_STARTED = ['--max-semi-space-size=4', '--no-parallel-scavenge'] as const;

/** The server as operators run it: built, in a process of its own, by its command line. */
export class BenchServer {
  private constructor(
    private readonly child: ChildProcess,
    private readonly directory: string,
    readonly http: string,
    readonly admin: string,
  ) {}

  static build(): void {
    execFileSync('npm', ['run', '--silent', 'build'], { stdio: 'inherit' });
  }

  static async start(
    facts: WorldFacts | null,
    databaseUrl: string,
    more: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {},
    args: readonly string[] = [],
  ): Promise<BenchServer> {
    const directory = mkdtempSync(join(tmpdir(), 'waggle-bench-'));
    const sections: Record<string, Record<string, unknown>> = {
      http: { port: 0 },
      admin: { port: 0 },
      database: { url: databaseUrl },
      keys: { server: 'server.x25519', onion: ['onion.x25519'] },
      session: facts === null ? {} : { oxend: facts.oxend },
      notifiers: facts === null ? { apns: { type: 'dummy' } } : apnsEntry(facts, directory),
      log: { level: 'info' },
    };
    for (const [name, section] of Object.entries(more)) sections[name] = { ...sections[name], ...section };
    writeFileSync(join(directory, 'waggle.yaml'), stringify(sections));
    const child = spawn(
      process.execPath,
      [...args, 'dist/main.js', 'serve', '--config', join(directory, 'waggle.yaml')],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => {
      if (output.length < 100_000) output += chunk.toString();
    });
    const find = (pattern: RegExp): string | undefined => pattern.exec(output)?.[1];
    const http = (): string | undefined => find(/http listening on (http:\/\/\S+?)[\s"]/);
    const admin = (): string | undefined => find(/"adminAddress":"(http[^"]+)"/);
    await until(async () => http() !== undefined && admin() !== undefined, 60_000).catch(() => {
      throw new Error(`the server did not start:\n${output}`);
    });
    return new BenchServer(child, directory, http() ?? '', admin() ?? '');
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  async metric(name: string): Promise<number> {
    const text = await (await fetch(`${this.admin}/metrics`)).text();
    const line = text.split('\n').find((candidate) => candidate.startsWith(`${name} `));
    return line === undefined ? 0 : Number(line.slice(name.length + 1));
  }

  async isReady(): Promise<boolean> {
    return (await fetch(`${this.admin}/readyz`)).status === 200;
  }

  async stop(): Promise<void> {
    const ended = new Promise((resolve) => this.child.once('exit', resolve));
    this.child.kill('SIGTERM');
    await ended;
    rmSync(this.directory, { recursive: true, force: true });
  }
}

function apnsEntry(facts: WorldFacts, directory: string): Record<string, unknown> {
  writeFileSync(join(directory, 'ca.pem'), facts.caPem);
  writeFileSync(join(directory, 'apns.p8'), facts.p8Pem);
  writeFileSync(join(directory, 'firebase.json'), facts.serviceAccountJson);
  return {
    apns: {
      type: 'apns',
      topic: TOPIC,
      keyFile: 'apns.p8',
      keyId: facts.keyId,
      teamId: facts.teamId,
      endpoint: facts.apnsEndpoint,
      caFile: 'ca.pem',
    },
  };
}

/** For the scenarios with a second notifier; its files are there whenever there are facts. */
export const firebaseEntry = (facts: WorldFacts): Record<string, unknown> => ({
  type: 'firebase',
  serviceAccountFile: 'firebase.json',
  endpoint: facts.fcmEndpoint,
  caFile: 'ca.pem',
});
