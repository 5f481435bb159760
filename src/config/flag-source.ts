import type { ConfigProblem } from './problem.js';
import { printableKey } from './names.js';
import type { Setting } from './setting.js';

/** `--http.port 9000` or `--http.port=9000`: what has a dot in its name sets an option. */
const FLAG = /^--([A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)+)(?:=([\s\S]*))?$/;

/** Takes the flags that set options out of a command line; the rest is the command's own. */
export function splitFlags(argv: readonly string[]): { flags: string[]; rest: string[] } {
  const flags: string[] = [];
  const rest: string[] = [];
  for (let index = 0; index < argv.length; index += 1) {
    const argument = argv[index] ?? '';
    if (argument === '--') {
      rest.push(...argv.slice(index));
      break;
    }
    const match = FLAG.exec(argument);
    if (match === null) {
      rest.push(argument);
      continue;
    }
    flags.push(argument);
    const next = argv[index + 1];
    if (match[2] === undefined && next !== undefined && !next.startsWith('--')) {
      flags.push(next);
      index += 1;
    }
  }
  return { flags, rest };
}

/** The settings of such flags. */
export function readFlags(argv: readonly string[], problems: ConfigProblem[]): Setting[] {
  const settings: Setting[] = [];
  for (let index = 0; index < argv.length; index += 1) {
    const argument = argv[index] ?? '';
    const match = FLAG.exec(argument);
    if (match === null) {
      const message = 'not a flag that sets an option (--SECTION.KEY VALUE)';
      problems.push({
        key: printableKey(argument.replace(/=[\s\S]*$/, '')),
        origin: 'command line',
        message,
      });
      continue;
    }
    const name = match[1] ?? '';
    let text = match[2];
    const next = argv[index + 1];
    if (text === undefined && next !== undefined && !next.startsWith('--')) {
      text = next;
      index += 1;
    }
    settings.push({
      path: name.split('.'),
      origin: `flag --${printableKey(name)}`,
      given: text === undefined ? { kind: 'bare' } : { kind: 'text', text },
    });
  }
  return settings;
}
