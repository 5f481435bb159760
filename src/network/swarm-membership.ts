import type { AccountSlot } from '../subscription-index/port.js';

/** An account that is not to be renewed: gone, or refused by the storage nodes. */
const NEVER = 0xffff_ffff;
const NO_SWARM = -1;

/** The accounts of one swarm. Made and changed only by `SwarmMembership`; everybody may read. */
export class SwarmMembers {
  static #last = 0;
  /** Unlike the index never used again. */
  readonly name = `swarm-${(SwarmMembers.#last += 1)}`;
  /** The first `count` are members, in no order. */
  slots = new Int32Array(16);
  count = 0;
  /**
   * Changes whenever the members at some positions are to be told differently: one left and another took its
   * position, or is not renewed any more. Joining only appends.
   */
  layout = 0;

  constructor(
    /** Small number, used again after the swarm is gone. */
    readonly index: number,
    readonly swarmId: bigint,
  ) {}
}

/**
 * Which account belongs to which swarm, and when it is to be registered again: typed-array columns over account
 * slots, so that a million accounts cost 16 MB and no object.
 *
 * A resync walks a member list from its end down to 0. That misses nobody: when a member leaves, the last one, which
 * the walk has already met or is still ahead of, takes its position; those who join are registered separately.
 */
export class SwarmMembership {
  #swarmIndex = new Int32Array(0);
  #position = new Int32Array(0);
  #dueAtSeconds = new Uint32Array(0);
  #stamp = new Uint32Array(0);
  readonly #swarms: (SwarmMembers | null)[] = [];
  readonly #byId = new Map<bigint, SwarmMembers>();
  #assigned = 0;

  /** How many accounts have a swarm. */
  get assignedCount(): number {
    return this.#assigned;
  }

  get swarmCount(): number {
    return this.#byId.size;
  }

  swarms(): IterableIterator<SwarmMembers> {
    return this.#byId.values();
  }

  swarmById(swarmId: bigint): SwarmMembers | null {
    return this.#byId.get(swarmId) ?? null;
  }

  swarmAt(index: number): SwarmMembers | null {
    return this.#swarms[index] ?? null;
  }

  addSwarm(swarmId: bigint): SwarmMembers {
    const known = this.#byId.get(swarmId);
    if (known !== undefined) return known;
    const free = this.#swarms.indexOf(null);
    const index = free < 0 ? this.#swarms.length : free;
    const swarm = new SwarmMembers(index, swarmId);
    this.#swarms[index] = swarm;
    this.#byId.set(swarmId, swarm);
    return swarm;
  }

  /** Only for a swarm without members: its index will be used again. */
  removeSwarm(swarm: SwarmMembers): void {
    if (swarm.count > 0) throw new Error('a swarm with members cannot be removed');
    this.#swarms[swarm.index] = null;
    this.#byId.delete(swarm.swarmId);
  }

  /** -1 when the account has no swarm (yet). */
  swarmIndexOf(slot: AccountSlot): number {
    return this.#swarmIndex[slot] ?? NO_SWARM;
  }

  /** A number that changes with every change of the account, so that late answers about an older state are noticed. */
  stampOf(slot: AccountSlot): number {
    return this.#stamp[slot] ?? 0;
  }

  /** Whether storage nodes of this swarm are to be told about the account. */
  isMonitoredBy(slot: AccountSlot, swarm: SwarmMembers): boolean {
    return this.#swarmIndex[slot] === swarm.index && this.#dueAtSeconds[slot] !== NEVER;
  }

  /** Puts the account into a swarm, out of the one it was in. */
  assign(slot: AccountSlot, swarm: SwarmMembers, dueAtSeconds: number): void {
    this.#grow(slot + 1);
    if (this.#swarmIndex[slot] !== swarm.index) {
      this.#leave(slot);
      this.#join(slot, swarm);
    }
    this.#dueAtSeconds[slot] = dueAtSeconds;
    this.#stamp[slot] = (this.#stamp[slot] ?? 0) + 1;
  }

  remove(slot: AccountSlot): void {
    if (slot >= this.#swarmIndex.length) return;
    this.#leave(slot);
    this.#dueAtSeconds[slot] = NEVER;
    this.#stamp[slot] = (this.#stamp[slot] ?? 0) + 1;
  }

  /** Not again until the account changes. */
  stopRenewal(slot: AccountSlot): void {
    this.#dueAtSeconds[slot] = NEVER;
    const swarm = this.swarmAt(this.swarmIndexOf(slot));
    if (swarm !== null) swarm.layout += 1;
  }

  /** Brings the renewal forward; never revives or delays one. */
  renewBy(slot: AccountSlot, dueAtSeconds: number): void {
    const due = this.#dueAtSeconds[slot];
    if (due !== undefined && due !== NEVER && due > dueAtSeconds) this.#dueAtSeconds[slot] = dueAtSeconds;
  }

  /** Unix seconds; Infinity for an account that is not renewed. */
  dueAtSecondsOf(slot: AccountSlot): number {
    const due = this.#dueAtSeconds[slot] ?? NEVER;
    return due === NEVER ? Infinity : due;
  }

  /**
   * Calls `visit` for every account that is due and sets its next due time. One pass over one column: a millisecond
   * for a million accounts. Whoever is due after `latestSeconds` is due now: the clock has been put back.
   */
  takeDue(
    nowSeconds: number,
    latestSeconds: number,
    nextDueAtSeconds: () => number,
    visit: (slot: AccountSlot, swarm: SwarmMembers) => void,
  ): void {
    const due = this.#dueAtSeconds;
    for (let slot = 0; slot < due.length; slot += 1) {
      const at = due[slot] ?? NEVER;
      if (at === NEVER || (at > nowSeconds && at <= latestSeconds)) continue;
      const swarm = this.swarmAt(this.swarmIndexOf(slot));
      due[slot] = swarm === null ? NEVER : nextDueAtSeconds();
      if (swarm !== null) visit(slot, swarm);
    }
  }

  #join(slot: AccountSlot, swarm: SwarmMembers): void {
    if (swarm.count === swarm.slots.length) {
      const grown = new Int32Array(swarm.slots.length * 2);
      grown.set(swarm.slots);
      swarm.slots = grown;
    }
    swarm.slots[swarm.count] = slot;
    this.#swarmIndex[slot] = swarm.index;
    this.#position[slot] = swarm.count;
    swarm.count += 1;
    this.#assigned += 1;
  }

  #leave(slot: AccountSlot): void {
    const swarm = this.swarmAt(this.swarmIndexOf(slot));
    if (swarm === null) return;
    const hole = this.#position[slot] ?? 0;
    const last = swarm.slots[swarm.count - 1] ?? slot;
    swarm.slots[hole] = last;
    this.#position[last] = hole;
    swarm.count -= 1;
    swarm.layout += 1;
    this.#swarmIndex[slot] = NO_SWARM;
    this.#assigned -= 1;
  }

  #grow(length: number): void {
    const before = this.#swarmIndex.length;
    if (length <= before) return;
    const size = Math.max(length, before * 2, 1024);
    const swarmIndex = new Int32Array(size).fill(NO_SWARM, before);
    swarmIndex.set(this.#swarmIndex);
    const position = new Int32Array(size);
    position.set(this.#position);
    const dueAtSeconds = new Uint32Array(size).fill(NEVER, before);
    dueAtSeconds.set(this.#dueAtSeconds);
    const stamp = new Uint32Array(size);
    stamp.set(this.#stamp);
    this.#swarmIndex = swarmIndex;
    this.#position = position;
    this.#dueAtSeconds = dueAtSeconds;
    this.#stamp = stamp;
  }
}
