import { loadConfig } from '../config/load.js';
import { formatProblem } from '../config/problem.js';
import type { Config } from '../config/types.js';
import type { ParsedArguments } from './arguments.js';
import type { World } from './command.js';

/** The configuration that a command line names; null after all that is wrong was written to standard error. */
export function readConfig(parsed: ParsedArguments, world: World): Config | null {
  const file = parsed.values['config'];
  const loaded = loadConfig({
    file: typeof file === 'string' ? file : null,
    env: world.env,
    argv: parsed.configFlags,
    cwd: world.cwd,
  });
  if (loaded.ok) return loaded.value;
  for (const problem of loaded.error) world.complain(`error: ${formatProblem(problem)}`);
  return null;
}

export const configOptions = { config: { type: 'string', short: 'c' } } as const;

export const CONFIG_HELP = `  -c, --config FILE         YAML file (else the one that WAGGLE_CONFIG names, else defaults)
  --SECTION.KEY VALUE       sets one option, such as --http.port 9000; wins over environment and file`;
