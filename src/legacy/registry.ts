import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock } from '../domain/clock.js';
import type { Log } from '../telemetry/log.js';
import { SampledLog } from '../telemetry/sampled-log.js';
import type { LegacyDirectory } from './directory.js';
import type { LegacyLimits } from './limits.js';
import { PendingChanges } from './pending.js';
import type { DirectoryChange, LegacyStore } from './port.js';
import { ChangeNotTaken, faultOf, isAboutTheData } from './store-failure.js';

export type RegistryLimits = Pick<
  LegacyLimits,
  'writeQueueMaxChanges' | 'writeBatchMaxChanges' | 'writePatienceMs' | 'writeRetryMinMs' | 'writeRetryMaxMs'
>;

export interface LegacyRegistryDeps {
  readonly brand: { readonly name: string };
  readonly store: LegacyStore;
  readonly directory: LegacyDirectory;
  readonly clock: Clock;
  readonly log: Log;
  readonly limits: RegistryLimits;
}

/** What one caller wants done: all of it or nothing. */
interface Request {
  readonly changes: readonly DirectoryChange[];
  /** Of the first change. */
  readonly resolve: (wasSomethingToDo: boolean) => void;
  readonly reject: (error: unknown) => void;
  /** Says in its turn what is to be done; until then `changes` is empty. Such a request is a batch of its own. */
  readonly choose?: () => Promise<readonly DirectoryChange[]>;
}

/**
 * Every change of one brand: committed, then applied to the directory, then answered; one after the other in the order
 * in which they came. One commit is under way at a time, and what comes meanwhile is the next.
 *
 *   unloaded ──load──► resting ──change──► committing ──committed──► applied, answered ──► resting or committing
 *                                            ▲     │
 *                                            │     ├─ the data is refused ──► each request by itself; the bad ones fail
 *                                            │     │
 *                                            └─ in doubt ◄─ no answer: nobody knows whether it took place
 *                                                  │
 *                                                  └─ for longer than `writePatienceMs` ──► away
 *
 * In doubt the same batch is tried again, with growing pauses, until the database answers: only then is it known what
 * the table holds, and only then does the next batch begin. All changes say what shall be, not what to add, so that to
 * repeat them is harmless as long as none overtakes another. Nothing is applied in doubt: a change that took effect
 * here and not in the table would be gone after a restart, one the other way round would come back. Table and memory
 * thus differ by one batch at most, and no longer than the database is away.
 *
 * Away is in doubt with nobody waiting: the callers of the batch and all in the queue are told so (the queue has
 * touched nothing and is forgotten), and so is whoever comes, until the batch has its answer. A caller who was told so
 * may find his change done: a client repeats it, and its repetition comes later.
 *
 * Closing: what waits is still tried, once; what then has no answer is left to the table, which is read at the start.
 */
export class LegacyRegistry {
  /** What was asked for and is not in the directory yet. */
  readonly pending = new PendingChanges();
  #queue: Request[] = [];
  #queuedChanges = 0;
  /** The batch whose fate is being found out. */
  #underWay: readonly Request[] = [];
  #state: 'unloaded' | 'open' | 'closed' = 'unloaded';
  #isAway = false;
  #running: Promise<void> | null = null;
  #endNap: () => void = () => {};
  readonly #sampled: SampledLog;

  constructor(private readonly deps: LegacyRegistryDeps) {
    this.#sampled = new SampledLog(deps.clock);
  }

  /** Whether the database has not answered for a while: every change is refused. */
  get isAway(): boolean {
    return this.#isAway;
  }

