import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { LegacyAnswer, LegacyClient } from '../simulators/legacy-client.js';
import { newAndroidToken, newIosToken, type LegacySide } from '../simulators/legacy-world.js';
import type { ServerProcess } from '../simulators/server-process.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

export const success: LegacyAnswer = { status: 200, body: { code: 1, message: 'Success' } };

/** Retries come soon, so that tests need not wait for them. */
export const soon = {
  delivery: {
    retryBaseMs: 200,
    retryMaxMs: 500,
    maxAttempts: 1000,
    maxPauseSeconds: 1,
    breakerProbeSeconds: 1,
  },
  outbox: { pollIntervalMs: 100 },
} as const;

/** One device of one account. */
export interface Phone {
  readonly account: string;
  readonly token: string;
}

export const newIphone = (side: LegacySide): Phone => ({ account: side.newId(), token: newIosToken() });
export const newAndroid = (side: LegacySide): Phone => ({ account: side.newId(), token: newAndroidToken() });

/** iOS does not name its type, Android does. */
export const register = (app: LegacyClient, { token, account }: Phone): Promise<LegacyAnswer> =>
  app.register(token, account, token.length === 64 ? undefined : 'android');

/** The sum of all series of a metric that begin so: `name{label="value"`, further labels may follow. */
export async function sumOf(server: ServerProcess, start: string): Promise<number> {
  let sum = 0;
  for (const line of (await server.metricsText()).split('\n')) {
    if (line.startsWith(start)) sum += Number(line.slice(line.lastIndexOf(' ') + 1));
  }
  return sum;
}

/** Pushes of a brand's messages that were handed over: counted before their `notify` has its answer. */
export const pushesMade = (server: ServerProcess, { brand }: LegacySide): Promise<number> =>
  sumOf(server, `waggle_legacy_pushes_total{brand="${brand.name}",`);

/** `waggle …` in a process of its own, on the server's configuration; the port of that was any free one. */
export async function waggle(
  configFile: string,
  server: ServerProcess,
  ...argv: string[]
): Promise<{ readonly code: number | null; readonly said: string }> {
  const where = ['--config', configFile, '--admin.port', new URL(server.adminAddress).port];
  const child = spawn(process.execPath, ['--import', 'tsx', 'src/main.ts', ...argv, ...where], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => (said += chunk.toString()));
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { code, said: said.trim() };
}
