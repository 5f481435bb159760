/** Which swarm holds an account: the simulator's own version (spec storage-server, section 3). */

export const NO_SWARM = 2n ** 64n - 1n;

export function swarmSpaceOf(account: Buffer): bigint {
  let space = 0n;
  for (let word = 0; word < 4; word += 1) space ^= account.readBigUInt64BE(1 + 8 * word);
  return space;
}

/** `ids` in any order; NO_SWARM when there is none. */
export function swarmOf(account: Buffer, ids: Iterable<bigint>): bigint {
  const space = swarmSpaceOf(account);
  let best = NO_SWARM;
  let bestDistance: bigint | null = null;
  for (const id of ids) {
    if (id === NO_SWARM) continue;
    const up = BigInt.asUintN(64, id - space);
    const down = BigInt.asUintN(64, space - id);
    const distance = up < down ? up : down;
    // At equal distance the one to the left, that is the one reached going down, wins.
    if (bestDistance === null || distance < bestDistance || (distance === bestDistance && down < up)) {
      best = id;
      bestDistance = distance;
    }
  }
  return best;
}
