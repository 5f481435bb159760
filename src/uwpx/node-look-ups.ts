import { setImmediate as nextTurn } from 'node:timers/promises';
import type { UwpxPushStore, UwpxTargetRecord } from './port.js';

export interface NodeLookUpLimits {
  /** Nodes in one query. */
  readonly nodesPerQuery: number;
  /** Nodes that wait for their query, or in it. */
  readonly maxWaiting: number;
  /** A query that takes longer has failed for those who wait for it. */
  readonly queryTimeoutMs: number;
}

export const defaultNodeLookUpLimits: NodeLookUpLimits = {
  nodesPerQuery: 500,
  maxWaiting: 10_000,
  queryTimeoutMs: 10_000,
};

/** Why a look-up was given up; nothing in it is anybody's data. */
export class NodeLookUpError extends Error {
  override readonly name = 'NodeLookUpError';

  constructor(readonly kind: 'full' | 'late') {
    super(kind === 'full' ? 'too many look-ups wait' : 'the look-up took too long');
  }
}

/** Null: nobody has this node. */
type Found = UwpxTargetRecord | null;

interface Waiting {
  readonly answer: Promise<Found>;
  readonly resolve: (found: Found) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Many look-ups, one query: one is under way at a time, and what comes meanwhile is asked by the next. An answer on its
 * way is not shared with those who ask later: it may be older than their question.
 */
export class NodeLookUps {
  readonly #waiting = new Map<string, Waiting>();
  #asked = 0;
  #isAsking = false;

  constructor(
    private readonly findTargets: UwpxPushStore['findTargets'],
    private readonly limits: NodeLookUpLimits,
  ) {}

  /** Nodes that wait, or are in a query. */
  get waiting(): number {
    return this.#waiting.size + this.#asked;
  }

  /** What is behind the node. Rejects as the query does, and with `NodeLookUpError`. */
  of(node: string): Promise<Found> {
    const known = this.#waiting.get(node);
    if (known !== undefined) return known.answer;
    if (this.waiting >= this.limits.maxWaiting) return Promise.reject(new NodeLookUpError('full'));
    const { promise: answer, resolve, reject } = withResolvers<Found>();
    this.#waiting.set(node, { answer, resolve, reject });
    if (!this.#isAsking) void this.#askAll();
    return answer;
  }

  async #askAll(): Promise<void> {
    this.#isAsking = true;
    // A burst of one turn shares its first query.
    await nextTurn();
    while (this.#waiting.size > 0) {
      const asked = this.#take();
      this.#asked = asked.size;
      try {
        const found = await this.#inTime(this.findTargets([...asked.keys()]));
        // A node has one account: the column is unique.
        const byNode = new Map(found.map((record) => [record.node, record]));
        for (const [node, { resolve }] of asked) resolve(byNode.get(node) ?? null);
      } catch (error) {
        for (const { reject } of asked.values()) reject(error);
      }
      this.#asked = 0;
    }
    this.#isAsking = false;
  }

  #take(): ReadonlyMap<string, Waiting> {
    const taken = new Map<string, Waiting>();
    for (const [node, waiting] of this.#waiting) {
      if (taken.size === this.limits.nodesPerQuery) break;
      taken.set(node, waiting);
      this.#waiting.delete(node);
    }
    return taken;
  }

  async #inTime<Value>(work: Promise<Value>): Promise<Value> {
    const { promise: late, reject } = withResolvers<never>();
    const timer = setTimeout(() => reject(new NodeLookUpError('late')), this.limits.queryTimeoutMs);
    try {
      return await Promise.race([work, late]);
    } finally {
      clearTimeout(timer);
    }
  }
}

function withResolvers<Value>(): {
  promise: Promise<Value>;
  resolve: (value: Value) => void;
  reject: (error: unknown) => void;
} {
  let resolve: (value: Value) => void = () => undefined;
  let reject: (error: unknown) => void = () => undefined;
  const promise = new Promise<Value>((onValue, onError) => {
    resolve = onValue;
    reject = onError;
  });
  return { promise, resolve, reject };
}
