import type { SendingLimits } from '../delivery-rules/sending-limits.js';
import type { Clock } from '../domain/clock.js';
import { LinkedSet } from '../domain/linked-set.js';
import type { Outcome } from '../domain/outcome.js';
import type { Notifier } from '../notifiers/port.js';
import { Gathered } from './gathered.js';
import type { HeldPush } from './held-push.js';

export interface Settled {
  readonly held: HeldPush;
  readonly outcome: Outcome;
}

/** The port forbids it; a broken notifier must still not lose a push. */
const BROKEN: Outcome = {
  kind: 'retry',
  reason: 'internal',
  cause: 'transport',
  afterMs: null,
  scope: 'push',
};

/** The pushes that are at the provider, and their outcomes on the way back. */
export class AtProvider {
  #count = 0;
  #claimedCount = 0;
  readonly #unsettled = new LinkedSet<HeldPush>();
  readonly #settled: Gathered<Settled>;

  constructor(
    private readonly notifier: Notifier,
    private readonly limits: SendingLimits,
    private readonly clock: Clock,
    private readonly signal: AbortSignal,
    onSettled: () => void,
  ) {
    this.#settled = new Gathered(onSettled);
  }

  get count(): number {
    return this.#count;
  }

  /** Of these: from the outbox. */
  get claimedCount(): number {
    return this.#claimedCount;
  }

  send(held: HeldPush): void {
    this.#count += 1;
    if (held.lane === 'claimed') this.#claimedCount += 1;
    this.#unsettled.add(held);
    held.generation = this.limits.generation;
    const broken = (): void => this.#settle(held, BROKEN);
    try {
      this.notifier.send(held.push, this.signal).then((outcome) => this.#settle(held, outcome), broken);
    } catch {
      broken();
    }
  }

  /** Those that have settled since the last time; they are not at the provider any more. */
  takeSettled(): Settled[] {
    const settled = this.#settled.take();
    this.#count -= settled.length;
    for (const { held } of settled) if (held.lane === 'claimed') this.#claimedCount -= 1;
    return settled;
  }

  /** At the end of a stop: those that a broken notifier keeps although they were broken off are waited for no longer. */
  giveUp(): void {
    for (const held of this.#unsettled.toArray()) this.#settle(held, BROKEN);
  }

  #settle(held: HeldPush, outcome: Outcome): void {
    if (!this.#unsettled.delete(held)) return;
    this.limits.hear(outcome, this.clock);
    this.#settled.add({ held, outcome });
  }
}
