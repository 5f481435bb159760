import type { StoredDevice } from './device.js';
import type { XmppDirectory } from './directory.js';
import type { XmppDeviceLimits } from './limits.js';
import type { XmppDeviceStore } from './port.js';
import type { StoreUse } from './report.js';
import type { StoreFailures } from './store-failures.js';

export interface DirectorySyncDeps {
  readonly store: Pick<XmppDeviceStore, 'load' | 'changesSince' | 'drawnRevision' | 'find' | 'note'>;
  readonly directory: XmppDirectory;
  readonly limits: Pick<XmppDeviceLimits, 'pollRows' | 'noteRows'>;
  readonly failures: StoreFailures;
}

/**
 * Brings the directory what other processes changed, and the table what only the directory knows.
 *
 * A database may lose changes that it had committed: a standby takes over that had not heard of the last ones, a backup is
 * restored. Then revisions are drawn a second time, and what has one of them would seem to be older than what is here:
 * nobody would find it, and its server would hear that there is no such node. That shows by the sequence, which is behind
 * what was read here, or by a row that is still there although something newer was read before; then the poll begins anew.
 */
export class DirectorySync {
  #syncing: Promise<void> | null = null;
  #flushing: Promise<void> | null = null;
  #state: 'unloaded' | 'open' | 'closed' = 'unloaded';

  constructor(private readonly deps: DirectorySyncDeps) {}

  get isOpen(): boolean {
    return this.#state === 'open';
  }

  /** How many devices; `visit` sees each. Rejects as the store does; may be tried again then. */
  async load(visit: (row: StoredDevice) => void = () => undefined): Promise<number> {
    const { store, directory } = this.deps;
    if (this.#state !== 'unloaded') throw new Error('a directory is loaded once');
    directory.clear();
    const revision = await store.load((page) => {
      for (const row of page) {
        directory.apply(row);
        visit(row);
      }
    });
    directory.applyPoll([], revision);
    this.#state = 'open';
    return directory.size;
  }

  /** Until there is nothing more. A call during another one waits for that. Never rejects: the next call goes on. */
  sync(): Promise<void> {
    this.#syncing ??= this.#poll().finally(() => (this.#syncing = null));
    return this.#syncing;
  }

  /** What the table has of these nodes, which is in the directory then. Rejects as the store does. */
  async lookUp(nodes: readonly string[], use: StoreUse = 'look-up'): Promise<readonly StoredDevice[]> {
    const { store, directory, failures } = this.deps;
    const find = (): Promise<readonly StoredDevice[]> => failures.counted(use, () => store.find(nodes));
    const rows = await find();
    const older = rows.filter((row) => !this.#apply(row));
    if (older.length === 0) return rows;
    // Something newer came while the answer was on its way: that is what a second one must have.
    const again = await find();
    const revisions = new Set(older.map(({ revision }) => revision));
    if (again.some((row) => !this.#apply(row) && revisions.has(row.revision))) this.#startOver();
    for (const row of again) directory.apply(row);
    return again;
  }

  /** All notes until now, page by page. A call during another one waits for that. Never rejects: the next call goes on. */
  flushNotes(): Promise<void> {
    this.#flushing ??= this.#flush().finally(() => (this.#flushing = null));
    return this.#flushing;
  }

  /** Nothing more is read. */
  async close(): Promise<void> {
    this.#state = 'closed';
    await this.#syncing;
  }

  async #poll(): Promise<void> {
    const { store, directory, limits, failures } = this.deps;
    try {
      while (this.isOpen) {
        const { revision } = directory;
        const rows = await failures.counted('sync', () => store.changesSince(revision, limits.pollRows));
        // It began anew meanwhile.
        if (directory.revision !== revision) continue;
        const last = rows.at(-1);
        if (last === undefined) {
          const drawn = await failures.counted('sync', () => store.drawnRevision());
          if (drawn >= directory.revision) return;
          this.#startOver();
          continue;
        }
        directory.applyPoll(rows, last.revision);
        if (rows.length < limits.pollRows) return;
      }
    } catch (error) {
      failures.log('sync', error);
    }
  }

  /** False: what is here is newer, or was. */
  #apply(row: StoredDevice): boolean {
    const { directory } = this.deps;
    return directory.apply(row) || directory.isFrom(row);
  }

  #startOver(): void {
    this.deps.failures.wasPutBack();
    this.deps.directory.startOver();
  }

  async #flush(): Promise<void> {
    const { store, directory, limits, failures } = this.deps;
    // What is noted meanwhile waits for the next call.
    for (let left = directory.size; left > 0; left -= limits.noteRows) {
      const notes = directory.takeNotes(limits.noteRows);
      if (notes.length === 0) return;
      try {
        await failures.counted('notes', () => store.note(notes));
      } catch (error) {
        directory.giveNotesBack(notes);
        failures.log('notes', error);
        return;
      }
    }
  }
}
