import { Writable } from 'node:stream';
import { startApp, type App } from '../../src/app.js';
import { loadConfig } from '../../src/config/load.js';
import { createLog } from '../../src/telemetry/log.js';
import { eventually } from './eventually.js';

export interface AppUnderTest extends App {
  /** Everything that was logged so far. */
  readonly log: () => string;
  ready(): Promise<void>;
  /** One metric by its whole name with labels, 0 when it is not there. */
  metric(name: string): Promise<number>;
}

/** Starts the real program in this process, from its configuration file. */
export async function startAppUnderTest(
  configFile: string,
  env: Record<string, string> = {},
): Promise<AppUnderTest> {
  const config = loadConfig({ file: configFile, env, argv: [], cwd: '.' });
  if (!config.ok) throw new Error(JSON.stringify(config.error));
  let written = '';
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      written += chunk.toString();
      done();
    },
  });
  const app = await startApp(config.value, { log: createLog({ level: config.value.log.level }, sink) });
  return {
    httpAddress: app.httpAddress,
    adminAddress: app.adminAddress,
    stop: () => app.stop(),
    log: () => written,
    async ready() {
      await eventually(async () => (await fetch(`${app.adminAddress}/readyz`)).status === 200, {
        what: '/readyz',
      });
    },
    async metric(name) {
      const text = await (await fetch(`${app.adminAddress}/metrics`)).text();
      const line = text.split('\n').find((candidate) => candidate.startsWith(`${name} `));
      return line === undefined ? 0 : Number(line.slice(name.length + 1));
    },
  };
}
