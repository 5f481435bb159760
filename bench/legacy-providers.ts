import type { WorldFacts } from './world.js';

/** What arrived at Apple and Google since it was asked the last time. */
export interface Arrivals {
  readonly apns: number;
  readonly fcm: number;
  readonly refusals: number;
  /** Devices by how many pushes they got. */
  readonly devicesByPushes: ReadonlyMap<number, number>;
}

export interface LegacyProviderCalls {
  readonly facts: [null, WorldFacts];
  /** From now on nobody needs to know which device got how many. */
  readonly countOnly: [null, null];
  /** So far, and nothing is forgotten by it. */
  readonly count: [null, number];
  readonly take: [null, Arrivals];
}
