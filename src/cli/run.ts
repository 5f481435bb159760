import { nearestKey } from '../config/nearest.js';
import { softwareVersion } from '../lifecycle/software-version.js';
import { checkConfig } from './check-config.js';
import { exitCodes, type Command, type World } from './command.js';
import { devices } from './devices.js';
import { importCommand } from './import.js';
import { keygen } from './keygen.js';
import { migrateCommand } from './migrate.js';
import { serve } from './serve.js';

const commands: readonly Command[] = [serve, checkConfig, keygen, migrateCommand, importCommand, devices];

const isHelp = (argument: string): boolean => argument === '--help' || argument === '-h';

/** A whole command line (without node and script) to its exit code. */
export async function runCommandLine(argv: readonly string[], world: World): Promise<number> {
  const [name = '', ...rest] = argv;
  if (name === '--version' || name === '-V') {
    world.print(`waggle ${softwareVersion()}`);
    return exitCodes.ok;
  }
  if (isHelp(name) || name === 'help') {
    const asked = commands.find((command) => command.name === rest[0]);
    world.print(asked === undefined ? overview() : commandHelp(asked));
    return exitCodes.ok;
  }
  const command = commands.find((candidate) => candidate.name === name);
  if (command === undefined) {
    world.complain(name === '' ? overview() : unknownCommand(name));
    return exitCodes.usage;
  }
  if (rest.some(isHelp)) {
    world.print(commandHelp(command));
    return exitCodes.ok;
  }
  return command.run(rest, world);
}

function unknownCommand(name: string): string {
  const nearest = nearestKey(
    name,
    commands.map((command) => command.name),
  );
  return `waggle: no command "${name}"; the nearest is "${nearest ?? 'serve'}". See waggle --help.`;
}

const commandHelp = ({ name, summary, help }: Command): string => `waggle ${name}: ${summary}\n\n${help}`;

function overview(): string {
  const list = commands.map(({ name, summary }) => `  ${name.padEnd(14)}${summary}`).join('\n');
  return `Waggle: a push-notification server for private messengers

${list}

  waggle COMMAND --help     more about a command
  waggle --version

Configuration is a YAML file (--config FILE or WAGGLE_CONFIG=FILE), then the environment (WAGGLE_HTTP__PORT=9000), then
flags (--http.port 9000); later ones win. Every option: config/default.yaml and docs/configuration.md.

  waggle keygen --out ./data/keys/onion.x25519
  waggle check-config --config waggle.yaml --show
  waggle migrate --config waggle.yaml --dry-run
  waggle import v1 --config waggle.yaml --dry-run session_pn_server.db
  waggle devices undelete --config waggle.yaml --service apns --dry-run
  waggle serve --config waggle.yaml

Exit codes: 0 all is well, 1 failure, 64 wrong usage, 78 wrong configuration.`;
}
