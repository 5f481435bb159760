import { resolve } from 'node:path';
import { isTypeNameText } from '../config/formats.js';
import { notifierOf } from '../config/checks-xmpp.js';
import type { Config } from '../config/types.js';
import { systemClock } from '../domain/clock.js';
import { fail, ok, type Result } from '../domain/result.js';
import { findProsodyStores, StoreUnreadable } from '../import/prosody-store.js';
import {
  importPushAppserver,
  PUSH_APPSERVER_STORE,
  type JudgeToken,
  type PushAppserverReport,
} from '../import/push-appserver-import.js';
import { isHexToken } from '../notifiers/apns/token.js';
import { XmppDeviceImport } from '../store/xmpp-devices-import.js';
import type { World } from './command.js';
import { openImportKeeper } from './import-keeper.js';
import { createProgress, describeCounts, describeRejections, withRejections } from './import-report.js';
import { withSharedImportTarget } from './import-target.js';
import type { ImportWish } from './import-wish.js';

const PAGE_ROWS = 1000;
/** Types come from clients: of a store that somebody has filled with them, only the most frequent are named. */
const NAMED_TYPES_MAX = 10;

/** `waggle import mod_push_appserver`: lines for standard output, or why not. */
export async function importPushAppserverStore(
  wish: ImportWish,
  config: Config,
  world: World,
): Promise<Result<readonly string[], string>> {
  const { dryRun, rejectedFile } = wish;
  const directory = resolve(world.cwd, wish.sources[0] ?? '');
  const stores = await findProsodyStores(directory, PUSH_APPSERVER_STORE);
  if (!stores.ok) return stores;
  return withRejections(rejectedFile, (rejections) =>
    withSharedImportTarget(config, world, dryRun, async (database) => {
      const secrets = await openImportKeeper(config, dryRun);
      if (!secrets.ok) return secrets;
      const target = database === null ? null : new XmppDeviceImport(database, dryRun);
      try {
        const report = await importPushAppserver({
          stores: stores.value,
          target,
          secrets: secrets.value,
          judgeToken: createTokenJudge(config),
          rejections,
          clock: systemClock,
          pageRows: PAGE_ROWS,
          onProgress: createProgress(world, systemClock),
        });
        return ok([
          ...stores.value.map(({ path }) => `store: ${path}`),
          describeCounts('devices', report.devices, report.taken, dryRun),
          ...unservedTypes(report, config),
          ...describeRejections(rejections, rejectedFile),
        ]);
      } catch (error) {
        if (error instanceof StoreUnreadable) return fail(error.message);
        throw error;
      }
    }),
  );
}

/**
 * Tokens are taken as they come, as from clients; but one that could not even be sent would stand for a device that is
 * reached. A type that nobody may configure is one that a client made up.
 */
function createTokenJudge(config: Config): JudgeToken {
  return (type, token) => {
    if (!isTypeNameText(type)) return 'bad-type';
    // While there is no such notifier, a type means what it means to everybody.
    switch (notifierTypeOf(config, type) ?? type) {
      case 'apns':
        return isHexToken(token) ? null : 'bad-token';
      case 'webpush':
      case 'unifiedpush':
      case 'wns':
        return 'address-type';
      default:
        return null;
    }
  };
}

function notifierTypeOf(config: Config, type: string): string | null {
  const entry = typeEntryOf(config, type);
  return entry === null ? null : (notifierOf(config.notifiers, entry.service)?.type ?? null);
}

const typeEntryOf = ({ xmpp }: Config, type: string) =>
  Object.hasOwn(xmpp.types, type) ? (xmpp.types[type] ?? null) : null;

/** They are kept, and get pushes as soon as there is somebody who sends them. */
function unservedTypes({ byType }: PushAppserverReport, config: Config): string[] {
  const lines = config.xmpp.enabled
    ? []
    : ['warning: xmpp.enabled is false: no server here wakes these devices'];
  const unserved = [...byType]
    .flatMap(([type, count]) => {
      const lack = lackOf(config, type);
      return lack === null ? [] : [{ count, line: `warning: ${lack}, for ${count} devices` }];
    })
    .sort((a, b) => b.count - a.count || (a.line < b.line ? -1 : 1));
  lines.push(...unserved.slice(0, NAMED_TYPES_MAX).map(({ line }) => line));
  const further = unserved.slice(NAMED_TYPES_MAX);
  const devices = further.reduce((sum, { count }) => sum + count, 0);
  if (further.length > 0)
    lines.push(`warning: the same for ${further.length} further types, ${devices} devices`);
  return lines;
}

function lackOf(config: Config, type: string): string | null {
  const entry = typeEntryOf(config, type);
  if (entry === null) return `no type ${type} in xmpp.types`;
  if (!entry.enabled) return `xmpp.types.${type} is not enabled`;
  return notifierOf(config.notifiers, entry.service) === null
    ? `no notifier ${entry.service} in the configuration, which the type ${type} needs`
    : null;
}
