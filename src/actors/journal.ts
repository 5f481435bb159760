import type { Credits } from '../delivery-rules/credits.js';
import type { Clock } from '../domain/clock.js';
import type { PushFate } from '../domain/push.js';
import type { Outbox } from '../outbox/port.js';
import { HeldPush } from './held-push.js';

export interface JournalDeps {
  readonly outbox: Pick<Outbox, 'put'>;
  readonly credits: Credits;
  readonly clock: Clock;
  readonly answer: (held: HeldPush, fate: PushFate) => void;
  /** It is committed and may be sent: it has its row's id, and its source was told. */
  readonly onStored: (held: HeldPush) => void;
  readonly onLost: () => void;
}

/**
 * Writes a push into the outbox before it is sent, as a row that is ours from the start. Then it ends like any row
 * that was claimed, and a crash in between only delays it.
 */
export class Journal {
  /** On their way into the table, each with its credit. */
  readonly #pending = new Set<HeldPush>();
  #isAbandoned = false;

  constructor(private readonly deps: JournalDeps) {}

  /** False: no room; the push is where it was. Only for a push of the lane `fresh` that has no row. */
  put(held: HeldPush): boolean {
    const { outbox, clock } = this.deps;
    // Before `put`, which might answer at once.
    this.#pending.add(held);
    const isTaken = outbox.put({
      push: held.push,
      dueAtMs: clock.nowMs(),
      claimed: true,
      onStored: (outboxId) => this.#stored(held, outboxId),
      onLost: () => this.#lost(held),
    });
    if (!isTaken) this.#pending.delete(held);
    return isTaken;
  }

  /** They are waited for no longer: what is stored from now on waits in the table. */
  abandon(): void {
    this.#isAbandoned = true;
    for (const held of this.#pending) this.deps.credits.free(held);
    this.#pending.clear();
  }

  #stored(held: HeldPush, outboxId: string): void {
    const { outbox, clock, answer, onStored } = this.deps;
    const push = { ...held.push, outboxId };
    if (held.onFate !== null) answer(held, 'stored');
    if (this.#isAbandoned) {
      outbox.put({ push, dueAtMs: clock.nowMs() });
      return;
    }
    this.#pending.delete(held);
    onStored(new HeldPush(push, held.lane, null));
  }

  #lost(held: HeldPush): void {
    const { credits, answer, onLost } = this.deps;
    if (this.#pending.delete(held)) credits.free(held);
    onLost();
    if (held.onFate !== null) answer(held, 'lost');
  }
}
