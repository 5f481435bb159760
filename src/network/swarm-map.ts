/** "No swarm": what oxend reports for a node that belongs to none, and the answer when there are no swarms. */
export const INVALID_SWARM_ID = 0xffff_ffff_ffff_ffffn;

/**
 * The ring of swarms. Immutable: a new list of nodes with other swarm ids makes a new map.
 * Source: spec storage-server, section 3.
 */
export class SwarmMap {
  readonly #ids: BigUint64Array;

  constructor(ids: Iterable<bigint>) {
    const distinct = new Set<bigint>(ids);
    distinct.delete(INVALID_SWARM_ID);
    this.#ids = BigUint64Array.from(distinct).sort();
  }

  static readonly empty = new SwarmMap([]);

  get size(): number {
    return this.#ids.length;
  }

  /** Ascending. */
  ids(): IterableIterator<bigint> {
    return this.#ids.values();
  }

  /**
   * The swarm of an account whose place on the ring is `space` (the XOR of its four key words, unsigned 64-bit):
   * the nearer of the two neighbours, the left one in a tie; `INVALID_SWARM_ID` when there are no swarms.
   */
  swarmOf(space: bigint): bigint {
    const position = this.positionOf(space);
    return position < 0 ? INVALID_SWARM_ID : this.#at(position);
  }

  /** Like `swarmOf`, as a position in the ascending ids; -1 when there are no swarms. */
  positionOf(space: bigint): number {
    const count = this.#ids.length;
    if (count <= 1) return count - 1;
    let right = this.#lowerBound(space);
    if (right === count) right = 0;
    const left = right === 0 ? count - 1 : right - 1;
    const toRight = BigInt.asUintN(64, this.#at(right) - space);
    const toLeft = BigInt.asUintN(64, space - this.#at(left));
    return toRight < toLeft ? right : left;
  }

  sameAs(other: SwarmMap): boolean {
    if (this.size !== other.size) return false;
    return this.#ids.every((id, position) => id === other.#at(position));
  }

  #lowerBound(space: bigint): number {
    let low = 0;
    let high = this.#ids.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#at(middle) < space) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #at(position: number): bigint {
    return this.#ids[position] ?? INVALID_SWARM_ID;
  }
}
