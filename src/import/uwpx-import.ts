import { addCounts, NOTHING } from '../store/import-counts.js';
import type { ImportedUwpxDevice, UwpxDeviceImport, UwpxImportCounts } from '../store/uwpx-import.js';
import type { OnProgress } from './legacy-import.js';
import { pagesOf } from './pages.js';
import type { UwpxSnapshot } from './uwpx-file.js';

/** Where it goes; null: there is no database yet, so everything would be new. */
export type UwpxTarget = Pick<UwpxDeviceImport, 'devices'> | null;

/** Writes a snapshot page by page; each page is committed by itself, and all of them may be written again. */
export async function importUwpx(
  snapshot: UwpxSnapshot,
  target: UwpxTarget,
  pageRows: number,
  onProgress: OnProgress,
): Promise<UwpxImportCounts> {
  let counts: UwpxImportCounts = { devices: NOTHING, accounts: 0, accountsRefused: 0 };
  let done = 0;
  for (const page of pagesOf(snapshot.devices(), pageRows)) {
    const written = target === null ? allNew(page) : await target.devices(page);
    counts = {
      devices: addCounts(counts.devices, written.devices),
      accounts: counts.accounts + written.accounts,
      accountsRefused: counts.accountsRefused + written.accountsRefused,
    };
    done += page.length;
    onProgress('devices', done, snapshot.deviceCount);
  }
  return counts;
}

const allNew = (devices: readonly ImportedUwpxDevice[]): UwpxImportCounts => ({
  devices: { ...NOTHING, added: devices.length },
  accounts: devices.reduce((sum, { accounts }) => sum + accounts.length, 0),
  accountsRefused: 0,
});
