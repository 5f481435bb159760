import type { Lane } from '../delivery-rules/credits.js';
import type { Push } from '../domain/push.js';

/**
 * Told exactly once what became of a push that its source must answer for: true = delivered, in the outbox, or ended
 * for good; false = it could not be kept.
 */
export type OnSafe = (isSafe: boolean) => void;

/** A push in a notifier's memory. */
export class HeldPush {
  /** Of the window, when it was sent. */
  generation = 0;

  constructor(
    readonly push: Push,
    readonly lane: Lane,
    /** Null: nobody waits for an answer, or it was given. */
    readonly onSafe: OnSafe | null,
  ) {}
}
