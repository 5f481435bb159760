import { parseArgs, type ParseArgsConfig } from 'node:util';
import { fail, ok, type Result } from '../domain/result.js';
import { splitFlags } from '../config/flag-source.js';
import { sectionKeys } from '../config/load.js';
import { nearestKey } from '../config/nearest.js';

export type OptionTypes = NonNullable<ParseArgsConfig['options']>;

export interface ParsedArguments {
  readonly values: Readonly<Record<string, string | boolean | undefined>>;
  /** `--SECTION.KEY VALUE`, for `loadConfig`. */
  readonly configFlags: readonly string[];
  /** What is no option. */
  readonly positionals: readonly string[];
}

/** A command line of ours. The error is a sentence or two for standard error: exit code 64. */
export function parseArguments(
  argv: readonly string[],
  options: OptionTypes,
  takesConfigFlags: boolean,
  takesPositionals = false,
): Result<ParsedArguments, string> {
  const { flags, rest } = takesConfigFlags ? splitFlags(argv) : { flags: [], rest: [...argv] };
  const all: OptionTypes = { ...options, help: { type: 'boolean', short: 'h' } };
  try {
    const parsed = parseArgs({ args: rest, options: all, strict: true, allowPositionals: takesPositionals });
    // No option of ours is `multiple`, so every value is a text or a boolean.
    const values = parsed.values as ParsedArguments['values'];
    return ok({ values, configFlags: flags, positionals: parsed.positionals });
  } catch (error) {
    const known = [...Object.keys(all), ...(takesConfigFlags ? sectionKeys : [])];
    return fail(describeParseError(error, rest, known));
  }
}

function describeParseError(error: unknown, argv: readonly string[], known: readonly string[]): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ERR_PARSE_ARGS_UNKNOWN_OPTION') {
    const unknown = argv.find((argument) => argument.startsWith('--') && !isKnown(argument, known));
    const name = unknown?.slice(2).replace(/=[\s\S]*$/, '');
    if (name === undefined) return 'unknown option';
    return `unknown option --${name}; the nearest is --${nearestKey(name, known) ?? 'help'}`;
  }
  // The first sentence says it; the others explain parseArgs.
  if (error instanceof Error && code !== undefined) return error.message.split('. ')[0] ?? 'bad arguments';
  throw error;
}

const isKnown = (argument: string, known: readonly string[]): boolean =>
  known.includes(argument.slice(2).replace(/=[\s\S]*$/, ''));
