import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { LegacySnapshot } from '../../../src/import/legacy-file.js';
import { Rejections } from '../../../src/import/rejections.js';
import { openSqliteFile } from '../../../src/import/sqlite-file.js';
import { v1Database, type V1Rows } from '../../simulators/v1-database.js';
import { createTestDirectory } from '../config/support.js';

const directory = createTestDirectory();
afterAll(() => directory.remove());

async function readBytes(...files: readonly Buffer[]) {
  const listed: string[] = [];
  const rejections = new Rejections((...line) => listed.push(line.join(' ')));
  const snapshot = new LegacySnapshot(rejections);
  const lacks: (string | null)[] = [];
  for (const [index, bytes] of files.entries()) {
    const path = join(directory.path, 'store.db');
    await writeFile(path, bytes);
    const file = await openSqliteFile(path);
    if (!file.ok) throw new Error(file.error);
    lacks.push(snapshot.add(`file${index}`, file.value));
    file.value.close();
  }
  const devices = [...snapshot.devices()].map(
    ({ token, account, type, groupsOnly }) => `${token} ${account} ${type}${groupsOnly ? ' groups' : ''}`,
  );
  const members = [...snapshot.members()].map(({ group, account }) => `${group} ${account}`);
  return { snapshot, devices, members, periods: [...snapshot.periods()], listed, rejections, lacks };
}

const read = async (...files: readonly V1Rows[]) => readBytes(...(await Promise.all(files.map(v1Database))));

const ios = 'a'.repeat(64);

