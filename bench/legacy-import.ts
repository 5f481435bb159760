import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pgPromise from 'pg-promise';
import { stringify } from 'yaml';
import { createSpnsV2Database } from '../test/simulators/spns-v2-database.js';
import { nowInSeconds } from '../test/simulators/world.js';
import { numberArgument } from './arguments.js';

const ROWS = 100_000;
const TIMEOUT_MS = 120_000;
const AGE_SECONDS = 3600;

/** `waggle import spns-v2` as operators run it, from one database into an empty one, then once more. */
export async function benchImport(databaseUrl: string, say: (line: string) => void): Promise<void> {
  const rows = numberArgument('import-rows', ROWS);
  const oldUrl = await createDatabaseBeside(databaseUrl, 'spns_v2');
  const old = await createSpnsV2Database(oldUrl);
  await old.addMany(rows, nowInSeconds() - AGE_SECONDS);
  await old.script('ANALYZE');
  await old.close();

  const directory = mkdtempSync(join(tmpdir(), 'waggle-bench-'));
  const configFile = join(directory, 'waggle.yaml');
  const config = {
    database: { url: databaseUrl },
    keys: { server: 'server.x25519', onion: ['onion.x25519'] },
    notifiers: { apns: { type: 'dummy' } },
  };
  writeFileSync(configFile, stringify(config));
  const run = async (): Promise<{ seconds: number; said: string }> => {
    const startedAt = performance.now();
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ['dist/main.js', 'import', 'spns-v2', '--config', configFile, oldUrl],
      { timeout: TIMEOUT_MS },
    );
    return { seconds: (performance.now() - startedAt) / 1000, said: stdout.trim().replaceAll('\n', '; ') };
  };
  try {
    say(`\`waggle import spns-v2\` of ${rows} subscriptions, PostgreSQL to PostgreSQL, the whole process:`);
    say('| | seconds | it says |');
    say('|---|---|---|');
    for (const name of ['into an empty database', 'once more']) {
      const { seconds, said } = await run();
      say(`| ${name} | ${seconds.toFixed(1)} | ${said} |`);
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function createDatabaseBeside(databaseUrl: string, name: string): Promise<string> {
  const pgp = pgPromise({ noWarnings: true });
  await pgp(databaseUrl).none('CREATE DATABASE $1:name', [name]);
  pgp.end();
  const url = new URL(databaseUrl);
  url.pathname = `/${name}`;
  return url.href;
}
