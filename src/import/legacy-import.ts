import { addCounts, NOTHING, type ImportCounts } from '../store/import-counts.js';
import type { LegacyImport } from '../store/legacy-import.js';
import type { LegacySnapshot } from './legacy-file.js';
import { pagesOf } from './pages.js';

/** Where it goes; null: there is no database yet, so everything would be new. */
export type LegacyTarget = Pick<LegacyImport, 'devices' | 'members' | 'periods'> | null;

export interface LegacyReport {
  readonly devices: ImportCounts;
  readonly members: ImportCounts;
  readonly periods: ImportCounts;
}

/** Called after each page, with what is done of how much. What it throws ends the import. */
export type OnProgress = (what: string, done: number, all: number) => void;

/** Writes a snapshot page by page; each page is committed by itself, and all of them may be written again. */
export async function importLegacy(
  snapshot: LegacySnapshot,
  target: LegacyTarget,
  pageRows: number,
  onProgress: OnProgress,
): Promise<LegacyReport> {
  const copy = async <Row>(
    what: string,
    all: number,
    rows: Iterable<Row>,
    write: (page: readonly Row[]) => Promise<ImportCounts>,
  ): Promise<ImportCounts> => {
    let counts = NOTHING;
    let done = 0;
    for (const page of pagesOf(rows, pageRows)) {
      counts = addCounts(counts, await write(page));
      done += page.length;
      onProgress(what, done, all);
    }
    return counts;
  };
  const allNew = (rows: readonly unknown[]): Promise<ImportCounts> =>
    Promise.resolve({ ...NOTHING, added: rows.length });
  const { deviceCount, memberCount, periodCount } = snapshot;
  return {
    devices: await copy('devices', deviceCount, snapshot.devices(), (page) =>
      target === null ? allNew(page) : target.devices(page),
    ),
    members: await copy('members', memberCount, snapshot.members(), (page) =>
      target === null ? allNew(page) : target.members(page),
    ),
    periods: await copy('periods', periodCount, snapshot.periods(), (page) =>
      target === null ? allNew(page) : target.periods(page),
    ),
  };
}
