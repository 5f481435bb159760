import { expect, test } from 'vitest';
import { createLegacyDeletedDevices, type ChangeInTurn } from '../../src/legacy/deleted-devices.js';
import type { LegacyDevice, LegacyDeviceType } from '../../src/legacy/device.js';
import type { DirectoryChange } from '../../src/legacy/port.js';
import type { Database } from '../../src/store/database.js';
import { PostgresLegacyTombstones } from '../../src/store/legacy-tombstones.js';
import { PostgresLegacyStore } from '../../src/store/legacy.js';
import { describeWithDatabases } from '../simulators/databases.js';
import { loadLegacy } from '../simulators/legacy-model.js';

const NOW_MS = 1_700_000_000_000;
const DIED_MS = NOW_MS - 1000;
const services = { apns: 'apns', firebase: 'firebase', huawei: 'huawei' };
const brands = [
  { name: 'session', services },
  { name: 'bchat', services: { apns: 'bchat-apns', firebase: 'firebase', huawei: 'firebase' } },
];
const everything = { service: null, removedSinceMs: 0, dryRun: false };

const device = (token: string, type: LegacyDeviceType = 'ios'): LegacyDevice => ({
  token,
  account: `account of ${token}`,
  type,
  groupsOnly: true,
  registeredAtMs: 1000,
});
const dead = (given: LegacyDevice): DirectoryChange[] => [
  { kind: 'set-device', device: given },
  { kind: 'device-died', token: given.token, sinceMs: 2000, nowMs: DIED_MS },
];

/** As a server does it: the brands' changes one after the other. */
function partsOn(database: Database) {
  const store = new PostgresLegacyStore(database);
  const tombstones = new PostgresLegacyTombstones(database);
  const clock = { nowMs: () => NOW_MS };
  const turns: number[] = [];
  const changeInTurn: ChangeInTurn = async (brand, choose) => {
    const changes = await choose();
    turns.push(changes.length);
    await store.commit(brand, changes);
  };
  const running = createLegacyDeletedDevices({ tombstones, brands, changeInTurn, clock });
  const resting = createLegacyDeletedDevices({ tombstones, brands, changeInTurn: null, clock });
  return { store, tombstones, turns, running, resting };
}

const tokensOf = async (store: PostgresLegacyStore, brand: string): Promise<string[]> =>
  (await loadLegacy(store, brand)).devices.map(({ token }) => token);

describeWithDatabases('dead devices of older clients', (fixture) => {
  test.each(['running', 'resting'] as const)('come back to a server that is %s', async (kind) => {
    const parts = partsOn(await fixture.open());
    const { store } = parts;
    const devices = parts[kind];
    await store.commit('session', [
      ...dead(device('i1')),
      ...dead(device('i2')),
      ...dead(device('a', 'android')),
      ...dead(device('u', 'unknown')),
    ]);
    await store.commit('bchat', [
      ...dead(device('i1')),
      ...dead(device('a', 'android')),
      ...dead(device('h', 'huawei')),
    ]);
    await store.commit('gone', dead(device('i1')));
    expect(await devices.count()).toEqual([
      { brand: 'bchat', service: 'firebase', devices: 2 },
      { brand: 'bchat', service: 'bchat-apns', devices: 1 },
      { brand: 'session', service: 'firebase', devices: 1 },
      { brand: 'session', service: 'apns', devices: 2 },
    ]);
    for (const dryRun of [true, false]) {
      expect(await devices.undelete({ ...everything, service: 'nobody', dryRun })).toBe(0);
      expect(await devices.undelete({ ...everything, removedSinceMs: DIED_MS + 1, dryRun })).toBe(0);
      expect(await devices.undelete({ ...everything, service: 'firebase', dryRun })).toBe(3);
    }
    expect((await loadLegacy(store, 'bchat')).devices).toEqual([
      device('a', 'android'),
      device('h', 'huawei'),
    ]);
    expect(await tokensOf(store, 'session')).toEqual(['a']);
    expect(await devices.undelete({ ...everything, removedSinceMs: DIED_MS })).toBe(3);
    expect(await tokensOf(store, 'session')).toEqual(['a', 'i1', 'i2']);
    expect(await tokensOf(store, 'bchat')).toEqual(['a', 'h', 'i1']);
    expect(await tokensOf(store, 'gone')).toEqual([]);
    expect(await devices.count()).toEqual([]);
  });

  test('come back in turns of bounded size, even when they die again meanwhile', async () => {
    const database = await fixture.open();
    const { store, tombstones, turns } = partsOn(database);
    const tokens = Array.from({ length: 450 }, (_, index) => `${index}`);
    await store.commit(
      'session',
      tokens.flatMap((token) => dead(device(token))),
    );
    const changeInTurn: ChangeInTurn = async (brand, choose) => {
      const changes = await choose();
      turns.push(changes.length);
      await store.commit(brand, changes);
      const again = changes.flatMap((change): DirectoryChange[] =>
        change.kind === 'set-device'
          ? [{ kind: 'device-died', token: change.device.token, sinceMs: 2000, nowMs: NOW_MS + 1 }]
          : [],
      );
      await store.commit(brand, again);
    };
    const clock = { nowMs: () => NOW_MS };
    const devices = createLegacyDeletedDevices({ tombstones, brands, changeInTurn, clock });
    expect(await devices.undelete(everything)).toBe(450);
    expect(turns).toEqual([200, 200, 50, 0]);
    expect(await tokensOf(store, 'session')).toEqual([]);
  });

  test('stay away when their clients register or unregister before their turn comes', async () => {
    const { store, tombstones } = partsOn(await fixture.open());
    await store.commit('session', [
      ...dead(device('moved')),
      ...dead(device('left')),
      ...dead(device('still')),
    ]);
    const anew = { ...device('moved'), account: 'other', registeredAtMs: 5000 };
    const changeInTurn: ChangeInTurn = async (brand, choose) => {
      await store.commit(brand, [
        { kind: 'set-device', device: anew },
        { kind: 'remove-device', token: 'left' },
      ]);
      await store.commit(brand, await choose());
    };
    const clock = { nowMs: () => NOW_MS };
    const devices = createLegacyDeletedDevices({ tombstones, brands, changeInTurn, clock });
    expect(await devices.undelete({ ...everything, service: 'apns' })).toBe(1);
    expect((await loadLegacy(store, 'session')).devices).toEqual([anew, device('still')]);
  });
});
