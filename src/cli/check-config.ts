import { describeConfig } from '../config/describe.js';
import { configFilePath } from '../config/load.js';
import { systemClock } from '../domain/clock.js';
import { parseArguments } from './arguments.js';
import { checkFiles } from './check-files.js';
import { checkSettings } from './check-settings.js';
import { exitCodes, type Command, type World } from './command.js';
import { CONFIG_HELP, configOptions, readConfig } from './read-config.js';

export const checkConfig: Command = {
  name: 'check-config',
  summary: 'read the configuration and every file it names, say what is wrong',
  help: `waggle check-config [--config FILE] [--show]

  --show                    print the whole configuration, secrets redacted
${CONFIG_HELP}

Reads key files, certificates and their keys, service accounts and trust anchors, and warns about settings that have
no effect or that hardly anybody means. Nothing is made or connected to.
Exit code 0 when the server would start with it (there may be warnings), 78 when not.

  waggle check-config --config /etc/waggle/waggle.yaml`,
  run: runCheckConfig,
};

async function runCheckConfig(argv: readonly string[], world: World): Promise<number> {
  const parsed = parseArguments(argv, { ...configOptions, show: { type: 'boolean' } }, true);
  if (!parsed.ok) {
    world.complain(`waggle check-config: ${parsed.error}`);
    return exitCodes.usage;
  }
  const config = readConfig(parsed.value, world);
  if (config === null) return exitCodes.configuration;
  if (parsed.value.values['show'] === true) world.print(describeConfig(config).trimEnd());

  const findings = [...checkSettings(config), ...(await checkFiles(config, systemClock))];
  for (const { severity, key, message } of findings) world.complain(`${severity}: ${key}: ${message}`);
  if (findings.some(({ severity }) => severity === 'error')) return exitCodes.configuration;
  const file = parsed.value.values['config'];
  const source = configFilePath({
    file: typeof file === 'string' ? file : null,
    env: world.env,
    cwd: world.cwd,
  });
  world.print(`the configuration is good (${source ?? 'no file: defaults, environment and flags'})`);
  return exitCodes.ok;
}
