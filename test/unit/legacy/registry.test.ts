import { describe, expect, it } from 'vitest';
import { LegacyDirectory } from '../../../src/legacy/directory.js';
import { defaultLegacyLimits } from '../../../src/legacy/limits.js';
import type { DirectoryChange } from '../../../src/legacy/port.js';
import { LegacyRegistry } from '../../../src/legacy/registry.js';
import type { ChangeNotTaken } from '../../../src/legacy/store-failure.js';
import { silentLog } from '../../../src/telemetry/log.js';
import { eventually } from '../../simulators/eventually.js';
import { MemoryLegacyStore, storeRefuses, storeUnavailable } from '../../simulators/memory-legacy-store.js';
import { device, setUpLegacy, type LegacyUnderTest } from './support.js';

const set = (token: string, account = 'a'): DirectoryChange => ({
  kind: 'set-device',
  device: device(token, account),
});
const remove = (token: string): DirectoryChange => ({ kind: 'remove-device', token });
const join = (group: string, account: string): DirectoryChange => ({ kind: 'add-member', group, account });
const isAbout = (token: string) => (change: DirectoryChange) =>
  change.kind === 'set-device' && change.device.token === token;

const notTaken = (reason: ChangeNotTaken['reason']) =>
  expect.objectContaining({ name: 'ChangeNotTaken', reason }) as unknown;
const tokensOf = ({ directory }: LegacyUnderTest): string[] =>
  [...directory.devices()].map(({ token }) => token).sort();
const storedTokens = ({ store, brand }: LegacyUnderTest): string[] =>
  store
    .devices(brand.name)
    .map(({ token }) => token)
    .sort();