describe('the store of an older server', () => {
  it('gives devices, members and periods', async () => {
    const { devices, members, periods, listed } = await read({
      devices: [
        ['05aa', 'one', 'ios'],
        ['05aa', 'two', 'android', 0],
        ['05bb', 'three', 'huawei', 1],
      ],
      members: [
        ['g1', '05aa'],
        ['g2', '05aa'],
        ['g1', '05bb'],
      ],
      periods: [[1_650_000_000.25, 1_650_086_400.5, 1, 2, 6, 3, 1, 2]],
    });
    expect(devices).toEqual(['one 05aa ios', 'two 05aa android', 'three 05bb huawei groups']);
    expect(members).toEqual(['g1 05aa', 'g1 05bb', 'g2 05aa']);
    expect(periods).toEqual([
      {
        startMs: 1_650_000_000_250,
        endMs: 1_650_086_400_500,
        iosPushes: 1,
        androidPushes: 2,
        messages: 6,
        groupMessages: 3,
        untrackedMessages: 1,
        accountMessages: 2,
      },
    ]);
    expect(listed).toEqual([]);
  });

  it('of an early version has no device and no flag: 64 characters are an iPhone', async () => {
    const rows = [
      ['05aa', ios],
      ['05aa', `${ios}a`],
      // 64 characters of two UTF-16 units each.
      ['05bb', '😀'.repeat(64)],
    ] as const;
    for (const deviceColumns of [2, 3, 4] as const) {
      const { devices } = await read({ devices: rows, deviceColumns });
      expect(devices).toEqual([`${ios} 05aa ios`, `${ios}a 05aa android`, `${'😀'.repeat(64)} 05bb ios`]);
    }
  });

  it('leaves a token to the account of its last row, and the flag to the first row of the account', async () => {
    const { devices, listed } = await read({
      devices: [
        ['05aa', 'moved', 'ios', 0],
        ['05bb', 'other', 'ios', 1],
        ['05bb', 'moved', 'ios', 0],
        ['05bb', 'other', 'ios', 1],
      ],
    });
    expect(devices).toEqual(['moved 05bb ios groups', 'other 05bb ios groups']);
    expect(listed).toEqual(['file0 token_pubkey_table 1 moved', 'file0 token_pubkey_table 2 duplicate']);
  });

  it('leaves out what cannot be one of ours, and says where it stands', async () => {
    const { devices, members, periods, listed, rejections } = await read({
      devices: [
        ['05aa', 'stays', 'android'],
        ['05aa', 'nobody', 'unknown'],
        ['05aa', 'phone', 'windows'],
        ['05aa', '', 'ios'],
        ['', 'token', 'ios'],
        ['05aa', 'x'.repeat(1000), 'ios'],
        ['5'.repeat(513), 'token', 'ios'],
        ['05aa', 'zero\0inside', 'ios'],
        ['05aa', Buffer.from([1, 2, 3]), 'ios'],
        ['05\ufffd', 'token', 'ios'],
      ],
      members: [
        ['g1', '05aa'],
        ['g1', '05aa'],
        ['', '05aa'],
        ['g1', ''],
        ['g\0', '05aa'],
        ['é'.repeat(512), '05aa'],
        ['€'.repeat(512), '05aa'],
      ],
      periods: [
        [null, null],
        [10, 5],
        [-5, 5],
        [10, 20, 0.5],
        ['noon', 20],
        [10, 20, null],
      ],
    });
    expect(devices).toEqual(['stays 05aa android']);
    expect(members).toEqual(['g1 05aa', `${'é'.repeat(512)} 05aa`]);
    expect(periods).toHaveLength(1);
    expect(listed).toEqual([
      'file0 token_pubkey_table 2 unknown-device',
      'file0 token_pubkey_table 3 bad-device',
      'file0 token_pubkey_table 4 bad-token',
      'file0 token_pubkey_table 5 bad-account',
      'file0 token_pubkey_table 6 bad-token',
      'file0 token_pubkey_table 7 bad-account',
      'file0 token_pubkey_table 8 bad-token',
      'file0 token_pubkey_table 9 bad-token',
      'file0 token_pubkey_table 10 bad-account',
      'file0 closed_group_table 2 duplicate',
      'file0 closed_group_table 3 bad-group',
      'file0 closed_group_table 4 bad-account',
      'file0 closed_group_table 5 bad-group',
      'file0 closed_group_table 7 bad-group',
      'file0 statistics_table 1 bad-period',
      'file0 statistics_table 2 bad-period',
      'file0 statistics_table 3 bad-period',
      'file0 statistics_table 4 bad-period',
      'file0 statistics_table 5 bad-period',
    ]);
    expect(rejections.total).toBe(listed.length);
    expect(rejections.counts()[0]).toEqual(['bad-period', 5]);
  });

  it('is merged with later ones, which count', async () => {
    const { snapshot, devices, members, periods, listed } = await read(
      {
        devices: [
          ['05aa', 'one', 'ios'],
          ['05aa', 'two', 'ios'],
        ],
        members: [['g1', '05aa']],
        periods: [
          [10, 20, 1],
          [20, 30, 2],
        ],
      },
      {
        devices: [['05bb', 'one', 'android', 1]],
        members: [
          ['g1', '05aa'],
          ['g1', '05bb'],
        ],
        periods: [[20, 40, 3]],
      },
    );
    expect(devices).toEqual(['two 05aa ios', 'one 05bb android groups']);
    expect(members).toEqual(['g1 05aa', 'g1 05bb']);
    expect(periods.map(({ endMs, iosPushes }) => [endMs, iosPushes])).toEqual([
      [20_000, 1],
      [40_000, 3],
    ]);
    expect([snapshot.deviceCount, snapshot.memberCount, snapshot.periodCount]).toEqual([2, 2, 2]);
    expect(listed).toEqual([]);
  });

  it('is not just any SQLite file', async () => {
    const { default: initSqlJs } = await import('sql.js');
    const database = new (await initSqlJs()).Database();
    database.run('CREATE TABLE token_pubkey_table(pubKey TEXT)');
    const { lacks } = await readBytes(Buffer.from(database.export()));
    expect(lacks).toEqual(['file0 has no column token in a table token_pubkey_table']);
  });
});
