import type { Random } from '../domain/random.js';

export interface RetrySchedule {
  /** The ceiling of the first wait; it doubles with every attempt … */
  readonly baseMs: number;
  /** … up to this. */
  readonly maxMs: number;
  /** Attempts in all, the first one included. */
  readonly maxAttempts: number;
}

export interface RetryRequest {
  /** How often the push was sent so far, at least 1. */
  readonly attempts: number;
  /** The provider's wish, null when it named none. */
  readonly afterMs: number | null;
  readonly nowMs: number;
  /** Unix milliseconds; nothing is sent at or after it. */
  readonly expiresAtMs: number;
}

export type RetryDecision =
  | { readonly kind: 'again'; readonly dueAtMs: number }
  | { readonly kind: 'give-up'; readonly reason: 'attempts' | 'expiry' };

/**
 * When a push that failed is to be sent again. Exponential with full jitter: a uniform share of the ceiling, so that
 * thousands that failed together do not come back together. The provider's wish wins: never earlier, and spread over
 * one base interval after it. Pure.
 */
export function scheduleRetry(schedule: RetrySchedule, request: RetryRequest, random: Random): RetryDecision {
  if (request.attempts >= schedule.maxAttempts) return { kind: 'give-up', reason: 'attempts' };
  const waitMs =
    request.afterMs === null
      ? random() * ceilingMs(schedule, request.attempts)
      : request.afterMs + random() * schedule.baseMs;
  const dueAtMs = request.nowMs + Math.ceil(waitMs);
  return dueAtMs < request.expiresAtMs ? { kind: 'again', dueAtMs } : { kind: 'give-up', reason: 'expiry' };
}

function ceilingMs(schedule: RetrySchedule, attempts: number): number {
  // 2 ** 1024 is Infinity, which min() turns into the maximum: no overflow to care about.
  return Math.min(schedule.maxMs, schedule.baseMs * 2 ** Math.max(0, attempts - 1));
}
