import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../config/types.js';
import { migrate, readMigrations, type MigrationReport } from '../store/migrate.js';
import { parseArguments } from './arguments.js';
import { exitCodes, type Command, type World } from './command.js';
import { openConfiguredDatabase } from './open-database.js';
import { operatorMessage } from './operator-message.js';
import { CONFIG_HELP, configOptions, readConfig } from './read-config.js';

export const migrateCommand: Command = {
  name: 'migrate',
  summary: "bring the database to this version's schema",
  help: `waggle migrate [--config FILE] [--dry-run]

  --dry-run                 only say what would be done
${CONFIG_HELP}

"serve" does the same at its start. A database that a newer version has used is refused.

  waggle migrate --config /etc/waggle/waggle.yaml --dry-run`,
  run: runMigrate,
};

async function runMigrate(argv: readonly string[], world: World): Promise<number> {
  const parsed = parseArguments(argv, { ...configOptions, 'dry-run': { type: 'boolean' } }, true);
  if (!parsed.ok) {
    world.complain(`waggle migrate: ${parsed.error}`);
    return exitCodes.usage;
  }
  const config = readConfig(parsed.value, world);
  if (config === null) return exitCodes.configuration;
  const dryRun = parsed.value.values['dry-run'] === true;
  try {
    const report = await migrateDatabase(config, dryRun, world);
    for (const name of report.applied) world.print(`${dryRun ? 'would apply' : 'applied'} ${name}`);
    if (report.applied.length === 0) world.print('nothing to do');
    world.print(`schema version ${report.schemaVersion}`);
    return exitCodes.ok;
  } catch (error) {
    world.complain(`waggle migrate: ${operatorMessage(error)}`);
    return exitCodes.failure;
  }
}

async function migrateDatabase(config: Config, dryRun: boolean, world: World): Promise<MigrationReport> {
  const { url, dataDir } = config.database;
  if (dryRun && url === null && !existsSync(join(dataDir, 'postgres'))) {
    // Opening the embedded database would make it, and a dry run makes nothing.
    const migrations = await readMigrations();
    return { applied: migrations.map(({ name }) => name), schemaVersion: 0 };
  }
  const database = await openConfiguredDatabase(config, world);
  try {
    return await migrate(database, { dryRun });
  } finally {
    await database.close();
  }
}
