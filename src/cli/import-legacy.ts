import { basename, resolve } from 'node:path';
import { enabledBrands } from '../config/brand-services.js';
import type { Config } from '../config/types.js';
import { systemClock } from '../domain/clock.js';
import { fail, ok, type Result } from '../domain/result.js';
import { LegacySnapshot } from '../import/legacy-file.js';
import { importLegacy } from '../import/legacy-import.js';
import type { Rejections } from '../import/rejections.js';
import { openSqliteFile, SqliteDamaged } from '../import/sqlite-file.js';
import { LegacyImport } from '../store/legacy-import.js';
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

/** `waggle import v1` and `waggle import bchat`: lines for standard output, or why not. */
export async function importFiles(
  wish: ImportWish,
  config: Config,
  world: World,
): Promise<Result<readonly string[], string>> {
  const brand = wish.brand ?? (wish.kind === 'bchat' ? 'bchat' : 'session');
  if (!enabledBrands(config).some(({ name }) => name === brand)) return fail(noSuchBrand(brand, config));
  const { dryRun, rejectedFile } = wish;
  return withRejections(rejectedFile, (rejections) =>
    withImportTarget(config, world, dryRun, async (database) => {
      const files = wish.sources.map((source) => resolve(world.cwd, source));
      const snapshot = await readFiles(files, rejections);
      if (!snapshot.ok) return snapshot;
      const target = database === null ? null : new LegacyImport(database, brand, dryRun);
      const progress = createProgress(world, systemClock);
      const report = await importLegacy(snapshot.value, target, PAGE_ROWS, progress);
      const { deviceCount, memberCount, periodCount } = snapshot.value;
      return ok([
        describeCounts('devices', report.devices, deviceCount, dryRun),
        describeCounts('members of groups', report.members, memberCount, dryRun),
        describeCounts('periods of statistics', report.periods, periodCount, dryRun),
        ...describeRejections(rejections, rejectedFile),
      ]);
    }),
  );
}

async function readFiles(
  files: readonly string[],
  rejections: Rejections,
): Promise<Result<LegacySnapshot, string>> {
  const snapshot = new LegacySnapshot(rejections);
  for (const path of files) {
    const file = await openSqliteFile(path);
    if (!file.ok) return file;
    try {
      const lack = snapshot.add(basename(path), file.value);
      if (lack !== null) return fail(lack);
    } catch (error) {
      if (error instanceof SqliteDamaged) return fail(`${path} is damaged: import the backup`);
      throw error;
    } finally {
      file.value.close();
    }
  }
  return ok(snapshot);
}
