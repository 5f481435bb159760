import type { LegacyDevice } from '../../src/legacy/device.js';
import type { DirectoryChange, LegacyStore, LegacyVisitor } from '../../src/legacy/port.js';

interface Row {
  readonly device: LegacyDevice;
  /** Unix milliseconds; null = it lives. */
  readonly removedAtMs: number | null;
}

/** What a commit does instead of succeeding. */
export interface CommitFault {
  readonly error: Error;
  /** Whether it took place all the same, as when the connection breaks before the answer. */
  readonly tookPlace?: boolean;
}

/** As `StoreUnavailable` and `StoreQueryError` of src/store look from the room of older clients. */
export const storeUnavailable = (): Error =>
  Object.assign(new Error('the database is not available: unreachable'), { name: 'StoreUnavailable' });
export const storeRefuses = (code = '23514'): Error =>
  Object.assign(new Error('the database refused "commit"'), { name: 'StoreQueryError', code });

/** The tables of older clients in memory, as src/store keeps them in PostgreSQL. */
export class MemoryLegacyStore implements LegacyStore {
  readonly #brands = new Map<string, { devices: Map<string, Row>; members: Map<string, [string, string]> }>();
  /** The changes of each commit that was tried. */
  readonly commits: (readonly DirectoryChange[])[] = [];
  /** A commit with such a change is refused for its data, always. */
  refuses: (change: DirectoryChange) => boolean = () => false;
  /** While it is there every commit fails. */
  fault: CommitFault | null = null;
  /** A fault for one commit each, before `fault`. */
  readonly faults: CommitFault[] = [];
  #gate: Promise<void> | null = null;

  /** Commits hang from now on; call what is returned to let them go on. */
  hold(): () => void {
    let open: () => void = () => undefined;
    this.#gate = new Promise((resolve) => {
      open = () => {
        this.#gate = null;
        resolve();
      };
    });
    return open;
  }

  async commit(brand: string, changes: readonly DirectoryChange[]): Promise<void> {
    this.commits.push(changes);
    if (this.#gate !== null) await this.#gate;
    await new Promise((resolve) => setImmediate(resolve));
    const fault = this.faults.shift() ?? this.fault;
    const isRefused = changes.some((change) => this.refuses(change));
    if (!isRefused && (fault === null || fault.tookPlace === true)) {
      for (const change of changes) this.#apply(brand, change);
    }
    if (fault !== null) throw fault.error;
    if (isRefused) throw storeRefuses();
  }

  async load(brand: string, visitor: LegacyVisitor): Promise<void> {
    for (const device of this.devices(brand)) visitor.device(device);
    for (const [group, account] of this.members(brand)) visitor.member(group, account);
  }

  devices(brand: string): LegacyDevice[] {
    const rows = [...this.#tablesOf(brand).devices.values()];
    return rows.filter(({ removedAtMs }) => removedAtMs === null).map(({ device }) => device);
  }

  tombstones(brand: string): string[] {
    const rows = [...this.#tablesOf(brand).devices.values()];
    return rows.filter(({ removedAtMs }) => removedAtMs !== null).map(({ device }) => device.token);
  }

  members(brand: string): [group: string, account: string][] {
    return [...this.#tablesOf(brand).members.values()];
  }

  #tablesOf(brand: string) {
    let tables = this.#brands.get(brand);
    if (tables === undefined) {
      tables = { devices: new Map(), members: new Map() };
      this.#brands.set(brand, tables);
    }
    return tables;
  }

  #apply(brand: string, change: DirectoryChange): void {
    const { devices, members } = this.#tablesOf(brand);
    switch (change.kind) {
      case 'set-device':
        devices.set(change.device.token, { device: change.device, removedAtMs: null });
        return;
      case 'remove-device':
        devices.delete(change.token);
        return;
      case 'device-died': {
        const row = devices.get(change.token);
        if (row?.removedAtMs === null && row.device.registeredAtMs < change.sinceMs) {
          devices.set(change.token, { ...row, removedAtMs: change.nowMs });
        }
        return;
      }
      case 'add-member':
        members.set(`${change.group}\0${change.account}`, [change.group, change.account]);
        return;
      case 'remove-member':
        members.delete(`${change.group}\0${change.account}`);
    }
  }
}
