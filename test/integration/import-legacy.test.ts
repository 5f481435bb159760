import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { LegacySnapshot } from '../../src/import/legacy-file.js';
import { importLegacy, type LegacyReport, type OnProgress } from '../../src/import/legacy-import.js';
import { Rejections } from '../../src/import/rejections.js';
import { openSqliteFile } from '../../src/import/sqlite-file.js';
import type { LegacyDevice } from '../../src/legacy/device.js';
import type { Database } from '../../src/store/database.js';
import { LegacyImport } from '../../src/store/legacy-import.js';
import { PostgresLegacyPeriods } from '../../src/store/legacy-periods.js';
import { PostgresLegacyStore } from '../../src/store/legacy.js';
import { describeWithDatabases } from '../simulators/databases.js';
import { v1Database, type V1Rows } from '../simulators/v1-database.js';
import { createTestDirectory } from '../unit/config/support.js';

const directory = createTestDirectory();
afterAll(() => directory.remove());

async function snapshotOf(rows: V1Rows): Promise<LegacySnapshot> {
  const path = join(directory.path, 'store.db');
  await writeFile(path, await v1Database(rows));
  const file = await openSqliteFile(path);
  if (!file.ok) throw new Error(file.error);
  const snapshot = new LegacySnapshot(new Rejections(null));
  expect(snapshot.add('store.db', file.value)).toBe(null);
  file.value.close();
  return snapshot;
}

const DEVICES = 40;
const accountOf = (n: number): string => `05${n % 7}`;
const rows: V1Rows = {
  devices: Array.from({ length: DEVICES }, (_, n) => [
    accountOf(n),
    `token${n}`,
    n % 2 === 0 ? 'ios' : 'android',
    n % 3 === 0 ? 1 : 0,
  ]),
  members: Array.from({ length: 30 }, (_, n) => [`group${n % 4}`, `05${n}`]),
  periods: [
    [1_600_000_000, 1_600_086_400, 1, 2, 3, 4, 5, 6],
    [1_600_086_400, 1_600_100_000, 1, 1, 1, 1, 1, 1],
  ],
};
const noProgress: OnProgress = () => undefined;
const run = (
  database: Database,
  snapshot: LegacySnapshot,
  {
    brand = 'session',
    dryRun = false,
    onProgress = noProgress,
  }: { readonly brand?: string; readonly dryRun?: boolean; readonly onProgress?: OnProgress } = {},
): Promise<LegacyReport> => importLegacy(snapshot, new LegacyImport(database, brand, dryRun), 7, onProgress);

const all = (added: number, changed = 0, newerHere = 0) => ({ added, changed, newerHere });

interface Contents {
  readonly devices: LegacyDevice[];
  readonly members: string[];
  readonly periods: unknown;
}

async function contentsOf(database: Database, brand = 'session'): Promise<Contents> {
  const devices: LegacyDevice[] = [];
  const members: string[] = [];
  await new PostgresLegacyStore(database, 9).load(brand, {
    device: (device) => devices.push(device),
    member: (group, account) => members.push(`${group} ${account}`),
  });
  const periods = await new PostgresLegacyPeriods(database).read(brand, { fromMs: null, toMs: null }, 100);
  return { devices, members: members.sort(), periods };
}

