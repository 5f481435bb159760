import { describe, expect, it } from 'vitest';
import { createXmppDeletedDevices } from '../../../src/xmpp-devices/deleted-devices.js';
import { MemoryXmppStore, storeUnavailable } from '../../simulators/memory-xmpp-store.js';
import { registeredBy, serviceName, setUpProcess, tokenOf, v1, v1Key } from './support.js';

/** Devices by node; each dies at the time of its number. */
async function setUp(devices: readonly (readonly [node: string, type: string])[]) {
  const process = setUpProcess();
  const { registry, store, clock, types } = process;
  await registry.load();
  for (const [node, type] of devices) {
    await registeredBy(registry.register(v1(node, type), `token-${node}`));
  }
  const startMs = clock.atMs;
  for (const [index, [node, type]] of devices.entries()) {
    clock.atMs = startMs + index + 1;
    const service = types.get(type)?.service ?? serviceName('none');
    for (const holder of registry.holdersOf(service, tokenOf(`token-${node}`))) {
      await holder.tokenDied(clock.atMs);
    }
  }
  const deleted = createXmppDeletedDevices({ store, types: types.values(), registry });
  return { ...process, startMs, deleted };
}

const devices = [
  ['a', 'apns'],
  ['b', 'fcm'],
  ['c', 'ios'],
  ['d', 'apns'],
] as const;

describe('devices that a provider called dead', () => {
  it('are counted by service', async () => {
    const { deleted } = await setUp(devices);
    expect(await deleted.count()).toEqual([
      { service: 'apns', devices: 3 },
      { service: 'firebase', devices: 1 },
    ]);
  });

  it('come back with what they had, and those of a running server at once', async () => {
    const { deleted, directory, report } = await setUp(devices);
    expect(directory.size).toBe(0);
    const filter = { service: 'apns', removedSinceMs: 0 };
    expect(await deleted.undelete({ ...filter, dryRun: true })).toBe(3);
    expect(directory.size).toBe(0);
    expect(await deleted.undelete({ ...filter, dryRun: false })).toBe(3);
    expect(directory.nodes(null, 10).toSorted()).toEqual(['a', 'c', 'd']);
    expect(directory.byKey(v1Key('a'))?.token).toBe('token-a');
    expect(await deleted.undelete({ ...filter, dryRun: false })).toBe(0);
    expect(report.lines.filter((line) => line === 'restored')).toHaveLength(3);
  });

  it('come back only if they went since then', async () => {
    const { deleted, startMs, directory } = await setUp(devices);
    const filter = { service: null, removedSinceMs: startMs + 3 };
    expect(await deleted.undelete({ ...filter, dryRun: false })).toBe(2);
    expect(directory.nodes(null, 10).toSorted()).toEqual(['c', 'd']);
  });

  it('come back in the table alone where no server runs; servers hear of it by their poll', async () => {
    const { store, types, directory, registry } = await setUp(devices);
    const deleted = createXmppDeletedDevices({ store, types: types.values(), registry: null });
    expect(await deleted.undelete({ service: null, removedSinceMs: 0, dryRun: false })).toBe(4);
    expect(directory.size).toBe(0);
    await registry.sync();
    expect(directory.size).toBe(4);
  });

  it('of more than a page come back all; those that have registered again or left do not', async () => {
    const many = Array.from({ length: 450 }, (_, n) => [`n${n}`, 'apns'] as const);
    const { deleted, registry, directory } = await setUp(many);
    await registeredBy(registry.register(v1('n0'), 'new token'));
    await registeredBy(registry.register(v1('n1'), 'new token'));
    await registry.unregister(v1('n1'));
    expect(await deleted.undelete({ service: null, removedSinceMs: 0, dryRun: false })).toBe(448);
    expect(directory.size).toBe(449);
    expect(directory.byKey(v1Key('n0'))?.token).toBe('new token');
    expect(directory.byKey(v1Key('n1'))).toBeNull();
  });

  it('end an undelete even when they die as fast as they come back', async () => {
    const { deleted, registry, store, clock } = await setUp(devices);
    const change = store.change.bind(store);
    store.change = async (one) => {
      const stored = await change(one);
      if (one.kind === 'restore' && stored !== null) {
        const { key, token } = stored.device;
        const sinceMs = clock.atMs + 1;
        await change({ kind: 'token-died', key, token, sinceMs, nowMs: clock.atMs });
      }
      return stored;
    };
    expect(await deleted.undelete({ service: null, removedSinceMs: 0, dryRun: false })).toBe(4);
    expect(registry.waiting).toBe(0);
  });

  it('cannot be brought back while the database is away', async () => {
    const store = new MemoryXmppStore();
    store.fault = { error: storeUnavailable() };
    const deleted = createXmppDeletedDevices({ store, types: [], registry: null });
    await expect(deleted.count()).rejects.toMatchObject({ name: 'StoreUnavailable' });
    await expect(deleted.undelete({ service: null, removedSinceMs: 0, dryRun: false })).rejects.toMatchObject(
      { name: 'StoreUnavailable' },
    );
  });
});
