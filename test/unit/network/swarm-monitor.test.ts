import { beforeEach, describe, expect, it } from 'vitest';
import { fail, ok } from '../../../src/domain/result.js';
import { BatchEncoder, EncodedBatches } from '../../../src/network/monitor-batch.js';
import type { MonitorPeer, MonitorRequest } from '../../../src/network/node-plan.js';
import { SwarmMembership, type SwarmMembers } from '../../../src/network/swarm-membership.js';
import { SwarmMonitor, type AccountRefusal } from '../../../src/network/swarm-monitor.js';
import { Metrics } from '../../../src/telemetry/metrics.js';
import { acceptAll, entryOf, FakeAccounts, namesIn } from './support/fakes.js';

const MAX_ENTRIES = 4;
const peerOf = (name: string): MonitorPeer => ({
  publicKeyHex: name,
  request: async () => fail({ kind: 'unavailable' }),
});
const failure = (code: number, text = 'x'): string => `d7:errcodei${code}e5:error${text.length}:${text}e`;

let accounts: FakeAccounts;
let membership: SwarmMembership;
let swarm: SwarmMembers;
let monitor: SwarmMonitor;
let metrics: Metrics;
let refusals: AccountRefusal[];
let unreadable: number;
let encoded: EncodedBatches;
let nowMs: number;
let isMoving: boolean;
let listedNodes: number;
const [a, b, c] = [peerOf('a'), peerOf('b'), peerOf('c')];

beforeEach(() => {
  accounts = new FakeAccounts();
  membership = new SwarmMembership();
  swarm = membership.addSwarm(1n);
  metrics = new Metrics();
  refusals = [];
  unreadable = 0;
  isMoving = false;
  listedNodes = 1;
  nowMs = 1_700_000_000_000;
  encoded = new EncodedBatches(1_000_000, 10_000);
  monitor = new SwarmMonitor({
    swarm,
    membership,
    encoder: new BatchEncoder(accounts, membership, MAX_ENTRIES, metrics),
    encodedBatches: encoded,
    metrics,
    random: () => 0,
    onRefused: (refusal) => refusals.push(refusal),
    onUnreadable: () => {
      unreadable += 1;
    },
    pageAccounts: MAX_ENTRIES,
    mayResync: () => !isMoving,
    listedNodes: () => listedNodes,
  });
});

const due = (): number => Math.floor(nowMs / 1000) + 3000;
function addAccounts(...slots: number[]): void {
  for (const slot of slots) {
    accounts.put(slot, 0n);
    membership.assign(slot, swarm, due());
  }
}
/** All requests that can go out now, with as many turns as they want. */
function takeAll(): MonitorRequest[] {
  const requests = monitor.take(nowMs, false);
  while (monitor.wantsTurn) requests.push(...monitor.take(nowMs, true));
  return requests;
}
const names = (request: MonitorRequest | undefined): number[] =>
  request === undefined ? [] : namesIn(request.encoded.bytes).map(Number);
const accept = (request: MonitorRequest): void =>
  monitor.replied(request, ok([acceptAll(request.encoded.bytes)]), nowMs);
const reply = (request: MonitorRequest, text: string): void =>
  monitor.replied(request, ok([Buffer.from(text)]), nowMs);
/** Answers everything until nothing more comes; what each node was told. */
function drain(answer: (request: MonitorRequest) => void = accept): Map<string, number[]> {
  const told = new Map<string, number[]>();
  for (let requests = takeAll(); requests.length > 0; requests = takeAll()) {
    for (const request of requests) {
      const name = request.plan.peer.publicKeyHex;
      told.set(name, [...(told.get(name) ?? []), ...names(request)]);
      answer(request);
    }
  }
  return told;
}
const sorted = (values: readonly number[] = []): number[] => [...values].sort((x, y) => x - y);
const range = (count: number, from = 0): number[] => Array.from({ length: count }, (_, n) => n + from);

