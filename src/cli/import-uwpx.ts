import { stat } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import type { Config } from '../config/types.js';
import { systemClock } from '../domain/clock.js';
import { fail, ok, type Result } from '../domain/result.js';
import type { Rejections } from '../import/rejections.js';
import { openSqliteFile, SqliteDamaged } from '../import/sqlite-file.js';
import { UwpxSnapshot } from '../import/uwpx-file.js';
import { importUwpx } from '../import/uwpx-import.js';
import { UwpxDeviceImport, type UwpxImportCounts } from '../store/uwpx-import.js';
import type { World } from './command.js';
import { openImportKeeper } from './import-keeper.js';
import { createProgress, describeCounts, describeRejections, withRejections } from './import-report.js';
import { withSharedImportTarget } from './import-target.js';
import type { ImportWish } from './import-wish.js';

const PAGE_ROWS = 1000;
const DAY_MS = 86_400_000;

/** `waggle import uwpx`: lines for standard output, or why not. */
export async function importUwpxFile(
  wish: ImportWish,
  config: Config,
  world: World,
): Promise<Result<readonly string[], string>> {
  const { dryRun, rejectedFile } = wish;
  const path = resolve(world.cwd, wish.sources[0] ?? '');
  return withRejections(rejectedFile, async (rejections) => {
    const snapshot = await readSnapshot(path, config, rejections);
    if (!snapshot.ok) return snapshot;
    return withSharedImportTarget(config, world, dryRun, async (database) => {
      const secrets = await openImportKeeper(config, dryRun);
      if (!secrets.ok) return secrets;
      const target = database === null ? null : new UwpxDeviceImport(database, secrets.value, dryRun);
      const progress = createProgress(world, systemClock);
      const counts = await importUwpx(snapshot.value, target, PAGE_ROWS, progress);
      return ok([
        describeCounts('devices', counts.devices, snapshot.value.deviceCount, dryRun),
        describeAccounts(counts, dryRun),
        ...warnings(config),
        ...describeRejections(rejections, rejectedFile),
      ]);
    });
  });
}

async function readSnapshot(
  path: string,
  { uwpx }: Config,
  rejections: Rejections,
): Promise<Result<UwpxSnapshot, string>> {
  const file = await openSqliteFile(path);
  if (!file.ok) return file;
  const nowMs = systemClock.nowMs();
  try {
    const snapshot = new UwpxSnapshot({
      rejections,
      outdatedBeforeMs: nowMs - uwpx.outdatedDays * DAY_MS,
      nowMs,
      fileAtMs: Math.min((await stat(path)).mtimeMs, nowMs),
    });
    const lack = snapshot.add(basename(path), file.value);
    return lack === null ? ok(snapshot) : fail(lack);
  } catch (error) {
    if (error instanceof SqliteDamaged) return fail(`${path} is damaged: import a backup`);
    throw error;
  } finally {
    file.value.close();
  }
}

function describeAccounts({ accounts, accountsRefused }: UwpxImportCounts, dryRun: boolean): string {
  const would = dryRun ? 'would have ' : '';
  const left = accountsRefused === 0 ? '' : `, left ${accountsRefused} whose node is another account's`;
  return `accounts of devices that were added or changed: ${would}written ${accounts}${left}`;
}

/** Whoever registered with the old server lets its XMPP server publish to the old server's account. */
function* warnings({ uwpx }: Config): Iterable<string> {
  if (!uwpx.enabled) yield 'warning: uwpx.enabled is false: no server here wakes these devices';
  if (uwpx.accountJid === null) {
    yield "warning: uwpx.accountJid is not set: publishes to the old server's account reach nobody";
  }
}
