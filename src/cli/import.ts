import { resolve } from 'node:path';
import type { Config } from '../config/types.js';
import { fail, ok, type Result } from '../domain/result.js';
import { parseArguments } from './arguments.js';
import { exitCodes, type Command, type World } from './command.js';
import { importFiles } from './import-legacy.js';
import { importDatabase } from './import-spns-v2.js';
import { importKinds, type ImportKind, type ImportWish } from './import-wish.js';
import { operatorMessage } from './operator-message.js';
import { CONFIG_HELP, configOptions, readConfig } from './read-config.js';

export const importCommand: Command = {
  name: 'import',
  summary: 'take over what another push server has stored',
  help: `waggle import v1 [--config FILE] [--brand NAME] [--dry-run] [--rejected FILE] FILE...
waggle import bchat [--config FILE] [--brand NAME] [--dry-run] [--rejected FILE] FILE...
waggle import spns-v2 [--config FILE] [--brand NAME] [--dry-run] [--rejected FILE] URL

  v1 FILE...                SQLite files of SPNS v1 (session_pn_server.db, or its backup)
  bchat FILE...             SQLite files of the Bchat legacy server (bchat_pn_server.db)
  spns-v2 URL               the database of SPNS v2 or of its Bchat fork: postgresql://..., or file:PATH of a file
                            that holds such an address, so that a password is not in the list of processes

  --brand NAME              import for this brand of the configuration; else session for v1, bchat for bchat, and for
                            spns-v2 the one whose users' accounts begin as each account does. Devices get its notifiers.
  --dry-run                 read everything and say what would be done; write nothing
  --rejected FILE           list the rows that are left out, by table, row number and reason; holds no ids and no tokens
${CONFIG_HELP}

Nothing is written to the files and to the old database. The server must not run while it is imported (for --dry-run it
may, on PostgreSQL). An import may be repeated, and begun again after it was interrupted: it then changes only what
differs. It never overwrites what a client has told this server: a registration, a newer signature, a dead device. But
who has unregistered here comes back with a file that still has him: import once more before the switch, not after it.

Files are read into memory as a whole, with several times their size. Of several, the later ones win. The old server
writes its file every three minutes, and not when it is stopped: whoever registers in between has to register again.

  waggle import v1 --config /etc/waggle/waggle.yaml --dry-run --rejected left-out.tsv /srv/spns/session_pn_server.db
  waggle import spns-v2 --config /etc/waggle/waggle.yaml postgresql:///spns`,
  run: runImport,
};

async function runImport(argv: readonly string[], world: World): Promise<number> {
  const [word, ...rest] = argv;
  const kind = importKinds.find((candidate) => candidate === word);
  if (kind === undefined) {
    world.complain(
      'waggle import: say "import v1", "import bchat" or "import spns-v2"; see waggle import --help',
    );
    return exitCodes.usage;
  }
  const wish = parseWish(kind, rest, world.cwd);
  if (!wish.ok) {
    world.complain(`waggle import ${kind}: ${wish.error}`);
    return exitCodes.usage;
  }
  const config = readConfig(wish.value.parsed, world);
  if (config === null) return exitCodes.configuration;
  try {
    const done = await run(wish.value, config, world);
    if (done.ok) {
      for (const line of done.value) world.print(line);
      return exitCodes.ok;
    }
    world.complain(`waggle import ${kind}: ${done.error}`);
  } catch (error) {
    world.complain(`waggle import ${kind}: ${operatorMessage(error)}`);
  }
  return exitCodes.failure;
}

/** Lines for standard output, or why not. */
const run = (wish: ImportWish, config: Config, world: World): Promise<Result<readonly string[], string>> =>
  wish.kind === 'spns-v2' ? importDatabase(wish, config, world) : importFiles(wish, config, world);

const options = {
  ...configOptions,
  brand: { type: 'string' },
  'dry-run': { type: 'boolean' },
  rejected: { type: 'string' },
} as const;

function parseWish(kind: ImportKind, argv: readonly string[], cwd: string): Result<ImportWish, string> {
  const parsed = parseArguments(argv, options, true, true);
  if (!parsed.ok) return parsed;
  const { values, positionals } = parsed.value;
  if (kind === 'spns-v2' && positionals.length !== 1) return fail('name one database: postgresql://...');
  if (positionals.length === 0) return fail('name the file, or files');
  const { brand, rejected } = values;
  return ok({
    kind,
    parsed: parsed.value,
    sources: positionals,
    brand: typeof brand === 'string' ? brand : null,
    dryRun: values['dry-run'] === true,
    rejectedFile: typeof rejected === 'string' ? resolve(cwd, rejected) : null,
  });
}
