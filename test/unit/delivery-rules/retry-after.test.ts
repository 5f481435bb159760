import { describe, expect, it } from 'vitest';
import { parseRetryAfterMs } from '../../../src/delivery-rules/retry-after.js';

const NOW = Date.parse('Sun, 06 Nov 1994 08:49:00 GMT');
const parse = (value: string | null | undefined): number | null => parseRetryAfterMs(value, NOW, 3_600_000);

describe('Retry-After', () => {
  it('is read in each of the three date forms of HTTP', () => {
    expect(parse('Sun, 06 Nov 1994 08:49:37 GMT')).toBe(37_000);
    expect(parse('Sunday, 06-Nov-94 08:49:37 GMT')).toBe(37_000);
    expect(parse('Sun Nov  6 08:49:37 1994')).toBe(37_000);
  });

  it('is nothing to wait for when the date has passed', () => {
    expect(parse('Sun, 06 Nov 1994 08:00:00 GMT')).toBe(0);
  });

  it('is ignored when it is missing or malformed', () => {
    for (const value of [null, undefined, '', 'soon', '-1', '1.5', '1e9', 'Sun, 99 Nov 1994 08:49:37 GMT']) {
      expect(parse(value)).toBeNull();
    }
  });
});
