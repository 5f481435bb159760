import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { INVALID_SWARM_ID, SwarmMap } from '../../../src/network/swarm-map.js';

const read = (name: string): unknown =>
  JSON.parse(readFileSync(new URL(`../../vectors/${name}`, import.meta.url), 'utf8'));

interface SwarmCase {
  name: string;
  swarm_ids: string[];
  accounts: { pubkey: string; swarm_id: string; swarm_space: string }[];
}

const { cases } = read('swarm.json') as { cases: SwarmCase[] };
const { swarms } = read('session-push-v2.json') as {
  swarms: { swarm_ids: (string | number)[]; swarm_space: string; swarm: string }[];
};

describe('the swarm map', () => {
  it.each(cases)('agrees with the originals: $name', ({ swarm_ids, accounts }) => {
    const map = new SwarmMap(swarm_ids.map((id) => BigInt(`0x${id}`)));
    for (const account of accounts) {
      expect(map.swarmOf(BigInt(`0x${account.swarm_space}`)), account.pubkey).toBe(
        BigInt(`0x${account.swarm_id}`),
      );
    }
  });

  it('agrees with the original push server', () => {
    for (const { swarm_ids, swarm_space, swarm } of swarms) {
      expect(new SwarmMap(swarm_ids.map(BigInt)).swarmOf(BigInt(swarm_space))).toBe(BigInt(swarm));
    }
  });

  it('never takes "no swarm" for a swarm', () => {
    expect(new SwarmMap([INVALID_SWARM_ID]).size).toBe(0);
    expect(SwarmMap.empty.swarmOf(5n)).toBe(INVALID_SWARM_ID);
  });

  it('is the same as another of the same ids, in whatever order and number they came', () => {
    expect(new SwarmMap([3n, 1n, 2n]).sameAs(new SwarmMap([1n, 2n, 2n, 3n, INVALID_SWARM_ID]))).toBe(true);
    expect(new SwarmMap([1n, 2n]).sameAs(new SwarmMap([1n, 3n]))).toBe(false);
    expect(new SwarmMap([1n, 2n]).sameAs(new SwarmMap([1n, 2n, 3n]))).toBe(false);
  });
});
