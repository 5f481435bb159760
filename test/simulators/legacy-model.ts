import type { LegacyDevice } from '../../src/legacy/device.js';
import type { DirectoryChange, LegacyStore } from '../../src/legacy/port.js';

/** What a brand's store holds, in the order in which a test can compare it. */
export interface LegacyContents {
  readonly devices: readonly LegacyDevice[];
  readonly members: readonly string[];
}

const contentsOf = (devices: readonly LegacyDevice[], members: readonly string[]): LegacyContents => ({
  devices: devices.toSorted((a, b) => (a.token < b.token ? -1 : 1)),
  members: members.toSorted(),
});

const memberText = (group: string, account: string): string => JSON.stringify([group, account]);

/** The store as its port describes it, one change after the other. */
export class LegacyModel {
  readonly #rows = new Map<string, { readonly device: LegacyDevice; readonly removedAtMs: number | null }>();
  readonly #members = new Set<string>();

  apply(change: DirectoryChange): void {
    switch (change.kind) {
      case 'set-device':
        this.#rows.set(change.device.token, { device: change.device, removedAtMs: null });
        return;
      case 'remove-device':
        this.#rows.delete(change.token);
        return;
      case 'device-died': {
        const row = this.#rows.get(change.token);
        if (row?.removedAtMs !== null || row.device.registeredAtMs >= change.sinceMs) return;
        this.#rows.set(change.token, { ...row, removedAtMs: change.nowMs });
        return;
      }
      case 'add-member':
        this.#members.add(memberText(change.group, change.account));
        return;
      case 'remove-member':
        this.#members.delete(memberText(change.group, change.account));
    }
  }

  get living(): LegacyContents {
    const rows = [...this.#rows.values()];
    const devices = rows.filter(({ removedAtMs }) => removedAtMs === null).map(({ device }) => device);
    return contentsOf(devices, [...this.#members]);
  }

  /** `token removedAtMs` of each tombstone. */
  get dead(): string[] {
    const rows = [...this.#rows.values()].filter(({ removedAtMs }) => removedAtMs !== null);
    return rows.map(({ device, removedAtMs }) => `${device.token} ${removedAtMs}`).sort();
  }
}

export async function loadLegacy(store: LegacyStore, brand: string): Promise<LegacyContents> {
  const devices: LegacyDevice[] = [];
  const members: string[] = [];
  await store.load(brand, {
    device: (device) => devices.push(device),
    member: (group, account) => members.push(memberText(group, account)),
  });
  return contentsOf(devices, members);
}
