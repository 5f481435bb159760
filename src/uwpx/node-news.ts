import type { Clock } from '../domain/clock.js';
import type { AccountNodes, NodeChange, UwpxNewNodes } from './account-port.js';

export interface NodeNewsOptions {
  /**
   * What is older than this is not asked for: clocks of processes differ by less, and so long at most a registration
   * takes from its time to its commit.
   */
  readonly overlapMs: number;
  /** Nodes in one question to the database. */
  readonly pageSize: number;
  /** Nodes that are remembered as told; beyond this all are forgotten, and some are made a second time. */
  readonly maxKnown: number;
}

export const defaultNodeNewsOptions: NodeNewsOptions = {
  overlapMs: 60_000,
  pageSize: 500,
  maxKnown: 100_000,
};

/**
 * Nodes that were registered with another process than the one that uses the account: that one has to make them, and
 * hears of them here. Their removal it does not hear of; it removes them when somebody publishes there.
 */
export class NodeNews implements AccountNodes {
  /** Node → when it was told. */
  readonly #known = new Map<string, number>();
  #looking: Promise<void> | null = null;

  constructor(
    private readonly deps: {
      readonly store: UwpxNewNodes;
      readonly nodes: AccountNodes;
      readonly clock: Clock;
    },
    private readonly options: NodeNewsOptions = defaultNodeNewsOptions,
  ) {}

  /** What was registered with this process. */
  changed(change: NodeChange): void {
    const nowMs = this.deps.clock.nowMs();
    for (const node of change.added) this.#remember(node, nowMs);
    this.deps.nodes.changed(change);
  }

  /** To be called every few seconds. Rejects as the store does; one look at a time. */
  look(): Promise<void> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = null;
    });
    return this.#looking;
  }

  async #look(): Promise<void> {
    const { store, nodes, clock } = this.deps;
    const { overlapMs, pageSize } = this.options;
    const nowMs = clock.nowMs();
    this.#forgetBefore(nowMs - 2 * overlapMs);
    for (let after: string | undefined = ''; after !== undefined;) {
      const page: readonly string[] = await store.nodesSince(nowMs - overlapMs, after, pageSize);
      const added = page.filter((node) => !this.#known.has(node));
      for (const node of added) this.#remember(node, nowMs);
      if (added.length > 0) nodes.changed({ added, removed: [] });
      after = page.length < pageSize ? undefined : page.at(-1);
    }
  }

  #remember(node: string, nowMs: number): void {
    if (this.#known.size >= this.options.maxKnown) this.#known.clear();
    this.#known.delete(node);
    this.#known.set(node, nowMs);
  }

  /** Those that were told first come first. */
  #forgetBefore(beforeMs: number): void {
    for (const [node, toldAtMs] of this.#known) {
      if (toldAtMs >= beforeMs) return;
      this.#known.delete(node);
    }
  }
}