describeWithDatabases('what older servers stored', (fixture) => {
  let snapshot: LegacySnapshot;
  beforeAll(async () => {
    snapshot = await snapshotOf(rows);
  });

  test('is taken over as it was, in its order; a second time changes nothing', async () => {
    const database = await fixture.open();
    const expected = { devices: all(DEVICES), members: all(30), periods: all(2) };
    expect(await run(database, snapshot, { dryRun: true })).toEqual(expected);
    expect((await contentsOf(database)).devices).toEqual([]);

    const told: string[] = [];
    const onProgress = (...said: unknown[]): void => void told.push(said.join(' '));
    expect(await run(database, snapshot, { onProgress })).toEqual(expected);
    expect(told).toContain('devices 14 40');
    expect(told.at(-1)).toBe('periods 2 2');
    const first = await contentsOf(database);
    expect(first.devices).toEqual(
      [...snapshot.devices()].map((device) => ({ ...device, registeredAtMs: 0 })),
    );
    expect(first.members).toEqual(
      [...snapshot.members()].map(({ group, account }) => `${group} ${account}`).sort(),
    );
    expect(first.periods).toEqual([...snapshot.periods()]);

    const again = { devices: all(0), members: all(0), periods: all(0) };
    expect(await run(database, snapshot, { dryRun: true })).toEqual(again);
    expect(await run(database, snapshot)).toEqual(again);
    expect(await contentsOf(database)).toEqual(first);
  });

  test('has nothing to do with what another brand has', async () => {
    const database = await fixture.open();
    await run(database, snapshot, { brand: 'bchat' });
    expect((await contentsOf(database)).devices).toEqual([]);
    expect(await run(database, snapshot)).toMatchObject({ devices: all(DEVICES), members: all(30) });
    expect((await contentsOf(database, 'bchat')).devices).toHaveLength(DEVICES);
  });

  test('may be imported again after it was broken off in the middle', async () => {
    const database = await fixture.open();
    for (const where of ['devices', 'members']) {
      const onProgress = (what: string, done: number): void => {
        if (what === where && done >= 14) throw new Error('killed');
      };
      await expect(run(database, snapshot, { onProgress })).rejects.toThrow('killed');
    }
    expect((await contentsOf(database)).members).toHaveLength(14);
    expect(await run(database, snapshot)).toEqual({ devices: all(0), members: all(16), periods: all(2) });
    const whole = await contentsOf(database);
    await run(database, snapshot, { brand: 'untroubled' });
    expect(await contentsOf(database, 'untroubled')).toEqual(whole);
  });

  test('changes what an earlier file brought, never what clients said here', async () => {
    const database = await fixture.open();
    const store = new PostgresLegacyStore(database, 9);
    await run(database, snapshot);
    const registered = {
      token: 'token1',
      account: '05here',
      type: 'huawei',
      groupsOnly: false,
      registeredAtMs: 5,
    } as const;
    await store.commit('session', [
      { kind: 'set-device', device: registered },
      { kind: 'device-died', token: 'token2', sinceMs: 10, nowMs: 20 },
      { kind: 'remove-member', group: 'group0', account: '050' },
    ]);
    const later = await snapshotOf({
      devices: [
        ['05there', 'token1', 'ios'],
        ['05there', 'token2', 'ios'],
        ['05there', 'token3', 'ios'],
        [accountOf(4), 'token4', 'ios', 1],
        ['05there', 'new', 'ios'],
      ],
      periods: [
        [1_600_000_000, 1_600_000_001],
        [1_600_086_400, 1_600_172_800, 9, 9, 9, 9, 9, 9],
      ],
    });
    const expected = { devices: all(1, 2, 2), members: all(0), periods: all(0, 1, 1) };
    expect(await run(database, later, { dryRun: true })).toEqual(expected);
    expect(await run(database, later)).toEqual(expected);
    const { devices, members, periods } = await contentsOf(database);
    const byToken = new Map(devices.map((device) => [device.token, device]));
    expect(byToken.get('token1')).toEqual(registered);
    expect(byToken.has('token2')).toBe(false);
    expect(byToken.get('token3')).toMatchObject({ account: '05there', type: 'ios' });
    expect(byToken.get('token4')).toMatchObject({ account: accountOf(4), groupsOnly: true });
    expect(byToken.get('new')).toMatchObject({ account: '05there', registeredAtMs: 0 });
    expect(members).toHaveLength(29);
    expect(periods).toMatchObject([{ messages: 3 }, { endMs: 1_600_172_800_000, messages: 9 }]);
  });
});
