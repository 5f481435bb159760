import type { PublishTarget, TargetSource } from '../domain/publish.js';

export type LookUpResult =
  | { readonly kind: 'answered'; readonly targets: readonly PublishTarget[] }
  /** `away`: a source could not be asked. `late`: it took too long. `full`: too many wait, it was not asked. */
  | { readonly kind: 'away' | 'late' | 'full' };

/** No publish is worth a longer wait. */
const LONGEST_MS = 60_000;

/**
 * Nodes that memory does not know are asked for in the database. A source that is asked takes a place until it answers,
 * also when nobody waits any more: so whatever it does, only so much is ever under way.
 */
export class TargetLookUps {
  #underWay = 0;
  readonly #waiting = new Set<(result: LookUpResult) => void>();
  #isStopped = false;

  constructor(
    private readonly sources: readonly TargetSource[],
    private readonly maxUnderWay: number,
  ) {}

  get underWay(): number {
    return this.#underWay;
  }

  /** `onResult` is called exactly once, at the latest after `timeoutMs`; perhaps before this returns. */
  ask(node: string, timeoutMs: number, onResult: (result: LookUpResult) => void): void {
    if (this.#isStopped || this.#underWay >= this.maxUnderWay) {
      onResult({ kind: 'full' });
      return;
    }
    if (!(timeoutMs > 0)) {
      onResult({ kind: 'late' });
      return;
    }
    const tell = (result: LookUpResult): void => {
      if (!this.#waiting.delete(tell)) return;
      clearTimeout(timer);
      onResult(result);
    };
    const timer = setTimeout(() => tell({ kind: 'late' }), Math.min(timeoutMs, LONGEST_MS));
    this.#waiting.add(tell);
    void this.#askAll(node).then(tell);
  }

  /** Those that wait hear `away`, and so does nobody else any more. */
  stop(): void {
    this.#isStopped = true;
    for (const tell of [...this.#waiting]) tell({ kind: 'away' });
  }

  /** Never rejects. */
  async #askAll(node: string): Promise<LookUpResult> {
    this.#underWay += 1;
    try {
      const found = await Promise.all(this.sources.map(async (source) => source.lookUp(node)));
      return { kind: 'answered', targets: found.flat() };
    } catch {
      return { kind: 'away' };
    } finally {
      this.#underWay -= 1;
    }
  }
}
