import { describe, expect, it } from 'vitest';
import type { NoticeVerdict } from '../../../src/legacy/methods.js';
import { eventually } from '../../simulators/eventually.js';
import { storeRefuses, storeUnavailable } from '../../simulators/memory-legacy-store.js';
import { setUpLegacy, success, type LegacyUnderTest } from './support.js';

const register = (token: string, pubKey = 'a', more: Record<string, unknown> = {}) =>
  ['register', { token, pubKey, ...more }] as const;
const groupsOnly = (token: string, pubKey: string, legacyGroupPublicKeys: unknown) =>
  ['register_legacy_groups_only', { token, pubKey, legacyGroupPublicKeys }] as const;
const subscribe = (closedGroupPublicKey: string, pubKey: string) =>
  ['subscribe_closed_group', { closedGroupPublicKey, pubKey }] as const;
const unsubscribe = (closedGroupPublicKey: string, pubKey: string) =>
  ['unsubscribe_closed_group', { closedGroupPublicKey, pubKey }] as const;
const notify = (send_to = 'a') => ['notify', { send_to, data: 'MQ==' }] as const;

const call = ({ methods }: LegacyUnderTest, [name, args]: readonly [string, Record<string, unknown>]) =>
  methods.call(name, args);
const comeBack = { status: 503, body: { code: 0, message: expect.stringMatching(/./) as unknown } };
const refusal = { status: 400, body: { code: 0, message: expect.stringMatching(/./) as unknown } };
const resultsOf = ({ metrics, brand }: LegacyUnderTest, method: string): Record<string, number> => {
  const found: Record<string, number> = {};
  for (const [name, table] of metrics.legacyRequests.entries()) {
    if (name !== brand.name) continue;
    for (const [label, family] of table.entries()) {
      if (label === method) for (const [result, { value }] of family.entries()) found[result] = value;
    }
  }
  return found;
};

