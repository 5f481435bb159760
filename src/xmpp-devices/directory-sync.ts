import type { XmppDirectory } from './directory.js';
import type { XmppDeviceLimits } from './limits.js';
import type { XmppDeviceStore } from './port.js';
import type { StoreFailures } from './store-failures.js';

export interface DirectorySyncDeps {
  readonly store: Pick<XmppDeviceStore, 'load' | 'changesSince' | 'find' | 'note'>;
  readonly directory: XmppDirectory;
  readonly limits: Pick<XmppDeviceLimits, 'pollRows' | 'noteRows'>;
  readonly failures: StoreFailures;
}

/** Brings the directory what other processes changed, and the table what only the directory knows. */
export class DirectorySync {
  #syncing: Promise<void> | null = null;
  #flushing: Promise<void> | null = null;
  #state: 'unloaded' | 'open' | 'closed' = 'unloaded';

  constructor(private readonly deps: DirectorySyncDeps) {}

  get isOpen(): boolean {
    return this.#state === 'open';
  }

  /** How many devices. Rejects as the store does; may be tried again then. */
  async load(): Promise<number> {
    const { store, directory } = this.deps;
    if (this.#state !== 'unloaded') throw new Error('a directory is loaded once');
    directory.clear();
    const revision = await store.load((page) => {
      for (const row of page) directory.apply(row);
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

  /** Rejects as the store does. */
  async lookUp(nodes: readonly string[]): Promise<void> {
    const { store, directory, failures } = this.deps;
    const rows = await failures.counted('look-up', () => store.find(nodes));
    for (const row of rows) directory.apply(row);
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
        const last = rows.at(-1);
        if (last === undefined) return;
        directory.applyPoll(rows, last.revision);
        if (rows.length < limits.pollRows) return;
      }
    } catch (error) {
      failures.log('sync', error);
    }
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
