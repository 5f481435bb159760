import { beforeEach, describe, expect, it } from 'vitest';
import { readWakeMessage } from '../../../src/codec/wake-content.js';
import { isSecret } from '../../../src/crypto/secret-keeper.js';
import { noSummary, type PublishTarget } from '../../../src/domain/publish.js';
import { ChannelDevices } from '../../../src/uwpx/channel-device.js';
import { NodeLookUpError } from '../../../src/uwpx/node-look-ups.js';
import {
  defaultUwpxTargetsOptions,
  UwpxTargets,
  type UwpxTargetsOptions,
} from '../../../src/uwpx/targets.js';
import { MemoryUwpxStore } from '../../simulators/memory-uwpx-store.js';
import { addDevice, channelOf, DAY_MS, HOUR_MS, NOW_MS, WNS } from './examples.js';

let store: MemoryUwpxStore;
let nowMs: number;

const targetsWith = (options: Partial<UwpxTargetsOptions> = {}): UwpxTargets =>
  new UwpxTargets(
    { store, channels: new ChannelDevices(), clock: { nowMs: () => nowMs } },
    { ...defaultUwpxTargetsOptions, service: WNS, lifetimeMs: HOUR_MS, ...options },
  );

const theOne = async (node: string, targets = targetsWith()): Promise<PublishTarget> => {
  const [target, ...others] = await targets.lookUp(node);
  if (target === undefined) throw new Error(`nobody has ${node}`);
  expect(others).toEqual([]);
  return target;
};

beforeEach(async () => {
  store = new MemoryUwpxStore();
  nowMs = NOW_MS;
  await addDevice(store, 'a');
});

describe('a node of a UWPX account', () => {
  it('stands for its device, behind its secret', async () => {
    const target = await theOne('aNode');
    expect(target).toMatchObject({
      service: WNS,
      domain: null,
      device: { serviceId: channelOf('a'), serviceData: Buffer.from(channelOf('a')) },
    });
    expect([isSecret('aSecret', target.secretHash), isSecret('bSecret', target.secretHash)]).toEqual([
      true,
      false,
    ]);
  });

  it('is woken by the body of its protocol, loudly', async () => {
    const target = await theOne('aNode');
    const wake = target.compose({ messageCount: 3, pendingSubscriptionCount: null, hasBody: false });
    expect(wake).toMatchObject({ urgency: 'high', priority: 'high', lifetimeMs: HOUR_MS });
    expect(readWakeMessage(wake.content.payload)?.raw).toBe(
      '{"account_id":"aAccount","action":"push","message_count":3,"pending_subscription_count":0,"version":2}',
    );
    expect(readWakeMessage(target.compose(noSummary).content.payload)?.raw).toContain('"message_count":0');
  });

  it('has a key of its own', async () => {
    await addDevice(store, 'b');
    const targets = targetsWith();
    const keys = await Promise.all(
      ['aNode', 'bNode', 'aNode'].map(async (node) => (await theOne(node, targets)).key),
    );
    expect(new Set(keys).size).toBe(2);
  });

  it('is bound to the domain that its client told only where that is asked for', async () => {
    await addDevice(store, 'old', { domain: 'Jabber.Example' });
    expect((await theOne('oldNode')).domain).toBeNull();
    expect((await theOne('oldNode', targetsWith({ bindDomain: true }))).domain).toBe('jabber.example');
    expect((await theOne('aNode', targetsWith({ bindDomain: true }))).domain).toBeNull();
  });

  it.each(['', 'nobody', 'a\0b', 'x'.repeat(2000), 'ünode', 'a b'])('is nobody for %j', async (node) => {
    expect(await targetsWith().lookUp(node)).toEqual([]);
    expect(store.queries.flat()).toEqual(node === 'nobody' ? ['nobody'] : []);
  });

  it('is never found in memory', () => expect(targetsWith().find()).toEqual([]));
});