describe('methods of older clients', () => {
  it('a registration that changes nothing is not written again for a while, then it is', async () => {
    const legacy = await setUpLegacy();
    await call(legacy, register('t'));
    legacy.clock.now += 59_000;
    expect(await call(legacy, register('t'))).toEqual(success);
    expect(legacy.store.commits).toHaveLength(1);
    legacy.clock.now += 1000;
    expect(await call(legacy, register('t'))).toEqual(success);
    expect(legacy.store.commits).toHaveLength(2);
    expect(legacy.directory.device('t')?.registeredAtMs).toBe(legacy.clock.now);
    expect(resultsOf(legacy, 'register')).toEqual({ done: 2, unchanged: 1 });
  });

  it.each([
    ['account', register('t', 'b')],
    ['type', register('t', 'a', { device: 'huawei' })],
    ['flag', groupsOnly('t', 'a', [])],
  ])('one with another %s is written at once', async (_what, changed) => {
    const legacy = await setUpLegacy();
    await call(legacy, register('t'));
    await call(legacy, changed);
    expect(legacy.store.commits).toHaveLength(2);
  });

  it('a clock that was put back does not keep a registration from being written', async () => {
    const legacy = await setUpLegacy();
    await call(legacy, register('t'));
    legacy.clock.now -= 1000;
    await call(legacy, register('t'));
    expect(legacy.store.commits).toHaveLength(2);
  });

  it('a type that the client named is not overwritten by a guess, but by what it names later', async () => {
    const legacy = await setUpLegacy();
    await call(legacy, register('t', 'a', { device: 'huawei' }));
    legacy.clock.now += 3_600_000;
    await call(legacy, register('t'));
    expect(legacy.directory.device('t')?.type).toBe('huawei');
    await call(legacy, register('t', 'a', { device: 'android' }));
    expect(legacy.directory.device('t')?.type).toBe('android');
  });

  it('nothing is taken for unchanged while its opposite is on its way', async () => {
    const legacy = await setUpLegacy();
    await call(legacy, register('t'));
    await call(legacy, subscribe('g', 'a'));
    const replies = await Promise.all(
      [
        ['unregister', { token: 't' }] as const,
        register('t'),
        unsubscribe('g', 'a'),
        subscribe('g', 'a'),
        subscribe('h', 'a'),
        unsubscribe('h', 'a'),
      ].map((one) => call(legacy, one)),
    );
    expect(replies).toEqual(replies.map(() => success));
    expect(legacy.directory.device('t')).toBeDefined();
    expect(legacy.directory.isMember('g', 'a')).toBe(true);
    expect(legacy.directory.isMember('h', 'a')).toBe(false);
  });

  it('memberships that are there, or are not, are not written again', async () => {
    const legacy = await setUpLegacy();
    await call(legacy, subscribe('g', 'a'));
    expect(await call(legacy, subscribe('g', 'a'))).toEqual(success);
    expect(await call(legacy, unsubscribe('g', 'b'))).toEqual(success);
    expect(await call(legacy, groupsOnly('t', 'a', ['g']))).toEqual(success);
    expect(await call(legacy, groupsOnly('t', 'a', ['g']))).toEqual(success);
    expect(legacy.store.commits.map((changes) => changes.map(({ kind }) => kind))).toEqual([
      ['add-member'],
      ['set-device'],
    ]);
  });

  it('a device and its groups are committed together', async () => {
    const legacy = await setUpLegacy();
    expect(await call(legacy, groupsOnly('t', 'a', ['g', 'h', 'g']))).toEqual(success);
    expect(legacy.store.commits.map((changes) => changes.length)).toEqual([3]);
  });

  it('a list of groups that is none is an error, but the device is registered by then', async () => {
    const legacy = await setUpLegacy();
    for (const list of [null, 'g', 7, ['g', 7]]) {
      expect(await call(legacy, groupsOnly(`t${JSON.stringify(list)}`, 'a', list))).toEqual(refusal);
    }
    expect([legacy.directory.deviceCount, legacy.directory.membershipCount]).toEqual([4, 0]);
  });

  it('an account gets no more tokens than it may have, however many come at once', async () => {
    const legacy = await setUpLegacy({ limits: { maxTokensPerAccount: 5, writeBatchMaxChanges: 3 } });
    const replies = await Promise.all(Array.from({ length: 50 }, (_, n) => call(legacy, register(`t${n}`))));
    expect(replies.filter(({ status }) => status === 200)).toHaveLength(5);
    expect(replies.at(-1)).toEqual(comeBack);
    expect(legacy.directory.tokenCount('a')).toBe(5);
    expect(await call(legacy, register('new'))).toEqual(refusal);
    // The ones that are there stay and may come again, and there is room when one goes.
    expect(await call(legacy, register('t0'))).toEqual(success);
    await call(legacy, ['unregister', { token: 't0' }]);
    expect(await call(legacy, register('new'))).toEqual(success);
    expect(resultsOf(legacy, 'register')).toEqual({ done: 6, busy: 45, full: 1, unchanged: 1 });
  });

  it('a group gets no more members than it may have, but nobody is kept out by accounts without a device', async () => {
    const legacy = await setUpLegacy({ limits: { maxMembersPerGroup: 3 } });
    await call(legacy, register('t1', 'one'));
    await call(legacy, register('t2', 'two'));
    await Promise.all(
      Array.from({ length: 20 }, (_, n) => call(legacy, subscribe('g', n === 0 ? 'one' : `nobody${n}`))),
    );
    expect(legacy.directory.memberCount('g')).toBe(3);
    expect(await call(legacy, subscribe('g', 'two'))).toEqual(success);
    await call(legacy, register('t3', 'three'));
    expect(await call(legacy, subscribe('g', 'three'))).toEqual(success);
    expect([...legacy.directory.members()].map(({ account }) => account).sort()).toEqual([
      'one',
      'three',
      'two',
    ]);
    expect(await call(legacy, subscribe('g', 'four'))).toEqual(refusal);
    // The rest of what such a client wants is done.
    expect(await call(legacy, groupsOnly('t4', 'four', ['g', 'h']))).toEqual(success);
    expect([legacy.directory.isMember('g', 'four'), legacy.directory.isMember('h', 'four')]).toEqual([
      false,
      true,
    ]);
    expect(resultsOf(legacy, 'register_legacy_groups_only')).toEqual({ 'partly-done': 1 });
  });

  it('nobody can use up the groups of somebody else: only the list of one request is bounded', async () => {
    const legacy = await setUpLegacy({ limits: { maxGroupsPerRequest: 4 } });
    expect(await call(legacy, groupsOnly('invented', 'a', ['x1', 'x2', 'x3', 'x4']))).toEqual(success);
    expect(await call(legacy, groupsOnly('t', 'a', ['g1', 'g2', 'g3', 'g4']))).toEqual(success);
    expect(await call(legacy, subscribe('g5', 'a'))).toEqual(success);
    expect(legacy.directory.isMember('g4', 'a') && legacy.directory.isMember('g5', 'a')).toBe(true);
    expect(await call(legacy, groupsOnly('t', 'a', ['1', '2', '3', '4', '5']))).toEqual(refusal);
  });

  it('a full account takes a new token instead of one that is never pushed to, or was not heard of for a week', async () => {
    const legacy = await setUpLegacy({ limits: { maxTokensPerAccount: 3 } });
    const tokens = () => [...legacy.directory.devices()].map(({ token }) => token).sort();
    await call(legacy, register('t1'));
    legacy.clock.now += 1;
    await call(legacy, register('t2'));
    await call(legacy, ['register', { token: 'invented', pubKey: 'a', device: 'unknown' }]);
    expect(await call(legacy, register('t3'))).toEqual(success);
    expect(tokens()).toEqual(['t1', 't2', 't3']);
    expect(await call(legacy, register('t4'))).toEqual(refusal);
    legacy.clock.now += 7 * 86_400_000;
    expect(await call(legacy, register('t4'))).toEqual(success);
    expect(tokens()).toEqual(['t2', 't3', 't4']);
    expect(legacy.store.devices('session')).toHaveLength(3);
    legacy.clock.now += 2;
    // Two at once must not both count on the same place.
    const replies = await Promise.all([call(legacy, register('t5')), call(legacy, register('t6'))]);
    expect(replies).toEqual([success, comeBack]);
    expect(tokens()).toEqual(['t3', 't4', 't5']);
  });

  it('what is there is bounded by its memory, too: ids and tokens are as long as clients make them', async () => {
    const legacy = await setUpLegacy({ limits: { maxDirectoryBytes: 10_000 } });
    const { directory } = legacy;
    const long = 'x'.repeat(500);
    for (let n = 0; n < 100; n += 1) await call(legacy, subscribe(`${long}${n}`, `${long}${n}`));
    expect(directory.membershipCount).toBeLessThan(10);
    expect(directory.bytes).toBeLessThan(12_000);
    expect(await call(legacy, register('t', 'b'))).toEqual(comeBack);
    expect(await call(legacy, subscribe(`${long}0`, `${long}0`))).toEqual(success);
    await call(legacy, [
      'unsubscribe_closed_group',
      { closedGroupPublicKey: `${long}0`, pubKey: `${long}0` },
    ]);
    expect(await call(legacy, register('t', 'b'))).toEqual(success);
  });

  it('all devices and all members together are bounded', async () => {
    const legacy = await setUpLegacy({ limits: { maxDevices: 2, maxMemberships: 2 } });
    await Promise.all([1, 2, 3].map((n) => call(legacy, register(`t${n}`, `a${n}`))));
    await Promise.all([1, 2, 3].map((n) => call(legacy, subscribe(`g${n}`, `a${n}`))));
    expect([legacy.directory.deviceCount, legacy.directory.membershipCount]).toEqual([2, 2]);
    expect(await call(legacy, register('t9', 'a9'))).toEqual(comeBack);
    expect(await call(legacy, register('t1', 'a9'))).toEqual(success);
  });

  it('while the database is away clients are told to come back, and notify goes on', async () => {
    const legacy = await setUpLegacy({ limits: { writePatienceMs: 0 } });
    await call(legacy, register('t'));
    legacy.store.fault = { error: storeUnavailable() };
    expect(await call(legacy, register('u'))).toEqual(comeBack);
    expect(await call(legacy, subscribe('g', 'a'))).toEqual(comeBack);
    expect(await call(legacy, ['unregister', { token: 't' }])).toEqual(comeBack);
    // It is registered, and committed.
    expect(await call(legacy, register('t'))).toEqual(success);
    expect(await call(legacy, notify())).toEqual(success);
    legacy.store.fault = null;
    await eventually(() => !legacy.registry.isAway);
    // Its first wish took place when the database was back, and is repeated by the client.
    expect(await call(legacy, register('u'))).toEqual(success);
    expect(legacy.directory.tokenCount('a')).toBe(2);
    expect(resultsOf(legacy, 'register')).toEqual({ done: 1, away: 1, unchanged: 2 });
  });

  it('what the database will never hold is the fault of the request', async () => {
    const legacy = await setUpLegacy();
    legacy.store.fault = { error: storeRefuses('22021') };
    expect(await call(legacy, register('t'))).toEqual(refusal);
  });

  it('an answer does not wait for ever; what was begun goes on', async () => {
    const legacy = await setUpLegacy({ limits: { answerTimeoutMs: 20 } });
    const release = legacy.store.hold();
    expect(await call(legacy, register('t'))).toEqual(comeBack);
    expect(resultsOf(legacy, 'register')).toEqual({ timeout: 1 });
    release();
    await eventually(() => legacy.directory.device('t') !== undefined);
  });

  it('notify answers by what became of the notice, at once or later', async () => {
    const verdicts: readonly (NoticeVerdict | Promise<NoticeVerdict>)[] = [
      'taken',
      'busy',
      Promise.resolve('taken' as const),
      Promise.resolve('busy' as const),
    ];
    for (const verdict of verdicts) {
      const legacy = await setUpLegacy({ notify: () => verdict });
      expect(await call(legacy, notify())).toEqual((await verdict) === 'taken' ? success : comeBack);
    }
  });

  it('a fault of ours is an answer too, and never a rejection', async () => {
    const fault = new TypeError('a bug');
    for (const broken of [
      () => Promise.reject(fault),
      () => {
        throw fault;
      },
    ]) {
      const legacy = await setUpLegacy({ notify: broken });
      expect(await call(legacy, notify())).toEqual(comeBack);
      expect(resultsOf(legacy, 'notify')).toEqual({ failed: 1 });
    }
    const legacy = await setUpLegacy({
      notify: () => new Promise(() => {}),
      limits: { answerTimeoutMs: 10 },
    });
    expect(await call(legacy, notify())).toEqual(comeBack);
  });

  it('a notice says whose it is, what it carries and when it came', async () => {
    const legacy = await setUpLegacy();
    await call(legacy, notify('somebody'));
    await legacy.methods.call('notify', { send_to: 'a', data: 'A'.repeat(10_241) });
    const receivedAtMs = legacy.clock.now;
    expect(legacy.notices).toEqual([
      { kind: 'legacy', brand: 'session', recipient: 'somebody', data: 'MQ==', receivedAtMs },
      { kind: 'legacy', brand: 'session', recipient: 'a', data: null, receivedAtMs },
    ]);
  });
});
