import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { evictionShares } from '../../src/outbox/eviction.js';

const services = fc
  .uniqueArray(fc.tuple(fc.string(), fc.nat(1000)), { selector: ([name]) => name, maxLength: 8 })
  .map((entries) => new Map(entries));

describe('shares of services when the outbox makes room', () => {
  it('are as many as must go, and take from the largest down to one level', () => {
    fc.assert(
      fc.property(services, fc.nat(5000), (waiting, excess) => {
        const total = [...waiting.values()].reduce((sum, rows) => sum + rows, 0);
        const shares = evictionShares(waiting, excess);
        const gone = [...shares.values()].reduce((sum, share) => sum + share, 0);
        expect(gone).toBe(Math.min(excess, total));
        const left = [...waiting].map(([service, rows]) => ({
          rows,
          left: rows - (shares.get(service) ?? 0),
        }));
        const highest = Math.max(0, ...left.map((service) => service.left));
        for (const { rows, left: kept } of left) {
          expect(kept).toBeGreaterThanOrEqual(0);
          // Nobody gave anything who has not at least as much as the others keep, but for rounding.
          if (kept < rows) expect(kept).toBeGreaterThanOrEqual(highest - 1);
        }
      }),
    );
  });
});