describe('the plan of a swarm', () => {
  it('registers every account with a node that comes up, one request at a time and none too large', () => {
    addAccounts(...range(10));
    monitor.nodeUp(a);
    const told: number[] = [];
    for (let requests = takeAll(); requests.length > 0; requests = takeAll()) {
      expect(requests).toHaveLength(1);
      const [request] = requests;
      expect(request?.encoded.entries).toBeLessThanOrEqual(MAX_ENTRIES);
      told.push(...names(request));
      if (request !== undefined) accept(request);
    }
    expect(sorted(told)).toEqual(range(10));
  });

  it('sends the same buffer to all nodes of the swarm', () => {
    addAccounts(...range(4));
    for (const peer of [a, b, c]) monitor.nodeUp(peer);
    const requests = takeAll();
    expect(requests).toHaveLength(3);
    expect(new Set(requests.map((request) => request.encoded.bytes)).size).toBe(1);
  });

  it('encodes at most one large request per turn', () => {
    addAccounts(...range(4));
    monitor.nodeUp(a);
    expect(monitor.take(nowMs, false)).toEqual([]);
    expect(monitor.wantsTurn).toBe(true);
    expect(monitor.take(nowMs, true)).toHaveLength(1);
    expect(monitor.wantsTurn).toBe(false);
  });

  it('registers everything again with a node that was away, and with it alone', () => {
    addAccounts(...range(6));
    monitor.nodeUp(a);
    monitor.nodeUp(b);
    drain();
    monitor.nodeDown(a);
    monitor.nodeUp(a);
    const told = drain();
    expect([...told.keys()]).toEqual(['a']);
    expect(sorted(told.get('a'))).toEqual(range(6));
  });

  it('tells new accounts to every node that is up before anything else, without waiting for a turn', () => {
    addAccounts(...range(8));
    monitor.nodeUp(a);
    monitor.nodeUp(b);
    const first = takeAll();
    addAccounts(100);
    monitor.accountsChanged(Int32Array.of(100));
    expect(monitor.take(nowMs, false)).toEqual([]);
    first.forEach(accept);
    expect(monitor.take(nowMs, false).map(names)).toEqual([[100], [100]]);
  });

  it('tells a node that comes up while accounts move each of them once', () => {
    isMoving = true;
    addAccounts(...range(3));
    monitor.nodeUp(a);
    expect(takeAll()).toEqual([]);
    addAccounts(...range(3, 3));
    monitor.accountsDue(Int32Array.from(range(6)));
    isMoving = false;
    expect(sorted(drain().get('a'))).toEqual(range(6));
  });

  it('is not held up by a node that does not answer', () => {
    addAccounts(...range(9));
    monitor.nodeUp(a);
    monitor.nodeUp(b);
    const told = drain((request) => {
      if (request.plan.peer === b) accept(request);
    });
    expect(sorted(told.get('b'))).toEqual(range(9));
    expect(told.get('a')).toHaveLength(1 + ((9 - 1) % MAX_ENTRIES));
  });

  it('repeats what a node did not take, after a pause that grows', () => {
    addAccounts(...range(3));
    monitor.nodeUp(a);
    for (const seconds of [10, 30, 60, 120, 120]) {
      const [request] = takeAll();
      expect(sorted(names(request))).toEqual(range(3));
      if (request !== undefined) monitor.replied(request, fail({ kind: 'timeout' }), nowMs);
      expect(takeAll()).toEqual([]);
      expect(monitor.nextWakeMs(nowMs)).toBe(nowMs + seconds * 1000);
      nowMs += seconds * 1000;
    }
    expect(sorted(drain().get('a'))).toEqual(range(3));
    expect(metrics.monitorRequests.of('timeout').value).toBe(5);
  });

  it.each([
    ['of other length', 'le'],
    ['that is no reply', 'hello'],
  ])('repeats what was answered with something %s', (_name, text) => {
    addAccounts(1);
    monitor.nodeUp(a);
    const [request] = takeAll();
    if (request !== undefined) reply(request, text);
    expect(metrics.monitorRequests.of('malformed').value).toBe(1);
    nowMs += 10_000;
    expect(drain().get('a')).toEqual([1]);
  });

  it('forgets requests to a node that went down, and ignores their late answers', () => {
    addAccounts(...range(3));
    monitor.nodeUp(a);
    const [request] = takeAll();
    monitor.nodeDown(a);
    monitor.nodeUp(a);
    if (request !== undefined) monitor.replied(request, fail({ kind: 'unavailable' }), nowMs);
    expect(sorted(drain().get('a'))).toEqual(range(3));
  });

  it('does not send accounts that are gone, moved or freed before it is their turn', () => {
    addAccounts(...range(4));
    const other = membership.addSwarm(2n);
    monitor.nodeUp(a);
    drain();
    monitor.accountsDue(Int32Array.of(0, 1, 2, 3));
    membership.remove(0);
    membership.assign(1, other, due());
    accounts.live.delete(2);
    expect(drain().get('a')).toEqual([3]);
  });

  it('misses nobody when accounts leave and join during a resync', () => {
    addAccounts(...range(40));
    monitor.nodeUp(a);
    const told: number[] = [];
    for (let round = 0; ; round += 1) {
      const requests = takeAll();
      if (requests.length === 0) break;
      for (const request of requests) {
        told.push(...names(request));
        accept(request);
      }
      if (round < 5) {
        membership.remove(round * 7);
        accounts.live.delete(round * 7);
        addAccounts(100 + round);
        monitor.accountsChanged(Int32Array.of(100 + round));
      }
    }
    const expected = [...range(40).filter((slot) => slot % 7 !== 0 || slot >= 35), ...range(5, 100)];
    expect([...new Set(told)]).toEqual(expect.arrayContaining(expected));
  });

  it('turns too long a queue into a resync instead of letting it grow', () => {
    addAccounts(...range(5));
    monitor.nodeUp(a);
    drain();
    monitor.accountsDue(Int32Array.of(0));
    const [stuck] = takeAll();
    for (let n = 0; n < 1000; n += 1) monitor.accountsDue(Int32Array.of(1));
    if (stuck !== undefined) accept(stuck);
    expect(sorted(drain().get('a'))).toEqual(range(5));
  });

  it('splits a batch that does not fit one request, and keeps an account in one piece', () => {
    for (const slot of range(4)) {
      accounts.put(
        slot,
        0n,
        range(3).map(() => entryOf(slot)),
      );
      membership.assign(slot, swarm, due());
    }
    monitor.nodeUp(a);
    drain();
    monitor.accountsDue(Int32Array.from(range(4)));
    const sizes: number[] = [];
    drain((request) => {
      sizes.push(request.encoded.entries);
      accept(request);
    });
    expect(sizes).toEqual([3, 3, 3, 3]);
  });

  it('leaves out an account whose entries cannot be made', () => {
    addAccounts(...range(3));
    const append = accounts.appendMonitorEntries.bind(accounts);
    accounts.appendMonitorEntries = (slot, nowSeconds, sink) => {
      const added = append(slot, nowSeconds, sink);
      if (slot === 1) throw new Error('corrupt');
      return added;
    };
    monitor.nodeUp(a);
    expect(sorted(drain().get('a'))).toEqual([0, 2]);
    expect(metrics.stageFailures.of('monitor-entry').value).toBe(1);
  });

  it('does not wait for hours when the clock is put back', () => {
    addAccounts(1);
    monitor.nodeUp(a);
    const [request] = takeAll();
    if (request !== undefined) monitor.replied(request, fail({ kind: 'timeout' }), nowMs);
    nowMs -= 3_600_000;
    expect(drain().get('a')).toEqual([1]);
  });

  it('repeats the whole of a split batch when its first part failed', () => {
    addAccounts(...range(6));
    monitor.nodeUp(a);
    drain();
    monitor.accountsDue(Int32Array.from(range(6)));
    const [request] = takeAll();
    if (request !== undefined) monitor.replied(request, fail({ kind: 'timeout' }), nowMs);
    nowMs += 10_000;
    expect(sorted(drain().get('a'))).toEqual(range(6));
  });
});