describe('a device that has lost its channel', () => {
  const outcomeAfter = async (ms: number, activeBeforeMs = 0): Promise<string> => {
    await addDevice(store, 'a', { nowMs: NOW_MS - activeBeforeMs });
    store.forgetChannel('a', NOW_MS);
    const target = await theOne('aNode');
    expect(target.device).toBeNull();
    return target.whenGone(NOW_MS + ms).kind;
  };

  it('is waited for in the first hour', async () => {
    expect(await outcomeAfter(0)).toBe('failed');
    expect(await outcomeAfter(HOUR_MS - 1)).toBe('failed');
    expect(await outcomeAfter(HOUR_MS)).toBe('unknown');
  });

  it('is not waited for when nobody has used it for long', async () => {
    expect(await outcomeAfter(0, 29 * DAY_MS)).toBe('failed');
    expect(await outcomeAfter(0, 31 * DAY_MS)).toBe('unknown');
  });

  it('is waited for when it has died by this very push', async () => {
    expect((await theOne('aNode')).whenGone(NOW_MS)).toEqual({ kind: 'failed', text: null });
  });
});

describe('look-ups', () => {
  it('share queries: those of one turn the first, those that come meanwhile the next', async () => {
    for (const label of ['b', 'c', 'd']) await addDevice(store, label);
    const targets = targetsWith({ lookUps: { nodesPerQuery: 2, maxWaiting: 10, queryTimeoutMs: 1000 } });
    let answer: () => void = () => undefined;
    store.before = () => new Promise((resolve) => (answer = resolve));
    const first = ['aNode', 'aNode', 'bNode'].map((node) => targets.lookUp(node));
    await new Promise((resolve) => setImmediate(resolve));
    expect(store.queries).toEqual([['aNode', 'bNode']]);
    const second = ['cNode', 'aNode', 'dNode'].map((node) => targets.lookUp(node));
    store.before = () => Promise.resolve();
    answer();
    const found = await Promise.all([...first, ...second]);
    expect(found.map((list) => list.length)).toEqual([1, 1, 1, 1, 1, 1]);
    // The answer on its way may be older than the second question for the same node.
    expect(store.queries).toEqual([['aNode', 'bNode'], ['cNode', 'aNode'], ['dNode']]);
  });

  it('fail while the database is away, and work again afterwards', async () => {
    const targets = targetsWith();
    store.before = () => Promise.reject(new Error('away'));
    await expect(targets.lookUp('aNode')).rejects.toThrow('away');
    store.before = () => Promise.resolve();
    expect(await targets.lookUp('aNode')).toHaveLength(1);
  });

  it('fail when too many wait, or for too long', async () => {
    const targets = targetsWith({ lookUps: { nodesPerQuery: 1, maxWaiting: 2, queryTimeoutMs: 20 } });
    store.before = () => new Promise(() => undefined);
    const results = await Promise.allSettled(['aNode', 'bNode', 'cNode'].map((node) => targets.lookUp(node)));
    const kinds = results.map((result) =>
      result.status === 'rejected' && result.reason instanceof NodeLookUpError ? result.reason.kind : null,
    );
    expect(kinds).toEqual(['late', 'late', 'full']);
    store.before = () => Promise.resolve();
    expect(await targets.lookUp('aNode')).toHaveLength(1);
  });
});

describe('devices that took pushes', () => {
  const limits = { maxRemembered: 3, devicesPerWrite: 2 };

  it('are written down once a day at most, many at a time', async () => {
    const targets = targetsWith({ activity: limits });
    const labels = ['a', 'b', 'c', 'd'];
    for (const label of labels) await addDevice(store, label);
    for (const fate of ['delivered', 'stored', 'given-up'] as const) {
      for (const label of labels) (await theOne(`${label}Node`, targets)).note(fate, NOW_MS + HOUR_MS);
    }
    await targets.flush();
    expect(store.notes).toEqual([]);
    for (const label of [...labels, ...labels]) {
      (await theOne(`${label}Node`, targets)).note('delivered', NOW_MS + DAY_MS);
    }
    nowMs = NOW_MS + DAY_MS;
    await targets.flush();
    expect(store.notes).toEqual([['a', 'b'], ['c']]);
    await targets.flush();
    expect(store.notes).toHaveLength(2);
  });

  it('are kept in mind while the database is away', async () => {
    const targets = targetsWith();
    (await theOne('aNode', targets)).note('delivered', NOW_MS + DAY_MS);
    store.before = () => Promise.reject(new Error('away'));
    await expect(targets.flush()).rejects.toThrow('away');
    store.before = () => Promise.resolve();
    await targets.flush();
    expect(store.notes).toEqual([['a']]);
  });
});
