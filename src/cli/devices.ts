import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createDeletedDevices, type DeletedDevices } from '../actors/undelete.js';
import { enabledBrands, serviceOf } from '../config/brand-services.js';
import type { Config } from '../config/types.js';
import { systemClock } from '../domain/clock.js';
import { parseServiceName, type ServiceName } from '../domain/ids.js';
import { fail, ok, type Result } from '../domain/result.js';
import type { Brand } from '../legacy/brand.js';
import { createLegacyDeletedDevices } from '../legacy/deleted-devices.js';
import type { Database } from '../store/database.js';
import { PostgresLegacyTombstones } from '../store/legacy-tombstones.js';
import { migrate } from '../store/migrate.js';
import { Tombstones } from '../store/tombstones.js';
import { PostgresXmppDeviceStore } from '../store/xmpp-devices.js';
import { Metrics } from '../telemetry/metrics.js';
import { createXmppDeletedDevices, type NamedType } from '../xmpp-devices/deleted-devices.js';
import { askServer, type AdminAnswer } from './admin-client.js';
import { parseArguments, type ParsedArguments } from './arguments.js';
import { exitCodes, type Command, type World } from './command.js';
import { deletedIn, describeDeleted, describeReport, reportIn } from './deleted-devices-report.js';
import { openConfiguredDatabase } from './open-database.js';
import { operatorMessage } from './operator-message.js';
import { CONFIG_HELP, configOptions, readConfig } from './read-config.js';

export const devices: Command = {
  name: 'devices',
  summary: 'devices that a provider called dead: show them, bring them back',
  help: `waggle devices deleted [--config FILE]
waggle devices undelete [--config FILE] [--service NAME] [--since TIME] [--dry-run]

  --service NAME            only of this notifier, such as apns
  --since TIME              only what was removed then or later: 2026-05-01 or 2026-05-01T10:30:00Z
  --dry-run                 only say what would be done
${CONFIG_HELP}

Subscriptions of dead devices, and dead devices of older clients and of XMPP users, are kept for some days
(delivery.tombstoneDays). A wrong topic or a mixed-up sandbox makes every device look dead; when that is repaired,
"undelete" brings them back. It leaves out subscriptions whose signature has run out, and what has subscribed or registered
anew. An XMPP server that was told of a dead device may have forgotten it: then it wakes the device again when its client
has logged in there once more.

Devices of UWPX are not among them: one whose channel was called dead comes back by itself, with its accounts, when its
client sends a new channel within uwpx.lostChannelGraceDays.

The running server is asked (admin.host, admin.port, admin.token). When there is none, the database is opened here.

  waggle devices deleted --config /etc/waggle/waggle.yaml
  waggle devices undelete --config /etc/waggle/waggle.yaml --service apns --since 2026-05-01T10:30:00Z --dry-run`,
  run: runDevices,
};

type Action = 'deleted' | 'undelete';

interface Wanted {
  readonly parsed: ParsedArguments;
  readonly service: ServiceName | null;
  readonly removedSinceMs: number;
  readonly dryRun: boolean;
}

/** What was done, in lines for standard output; or why not. */
type Done = Result<readonly string[], string>;

async function runDevices(argv: readonly string[], world: World): Promise<number> {
  const [action, ...rest] = argv;
  if (action !== 'deleted' && action !== 'undelete') {
    world.complain('waggle devices: say "devices deleted" or "devices undelete"; see waggle devices --help');
    return exitCodes.usage;
  }
  const wanted = parseWanted(action, rest);
  if (!wanted.ok) {
    world.complain(`waggle devices ${action}: ${wanted.error}`);
    return exitCodes.usage;
  }
  const config = readConfig(wanted.value.parsed, world);
  if (config === null) return exitCodes.configuration;
  try {
    const done =
      action === 'deleted' ? await showDeleted(config, world) : await bringBack(config, wanted.value, world);
    if (done.ok) {
      for (const line of done.value) world.print(line);
      return exitCodes.ok;
    }
    world.complain(`waggle devices ${action}: ${done.error}`);
  } catch (error) {
    world.complain(`waggle devices ${action}: ${operatorMessage(error)}`);
  }
  return exitCodes.failure;
}

const filterOptions = {
  service: { type: 'string' },
  since: { type: 'string' },
  'dry-run': { type: 'boolean' },
} as const;

function parseWanted(action: Action, argv: readonly string[]): Result<Wanted, string> {
  const options = action === 'undelete' ? { ...configOptions, ...filterOptions } : configOptions;
  const arguments_ = parseArguments(argv, options, true);
  if (!arguments_.ok) return arguments_;
  const { service, since, 'dry-run': dryRun } = arguments_.value.values;
  const name = typeof service === 'string' ? parseServiceName(service) : null;
  if (service !== undefined && name === null) return fail('--service must be the name of a notifier');
  const removedSinceMs = typeof since === 'string' ? parseTime(since) : 0;
  if (removedSinceMs === null)
    return fail('--since must be a date or a time with its zone: 2026-05-01 or 2026-05-01T10:30:00Z');
  return ok({ parsed: arguments_.value, service: name, removedSinceMs, dryRun: dryRun === true });
}

