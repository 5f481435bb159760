import { readFileSync } from 'node:fs';

/**
 * How many files and connections this process may have open; null: the system does not say, or sets no limit. Node has
 * raised the soft limit to the hard one by then.
 */
export function openFilesLimit(limitsFile = '/proc/self/limits'): number | null {
  let text: string;
  try {
    text = readFileSync(limitsFile, 'latin1');
  } catch {
    return null;
  }
  const [, soft] = /^Max open files\s+(\d+)/m.exec(text) ?? [];
  return soft === undefined ? null : Number(soft);
}
