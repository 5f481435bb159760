import type { Clock } from '../domain/clock.js';
import type { AccountSlot, MonitoredAccounts } from '../subscription-index/port.js';
import { INVALID_SWARM_ID, type SwarmMap } from './swarm-map.js';
import type { SwarmMembership } from './swarm-membership.js';

/** What of a node decides whose messages it may report. */
export interface FrameSender {
  readonly swarmIndex: number;
  readonly swarmId: bigint;
  /** The swarm before the last change; null when there was none. */
  readonly previousSwarmId: bigint | null;
  readonly swarmChangedAtMs: number;
}

const MAX_PREVIOUS_MAPS = 4;

/**
 * Events are taken only from nodes of the account's swarm. For a while after a change the swarms from before count
 * as well, on either side: nodes and we learn of a change at different times.
 * Source: spec storage-server, section 5 (check the sender).
 */
export class FrameAuthority {
  #map: SwarmMap;
  /** Newest first. */
  #previous: { readonly map: SwarmMap; readonly untilMs: number }[] = [];

  constructor(
    private readonly membership: SwarmMembership,
    private readonly accounts: MonitoredAccounts,
    private readonly clock: Clock,
    private readonly graceMs: number,
    map: SwarmMap,
  ) {
    this.#map = map;
  }

  changeMap(map: SwarmMap): void {
    const now = this.clock.nowMs();
    const kept = this.#previous.filter(({ untilMs }) => untilMs > now);
    if (this.#map.size > 0) kept.unshift({ map: this.#map, untilMs: now + this.graceMs });
    this.#previous = kept.slice(0, MAX_PREVIOUS_MAPS);
    this.#map = map;
  }

  /** `slot` is live. One comparison unless something is in motion or wrong. */
  accepts(sender: FrameSender, slot: AccountSlot): boolean {
    const swarmIndex = this.membership.swarmIndexOf(slot);
    if (swarmIndex >= 0 && swarmIndex === sender.swarmIndex) return true;
    return this.#acceptsInGrace(sender, slot);
  }

  #acceptsInGrace(sender: FrameSender, slot: AccountSlot): boolean {
    const now = this.clock.nowMs();
    const space = this.accounts.swarmSpaceOf(slot);
    const isOfSender = (swarmId: bigint): boolean => {
      if (swarmId === INVALID_SWARM_ID) return false;
      if (swarmId === sender.swarmId) return true;
      return swarmId === sender.previousSwarmId && now < sender.swarmChangedAtMs + this.graceMs;
    };
    if (isOfSender(this.#map.swarmOf(space))) return true;
    return this.#previous.some(({ map, untilMs }) => untilMs > now && isOfSender(map.swarmOf(space)));
  }
}
