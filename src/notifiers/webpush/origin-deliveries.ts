import { BoundedMap } from '../bounded-map.js';
import { Refusals, ServedDevices } from '../refusals.js';
import type { Deliveries } from './answers.js';

const ORIGINS_MAX = 4096;

/** What tells a refusal of one subscription from a refusal of ours: see `Refusals`; one for each push service. */
export class OriginDeliveries {
  readonly #served = new ServedDevices();
  readonly #all = new Refusals(this.#served);
  readonly #origins: BoundedMap<Refusals>;

  constructor(maxOrigins: number = ORIGINS_MAX) {
    this.#origins = new BoundedMap(maxOrigins);
  }

  get size(): number {
    return this.#origins.size;
  }

  delivered(origin: string, subscription: string): void {
    this.#all.delivered(subscription);
    this.#of(origin).delivered(subscription);
  }

  of(origin: string, subscription: string): Deliveries {
    return {
      originDelivers: () => this.#of(origin).isOfDevice(subscription),
      anybodyDelivers: () => this.#all.isOfDevice(subscription) || !this.#all.isOurs,
    };
  }

  #of(origin: string): Refusals {
    const refusals = this.#origins.get(origin) ?? new Refusals(this.#served);
    this.#origins.set(origin, refusals);
    return refusals;
  }
}
