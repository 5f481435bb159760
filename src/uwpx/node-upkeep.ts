import type { Log } from '../telemetry/log.js';
import type { SampledLog } from '../telemetry/sampled-log.js';
import type { AccountNodes, NodeChange, UwpxNodeStore } from './account-port.js';
import type { UpkeepOptions } from './account-options.js';
import { createNode, deleteNode, subscribe, unsubscribe, type IqResult } from './account-stanzas.js';

type Ask = (payload: ReturnType<typeof createNode>) => Promise<IqResult>;
type Wish = 'create' | 'remove';
export type NodeResult = 'created' | 'removed' | 'failed';

interface Job {
  readonly node: string;
  readonly wish: Wish;
  readonly attempt: number;
}

/**
 * Keeps the nodes at the server like those in the database. With every connection all are made anew, which changes
 * nothing where they are: the server may have lost them. In between, what registrations tell.
 *
 * Jobs: removals first, then new nodes, then the list of all, page by page; a bounded number at once. What the server
 * or the database cannot do now is tried again after a pause, some times.
 */
export class NodeUpkeep implements AccountNodes {
  #ask: Ask | null = null;
  #underWay = 0;
  readonly #removals = new Map<string, Job>();
  readonly #creations = new Map<string, Job>();
  readonly #busy = new Set<string>();
  readonly #page = new Set<string>();
  /** The last node of the last page; null: the list is through. */
  #cursor: string | null = null;
  #isLoading = false;
  /** While a page is on its way: it may still have them. */
  readonly #removedMeanwhile = new Set<string>();
  /** What is tried again later; null: the database's next page. */
  readonly #timers = new Map<NodeJS.Timeout, Job | null>();
  /** Counts connections: what belongs to an earlier one is not continued. */
  #turn = 0;

  constructor(
    private readonly jid: string,
    private readonly store: Pick<UwpxNodeStore, 'nodesAfter'>,
    private readonly options: UpkeepOptions,
    private readonly tools: {
      readonly log: Log;
      readonly sampled: SampledLog;
      readonly onResult: (result: NodeResult) => void;
    },
  ) {}

  /** The list of all nodes has been gone through since the connection was made, and nothing waits. */
  get isDone(): boolean {
    return this.#ask !== null && this.#underWay === 0 && this.#isEmpty() && this.#cursor === null;
  }

  get waiting(): number {
    return this.#removals.size + this.#creations.size + this.#page.size;
  }

  changed({ added, removed }: NodeChange): void {
    for (const node of removed) {
      this.#forget(node);
      if (this.#isLoading) this.#removedMeanwhile.add(node);
      this.#wait(this.#removals, { node, wish: 'remove', attempt: 1 });
    }
    // The list of the next connection has them.
    if (this.#ask === null) return;
    for (const node of added) {
      this.#wait(this.#creations, { node, wish: 'create', attempt: 1 });
    }
    this.#pump();
  }

  online(ask: Ask): void {
    this.offline();
    this.#ask = ask;
    this.#cursor = '';
    this.#pump();
  }

  offline(): void {
    this.#turn += 1;
    this.#ask = null;
    this.#creations.clear();
    this.#page.clear();
    this.#cursor = null;
    this.#isLoading = false;
    this.#removedMeanwhile.clear();
    for (const [timer, job] of this.#timers) {
      clearTimeout(timer);
      if (job !== null) this.#keepRemoval(job);
    }
    this.#timers.clear();
  }

  /** It is not to be made any more. */
  #forget(node: string): void {
    this.#creations.delete(node);
    this.#page.delete(node);
    for (const [timer, job] of this.#timers) {
      if (job?.node !== node) continue;
      clearTimeout(timer);
      this.#timers.delete(timer);
    }
  }

  #isEmpty(): boolean {
    return this.waiting === 0 && !this.#isLoading && this.#timers.size === 0;
  }