describe('refusals', () => {
  const refuse =
    (code: number, text: string, slot: number, by: readonly MonitorPeer[]) =>
    (request: MonitorRequest): void => {
      const isRefuser = by.includes(request.plan.peer);
      const entries = names(request).map((n) =>
        n === slot && isRefuser ? failure(code, text) : 'd7:successi1ee',
      );
      reply(request, `l${entries.join('')}e`);
    };

  it.each([1, 2, 3, 5])('of two nodes with code %i end the renewal and are reported once', (code) => {
    addAccounts(...range(3));
    listedNodes = 3;
    for (const peer of [a, b, c]) monitor.nodeUp(peer);
    drain(refuse(code, 'x', 1, [a, b, c]));
    expect(refusals).toEqual([{ slot: 1, reason: 'invalid', errcode: code, isWhole: true }]);
    expect(membership.dueAtSecondsOf(1)).toBe(Infinity);
    monitor.nodeDown(a);
    monitor.nodeUp(a);
    expect(sorted(drain().get('a'))).toEqual([0, 2]);
    expect(metrics.monitorEntries.of('invalid').value).toBe(3);
  });

  it('say when the signature has expired', () => {
    addAccounts(1);
    monitor.nodeUp(a);
    drain(refuse(4, 'timestamp is too old', 1, [a]));
    expect(refusals).toEqual([{ slot: 1, reason: 'expired', errcode: 4, isWhole: true }]);
  });

  it('of the first node that comes up are not believed before a second one says so', () => {
    addAccounts(1);
    listedNodes = 3;
    monitor.nodeUp(a);
    drain(refuse(5, 'x', 1, [a, b]));
    expect(refusals).toEqual([]);
    monitor.nodeUp(b);
    drain(refuse(5, 'x', 1, [a, b]));
    expect(refusals).toEqual([{ slot: 1, reason: 'invalid', errcode: 5, isWhole: true }]);
  });

  it('of one node alone are not believed when another takes the account', () => {
    addAccounts(...range(3));
    listedNodes = 3;
    for (const peer of [a, b, c]) monitor.nodeUp(peer);
    drain(refuse(5, 'x', 1, [a]));
    monitor.accountsDue(Int32Array.of(1));
    drain(refuse(5, 'x', 1, [a]));
    expect(refusals).toEqual([]);
    expect(membership.dueAtSecondsOf(1)).toBe(due());
  });

  it('of an account that changed meanwhile do not count', () => {
    addAccounts(1);
    monitor.nodeUp(a);
    const [request] = takeAll();
    membership.assign(1, swarm, due());
    if (request !== undefined) refuse(5, 'x', 1, [a])(request);
    expect(refusals).toEqual([]);
  });

  it('of an account whose slot somebody else has now do not count', () => {
    addAccounts(1);
    monitor.nodeUp(a);
    const [request] = takeAll();
    membership.remove(1);
    addAccounts(1);
    if (request !== undefined) refuse(5, 'x', 1, [a])(request);
    expect(refusals).toEqual([]);
    expect(membership.dueAtSecondsOf(1)).toBe(due());
  });

  it('of a part of an account are reported, and the rest is renewed', () => {
    accounts.put(1, 0n, [entryOf('good'), entryOf('bad')]);
    membership.assign(1, swarm, due());
    monitor.nodeUp(a);
    const [request] = takeAll();
    if (request !== undefined) reply(request, `ld7:successi1ee${failure(5)}e`);
    expect(refusals).toEqual([{ slot: 1, reason: 'invalid', errcode: 5, isWhole: false }]);
    expect(membership.dueAtSecondsOf(1)).toBe(due());
  });

  it('for a clock that is wrong bring the renewal forward', () => {
    addAccounts(1);
    monitor.nodeUp(a);
    drain(refuse(4, 'timestamp is in the future', 1, [a]));
    expect(refusals).toEqual([]);
    expect(membership.dueAtSecondsOf(1)).toBe(Math.floor(nowMs / 1000) + 600);
  });

  it('of a whole request lead to the one account at fault', () => {
    addAccounts(...range(4));
    monitor.nodeUp(a);
    const accepted = new Set<number>();
    drain((request) => {
      if (names(request).includes(2)) reply(request, failure(1));
      else {
        for (const name of names(request)) accepted.add(name);
        accept(request);
      }
    });
    expect(sorted([...accepted])).toEqual([0, 1, 3]);
    expect(refusals).toEqual([{ slot: 2, reason: 'invalid', errcode: 1, isWhole: true }]);
    expect(unreadable).toBeGreaterThan(0);
  });

  it('of everything by a node that lies cost a bounded number of requests and switch off nobody', () => {
    addAccounts(...range(400));
    listedNodes = 2;
    monitor.nodeUp(a);
    monitor.nodeUp(b);
    let lies = 0;
    drain((request) => {
      if (request.plan.peer === a) {
        lies += 1;
        reply(request, failure(1));
      } else accept(request);
    });
    expect(lies).toBeLessThan(200);
    expect(refusals).toEqual([]);
    expect(membership.assignedCount).toBe(400);
  });
});

describe('encoded requests', () => {
  it('are bounded in bytes and age', () => {
    const cache = new EncodedBatches(100, 1000);
    const batch = new BatchEncoder(accounts, membership, 1, metrics).encode(swarm, Int32Array.of(), 0);
    const big = { ...batch, bytes: Buffer.alloc(60) };
    cache.put('x', big, 0);
    cache.put('y', big, 0);
    expect(cache.get('x', 0)).toBeNull();
    expect(cache.get('y', 1000)).toBe(big);
    expect(cache.get('y', 1001)).toBeNull();
    expect(cache.bytes).toBe(0);
  });
});
