import type { Credits } from '../delivery-rules/credits.js';
import type { Push, PushFate } from '../domain/push.js';
import type { Outbox, OutboxEntry } from '../outbox/port.js';
import type { HeldPush } from './held-push.js';

export interface PutAsideDeps {
  readonly outbox: Pick<Outbox, 'put'>;
  readonly credits: Credits;
  readonly onLost: () => void;
  /** Tells the source of a push, where it wants to know; never throws. */
  readonly answer: (held: HeldPush, fate: PushFate) => void;
}

interface Refused {
  readonly held: HeldPush;
  /** What is to be stored: `held.push` with its attempts counted. */
  readonly push: Push;
  readonly dueAtMs: number;
}

/**
 * The way of pushes from a notifier's memory into the outbox. What the outbox has no room for stays here and keeps
 * its credit, which bounds it; whoever owns this tries again now and then.
 */
export class PutAside {
  #refused: Refused[] = [];
  #isLastChance = false;

  constructor(private readonly deps: PutAsideDeps) {}

  get refusedCount(): number {
    return this.#refused.length;
  }

  /** Its credit is free when the outbox has it. */
  put(held: HeldPush, dueAtMs: number, push: Push = held.push): void {
    if (this.tryPut(held, dueAtMs, push)) return;
    if (this.#isLastChance) this.#lose(held);
    else this.#refused.push({ held, push, dueAtMs });
  }

  /** False: no room; the push is where it was. */
  tryPut(held: HeldPush, dueAtMs: number, push: Push = held.push): boolean {
    if (!this.deps.outbox.put(this.#entry(held, push, dueAtMs))) return false;
    this.deps.credits.free(held);
    return true;
  }

  /** Offers the outbox what it refused. Returns what has become due meanwhile and may as well be sent. */
  retry(nowMs: number): Refused[] {
    if (this.#refused.length === 0) return [];
    const due: Refused[] = [];
    const kept: Refused[] = [];
    let hasRoom = true;
    for (const refused of this.#refused) {
      hasRoom = hasRoom && this.tryPut(refused.held, refused.dueAtMs, refused.push);
      if (!hasRoom) (refused.dueAtMs <= nowMs ? due : kept).push(refused);
    }
    this.#refused = kept;
    return due;
  }

  /** At the end of a stop: what has no room now, and later, is lost. */
  lastChance(): void {
    this.#isLastChance = true;
    for (const { held, push, dueAtMs } of this.#refused.splice(0)) this.put(held, dueAtMs, push);
  }

  #entry(held: HeldPush, push: Push, dueAtMs: number): OutboxEntry {
    const { onLost, answer } = this.deps;
    // Its row stays, whatever becomes of the change; its source was told long ago.
    if (push.outboxId !== null) return { push, dueAtMs };
    if (held.onFate === null) return { push, dueAtMs, onLost };
    return {
      push,
      dueAtMs,
      onStored: () => answer(held, 'stored'),
      onLost: () => {
        onLost();
        answer(held, 'lost');
      },
    };
  }

  #lose(held: HeldPush): void {
    this.deps.credits.free(held);
    this.deps.onLost();
    this.deps.answer(held, 'lost');
  }
}
