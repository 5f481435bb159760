import type { Clock } from '../domain/clock.js';
import type { ServiceId, ServiceName } from '../domain/ids.js';

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
  /** Removed in the window before: those of its end are less than a window ago. */
  removedBefore: number;
  /** Removal is stopped. Marks of the devices that would have gone in this window, up to one more than allowed. */
  stopped: Set<number> | null;
}

/**
 * A wrong topic or a mixed-up sandbox makes every token look dead. When too many of a notifier's devices would go
 * within a window, removal stops and somebody is told. A device counts once, however many accounts it watches.
 *
 *   removing ──one device too many──► stopped ──a whole window in which no more than allowed would have gone──► removing
 *
 * So a wrong setting costs one share of the devices, not one in every window until somebody looks. `countOf` may answer
 * with the number of subscriptions where devices are not counted: most devices watch one account and some groups, so the
 * share that is allowed is then larger by that factor, and the minimum the same.
 */
export class DeadTokenGuard {
  readonly #windows = new Map<ServiceName, Window>();

  constructor(
    private readonly options: DeadTokenGuardOptions,
    private readonly clock: Clock,
    private readonly countOf: (service: ServiceName) => number,
    /** Removal stops, or is still stopped after a further window. */
    private readonly onAlarm: (service: ServiceName) => void,
  ) {}

  /** Whether one more device of this service may be removed; counts it when so. */
  allow(service: ServiceName, device: ServiceId): boolean {
    if (this.refuses(service, device)) return false;
    const nowMs = this.clock.nowMs();
    const window = this.#windowOf(service, nowMs);
    // Those of the window before count by the part of it that is less than a window ago.
    const share = 1 - (nowMs - window.startedAtMs) / this.options.windowMs;
    if (window.removed + window.removedBefore * share < this.#limit(window)) {
      window.removed += 1;
      return true;
    }
    this.#windows.set(service, this.#newWindow(service, nowMs, 0, new Set([markOf(device)])));
    this.onAlarm(service);
    return false;
  }

  /** Whether removal is stopped; then the device counts as one that would have gone. */
  refuses(service: ServiceName, device: ServiceId): boolean {
    const window = this.#windowOf(service, this.clock.nowMs());
    if (window.stopped === null) return false;
    if (window.stopped.size <= this.#limit(window)) window.stopped.add(markOf(device));
    return true;
  }

  /** What was allowed did not take place: all of the device had been renewed, was gone, or the store was away. */
  kept(service: ServiceName): void {
    const window = this.#windows.get(service);
    if (window !== undefined && window.removed > 0) window.removed -= 1;
  }

  /** Services whose removals are stopped now. */
  alarmed(): ServiceName[] {
    const nowMs = this.clock.nowMs();
    return [...this.#windows.keys()].filter((service) => this.#windowOf(service, nowMs).stopped !== null);
  }

  #windowOf(service: ServiceName, nowMs: number): Window {
    const last = this.#windows.get(service);
    const ageMs = last === undefined ? 0 : nowMs - last.startedAtMs;
    // A time before the start: the clock was put back.
    if (last !== undefined && ageMs >= 0 && ageMs < this.options.windowMs) return last;
    const isNext = last !== undefined && ageMs < 2 * this.options.windowMs;
    const goesOn = isNext && last.stopped !== null && (ageMs < 0 || last.stopped.size > this.#limit(last));
    const window = this.#newWindow(service, nowMs, isNext ? last.removed : 0, goesOn ? new Set() : null);
    this.#windows.set(service, window);
    if (goesOn) this.onAlarm(service);
    return window;
  }

  #newWindow(
    service: ServiceName,
    nowMs: number,
    removedBefore: number,
    stopped: Set<number> | null,
  ): Window {
    return { startedAtMs: nowMs, base: this.countOf(service), removed: 0, removedBefore, stopped };
  }

  #limit({ base }: Window): number {
    return Math.max(this.options.minimum, Math.floor((base * this.options.percent) / 100));
  }
}

/** Some bits of a device's name, which may be kilobytes long: two that share them count as one, which harms nobody. */
function markOf(device: ServiceId): number {
  let mark = 0;
  for (let at = 0; at < device.length; at += 1) mark = (Math.imul(mark, 31) + device.charCodeAt(at)) | 0;
  return mark;
}