  #wait(jobs: Map<string, Job>, job: Job): void {
    if (jobs.size < this.options.maxWaiting || jobs.has(job.node)) jobs.set(job.node, job);
    else this.#failed('overflow');
  }

  #pump(): void {
    const ask = this.#ask;
    while (ask !== null && this.#underWay < this.options.concurrency) {
      const job = this.#next();
      if (job === null) {
        this.#loadPage();
        return;
      }
      this.#underWay += 1;
      this.#busy.add(job.node);
      void this.#perform(job, ask, this.#turn);
    }
  }

  /** What is under way of a node comes to its end first. */
  #next(): Job | null {
    for (const jobs of [this.#removals, this.#creations]) {
      for (const [node, job] of jobs) {
        if (this.#busy.has(node)) continue;
        jobs.delete(node);
        return job;
      }
    }
    for (const node of this.#page) {
      this.#page.delete(node);
      if (!this.#busy.has(node)) return { node, wish: 'create', attempt: 1 };
    }
    return null;
  }

  #loadPage(): void {
    if (this.#cursor === null || this.#isLoading) return;
    this.#isLoading = true;
    const turn = this.#turn;
    const { pageSize } = this.options;
    this.store.nodesAfter(this.#cursor, pageSize).then(
      (nodes) => {
        if (turn !== this.#turn) return;
        this.#isLoading = false;
        this.#cursor = nodes.length < pageSize ? null : (nodes.at(-1) ?? null);
        for (const node of nodes) if (!this.#removedMeanwhile.has(node)) this.#page.add(node);
        this.#removedMeanwhile.clear();
        this.#pump();
      },
      () => {
        if (turn !== this.#turn) return;
        this.#failed('database');
        this.#later(null, () => {
          this.#isLoading = false;
        });
      },
    );
  }

  async #perform(job: Job, ask: Ask, turn: number): Promise<void> {
    const result = await (job.wish === 'create' ? this.#create(job.node, ask) : this.#remove(job.node, ask));
    this.#underWay -= 1;
    this.#busy.delete(job.node);
    if (result === 'done') this.tools.onResult(job.wish === 'create' ? 'created' : 'removed');
    else if (result === 'lost' || turn !== this.#turn) this.#keepRemoval(job);
    else {
      this.#failed(result);
      this.#tryAgain(job);
    }
    this.#pump();
  }

  /** `done`, `lost` (the connection is gone), or the condition of the server's error. */
  async #create(node: string, ask: Ask): Promise<string> {
    const made = await ask(createNode(node));
    // It is there with other options, as an older program made it: publishes come in all the same.
    if (made.kind !== 'result' && !isError(made, ['conflict'])) return trouble(made);
    const subscribed = await ask(subscribe(node, this.jid));
    return subscribed.kind === 'result' ? 'done' : trouble(subscribed);
  }

  async #remove(node: string, ask: Ask): Promise<string> {
    // That it is not subscribed, or does not exist, is what we want.
    const left = await ask(unsubscribe(node, this.jid));
    if (left.kind === 'lost') return 'lost';
    const removed = await ask(deleteNode(node));
    return removed.kind === 'result' || isError(removed, ['item-not-found']) ? 'done' : trouble(removed);
  }

  #keepRemoval(job: Job): void {
    if (job.wish === 'remove') this.#wait(this.#removals, job);
  }

  #tryAgain(job: Job): void {
    if (job.attempt >= this.options.attempts || this.#timers.size >= this.options.maxWaiting) return;
    this.#later(job, () => {
      const jobs = job.wish === 'create' ? this.#creations : this.#removals;
      this.#wait(jobs, { ...job, attempt: job.attempt + 1 });
    });
  }

  #later(job: Job | null, run: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      run();
      this.#pump();
    }, this.options.retryMs);
    this.#timers.set(timer, job);
  }

  #failed(reason: string): void {
    const { log, sampled, onResult } = this.tools;
    onResult('failed');
    sampled.note('upkeep', (occurrences) =>
      log.warn({ reason, occurrences }, 'UWPX: nodes of the account could not be made or removed'),
    );
  }
}

const isError = (result: IqResult, conditions: readonly string[]): boolean =>
  result.kind === 'error' && conditions.includes(result.condition);

const trouble = (result: IqResult): string => (result.kind === 'error' ? result.condition : result.kind);
