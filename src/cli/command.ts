import type { Config } from '../config/types.js';
import type { ProcessEvents, Stoppable } from '../lifecycle/signals.js';
import type { Log } from '../telemetry/log.js';

/** The running program, as src/app.ts starts it. */
export interface App extends Stoppable {
  /** `http://HOST:PORT`, as bound. */
  readonly httpAddress: string;
  readonly adminAddress: string;
}

export type StartApp = (config: Config, io: { readonly log: Log }) => Promise<App>;

/** What a command sees of the process it runs in. */
export interface World {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** One line on standard output. */
  readonly print: (line: string) => void;
  /** One line on standard error. */
  readonly complain: (line: string) => void;
  readonly events: ProcessEvents;
  readonly exitNow: (code: number) => void;
  /** The program proper; loaded only when it is to run. */
  readonly loadApp: () => Promise<StartApp>;
}

export interface Command {
  readonly name: string;
  /** One line for the list of commands. */
  readonly summary: string;
  /** The whole help text below the summary. */
  readonly help: string;
  /** `argv` without the command's name; the exit code. */
  run(argv: readonly string[], world: World): Promise<number>;
}

/** As in sysexits.h. */
export const exitCodes = { ok: 0, failure: 1, usage: 64, configuration: 78 } as const;
