import type { AccountSlot } from '../subscription-index/port.js';

export type RefusalKind = 'whole' | 'partial' | 'early';

interface Vote {
  readonly stamp: number;
  readonly kind: RefusalKind;
  readonly voter: string;
  isCarried: boolean;
}

/**
 * Refusals of accounts by storage nodes. One node alone is not believed when others could be asked: a lying one would
 * otherwise switch off every account of its swarm. The other members are sent the same request anyway.
 */
export class RefusalVotes {
  readonly #votes = new Map<AccountSlot, Vote>();

  constructor(private readonly maxVotes: number) {}

  /**
   * `needed`: 1 or 2 nodes. True exactly once, with the vote that carries the refusal. A vote about an older state of
   * the account (`stamp`) or of another kind does not count.
   */
  vote(slot: AccountSlot, stamp: number, kind: RefusalKind, voter: string, needed: number): boolean {
    const before = this.#votes.get(slot);
    const isSame = before !== undefined && before.stamp === stamp && before.kind === kind;
    if (isSame && before.isCarried) return false;
    const isCarried = needed <= 1 || (isSame && before.voter !== voter);
    if (!isSame && this.#votes.size >= this.maxVotes) this.#votes.clear();
    if (isSame) before.isCarried = isCarried;
    else this.#votes.set(slot, { stamp, kind, voter, isCarried });
    return isCarried;
  }

  forget(slot: AccountSlot): void {
    this.#votes.delete(slot);
  }
}
