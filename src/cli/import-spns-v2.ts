import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { brands as brandsOf } from '../app/legacy-options.js';
import { readSmallFile } from '../config/small-file.js';
import type { Config } from '../config/types.js';
import { systemClock } from '../domain/clock.js';
import type { AccountId } from '../domain/ids.js';
import { fail, ok, type Result } from '../domain/result.js';
import { SubscriptionBrands } from '../http/subscription-brands.js';
import { importSpnsV2, type SpnsV2Report } from '../import/spns-v2-import.js';
import { acquireInstanceLock } from '../lifecycle/lock.js';
import { openDatabase } from '../store/database.js';
import { StoreUnavailable } from '../store/errors.js';
import { SpnsV2Source } from '../store/spns-v2-source.js';
import { SubscriptionImport } from '../store/subscription-import.js';
import { silentLog } from '../telemetry/log.js';
import { Metrics } from '../telemetry/metrics.js';
import type { World } from './command.js';
import {
  createProgress,
  describeCounts,
  describeRejections,
  noSuchBrand,
  withRejections,
} from './import-report.js';
import { withImportTarget } from './import-target.js';
import type { ImportWish } from './import-wish.js';

const PAGE_ROWS = 2000;
const FILE_PREFIX = 'file:';
const ADDRESS_MAX_BYTES = 4096;
/** Where PostgreSQL's own programs look when an address names no host, which is the old server's default. */
const SOCKET_DIRECTORY = '/var/run/postgresql';

/** `waggle import spns-v2`: lines for standard output, or why not. */
export async function importDatabase(
  wish: ImportWish,
  config: Config,
  world: World,
): Promise<Result<readonly string[], string>> {
  const address = readAddress(wish.sources[0] ?? '', world);
  if (!address.ok) return address;
  const { brand } = wish;
  const enabled = brandsOf(config);
  const brands = new SubscriptionBrands(enabled);
  if (brand !== null && !enabled.some(({ name }) => name === brand)) return fail(noSuchBrand(brand, config));
  const serviceOf = (account: AccountId | null, service: string): string => {
    const named = brand === null ? null : brands.named(brand);
    const whose = named ?? (account === null ? null : brands.ofAccount(account));
    return whose?.services.get(service) ?? service;
  };
  return withRejections(wish.rejectedFile, (rejections) =>
    withImportTarget(config, world, wish.dryRun, (database) =>
      withSource(address.value, config, async (source) => {
        const report = await importSpnsV2({
          source,
          target: database === null ? null : new SubscriptionImport(database, wish.dryRun),
          userPrefixes: brands.userPrefixes,
          serviceOf,
          rejections,
          clock: systemClock,
          pageRows: PAGE_ROWS,
          onProgress: createProgress(world, systemClock),
        });
        return ok([
          ...describe(report, rejections.total, wish.dryRun),
          ...unservedServices(report, config),
          ...describeRejections(rejections, wish.rejectedFile),
        ]);
      }),
    ),
  );
}

function readAddress(text: string, world: World): Result<string, string> {
  let address = text;
  if (text.startsWith(FILE_PREFIX)) {
    const path = resolve(world.cwd, text.slice(FILE_PREFIX.length));
    const file = readSmallFile(path, ADDRESS_MAX_BYTES);
    if (!file.ok) return fail(`the file ${path} ${file.error}`);
    address = file.value.trim();
  }
  if (!URL.canParse(address) || !/^postgres(ql)?:\/\//.test(address)) {
    return fail('the database must be named like postgresql://USER@HOST/DATABASE, or file:PATH');
  }
  const url = new URL(address);
  const namesHost = url.host !== '' || url.searchParams.has('host') || world.env['PGHOST'] !== undefined;
  if (!namesHost && existsSync(SOCKET_DIRECTORY)) url.searchParams.set('host', SOCKET_DIRECTORY);
  return ok(url.href);
}

/** Errors of that database are told apart from those of ours. */
async function withSource<Value>(
  url: string,
  config: Config,
  work: (source: SpnsV2Source) => Promise<Result<Value, string>>,
): Promise<Result<Value, string>> {
  const { statementTimeoutMs, connectTimeoutMs } = config.database;
  let database;
  try {
    database = await openDatabase({
      url,
      dataDir: '',
      poolSize: 2,
      statementTimeoutMs,
      connectTimeoutMs,
      log: silentLog(),
      metrics: new Metrics(),
      acquireLock: acquireInstanceLock,
    });
  } catch (error) {
    if (error instanceof StoreUnavailable) return fail(`the old database: ${error.message}`);
    throw error;
  }
  try {
    const source = await SpnsV2Source.over(database);
    return source.ok ? await work(source.value) : source;
  } finally {
    await database.close();
  }
}

function describe(
  { read, subscriptions, counters }: SpnsV2Report,
  rejected: number,
  dryRun: boolean,
): string[] {
  const lines = [describeCounts('subscriptions', subscriptions, read - rejected, dryRun)];
  if (counters > 0) lines.push(`counters of all time: took over ${counters}`);
  return lines;
}

/** They are kept, and get pushes as soon as there is such a notifier. */
function unservedServices({ byService }: SpnsV2Report, config: Config): string[] {
  const served = new Set([...Object.keys(config.notifiers), ...config.session.notifiersExpected]);
  return [...byService]
    .filter(([service]) => !served.has(service))
    .map(
      ([service, count]) =>
        `warning: no notifier ${service} in the configuration, for ${count} subscriptions`,
    );
}
