import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SwarmMap } from '../../src/network/swarm-map.js';
import { SwarmMembership } from '../../src/network/swarm-membership.js';

const U64 = fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn });
const SLOTS = 40;

type Step =
  | { kind: 'put'; slot: number; space: bigint }
  | { kind: 'remove'; slot: number }
  | { kind: 'map'; ids: bigint[] };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant('put' as const), slot: fc.nat(SLOTS - 1), space: U64 }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('remove' as const), slot: fc.nat(SLOTS - 1) }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('map' as const), ids: fc.array(U64, { maxLength: 8 }) }),
  },
);

/** The rule as the spec words it, without any cleverness. */
function nearest(ids: readonly bigint[], space: bigint): bigint {
  let best = ids[0] ?? 0n;
  let bestDistance = 1n << 64n;
  for (const id of ids) {
    const up = BigInt.asUintN(64, id - space);
    const down = BigInt.asUintN(64, space - id);
    const distance = up < down ? up : down;
    // A tie goes to the left: to the one that is reached downwards.
    if (distance < bestDistance || (distance === bestDistance && down < up)) {
      best = id;
      bestDistance = distance;
    }
  }
  return best;
}

describe('swarms and their accounts', () => {
  it('follow the nearest swarm id on the ring', () => {
    fc.assert(
      fc.property(fc.uniqueArray(U64, { minLength: 1, maxLength: 20 }), U64, (ids, space) => {
        const valid = ids.filter((id) => id !== 0xffff_ffff_ffff_ffffn);
        fc.pre(valid.length > 0);
        expect(new SwarmMap(ids).swarmOf(space)).toBe(nearest(valid, space));
      }),
    );
  });

  it('always agree with a naive model', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        const membership = new SwarmMembership();
        const spaces = new Map<number, bigint>();
        let map = new SwarmMap([1n, 1n << 63n]);
        const assign = (slot: number, space: bigint): void => {
          if (map.size > 0) membership.assign(slot, membership.addSwarm(map.swarmOf(space)), 5);
          else membership.remove(slot);
        };
        for (const next of steps) {
          if (next.kind === 'put') {
            spaces.set(next.slot, next.space);
            assign(next.slot, next.space);
          } else if (next.kind === 'remove') {
            spaces.delete(next.slot);
            membership.remove(next.slot);
          } else {
            map = new SwarmMap(next.ids);
            for (const [slot, space] of spaces) assign(slot, space);
            for (const swarm of [...membership.swarms()])
              if (swarm.count === 0) membership.removeSwarm(swarm);
          }
        }
        const model = new Map<bigint, number[]>();
        if (map.size > 0) {
          for (const [slot, space] of spaces) {
            const id = map.swarmOf(space);
            model.set(id, [...(model.get(id) ?? []), slot]);
          }
        }
        let assigned = 0;
        for (const swarm of membership.swarms()) {
          const members = [...swarm.slots.subarray(0, swarm.count)].sort((x, y) => x - y);
          expect(members).toEqual((model.get(swarm.swarmId) ?? []).sort((x, y) => x - y));
          for (const slot of members) {
            expect(membership.swarmIndexOf(slot)).toBe(swarm.index);
            expect(membership.swarmAt(swarm.index)).toBe(swarm);
          }
          assigned += members.length;
        }
        expect(membership.assignedCount).toBe(assigned);
        for (let slot = 0; slot < SLOTS; slot += 1) {
          if (!spaces.has(slot) || map.size === 0) expect(membership.swarmIndexOf(slot)).toBe(-1);
        }
      }),
    );
  });
});
