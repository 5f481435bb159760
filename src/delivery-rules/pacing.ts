import { QueueMap } from './queue-map.js';

export interface PacingOptions {
  /** At most one push per device in this time. */
  readonly intervalMs: number;
  /**
   * Devices whose last push is remembered. Beyond it those that have been idle longest are forgotten, and their next
   * push may come too early: with more than so many devices per interval pacing is not worth its memory.
   */
  readonly maxDevices: number;
  /** Pushes that wait here at most. */
  readonly maxHeld: number;
}

interface DeviceTime<Item> {
  /** Unix milliseconds. */
  freeAtMs: number;
  held: Item | null;
}

export type PacingHold<Item> =
  | { readonly kind: 'held' }
  /** One of the two is not wanted any more: the held one, or, where it is the older, the one that was given. */
  | { readonly kind: 'superseded'; readonly item: Item }
  | { readonly kind: 'full' };

/** Looked at from the oldest end when a device must be forgotten; those that hold something stay. */
const FORGET_SCAN = 16;
/** How many dead entries a call clears away at most, so that no single call is dear. */
const CLEAR_PER_CALL = 4;
/** What is due is fetched no more often than this. */
const WAKE_GRANULARITY_MS = 50;

/**
 * At most one push per device and interval; of those that come in between, the last one waits and goes when the
 * device's time has come. Time comes in with every call.
 *
 * The interval is the same for all, so the order in which devices were sent to is the order of their times: the head
 * of the map is always the next.
 */
export class Pacing<Item> {
  readonly #devices = new QueueMap<DeviceTime<Item>>();
  #heldCount = 0;

  /** `isNewer(a, b)`: of the same device, whether `a` is to be preferred to `b`. */
  constructor(
    private readonly options: PacingOptions,
    private readonly isNewer: (a: Item, b: Item) => boolean,
  ) {}

  get heldCount(): number {
    return this.#heldCount;
  }

  /** Null: a push may go to this device now, and counts as sent. Otherwise the time from which on one may. */
  admit(device: string, nowMs: number): number | null {
    this.#clear(nowMs);
    const known = this.#devices.get(device);
    // One that is held goes first, or is superseded by what comes now: `hold` decides.
    if (known !== undefined && (known.held !== null || !this.#isFree(known, nowMs))) return known.freeAtMs;
    this.#note(device, nowMs);
    return null;
  }

  /** Keeps a push that `admit` did not let through. */
  hold(device: string, item: Item): PacingHold<Item> {
    const known = this.#devices.get(device);
    if (known === undefined) return { kind: 'full' };
    const { held } = known;
    if (held !== null) {
      if (this.isNewer(held, item)) return { kind: 'superseded', item };
      known.held = item;
      return { kind: 'superseded', item: held };
    }
    if (this.#heldCount >= this.options.maxHeld) return { kind: 'full' };
    known.held = item;
    this.#heldCount += 1;
    return { kind: 'held' };
  }

  /** The next held push whose time has come; it counts as sent. Null when there is none. */
  sendDue(nowMs: number): Item | null {
    const due = this.#takeDue(nowMs);
    if (due === null) return null;
    this.#note(due[0], nowMs);
    return due[1];
  }

  /** As `sendDue`, but it is not sent: it goes elsewhere. */
  removeDue(nowMs: number): Item | null {
    return this.#takeDue(nowMs)?.[1] ?? null;
  }

  /** What was let through was not sent after all. */
  unsent(device: string): void {
    const known = this.#devices.get(device);
    if (known !== undefined && known.held === null) this.#devices.delete(device);
  }

  /** Everything that is held, each with the time of its device; nothing is held afterwards. */
  takeAll(): { item: Item; dueAtMs: number }[] {
    const all: { item: Item; dueAtMs: number }[] = [];
    for (const [, time] of this.#devices) {
      if (time.held === null) continue;
      all.push({ item: time.held, dueAtMs: time.freeAtMs });
      time.held = null;
    }
    this.#heldCount = 0;
    return all;
  }

  /** When to ask for due pushes again, Unix milliseconds; null when nothing is held. */
  nextWakeMs(nowMs: number): number | null {
    if (this.#heldCount === 0) return null;
    const head = this.#devices.first?.[1];
    const soonestMs = nowMs + WAKE_GRANULARITY_MS;
    return head === undefined || this.#isFree(head, nowMs) ? soonestMs : Math.max(head.freeAtMs, soonestMs);
  }

  #takeDue(nowMs: number): [string, Item] | null {
    if (this.#heldCount === 0) return null;
    for (let head = this.#devices.first; head !== null; head = this.#devices.first) {
      const [device, time] = head;
      if (!this.#isFree(time, nowMs)) return null;
      this.#devices.delete(device);
      if (time.held === null) continue;
      this.#heldCount -= 1;
      return [device, time.held];
    }
    return null;
  }

  #note(device: string, nowMs: number): void {
    this.#devices.delete(device);
    if (this.#devices.size >= this.options.maxDevices && !this.#forgetOne()) return;
    this.#devices.push(device, { freeAtMs: nowMs + this.options.intervalMs, held: null });
  }

  #forgetOne(): boolean {
    let seen = 0;
    for (const [device, time] of this.#devices) {
      if (time.held === null) {
        this.#devices.delete(device);
        return true;
      }
      seen += 1;
      if (seen >= FORGET_SCAN) return false;
    }
    return false;
  }

  #clear(nowMs: number): void {
    for (let cleared = 0; cleared < CLEAR_PER_CALL; cleared += 1) {
      const head = this.#devices.first;
      if (head === null || head[1].held !== null || !this.#isFree(head[1], nowMs)) return;
      this.#devices.delete(head[0]);
    }
  }

  #isFree({ freeAtMs }: DeviceTime<Item>, nowMs: number): boolean {
    // No time is further away than the interval: then the clock was put back.
    return freeAtMs <= nowMs || freeAtMs - nowMs > this.options.intervalMs;
  }
}
