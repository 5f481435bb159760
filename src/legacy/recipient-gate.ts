import type { Clock } from '../domain/clock.js';
import type { LegacyNotice } from '../domain/notice.js';
import type { Metrics } from '../telemetry/metrics.js';
import type { RecipientLimit } from './recipient-limit.js';

export type GateAnswer = 'taken' | 'busy';

/** One timer for whatever comes next. */
export interface GateTimer {
  /** Wakes at this time at the latest (Unix milliseconds), perhaps earlier; null: nothing is waited for. */
  set(atMs: number | null, nowMs: number): void;
  stop(): void;
}

export interface RecipientGateDeps {
  readonly limit: RecipientLimit;
  /** The pipeline: never throws, never rejects. */
  readonly next: (notice: LegacyNotice) => GateAnswer | Promise<GateAnswer>;
  /** What is counted and never sent: it costs no token and takes nobody's place. */
  readonly isUnsent: (notice: LegacyNotice) => boolean;
  readonly startTimer: (onWake: () => void) => GateTimer;
  readonly clock: Clock;
  readonly metrics: Metrics;
}

export interface RecipientGate {
  /**
   * What is kept for later is answered with `taken`, as is what was superseded by it. `busy` when it could not even be
   * kept: then the client comes again. A promise only when the pipeline answers with one.
   */
  next(notice: LegacyNotice): GateAnswer | Promise<GateAnswer>;
  /** Sends what is kept, now; nothing is kept any more from here on. Before the pipeline completes. */
  complete(): void;
}

/** Each may be a group of hundreds; in between other things have their turn. */
const NOTICES_PER_WAKE = 50;

/** Stands before the pipeline and lets each recipient have so much. */
export function createRecipientGate(deps: RecipientGateDeps): RecipientGate {
  const { limit, clock, metrics } = deps;
  let isComplete = false;

  const wake = (): void => {
    for (let sent = 0; sent < NOTICES_PER_WAKE; sent += 1) {
      const notice = limit.takeDue(clock.nowMs());
      if (notice === null) break;
      // Its client heard "taken" long ago; what cannot be taken now the pipeline counts as lost.
      void deps.next(notice);
    }
    const now = clock.nowMs();
    timer.set(limit.nextWakeMs(now), now);
  };
  const timer = deps.startTimer(wake);

  return {
    next(notice) {
      if (isComplete || deps.isUnsent(notice)) return deps.next(notice);
      const now = clock.nowMs();
      const verdict = limit.admit(notice, now);
      if (verdict.kind === 'pass' && !verdict.supersedes) return deps.next(notice);
      const { brand } = notice;
      if (verdict.kind === 'full') {
        metrics.legacyLimited.of(brand, 'refused').add();
        return 'busy';
      }
      if (verdict.supersedes) metrics.legacyLimited.of(brand, 'superseded').add();
      if (verdict.kind === 'pass') return deps.next(notice);
      if (!verdict.supersedes) metrics.legacyLimited.of(brand, 'held').add();
      timer.set(limit.nextWakeMs(now), now);
      return 'taken';
    },
    complete() {
      isComplete = true;
      timer.stop();
      for (const notice of limit.takeAll()) void deps.next(notice);
    },
  };
}
