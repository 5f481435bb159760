/** Where a push in memory came from: straight from a notice, or back from the outbox. */
export type Lane = 'fresh' | 'claimed';

/** Of all credits, this share belongs to the outbox while something waits there. */
const OUTBOX_SHARE = 1 / 4;

/**
 * How many pushes one notifier may hold in memory, and for whom. Fresh pushes may use all credits while the outbox is
 * empty; while something waits there a share is the outbox's, so that neither starves the other.
 */
export class Credits {
  readonly #total: number;
  readonly #reserve: number;
  #fresh = 0;
  #claimed = 0;

  constructor(total: number) {
    this.#total = Math.max(1, total);
    this.#reserve = Math.ceil(this.#total * OUTBOX_SHARE);
  }

  get held(): number {
    return this.#fresh + this.#claimed;
  }

  hasRoomForFresh(isBacklog: boolean): boolean {
    return this.held < this.#total && (!isBacklog || this.#fresh < this.#total - this.#reserve);
  }

  take(lane: Lane, count = 1): void {
    if (lane === 'fresh') this.#fresh += count;
    else this.#claimed += count;
  }

  give(lane: Lane, count = 1): void {
    this.take(lane, -count);
  }

  /**
   * How many rows may be claimed now; 0 when it is not worth a question. Half of the free credits, so that a burst of
   * fresh pushes finds room, and the outbox's share in any case.
   */
  roomForClaim(batchRows: number, isBacklog: boolean): number {
    const free = this.#total - this.held;
    const room = Math.min(batchRows, free, Math.max(this.#reserve - this.#claimed, Math.ceil(free / 2)));
    const worthwhile = this.#claimed === 0 && this.#fresh === 0 ? 1 : this.#worthwhile(batchRows);
    if (room >= worthwhile) return room;
    // Fresh pushes hold everything and nobody knows whether something waits: a single row, beyond the credits, tells.
    return !isBacklog && this.#claimed === 0 ? 1 : 0;
  }

  #worthwhile(batchRows: number): number {
    return Math.min(batchRows, Math.ceil(this.#reserve / 2));
  }
}