  get #hasGivenUp(): boolean {
    return this.#state === 'closed' && this.#isAway;
  }

  /** Fills the directory from the table; how many devices. Rejects as the store does; may be tried again then. */
  async load(): Promise<number> {
    const { store, brand, directory } = this.deps;
    if (this.#state !== 'unloaded') throw new Error('a directory is loaded once');
    directory.clear();
    await store.load(brand.name, {
      device: (device) => void directory.apply({ kind: 'set-device', device }),
      member: (group, account) => void directory.apply({ kind: 'add-member', group, account }),
    });
    this.#state = 'open';
    return directory.deviceCount;
  }

  /**
   * Resolves when all of them are committed and in the directory, with what `LegacyDirectory.apply` said of the first;
   * all take place or none. Rejects with `ChangeNotTaken`.
   */
  change(changes: readonly DirectoryChange[]): Promise<boolean> {
    if (changes.length === 0) return Promise.resolve(false);
    const { writeQueueMaxChanges } = this.deps.limits;
    if (this.#state !== 'open') return Promise.reject(new ChangeNotTaken('closed'));
    if (this.#isAway) return Promise.reject(new ChangeNotTaken('away'));
    if (this.#queuedChanges > 0 && this.#queuedChanges + changes.length > writeQueueMaxChanges) {
      return Promise.reject(new ChangeNotTaken('busy'));
    }
    return new Promise((resolve, reject) => {
      this.#queue.push({ changes, resolve, reject });
      this.#queuedChanges += changes.length;
      this.pending.add(changes);
      this.#running ??= this.#run();
    });
  }

  /**
   * Changes that are chosen when their turn has come: what `choose` reads of the table is still true when they are
   * committed. Resolves when they are in the directory. Rejects with `ChangeNotTaken`, or as `choose` does.
   */
  changeInTurn(choose: () => Promise<readonly DirectoryChange[]>): Promise<void> {
    if (this.#state !== 'open') return Promise.reject(new ChangeNotTaken('closed'));
    if (this.#isAway) return Promise.reject(new ChangeNotTaken('away'));
    return new Promise((resolve, reject) => {
      this.#queue.push({ changes: [], choose, resolve: () => resolve(), reject });
      this.#running ??= this.#run();
    });
  }

  /** Nothing more is taken; resolves when what was has been tried. */
  async close(): Promise<void> {
    this.#state = 'closed';
    this.#endNap();
    await this.#running;
  }

  async #run(): Promise<void> {
    // A burst of one turn shares its first commit.
    await nextTurn();
    while (this.#queue.length > 0) {
      const batch = this.#take();
      this.#underWay = batch;
      const chosen = await this.#chosen(batch);
      if (chosen === null) continue;
      this.#underWay = chosen;
      await this.#settle(chosen);
    }
    this.#underWay = [];
    this.#running = null;
  }

  /** With what a request chose to do in its turn; null when it could not. */
  async #chosen(batch: readonly Request[]): Promise<readonly Request[] | null> {
    const [first] = batch;
    if (first?.choose === undefined) return batch;
    try {
      const changes = await first.choose();
      this.pending.add(changes);
      return [{ ...first, changes }];
    } catch (error) {
      first.reject(error);
      return null;
    }
  }

  /** Whole requests, from the front. */
  #take(): Request[] {
    let changes = 0;
    const isAlone = this.#queue[0]?.choose !== undefined;
    const end = this.#queue.findIndex((request, index) => {
      changes += request.changes.length;
      const isFull = isAlone || changes > this.deps.limits.writeBatchMaxChanges;
      return index > 0 && (isFull || request.choose !== undefined);
    });
    const batch = this.#queue.splice(0, end < 0 ? this.#queue.length : end);
    for (const request of batch) this.#queuedChanges -= request.changes.length;
    return batch;
  }

  /** Until it is known what became of each of them. */
  async #settle(batch: readonly Request[]): Promise<void> {
    switch (await this.#commit(batch)) {
      case 'committed':
        for (const request of batch) this.#apply(request);
        return;
      case 'unstorable':
        if (batch.length === 1) for (const request of batch) this.#refuse(request);
        else for (const request of batch) if (!this.#hasGivenUp) await this.#settle([request]);
        return;
      case 'given-up':
        return;
    }
  }

  async #commit(batch: readonly Request[]): Promise<'committed' | 'unstorable' | 'given-up'> {
    const { store, brand, clock, limits } = this.deps;
    const changes = batch.flatMap((request) => request.changes);
    const beganAtMs = clock.nowMs();
    for (let pauseMs = limits.writeRetryMinMs; ; pauseMs = Math.min(pauseMs * 2, limits.writeRetryMaxMs)) {
      try {
        await store.commit(brand.name, changes);
        this.#isAway = false;
        return 'committed';
      } catch (error) {
        this.#note(error);
        if (isAboutTheData(error)) {
          this.#isAway = false;
          return 'unstorable';
        }
        const isClosed = this.#state === 'closed';
        if (isClosed || clock.nowMs() - beganAtMs >= limits.writePatienceMs) this.#goAway();
        if (isClosed) return 'given-up';
        await this.#nap(pauseMs);
      }
    }
  }

  #apply({ changes, resolve }: Request): void {
    this.pending.remove(changes);
    let answer: boolean | null = null;
    for (const change of changes) {
      const result = this.deps.directory.apply(change);
      answer ??= result;
    }
    resolve(answer ?? false);
  }

  #refuse({ changes, reject }: Request): void {
    this.pending.remove(changes);
    reject(new ChangeNotTaken('unstorable'));
  }

  /** A request that has its answer already does not hear of it. */
  #goAway(): void {
    this.#isAway = true;
    const queued = this.#queue.splice(0);
    this.#queuedChanges = 0;
    for (const { changes } of queued) this.pending.remove(changes);
    for (const { reject } of [...this.#underWay, ...queued]) reject(new ChangeNotTaken('away'));
  }

  /** That the database is away is its own business to say. */
  #note(error: unknown): void {
    if (error instanceof Error && error.name === 'StoreUnavailable') return;
    this.#sampled.note('commit', (occurrences) =>
      this.deps.log.error(
        { brand: this.deps.brand.name, fault: faultOf(error), occurrences },
        'registrations of older clients cannot be written',
      ),
    );
  }

  #nap(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#endNap(), ms);
      this.#endNap = () => {
        clearTimeout(timer);
        this.#endNap = () => {};
        resolve();
      };
    });
  }
}
