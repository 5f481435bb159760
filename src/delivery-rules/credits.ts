/** Where a push in memory came from: straight from a notice, or back from the outbox. */
export type Lane = 'fresh' | 'claimed';

/** A push in memory. */
export interface Weighed {
  readonly lane: Lane;
  /** What of it nobody shares: payload and service data. */
  readonly bytes: number;
}

/** Of all credits, this share belongs to the outbox while something waits there. */
const OUTBOX_SHARE = 1 / 4;

/** Of all bytes, this share may come with one claim: also what the database sends us must fit somewhere. */
const CLAIM_SHARE = 1 / 8;

/**
 * How many pushes one notifier may hold in memory, and for whom. Fresh pushes may use all credits while the outbox is
 * empty; while something waits there a share is the outbox's, so that neither starves the other. Most pushes weigh a
 * few kilobytes, but one for an external notifier up to 180: there is a bound in bytes too, exceeded by one push at most
 * on either way.
 */
export class Credits {
  readonly #total: number;
  readonly #reserve: number;
  #fresh = 0;
  #claimed = 0;
  readonly #bytes = { fresh: 0, claimed: 0 };

  constructor(
    total: number,
    private readonly maxBytes = Infinity,
  ) {
    this.#total = Math.max(1, total);
    this.#reserve = Math.ceil(this.#total * OUTBOX_SHARE);
  }

  get held(): number {
    return this.#fresh + this.#claimed;
  }

  get heldBytes(): number {
    return this.#bytes.fresh + this.#bytes.claimed;
  }

  hasRoomForFresh(isBacklog: boolean): boolean {
    if (this.held >= this.#total || this.heldBytes >= this.maxBytes) return false;
    if (!isBacklog) return true;
    return (
      this.#fresh < this.#total - this.#reserve && this.#bytes.fresh < this.maxBytes * (1 - OUTBOX_SHARE)
    );
  }

  /** This push is in memory from now on, ... */
  hold({ lane, bytes }: Weighed): void {
    this.take(lane);
    this.#bytes[lane] += bytes;
  }

  /** ... and not any more. */
  free({ lane, bytes }: Weighed): void {
    this.give(lane);
    this.#bytes[lane] -= bytes;
  }

  /** For pushes that are expected. */
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
    const free = this.heldBytes < this.maxBytes ? this.#total - this.held : 0;
    const room = Math.min(batchRows, free, Math.max(this.#reserve - this.#claimed, Math.ceil(free / 2)));
    const worthwhile = this.#claimed === 0 && this.#fresh === 0 ? 1 : this.#worthwhile(batchRows);
    if (room >= worthwhile) return room;
    // Fresh pushes hold everything and nobody knows whether something waits: a single row, beyond the credits, tells.
    return !isBacklog && this.#claimed === 0 ? 1 : 0;
  }

  /** How many bytes these rows may hold. */
  bytesForClaim(): number {
    return Math.max(1, Math.min(this.maxBytes * CLAIM_SHARE, this.maxBytes - this.heldBytes));
  }

  #worthwhile(batchRows: number): number {
    return Math.min(batchRows, Math.ceil(this.#reserve / 2));
  }
}
