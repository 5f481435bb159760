import { describe, expect, it } from 'vitest';
import { FrameAuthority, type FrameSender } from '../../../src/network/frame-authority.js';
import { SwarmMap } from '../../../src/network/swarm-map.js';
import { SwarmMembership } from '../../../src/network/swarm-membership.js';
import { FakeAccounts } from './support/fakes.js';

const GRACE_MS = 600_000;

function setUp() {
  let nowMs = 1_000_000;
  const membership = new SwarmMembership();
  const accounts = new FakeAccounts();
  // Between 100 and 200, nearer to 200.
  accounts.put(0, 180n);
  const swarms = new Map([100n, 170n, 200n].map((id) => [id, membership.addSwarm(id)]));
  const authority = new FrameAuthority(
    membership,
    accounts,
    { nowMs: () => nowMs },
    GRACE_MS,
    new SwarmMap([100n, 200n]),
  );
  const assign = (id: bigint): void => {
    const swarm = swarms.get(id);
    if (swarm !== undefined) membership.assign(0, swarm, 9);
  };
  assign(200n);
  const sender = (swarmId: bigint, previousSwarmId: bigint | null = null): FrameSender => ({
    swarmIndex: swarms.get(swarmId)?.index ?? -1,
    swarmId,
    previousSwarmId,
    swarmChangedAtMs: previousSwarmId === null ? 0 : nowMs,
  });
  return {
    authority,
    assign,
    sender,
    pass: (ms: number) => {
      nowMs += ms;
    },
  };
}

describe('who may report messages of an account', () => {
  it('is a node of its swarm and nobody else', () => {
    const { authority, sender } = setUp();
    expect(authority.accepts(sender(200n), 0)).toBe(true);
    expect(authority.accepts(sender(100n), 0)).toBe(false);
  });

  it('is also a node of the swarm that the account left a while ago', () => {
    const { authority, sender, assign, pass } = setUp();
    authority.changeMap(new SwarmMap([100n, 170n, 200n]));
    assign(170n);
    expect(authority.accepts(sender(170n), 0)).toBe(true);
    expect(authority.accepts(sender(200n), 0)).toBe(true);
    expect(authority.accepts(sender(100n), 0)).toBe(false);
    pass(GRACE_MS + 1);
    expect(authority.accepts(sender(200n), 0)).toBe(false);
  });

  it('is a node of the new swarm while the account has not been moved yet', () => {
    const { authority, sender } = setUp();
    authority.changeMap(new SwarmMap([100n, 170n, 200n]));
    expect(authority.accepts(sender(170n), 0)).toBe(true);
  });

  it('is a node that left the swarm a while ago', () => {
    const { authority, sender, pass } = setUp();
    const moved = sender(100n, 200n);
    expect(authority.accepts(moved, 0)).toBe(true);
    pass(GRACE_MS + 1);
    expect(authority.accepts(moved, 0)).toBe(false);
  });

  it('bears several changes within the grace period', () => {
    const { authority, sender, assign } = setUp();
    authority.changeMap(new SwarmMap([100n, 170n, 200n]));
    assign(170n);
    authority.changeMap(new SwarmMap([100n, 170n]));
    expect(authority.accepts(sender(200n), 0)).toBe(true);
  });
});
