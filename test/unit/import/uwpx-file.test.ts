import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { Rejections } from '../../../src/import/rejections.js';
import { openSqliteFile } from '../../../src/import/sqlite-file.js';
import { UwpxSnapshot } from '../../../src/import/uwpx-file.js';
import {
  bareJidHash,
  uwpxChannel,
  uwpxNode,
  UwpxPythonFile,
  uwpxSecret,
  uwpxTime,
} from '../../simulators/uwpx-python-files.js';
import { v1Database } from '../../simulators/v1-database.js';
import { createTestDirectory } from '../config/support.js';

const directory = createTestDirectory();
afterAll(() => directory.remove());

const now = Date.parse('2024-01-01T00:00:00Z');
const recent = uwpxTime(now - 1000);
const path = join(directory.path, 'pushServer.db');

async function snapshotOf(file: UwpxPythonFile) {
  await file.write(path);
  return readSnapshot();
}

async function readSnapshot() {
  const listed: string[] = [];
  const snapshot = new UwpxSnapshot({
    rejections: new Rejections((source, table, row, reason) =>
      listed.push(`${source} ${table} ${row} ${reason}`),
    ),
    outdatedBeforeMs: now - 86_400_000,
    nowMs: now,
    fileAtMs: now - 5,
  });
  const opened = await openSqliteFile(path);
  if (!opened.ok) throw new Error(opened.error);
  const lack = snapshot.add('f', opened.value);
  opened.value.close();
  return { lack, listed, devices: [...snapshot.devices()], snapshot };
}

