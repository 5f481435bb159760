import type { Clock } from '../domain/clock.js';
import type { ServiceId, ServiceName } from '../domain/ids.js';

export interface DeadTokenGuardOptions {
  /** Share of a notifier's devices that may be removed within the window, in per cent. */
  readonly percent: number;
  /** So many are always allowed. */
  readonly minimum: number;
  readonly windowMs: number;
}

/** Anybody can set up servers by the thousand. */
const MAX_WINDOWS = 4096;

interface Window {
  readonly service: ServiceName;
  /** Null: of all devices of the service for which one provider speaks. */
  readonly server: string | null;
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
 *
 * Where servers of strangers speak for the devices (Web Push, UnifiedPush), each of them has windows of its own: whoever
 * runs one could otherwise call his own devices dead until nobody else's are removed any more.
 */
export class DeadTokenGuard {
  /** By service and server, the newest last. */
  readonly #windows = new Map<string, Window>();

  constructor(
    private readonly options: DeadTokenGuardOptions,
    private readonly clock: Clock,
    private readonly countOf: (service: ServiceName, server: string | null) => number,
    /** Removal stops, or is still stopped after a further window. */
    private readonly onAlarm: (service: ServiceName, isOfOneServer: boolean) => void,
  ) {}

  /** Services and servers that are remembered. */
  get size(): number {
    return this.#windows.size;
  }

  /** Whether one more device of this service (and server) may be removed; counts it when so. */
  allow(service: ServiceName, device: ServiceId, server: string | null = null): boolean {
    if (this.refuses(service, device, server)) return false;
    const nowMs = this.clock.nowMs();
    const window = this.#windowOf(service, server, nowMs);
    // Those of the window before count by the part of it that is less than a window ago.
    const share = 1 - (nowMs - window.startedAtMs) / this.options.windowMs;
    if (window.removed + window.removedBefore * share < this.#limit(window)) {
      window.removed += 1;
      return true;
    }
    const stopped = new Set([markOf(device)]);
    this.#keep({ ...this.#newWindow(service, server, nowMs), stopped });
    this.onAlarm(service, server !== null);
    return false;
  }

  /** Whether removal is stopped; then the device counts as one that would have gone. */
  refuses(service: ServiceName, device: ServiceId, server: string | null = null): boolean {
    const window = this.#windowOf(service, server, this.clock.nowMs());
    if (window.stopped === null) return false;
    if (window.stopped.size <= this.#limit(window)) window.stopped.add(markOf(device));
    return true;
  }

  /** What was allowed did not take place: all of the device had been renewed, was gone, or the store was away. */
  kept(service: ServiceName, server: string | null = null): void {
    const window = this.#windows.get(keyOf(service, server));
    if (window !== undefined && window.removed > 0) window.removed -= 1;
  }

  /** Services whose removals are stopped now; not those of which single servers are. */
  alarmed(): ServiceName[] {
    const nowMs = this.clock.nowMs();
    return [...this.#windows.values()].flatMap(({ service, server }) =>
      server === null && this.#windowOf(service, null, nowMs).stopped !== null ? [service] : [],
    );
  }

  #windowOf(service: ServiceName, server: string | null, nowMs: number): Window {
    const last = this.#windows.get(keyOf(service, server));
    const ageMs = last === undefined ? 0 : nowMs - last.startedAtMs;
    // A time before the start: the clock was put back.
    if (last !== undefined && ageMs >= 0 && ageMs < this.options.windowMs) return last;
    const isNext = last !== undefined && ageMs < 2 * this.options.windowMs;
    const goesOn = isNext && last.stopped !== null && (ageMs < 0 || last.stopped.size > this.#limit(last));
    const window = {
      ...this.#newWindow(service, server, nowMs),
      removedBefore: isNext ? last.removed : 0,
      stopped: goesOn ? new Set<number>() : null,
    };
    this.#keep(window);
    if (goesOn) this.onAlarm(service, server !== null);
    return window;
  }

  #newWindow(service: ServiceName, server: string | null, nowMs: number): Window {
    const base = this.countOf(service, server);
    return { service, server, startedAtMs: nowMs, base, removed: 0, removedBefore: 0, stopped: null };
  }

  /** Of too many servers the one is forgotten whose window began first. */
  #keep(window: Window): void {
    const key = keyOf(window.service, window.server);
    this.#windows.delete(key);
    this.#windows.set(key, window);
    if (window.server === null) return;
    if (this.#windows.size <= MAX_WINDOWS) return;
    for (const [oldest, { server }] of this.#windows) {
      if (server === null) continue;
      this.#windows.delete(oldest);
      return;
    }
  }

  #limit({ base }: Window): number {
    return Math.max(this.options.minimum, Math.floor((base * this.options.percent) / 100));
  }
}

/** A server is an origin, which holds no blank. */
const keyOf = (service: ServiceName, server: string | null): string =>
  server === null ? service : `${server} ${service}`;

/** Some bits of a device's name, which may be kilobytes long: two that share them count as one, which harms nobody. */
function markOf(device: ServiceId): number {
  let mark = 0;
  for (let at = 0; at < device.length; at += 1) mark = (Math.imul(mark, 31) + device.charCodeAt(at)) | 0;
  return mark;
}
