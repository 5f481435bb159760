import { DeliveryStreak } from '../delivery-streak.js';
import type { Deliveries } from './answers.js';

const ORIGINS_MAX = 4096;

/** What tells a refusal of one subscription from a refusal of ours: see `DeliveryStreak`; one for each push service. */
export class OriginDeliveries {
  readonly #all = new DeliveryStreak();
  /** Least recently used first. */
  readonly #origins = new Map<string, DeliveryStreak>();

  constructor(private readonly maxOrigins: number = ORIGINS_MAX) {}

  get size(): number {
    return this.#origins.size;
  }

  delivered(origin: string): void {
    this.#all.delivered();
    this.#streakOf(origin).delivered();
  }

  of(origin: string): Deliveries {
    return {
      originDelivers: () => this.#streakOf(origin).refusalIsOfDevice(),
      anybodyDelivers: () => this.#all.refusalIsOfDevice(),
    };
  }

  #streakOf(origin: string): DeliveryStreak {
    const streak = this.#origins.get(origin) ?? new DeliveryStreak();
    this.#origins.delete(origin);
    this.#origins.set(origin, streak);
    if (this.#origins.size > this.maxOrigins) {
      const [oldest = ''] = this.#origins.keys();
      this.#origins.delete(oldest);
    }
    return streak;
  }
}
