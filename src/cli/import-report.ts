import { closeSync, openSync, writeSync } from 'node:fs';
import { basename } from 'node:path';
import { enabledBrands } from '../config/brand-services.js';
import type { Config } from '../config/types.js';
import type { Clock } from '../domain/clock.js';
import type { OnProgress } from '../import/legacy-import.js';
import { Rejections } from '../import/rejections.js';
import type { ImportCounts } from '../store/import-counts.js';
import type { World } from './command.js';

const PROGRESS_INTERVAL_MS = 2000;
const LIST_BUFFER_LINES = 1000;

/** Says how far an import is, every two seconds, on standard error. */
export function createProgress(world: World, clock: Clock): OnProgress {
  let saidAtMs = clock.nowMs();
  return (what, done, all) => {
    if (clock.nowMs() - saidAtMs < PROGRESS_INTERVAL_MS) return;
    saidAtMs = clock.nowMs();
    world.complain(`${what}: ${done} of ${all}`);
  };
}

/**
 * Runs `work` with something that counts rejected rows and, where a file is named, lists them in it: one line each,
 * where it stands and why, nothing of what is in it. Throws the system's error when the file cannot be written.
 */
export async function withRejections<Value>(
  file: string | null,
  work: (rejections: Rejections) => Promise<Value>,
): Promise<Value> {
  if (file === null) return work(new Rejections(null));
  const descriptor = openSync(file, 'w', 0o600);
  let lines = ['source\ttable\trow\treason'];
  const flush = (): void => {
    if (lines.length > 0) writeSync(descriptor, `${lines.join('\n')}\n`);
    lines = [];
  };
  try {
    const value = await work(
      new Rejections((source, table, row, reason) => {
        lines.push(`${basename(source)}\t${table}\t${row}\t${reason}`);
        if (lines.length >= LIST_BUFFER_LINES) flush();
      }),
    );
    flush();
    return value;
  } finally {
    closeSync(descriptor);
  }
}

/** `devices: added 3, changed 1, left 2 that are newer here, 94 were as they are`, or what would be done. */
export function describeCounts(what: string, counts: ImportCounts, all: number, dryRun: boolean): string {
  const { added, changed, newerHere } = counts;
  const would = dryRun ? 'would have ' : '';
  const same = all - added - changed - newerHere;
  const left = newerHere === 0 ? '' : `, left ${newerHere} that are newer here`;
  return `${what}: ${would}added ${added}, changed ${changed}${left}, ${same} were here already`;
}

export function describeRejections(rejections: Rejections, file: string | null): string[] {
  if (rejections.total === 0) return ['left out nothing'];
  const reasons = rejections.counts().map(([reason, count]) => `  ${reason} ${count}`);
  const where = file === null ? '' : `, listed in ${file}`;
  return [`left out ${rejections.total}${where}:`, ...reasons];
}

export function noSuchBrand(name: string, config: Config): string {
  const names = enabledBrands(config).map((brand) => brand.name);
  const shown = names.length === 0 ? 'none' : names.join(', ');
  return `the configuration has no enabled brand ${name}; enabled: ${shown}`;
}
