import type { Credits } from '../delivery-rules/credits.js';
import { Pacing, type PacingOptions } from '../delivery-rules/pacing.js';
import type { HeldPush } from './held-push.js';
import type { Journal } from './journal.js';
import type { PutAside } from './put-aside.js';

export interface DevicePacingOptions extends PacingOptions {
  readonly credits: Credits;
  readonly aside: PutAside;
  readonly journal: Journal;
  /** Left out for a later one; it has no credit any more. */
  readonly onSuperseded: (held: HeldPush) => void;
}

/**
 * Pacing of one notifier's pushes at the moment when each would be sent. What must wait gives its credit back and
 * waits here, or, where here is no room, in the outbox.
 */
export class DevicePacing {
  readonly #pacing: Pacing<HeldPush>;

  constructor(private readonly options: DevicePacingOptions) {
    this.#pacing = new Pacing(options, (a, b) => a.push.receivedAtMs > b.push.receivedAtMs);
  }

  get heldCount(): number {
    return this.#pacing.heldCount;
  }

  /** Whether a push may be sent now. If not, it is taken care of. While stopping nothing is held here. */
  admits(held: HeldPush, nowMs: number, isStopping: boolean): boolean {
    const device = held.push.device.serviceId;
    const freeAtMs = this.#pacing.admit(device, nowMs);
    if (freeAtMs === null) return true;
    if (isStopping) this.options.aside.put(held, freeAtMs);
    // Its source would wait for an answer as long as the push for its time.
    else if (held.onFate === null || !this.options.journal.put(held)) this.#hold(device, held, freeAtMs);
    return false;
  }

  /** A push whose time has come, with a credit again; it counts as sent. */
  sendDue(nowMs: number): HeldPush | null {
    return this.#withCredit(this.#pacing.sendDue(nowMs));
  }

  /** Those whose time has come go to the outbox, because nothing may be sent for a while. */
  spillDue(nowMs: number, dueAtMs: number): void {
    for (;;) {
      const held = this.#withCredit(this.#pacing.removeDue(nowMs));
      if (held === null) return;
      this.options.aside.put(held, dueAtMs);
    }
  }

  /** All go to the outbox, each with the time of its device. */
  spillAll(): void {
    for (const { item, dueAtMs } of this.#pacing.takeAll()) {
      this.options.credits.hold(item);
      this.options.aside.put(item, dueAtMs);
    }
  }

  /** A push that was admitted was not sent after all. */
  unsent({ push }: HeldPush): void {
    this.#pacing.unsent(push.device.serviceId);
  }

  nextWakeMs(nowMs: number): number | null {
    return this.#pacing.nextWakeMs(nowMs);
  }

  #hold(device: string, held: HeldPush, freeAtMs: number): void {
    const result = this.#pacing.hold(device, held);
    if (result.kind === 'full') {
      this.options.aside.put(held, freeAtMs);
      return;
    }
    this.options.credits.free(held);
    if (result.kind === 'superseded') this.options.onSuperseded(result.item);
  }

  #withCredit(held: HeldPush | null): HeldPush | null {
    if (held !== null) this.options.credits.hold(held);
    return held;
  }
}