describe('the SQLite file of a UWPX push server', () => {
  test('gives devices with their accounts, node and secret kept', async () => {
    const file = await UwpxPythonFile.create();
    const deviceId = '5486bd868050a620141f4e81c9f1d2c67ab0de27e5e26d218ca41c9394ee806b';
    const hash = bareJidHash(deviceId, 'someClient@xmpp.uwpx.org');
    expect(hash).toBe('e5397e96c6ff4d629ab9f203eec3ff17c777b2127cf1b41005e54877487ba982');
    const row = file.setChannel(deviceId, uwpxChannel('AwYAAABq%2bX0'), '2023-12-31 23:59:59.123456+0000');
    file.addAccount(row, hash, { domain: 'xmpp.uwpx.org' });
    file.addAccount(row, 'second', { domain: 'somebody@other.example' });
    file.setChannel('lonely', uwpxChannel('x'), '2024-01-01 01:30:00.000000+0130');
    const { lack, listed, devices, snapshot } = await snapshotOf(file);
    expect([lack, listed]).toEqual([null, []]);
    expect([snapshot.deviceCount, snapshot.accountCount]).toEqual([2, 2]);
    expect(uwpxNode(hash)).toHaveLength(171);
    expect(uwpxSecret(hash)).toHaveLength(256);
    expect(devices).toEqual([
      {
        deviceId,
        channelUri: uwpxChannel('AwYAAABq%2bX0'),
        protocolVersion: null,
        updatedAtMs: now - 877,
        accounts: [
          { accountId: hash, node: uwpxNode(hash), secret: uwpxSecret(hash), domain: 'xmpp.uwpx.org' },
          {
            accountId: 'second',
            node: uwpxNode('second'),
            secret: uwpxSecret('second'),
            domain: 'other.example',
          },
        ],
      },
      {
        deviceId: 'lonely',
        channelUri: uwpxChannel('x'),
        protocolVersion: null,
        updatedAtMs: now,
        accounts: [],
      },
    ]);
  });

  test('leaves out devices that nobody can reach, with their accounts', async () => {
    const file = await UwpxPythonFile.create();
    const rows = [
      file.setChannel('a', 'ms-app://s-1-15-2-1', recent),
      file.setChannel('b', 'https://evil.example/?token=x', recent),
      file.setChannel('', uwpxChannel('x'), recent),
      file.setChannel('x'.repeat(1025), uwpxChannel('x'), recent),
      file.setChannel(7, uwpxChannel('x'), recent),
      file.setChannel('c', uwpxChannel('x'), 'long ago'),
      file.setChannel('d', uwpxChannel('x'), '2023-14-01 00:00:00.000000+0000'),
      file.setChannel('e', uwpxChannel('x'), uwpxTime(now + 1)),
      file.setChannel('f', uwpxChannel('x'), uwpxTime(now - 86_400_001)),
      file.setChannel(Buffer.from('blob'), uwpxChannel('x'), recent),
    ];
    file.run(`INSERT INTO channeluri ("deviceId", "channelUri", "timeStamp")
      VALUES (CAST(x'610062' AS TEXT), '${uwpxChannel('x')}', '${recent}')`);
    for (const row of rows) file.addAccount(row, `of ${row}`);
    const { listed, devices } = await snapshotOf(file);
    expect(devices).toEqual([{ ...devices[0], deviceId: '7' }]);
    const reasons = Object.fromEntries(
      listed.map((line) => line.split(' ').slice(1)).map(([t, r, why]) => [`${t} ${r}`, why]),
    );
    expect(reasons).toEqual({
      'ChannelUri 1': 'bad-channel',
      'ChannelUri 2': 'bad-channel',
      'ChannelUri 3': 'bad-device',
      'ChannelUri 4': 'bad-device',
      'ChannelUri 6': 'bad-time',
      'ChannelUri 7': 'bad-time',
      'ChannelUri 8': 'bad-time',
      'ChannelUri 9': 'outdated',
      'ChannelUri 10': 'bad-device',
      'ChannelUri 11': 'bad-device',
      ...Object.fromEntries([1, 2, 3, 4, 6, 7, 8, 9, 10].map((row) => [`PushAccount ${row}`, 'no-device'])),
    });
  });

  test('leaves out accounts of a row that a new channel has replaced, and odd ones', async () => {
    const file = await UwpxPythonFile.create();
    const before = file.setChannel('a', uwpxChannel('one'), recent);
    const orphan = file.addAccount(before, 'orphan');
    const row = file.setChannel('a', uwpxChannel('two'), recent);
    expect(row).not.toBe(before);
    const odd = [
      file.addAccount(row, ''),
      file.addAccount(row, 'n', { node: '' }),
      file.addAccount(row, 'n', { node: 'x'.repeat(1025) }),
      file.addAccount(row, 's', { secret: '' }),
      file.addAccount(row, 's', { secret: 'x'.repeat(513) }),
      file.addAccount(row, 'twice', { node: 'first' }),
    ];
    file.addAccount(row, 'twice', { node: 'second', domain: '' });
    const { listed, devices } = await snapshotOf(file);
    expect(listed).toEqual(
      [orphan, ...odd].map((account, index) => {
        const reason = [
          'no-device',
          'bad-account',
          'bad-node',
          'bad-node',
          'bad-secret',
          'bad-secret',
          'duplicate',
        ];
        return `f PushAccount ${account} ${reason[index] ?? ''}`;
      }),
    );
    expect(devices).toMatchObject([
      {
        deviceId: 'a',
        channelUri: uwpxChannel('two'),
        accounts: [{ accountId: 'twice', node: 'second', domain: null }],
      },
    ]);
  });

  test('of an early version has no times: that of the file counts', async () => {
    const file = await UwpxPythonFile.create(false);
    file.setChannel('a', uwpxChannel('x'));
    expect((await snapshotOf(file)).devices).toMatchObject([{ updatedAtMs: now - 5 }]);
  });

  test('is told from other files', async () => {
    await writeFile(path, await v1Database({}));
    expect((await readSnapshot()).lack).toBe('f has no column id in a table ChannelUri');
    const file = await UwpxPythonFile.create();
    file.run('ALTER TABLE pushaccount DROP COLUMN secret');
    expect((await snapshotOf(file)).lack).toBe('f has no column secret in a table PushAccount');
  });
});
