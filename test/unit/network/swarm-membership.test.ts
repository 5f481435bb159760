import { describe, expect, it } from 'vitest';
import { SwarmMembership } from '../../../src/network/swarm-membership.js';

function setUp() {
  const membership = new SwarmMembership();
  const swarm = membership.addSwarm(1n);
  const take = (nowSeconds: number, next = nowSeconds + 3000): number[] => {
    const due: number[] = [];
    membership.takeDue(
      nowSeconds,
      nowSeconds + 3360,
      () => next,
      (slot) => due.push(slot),
    );
    return due;
  };
  return { membership, swarm, take };
}

describe('renewal times', () => {
  it('come due once, and then again after the next interval', () => {
    const { membership, swarm, take } = setUp();
    membership.assign(5, swarm, 1000);
    expect(take(999)).toEqual([]);
    expect(take(1000)).toEqual([5]);
    expect(take(1001)).toEqual([]);
    expect(membership.dueAtSecondsOf(5)).toBe(4000);
    expect(take(4000)).toEqual([5]);
  });

  it('are due now when the clock was put back so far that they lie beyond the longest interval', () => {
    const { membership, swarm, take } = setUp();
    membership.assign(5, swarm, 1_000_000);
    expect(take(900_000)).toEqual([5]);
    expect(membership.dueAtSecondsOf(5)).toBe(903_000);
  });

  it('do not come for accounts that are gone or were stopped, until these change', () => {
    const { membership, swarm, take } = setUp();
    membership.assign(1, swarm, 10);
    membership.assign(2, swarm, 10);
    membership.remove(1);
    membership.stopRenewal(2);
    membership.renewBy(2, 5);
    expect(take(5000)).toEqual([]);
    expect(membership.isMonitoredBy(2, swarm)).toBe(false);
    membership.assign(2, swarm, 10);
    expect(take(5000)).toEqual([2]);
  });

  it('can be brought forward but not put off', () => {
    const { membership, swarm } = setUp();
    membership.assign(1, swarm, 100);
    membership.renewBy(1, 50);
    membership.renewBy(1, 80);
    expect(membership.dueAtSecondsOf(1)).toBe(50);
  });
});

describe('a swarm', () => {
  it('is not removed while it has members', () => {
    const { membership, swarm } = setUp();
    membership.assign(1, swarm, 1);
    expect(() => membership.removeSwarm(swarm)).toThrow();
  });

  it('that takes the index of another is not taken for it', () => {
    const { membership, swarm } = setUp();
    membership.removeSwarm(swarm);
    const next = membership.addSwarm(2n);
    expect(next.index).toBe(swarm.index);
    expect(next.name).not.toBe(swarm.name);
  });
});