/** Unix milliseconds; a date is its beginning in UTC. A time without a zone would be anybody's guess. */
function parseTime(text: string): number | null {
  if (!/^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d))?$/.test(text)) return null;
  const ms = Date.parse(text);
  return Number.isNaN(ms) || ms < 0 ? null : ms;
}

async function showDeleted(config: Config, world: World): Promise<Done> {
  const answer = await askServer(config.admin, 'GET', '/devices/deleted');
  if (answer.kind !== 'no-server') {
    const deleted = readAnswer(answer, deletedIn);
    return deleted.ok ? ok(describeDeleted(deleted.value)) : deleted;
  }
  return directly(config, world, async (devices) =>
    describeDeleted({
      services: await devices.countByService(),
      legacy: await devices.countLegacy(),
      xmpp: await devices.countXmpp(),
    }),
  );
}

async function bringBack(
  config: Config,
  { service, removedSinceMs, dryRun }: Wanted,
  world: World,
): Promise<Done> {
  const body = { ...(service === null ? {} : { service }), sinceMs: removedSinceMs, dryRun };
  const answer = await askServer(config.admin, 'POST', '/devices/undelete', body);
  if (answer.kind !== 'no-server') {
    const report = readAnswer(answer, reportIn);
    return report.ok ? ok(describeReport(report.value, dryRun)) : report;
  }
  return directly(config, world, async (devices, kind) => {
    const report = await devices.undelete({ service, removedSinceMs, dryRun });
    const lines = describeReport(report, dryRun);
    if (kind === 'embedded' || dryRun) return lines;
    // Of XMPP users' devices servers hear by themselves, at their next poll.
    const untold = `no server was told (${answer.reason}): one that runs on this database takes`;
    if (report.restored > 0) lines.push(`${untold} subscriptions up within hours or at its start`);
    if (report.legacyRestored > 0) lines.push(`${untold} devices of older clients up at its start`);
    return lines;
  });
}

/** What the server said, or a sentence about what is wrong. */
function readAnswer<Value>(
  answer: Exclude<AdminAnswer, { kind: 'no-server' }>,
  read: (body: Readonly<Record<string, unknown>>) => Value | null,
): Result<Value, string> {
  if (answer.kind === 'failed') {
    return fail(`${answer.reason}; it may be at work still: see "waggle devices deleted" in a while`);
  }
  const body = typeof answer.body === 'object' ? (answer.body as Record<string, unknown> | null) : null;
  if (answer.status === 401) return fail('the running server wants another admin.token');
  const value = answer.status === 200 && body !== null ? read(body) : null;
  if (value !== null) return ok(value);
  const said = body?.['error'];
  return typeof said === 'string' && said.length < 200
    ? fail(`the running server answered ${answer.status}: ${said}`)
    : fail(
        `what listens on the admin address is not this server or an older one (it answered ${answer.status})`,
      );
}

const servicesOf = (config: Config): readonly Pick<Brand, 'name' | 'services'>[] =>
  enabledBrands(config).map((brand) => ({
    name: brand.name,
    services: {
      apns: serviceOf(config, brand, 'apns'),
      firebase: serviceOf(config, brand, 'firebase'),
      huawei: serviceOf(config, brand, 'huawei'),
    },
  }));

/** As the server has them: where XMPP users are not served there are none. */
const xmppTypesOf = ({ xmpp }: Config): readonly NamedType[] =>
  xmpp.enabled ? Object.values(xmpp.types).filter(({ enabled }) => enabled) : [];

/** Without a server: in the database itself. The embedded one is refused while another process has it. */
async function directly(
  config: Config,
  world: World,
  work: (devices: DeletedDevices, kind: Database['kind']) => Promise<readonly string[]>,
): Promise<Done> {
  const { url, dataDir } = config.database;
  if (url === null && !existsSync(join(dataDir, 'postgres'))) return fail('there is no database yet');
  const database = await openConfiguredDatabase(config, world);
  try {
    const { applied } = await migrate(database, { dryRun: true });
    if (applied.length > 0) return fail('the database has an older schema: run "waggle migrate" first');
    const clock = systemClock;
    const devices = createDeletedDevices({
      tombstones: new Tombstones(database),
      subscriptions: null,
      legacy: createLegacyDeletedDevices({
        tombstones: new PostgresLegacyTombstones(database),
        brands: servicesOf(config),
        changeInTurn: null,
        clock,
      }),
      xmpp: createXmppDeletedDevices({
        store: new PostgresXmppDeviceStore(database),
        types: xmppTypesOf(config),
        registry: null,
      }),
      clock,
      metrics: new Metrics(),
    });
    return ok(await work(devices, database.kind));
  } finally {
    await database.close();
  }
}
