import { resolve } from 'node:path';
import type { Config } from '../config/types.js';
import { assertNever } from '../domain/assert-never.js';
import { fail, ok, type Result } from '../domain/result.js';
import { parseArguments } from './arguments.js';
import { exitCodes, type Command, type World } from './command.js';
import { importFiles } from './import-legacy.js';
import { importPushAppserverStore } from './import-push-appserver.js';
import { importDatabase } from './import-spns-v2.js';
import { importUwpxFile } from './import-uwpx.js';
import { importKinds, type ImportKind, type ImportWish } from './import-wish.js';
import { operatorMessage } from './operator-message.js';
import { CONFIG_HELP, configOptions, readConfig } from './read-config.js';

export const importCommand: Command = {
  name: 'import',
  summary: 'take over what another push server has stored',
  help: `waggle import v1 [--config FILE] [--brand NAME] [--dry-run] [--rejected FILE] FILE...
waggle import bchat [--config FILE] [--brand NAME] [--dry-run] [--rejected FILE] FILE...
waggle import spns-v2 [--config FILE] [--brand NAME] [--dry-run] [--rejected FILE] URL
waggle import mod_push_appserver [--config FILE] [--dry-run] [--rejected FILE] DIR
waggle import uwpx [--config FILE] [--dry-run] [--rejected FILE] FILE

  v1 FILE...                SQLite files of SPNS v1 (session_pn_server.db, or its backup)
  bchat FILE...             SQLite files of the Bchat legacy server (bchat_pn_server.db)
  spns-v2 URL               the database of SPNS v2 or of its Bchat fork: postgresql://..., or file:PATH of a file
                            that holds such an address, so that a password is not in the list of processes
  mod_push_appserver DIR    Prosody's data directory (/var/lib/prosody), the component's directory in it, or
                            push_appserver in that
  uwpx FILE                 the SQLite file of a UWPX push server in Python (pushServer.db)

  --brand NAME              v1, bchat, spns-v2: import for this brand of the configuration; else session for v1, bchat
                            for bchat, and for spns-v2 the one whose users' accounts begin as each account does.
                            Devices get its notifiers.
  --dry-run                 read everything and say what would be done; write nothing
  --rejected FILE           list the rows that are left out, by table, row number (of a file: its inode) and reason;
                            holds no ids and no tokens
${CONFIG_HELP}

Nothing is written to the files and to the old database. Of v1, bchat and spns-v2 the server must not run while it is
imported (for --dry-run it may, on PostgreSQL); of mod_push_appserver and uwpx it may, on PostgreSQL, and hears of it by
itself. An import may be repeated, and begun again after it was interrupted: it then changes only what differs. It never
overwrites what a client has told this server: a registration, a newer signature, a dead device. But who has unregistered
here comes back with a file of v1 or bchat that still has him: import once more before the switch, not after it.

SQLite files are read into memory as a whole, with several times their size. Of several, the later ones win. The old
server of v1 writes its file every three minutes, and not when it is stopped: whoever registers in between has to register
again. Secrets of mod_push_appserver and uwpx are kept, sealed with keys.registrations, which is made when it is missing.

  waggle import v1 --config /etc/waggle/waggle.yaml --dry-run --rejected left-out.tsv /srv/spns/session_pn_server.db
  waggle import spns-v2 --config /etc/waggle/waggle.yaml postgresql:///spns
  waggle import mod_push_appserver --config /etc/waggle/waggle.yaml --dry-run /var/lib/prosody`,
  run: runImport,
};

async function runImport(argv: readonly string[], world: World): Promise<number> {
  const [word, ...rest] = argv;
  const kind = importKinds.find((candidate) => candidate === word);
  if (kind === undefined) {
    world.complain(
      `waggle import: say ${importKinds.map((name) => `"import ${name}"`).join(', ')}; see waggle import --help`,
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
function run(wish: ImportWish, config: Config, world: World): Promise<Result<readonly string[], string>> {
  switch (wish.kind) {
    case 'v1':
    case 'bchat':
      return importFiles(wish, config, world);
    case 'spns-v2':
      return importDatabase(wish, config, world);
    case 'mod_push_appserver':
      return importPushAppserverStore(wish, config, world);
    case 'uwpx':
      return importUwpxFile(wish, config, world);
    default:
      return assertNever(wish.kind);
  }
}

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
  const lack = lackOfSources(kind, positionals.length);
  if (lack !== null) return fail(lack);
  const { brand, rejected } = values;
  if (brand !== undefined && (kind === 'mod_push_appserver' || kind === 'uwpx')) {
    return fail(`--brand is for v1, bchat and spns-v2: no brand has anything to do with ${kind}`);
  }
  return ok({
    kind,
    parsed: parsed.value,
    sources: positionals,
    brand: typeof brand === 'string' ? brand : null,
    dryRun: values['dry-run'] === true,
    rejectedFile: typeof rejected === 'string' ? resolve(cwd, rejected) : null,
  });
}

function lackOfSources(kind: ImportKind, count: number): string | null {
  switch (kind) {
    case 'v1':
    case 'bchat':
      return count === 0 ? 'name the file, or files' : null;
    case 'spns-v2':
      return count === 1 ? null : 'name one database: postgresql://...';
    case 'mod_push_appserver':
      return count === 1 ? null : "name one directory: Prosody's data directory, or one in it";
    case 'uwpx':
      return count === 1 ? null : 'name one file';
    default:
      return assertNever(kind);
  }
}
