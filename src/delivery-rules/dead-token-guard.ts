import type { Clock } from '../domain/clock.js';
import type { ServiceName } from '../domain/ids.js';

export interface DeadTokenGuardOptions {
  /** Share of a notifier's devices that may be removed within the window, in per cent. */
  readonly percent: number;
  /** So many are always allowed. */
  readonly minimum: number;
  readonly windowMs: number;
}

interface Window {
  startedAtMs: number;
  /** Devices at the start of the window, about: the base of the percentage. */
  base: number;
  removed: number;
  alarmed: boolean;
}

/**
 * A wrong topic or a mixed-up sandbox makes every token look dead. When too many of a notifier's devices would go at
 * once, removal stops for the rest of the window and somebody is told. A device counts once, however many accounts it
 * watches. `countOf` may answer with the number of subscriptions where devices are not counted: most devices watch one
 * account and some groups, so the share that is allowed is then larger by that factor, and the minimum the same.
 */
export class DeadTokenGuard {
  readonly #windows = new Map<ServiceName, Window>();

  constructor(
    private readonly options: DeadTokenGuardOptions,
    private readonly clock: Clock,
    private readonly countOf: (service: ServiceName) => number,
    private readonly onAlarm: (service: ServiceName) => void,
  ) {}

  /** Whether one more device of this service may be removed; counts it when so. */
  allow(service: ServiceName): boolean {
    const now = this.clock.nowMs();
    let window = this.#windows.get(service);
    if (window === undefined || now - window.startedAtMs >= this.options.windowMs) {
      window = { startedAtMs: now, base: this.countOf(service), removed: 0, alarmed: false };
      this.#windows.set(service, window);
    }
    const limit = Math.max(this.options.minimum, Math.floor((window.base * this.options.percent) / 100));
    if (window.removed < limit) {
      window.removed += 1;
      return true;
    }
    if (!window.alarmed) {
      window.alarmed = true;
      this.onAlarm(service);
    }
    return false;
  }

  /** What was allowed did not take place: all of the device had been renewed, was gone, or the store was away. */
  kept(service: ServiceName): void {
    const window = this.#windows.get(service);
    if (window !== undefined && window.removed > 0) window.removed -= 1;
  }

  /** Whether this service's removals are stopped now. */
  isAlarmed(service: ServiceName): boolean {
    const window = this.#windows.get(service);
    return (
      window !== undefined &&
      window.alarmed &&
      this.clock.nowMs() - window.startedAtMs < this.options.windowMs
    );
  }

  /** Services whose removals are stopped now. */
  alarmed(): ServiceName[] {
    return [...this.#windows.keys()].filter((service) => this.isAlarmed(service));
  }
}
