import type { Credits, Weighed } from '../delivery-rules/credits.js';
import type { Push } from '../domain/push.js';
import { DueTimes } from './due-times.js';

export interface OutboxFeedDeps {
  readonly claim: (limit: number, maxBytes: number) => Promise<Push[]>;
  readonly credits: Credits;
  /** Called later, never from within `ask`. */
  readonly onClaimed: (pushes: Push[]) => void;
  readonly onFailed: () => void;
}

/** After a claim that brought less than asked for: what was just put there needs a moment until it is committed. */
const REST_MS = 50;

/**
 * When to ask the outbox for what is due, and for how much. One claim at a time; the next one is under way while what
 * the last one brought is being sent.
 */
export class OutboxFeed {
  /** Worth a look. */
  #mayWait = true;
  /** Something is known to wait: the last claim was full, or something was put there since. */
  #isBacklog = false;
  /** Something was put there while a claim was under way, which may not have seen it. */
  #isExpected = false;
  /** Credits set aside for the claim under way; 0 when there is none. */
  #claiming = 0;
  /** What the rows of the claim under way may hold. */
  #claimingBytes = 0;
  #restUntilMs = 0;
  readonly #dueTimes = new DueTimes();

  constructor(
    private readonly deps: OutboxFeedDeps,
    private readonly batchRows: number,
  ) {}

  get isBacklog(): boolean {
    return this.#isBacklog;
  }

  /** Credits that are set aside for rows that have not come yet. */
  get claiming(): number {
    return this.#claiming;
  }

  /** Something waits, or will in a moment. */
  expect(): void {
    this.#mayWait = true;
    this.#isBacklog = true;
    this.#isExpected = true;
  }

  /** Something waits there that is due at this time; at the latest then `noteTime` should be called. */
  expectAt(dueAtMs: number): number | null {
    this.#dueTimes.add(dueAtMs);
    return this.#dueTimes.nextMs;
  }

  /** Before every look. */
  noteTime(nowMs: number): void {
    if (this.#dueTimes.takeDue(nowMs)) this.expect();
  }

  /** Time for a look. */
  tick(): void {
    this.#mayWait = true;
  }

  /** Claims if that is worth it. `waiting`: claimed pushes not yet sent; `maxRows`: no more than these. */
  ask(nowMs: number, waiting: number, maxRows: number): void {
    if (!this.#mayWait || this.#claiming > 0 || waiting >= this.batchRows || this.#isResting(nowMs)) return;
    const { credits } = this.deps;
    const room = Math.min(credits.roomForClaim(this.batchRows, this.#isBacklog), maxRows);
    if (room < 1) return;
    this.#claiming = room;
    this.#mayWait = false;
    this.#isExpected = false;
    this.#claimingBytes = credits.bytesForClaim();
    credits.take('claimed', room);
    this.deps.claim(room, this.#claimingBytes).then(this.deps.onClaimed, this.deps.onFailed);
  }

  /** A claim has brought these; from here on their credits are the caller's. */
  arrived(pushes: readonly Weighed[], nowMs: number): void {
    let bytes = 0;
    for (const push of pushes) bytes += push.bytes;
    const isFull = pushes.length >= this.#claiming || bytes >= this.#claimingBytes;
    if (this.#claiming > 0 && isFull) {
      this.expect();
    } else {
      this.#isBacklog = this.#isExpected;
      this.#restUntilMs = nowMs + REST_MS;
    }
    this.abandon();
    for (const push of pushes) this.deps.credits.hold(push);
  }

  /** The outbox did not answer: not before the next tick. */
  failed(): void {
    this.#mayWait = false;
    this.#isBacklog = false;
    this.abandon();
  }

  /** The claim under way is waited for no longer. */
  abandon(): void {
    this.deps.credits.give('claimed', this.#claiming);
    this.#claiming = 0;
  }

  /** When to ask again, Unix milliseconds; null: at the next tick. */
  nextWakeMs(nowMs: number): number | null {
    const nextDueMs = this.#dueTimes.nextMs;
    if (!this.#mayWait || this.#claiming > 0 || !this.#isResting(nowMs)) return nextDueMs;
    return nextDueMs === null ? this.#restUntilMs : Math.min(nextDueMs, this.#restUntilMs);
  }

  #isResting(nowMs: number): boolean {
    return nowMs < this.#restUntilMs && this.#restUntilMs - nowMs <= REST_MS;
  }
}