describe('the registry of older clients', () => {
  it('answers when a change is committed, and not before', async () => {
    const legacy = await setUpLegacy();
    const release = legacy.store.hold();
    let answered = false;
    const change = legacy.registry.change([set('t')]).then((result) => {
      answered = true;
      return result;
    });
    await eventually(() => legacy.store.commits.length === 1);
    expect([answered, tokensOf(legacy)]).toEqual([false, []]);
    release();
    expect(await change).toBe(true);
    expect([tokensOf(legacy), storedTokens(legacy)]).toEqual([['t'], ['t']]);
  });

  it('commits together what comes while a commit is under way, and keeps the order', async () => {
    const legacy = await setUpLegacy();
    const release = legacy.store.hold();
    const first = legacy.registry.change([set('t')]);
    await eventually(() => legacy.store.commits.length === 1);
    const others = [
      legacy.registry.change([remove('t')]),
      legacy.registry.change([remove('t')]),
      legacy.registry.change([set('t', 'b')]),
      legacy.registry.change([join('g', 'b')]),
    ];
    release();
    expect(await first).toBe(true);
    expect(await Promise.all(others)).toEqual([true, false, true, true]);
    expect(legacy.store.commits.map((changes) => changes.length)).toEqual([1, 4]);
    expect(legacy.directory.device('t')?.account).toBe('b');
    expect(legacy.registry.pending.size).toBe(0);
  });

  it('puts no more into one commit than it may, but never takes one caller apart', async () => {
    const legacy = await setUpLegacy({ limits: { writeBatchMaxChanges: 3 } });
    const groups = [1, 2, 3, 4, 5].map((group) => join(`g${group}`, 'a'));
    await Promise.all([
      legacy.registry.change([set('1')]),
      legacy.registry.change([set('2')]),
      legacy.registry.change(groups),
      legacy.registry.change([set('3')]),
    ]);
    expect(legacy.store.commits.map((changes) => changes.length)).toEqual([2, 5, 1]);
  });

  it('refuses as busy what would wait beyond the limit', async () => {
    const legacy = await setUpLegacy({ limits: { writeQueueMaxChanges: 2 } });
    const release = legacy.store.hold();
    const under = legacy.registry.change([set('0')]);
    await eventually(() => legacy.store.commits.length === 1);
    const waiting = [legacy.registry.change([set('1')]), legacy.registry.change([set('2')])];
    await expect(legacy.registry.change([set('3')])).rejects.toEqual(notTaken('busy'));
    release();
    await Promise.all([under, ...waiting]);
    expect(tokensOf(legacy)).toEqual(['0', '1', '2']);
  });

  it('fails only the one whose data the database refuses', async () => {
    const legacy = await setUpLegacy();
    legacy.store.refuses = isAbout('bad');
    const results = await Promise.allSettled([
      legacy.registry.change([set('1')]),
      legacy.registry.change([set('bad')]),
      legacy.registry.change([join('g', 'a'), set('bad')]),
      legacy.registry.change([set('2')]),
    ]);
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected', 'fulfilled']);
    expect(results[1]).toMatchObject({ reason: notTaken('unstorable') });
    expect([tokensOf(legacy), storedTokens(legacy)]).toEqual([
      ['1', '2'],
      ['1', '2'],
    ]);
    // Neither half of the one that failed.
    expect(legacy.directory.knowsGroup('g')).toBe(false);
    expect(legacy.registry.pending.size).toBe(0);
  });

  it.each([true, false])(
    'tries again when there is no answer (took place: %s), unnoticed',
    async (tookPlace) => {
      const legacy = await setUpLegacy();
      legacy.store.faults.push(
        { error: storeUnavailable(), tookPlace },
        { error: storeUnavailable(), tookPlace },
      );
      expect(await legacy.registry.change([set('t')])).toBe(true);
      expect(legacy.store.commits).toHaveLength(3);
      expect([tokensOf(legacy), storedTokens(legacy)]).toEqual([['t'], ['t']]);
    },
  );

  it.each([true, false])(
    'tells everybody when the database stays away (took place: %s), and is as the table when it is back',
    async (tookPlace) => {
      const legacy = await setUpLegacy({ limits: { writePatienceMs: 0 } });
      await legacy.registry.change([set('before')]);
      const release = legacy.store.hold();
      legacy.store.fault = { error: storeUnavailable(), tookPlace };
      const inDoubt = legacy.registry.change([set('doubt'), remove('before')]);
      await eventually(() => legacy.store.commits.length === 2);
      const queued = legacy.registry.change([set('queued')]);
      release();
      await expect(inDoubt).rejects.toEqual(notTaken('away'));
      await expect(queued).rejects.toEqual(notTaken('away'));
      expect(legacy.registry.isAway).toBe(true);
      await expect(legacy.registry.change([set('later')])).rejects.toEqual(notTaken('away'));
      // Not applied as long as nobody knows.
      expect(tokensOf(legacy)).toEqual(['before']);

      legacy.store.fault = null;
      await eventually(() => !legacy.registry.isAway && legacy.registry.pending.size === 0);
      expect(tokensOf(legacy)).toEqual(['doubt']);
      expect(storedTokens(legacy)).toEqual(['doubt']);
      expect(await legacy.registry.change([set('after')])).toBe(true);
    },
  );

  it('keeps the order across an outage: a later wish wins', async () => {
    const legacy = await setUpLegacy({ limits: { writePatienceMs: 0 } });
    legacy.store.fault = { error: storeUnavailable(), tookPlace: true };
    await expect(legacy.registry.change([set('t', 'a')])).rejects.toEqual(notTaken('away'));
    legacy.store.fault = null;
    await eventually(() => !legacy.registry.isAway);
    await legacy.registry.change([set('t', 'b')]);
    expect([legacy.directory.device('t')?.account, legacy.store.devices('session')[0]?.account]).toEqual([
      'b',
      'b',
    ]);
  });

  it('makes changes that are chosen in their turn, after what came before and before what came later', async () => {
    const legacy = await setUpLegacy();
    const release = legacy.store.hold();
    const before = legacy.registry.change([set('t', 'a')]);
    await eventually(() => legacy.store.commits.length === 1);
    const seen: string[][] = [];
    const chosen = legacy.registry.changeInTurn(async () => {
      seen.push(storedTokens(legacy));
      return [set('u', 'a'), remove('t')];
    });
    const after = legacy.registry.change([set('t', 'b')]);
    release();
    await Promise.all([before, chosen, after]);
    expect(seen).toEqual([['t']]);
    expect(legacy.store.commits.map((changes) => changes.length)).toEqual([1, 2, 1]);
    expect([tokensOf(legacy), legacy.directory.device('t')?.account]).toEqual([['t', 'u'], 'b']);
    expect(legacy.registry.pending.size).toBe(0);
  });

  it('goes on when what should choose a change in its turn fails', async () => {
    const legacy = await setUpLegacy();
    const results = await Promise.allSettled([
      legacy.registry.changeInTurn(() => Promise.reject(storeUnavailable())),
      legacy.registry.change([set('t')]),
    ]);
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'fulfilled']);
    await legacy.registry.changeInTurn(async () => []);
    expect(tokensOf(legacy)).toEqual(['t']);
  });

  it('waits out a schema under repair, which the database also refuses', async () => {
    const legacy = await setUpLegacy();
    legacy.store.faults.push({ error: storeRefuses('42P01') });
    expect(await legacy.registry.change([set('t')])).toBe(true);
  });

  it('keeps a device that registered again after the push that found it dead', async () => {
    const legacy = await setUpLegacy();
    await legacy.registry.change([
      { kind: 'set-device', device: device('t', 'a', { registeredAtMs: 5000 }) },
    ]);
    const died = (sinceMs: number): DirectoryChange => ({
      kind: 'device-died',
      token: 't',
      sinceMs,
      nowMs: 9000,
    });
    expect(await legacy.registry.change([died(5000)])).toBe(false);
    expect([tokensOf(legacy), storedTokens(legacy)]).toEqual([['t'], ['t']]);
    expect(await legacy.registry.change([died(5001)])).toBe(true);
    expect([tokensOf(legacy), storedTokens(legacy)]).toEqual([[], []]);
  });

  it('writes at the stop what waits, and takes nothing more', async () => {
    const legacy = await setUpLegacy();
    const release = legacy.store.hold();
    const waiting = [legacy.registry.change([set('1')]), legacy.registry.change([set('2')])];
    const closed = legacy.registry.close();
    await expect(legacy.registry.change([set('3')])).rejects.toEqual(notTaken('closed'));
    release();
    await closed;
    await Promise.all(waiting);
    expect(storedTokens(legacy)).toEqual(['1', '2']);
  });

  it('stops though the database went away while it looked for the one whose data is refused', async () => {
    const legacy = await setUpLegacy();
    legacy.store.refuses = isAbout('bad');
    const release = legacy.store.hold();
    const waiting = ['bad', '1', '2'].map((token) => legacy.registry.change([set(token)]));
    const told = Promise.allSettled(waiting);
    await eventually(() => legacy.store.commits.length === 1);
    const closed = legacy.registry.close();
    legacy.store.faults.push({ error: storeRefuses() });
    legacy.store.fault = { error: storeUnavailable() };
    release();
    await closed;
    expect((await told).map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
    expect(legacy.store.commits).toHaveLength(2);
  });

  it('stops at once while the database is away, and tells everybody', async () => {
    const legacy = await setUpLegacy({ limits: { writeRetryMinMs: 60_000, writeBatchMaxChanges: 1 } });
    legacy.store.fault = { error: storeUnavailable() };
    const waiting = [1, 2, 3].map((token) => legacy.registry.change([set(`${token}`)]));
    const told = Promise.allSettled(waiting);
    await eventually(() => legacy.store.commits.length === 1);
    await legacy.registry.close();
    expect((await told).map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
    expect(legacy.store.commits).toHaveLength(2);
  });

  it('takes nothing before it is loaded, and may be loaded again when that failed', async () => {
    const store = new MemoryLegacyStore();
    await store.commit('session', [set('t'), join('g', 'a')]);
    let isAway = true;
    const shaky = {
      commit: store.commit.bind(store),
      load: async (...args: Parameters<MemoryLegacyStore['load']>) => {
        args[1].device(device('ghost', 'x'));
        if (isAway) throw storeUnavailable();
        await store.load(...args);
      },
    };
    const limits = defaultLegacyLimits;
    const directory = new LegacyDirectory({ groupsOnlySilencesAccount: true }, limits);
    const brand = { name: 'session' };
    const clock = { nowMs: () => 0 };
    const registry = new LegacyRegistry({ brand, store: shaky, directory, clock, log: silentLog(), limits });
    await expect(registry.change([set('u')])).rejects.toEqual(notTaken('closed'));
    await expect(registry.load()).rejects.toThrow('not available');
    isAway = false;
    expect(await registry.load()).toBe(2);
    expect(directory.isMember('g', 'a')).toBe(true);
    await expect(registry.load()).rejects.toThrow('once');
  });
});
