import type { Lane, Weighed } from '../delivery-rules/credits.js';
import type { ServiceName } from '../domain/ids.js';
import type { Linked } from '../domain/linked-set.js';
import type { Push, PushFate } from '../domain/push.js';
import type { Log } from '../telemetry/log.js';
import type { Metrics } from '../telemetry/metrics.js';

/**
 * Told exactly once what became of a push that its source must answer for, perhaps before the call that hands it over
 * returns.
 */
export type OnFate = (fate: PushFate) => void;

/** A push in a notifier's memory. */
export class HeldPush implements Weighed, Linked<HeldPush> {
  /** While it is at the provider. */
  before: HeldPush | null = null;
  after: HeldPush | null = null;
  /** Of the window, when it was sent. */
  generation = 0;
  readonly bytes: number;

  constructor(
    readonly push: Push,
    readonly lane: Lane,
    /** Null: nobody waits for an answer, or it was given. */
    readonly onFate: OnFate | null,
  ) {
    this.bytes = push.content.payload.length + (push.device.serviceData?.length ?? 0);
  }
}

/** Tells the source of a push, where one waits. A source that fails to hear is counted and harms nobody else. */
export function createAnswer(service: ServiceName, log: Log, metrics: Metrics) {
  return (held: HeldPush, fate: PushFate): void => {
    try {
      held.onFate?.(fate);
    } catch (error) {
      metrics.actorFailures.of('notifier').add();
      log.error(
        { notifier: service, fault: error instanceof Error ? error.name : typeof error },
        'the source of a push failed to hear of it',
      );
    }
  };
}
