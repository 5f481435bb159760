import type { Random } from '../domain/random.js';

const JITTER = 0.2;

/**
 * How long to wait after the n-th failure in a row (1 = the first): a step of the ladder, the last one for all
 * further failures, up to a fifth longer so that peers that failed together do not come back together.
 */
export function backOffMs(failures: number, stepsSeconds: readonly number[], random: Random): number {
  const step = stepsSeconds[Math.min(Math.max(failures, 1), stepsSeconds.length) - 1] ?? 0;
  return Math.round(step * 1000 * (1 + JITTER * random()));
}
