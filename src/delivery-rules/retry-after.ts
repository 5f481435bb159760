/**
 * `Retry-After` (RFC 9110, 10.2.3) as milliseconds from now: whole seconds or an HTTP date. Null when the header is
 * missing or says nothing usable. A wish longer than `maxMs` is cut: a provider's typing mistake must not silence us
 * for a year.
 */
export function parseRetryAfterMs(
  value: string | null | undefined,
  nowMs: number,
  maxMs: number,
): number | null {
  if (value === null || value === undefined) return null;
  const text = value.trim();
  if (/^\d{1,12}$/.test(text)) return Math.min(Number(text) * 1000, maxMs);
  if (!httpDate.test(text)) return null;
  const atMs = Date.parse(text);
  return Number.isNaN(atMs) ? null : Math.min(Math.max(0, atMs - nowMs), maxMs);
}

/** `Date.parse` takes far more than HTTP allows, so the shape is checked first; all three forms begin with a day name. */
const httpDate =
  /^(Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? (\d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT|\d{2}-[A-Z][a-z]{2}-\d{2} \d{2}:\d{2}:\d{2} GMT|[A-Z][a-z]{2} [ \d]\d \d{2}:\d{2}:\d{2} \d{4})$/;

/** No provider has reason to ask for more. */
export const RETRY_AFTER_MAX_MS = 3_600_000;
