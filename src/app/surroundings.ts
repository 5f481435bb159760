import type { Config } from '../config/types.js';
import { createRandomBytes, type RandomBytes } from '../crypto/sodium.js';
import { systemClock, type Clock } from '../domain/clock.js';
import { systemRandom, type Random } from '../domain/random.js';
import { Parts } from '../lifecycle/parts.js';
import { every, type Schedule } from '../lifecycle/schedule.js';
import type { Log } from '../telemetry/log.js';
import { Metrics } from '../telemetry/metrics.js';

/** What every part may ask for, and where it says how it is stopped. */
export interface Surroundings {
  readonly config: Config;
  readonly clock: Clock;
  readonly random: Random;
  readonly randomBytes: RandomBytes;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly parts: Parts;
  /** Recurring work, from `startRepeating` (when everything is loaded) to `stopRepeating`. */
  readonly repeat: (seconds: number, task: () => Promise<unknown>) => void;
  startRepeating(): void;
  stopRepeating(): Promise<unknown>;
}

export function createSurroundings(config: Config, log: Log): Surroundings {
  const metrics = new Metrics();
  metrics.collectProcessMetrics();
  const tasks: { readonly seconds: number; readonly task: () => Promise<unknown> }[] = [];
  let schedules: Schedule[] = [];
  const onStopFailure = (error: unknown): void =>
    log.error({ fault: faultName(error) }, 'a part did not stop as it should');
  const onTaskFailure = (error: unknown): void =>
    log.warn({ fault: faultName(error) }, 'recurring work failed and will be tried again');
  return {
    config,
    clock: systemClock,
    random: systemRandom,
    randomBytes: createRandomBytes(),
    log,
    metrics,
    parts: new Parts(onStopFailure),
    repeat: (seconds, task) => void tasks.push({ seconds, task }),
    startRepeating() {
      schedules = tasks.map(({ seconds, task }) => every(seconds * 1000, task, onTaskFailure));
    },
    stopRepeating: () => Promise.all(schedules.map((schedule) => schedule.stop())),
  };
}

/** The kind of a fault: its message may quote what must not be in a log. */
export const faultName = (error: unknown): string => (error instanceof Error ? error.name : typeof error);
