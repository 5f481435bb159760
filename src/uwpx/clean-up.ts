import type { Clock } from '../domain/clock.js';
import type { Log } from '../telemetry/log.js';
import type { UwpxPushStore } from './port.js';

export interface CleanUpOptions {
  /** Devices without a sign of life for so long are removed: channel, accounts, a push that was delivered. */
  readonly outdatedMs: number;
  /** Those that lost their channel get so long to come back to their nodes. */
  readonly graceMs: number;
  readonly devicesPerStep: number;
  /** What is left then is removed the next time. */
  readonly stepsPerRun: number;
}

const DAY_MS = 86_400_000;

/** Source: spec uwpx-push, 5.3 and 6.4. */
export const defaultCleanUpOptions: CleanUpOptions = {
  outdatedMs: 210 * DAY_MS,
  graceMs: 7 * DAY_MS,
  devicesPerStep: 500,
  stepsPerRun: 100,
};

/**
 * Removes devices that nobody uses any more, in small steps: registrations do not wait long for any of them. Several
 * processes may do so at once.
 */
export class UwpxCleanUp {
  #running: Promise<number> | null = null;

  constructor(
    private readonly deps: {
      readonly store: Pick<UwpxPushStore, 'removeOutdated'>;
      readonly clock: Clock;
      readonly log: Log;
      /** For the metrics. */
      readonly onRemoved: (devices: number) => void;
    },
    private readonly options: CleanUpOptions,
  ) {}

  /** How many were removed. Never rejects: what fails is logged and tried again the next time. One run at a time. */
  run(): Promise<number> {
    this.#running ??= this.#run().finally(() => {
      this.#running = null;
    });
    return this.#running;
  }

  async #run(): Promise<number> {
    const { store, clock, log, onRemoved } = this.deps;
    const { outdatedMs, graceMs, devicesPerStep, stepsPerRun } = this.options;
    const nowMs = clock.nowMs();
    const times = { idleSinceMs: nowMs - outdatedMs, lostBeforeMs: nowMs - graceMs, limit: devicesPerStep };
    let removed = 0;
    try {
      for (let step = 0; step < stepsPerRun; step += 1) {
        const count = await store.removeOutdated(times);
        removed += count;
        onRemoved(count);
        if (count < devicesPerStep) break;
      }
    } catch (error) {
      const failure = error instanceof Error ? error.name : typeof error;
      log.warn({ removed, failure }, 'UWPX: outdated devices could not be removed');
      return removed;
    }
    if (removed > 0) log.info({ removed }, 'UWPX: outdated devices were removed');
    return removed;
  }
}
