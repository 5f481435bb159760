import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { openSqliteFile } from '../../../src/import/sqlite-file.js';
import { v1Database } from '../../simulators/v1-database.js';
import { createTestDirectory } from '../config/support.js';

const directory = createTestDirectory();
afterAll(() => directory.remove());

async function write(name: string, bytes: Uint8Array): Promise<string> {
  const path = join(directory.path, name);
  await writeFile(path, bytes);
  return path;
}

async function complaintAbout(path: string): Promise<string> {
  const opened = await openSqliteFile(path);
  if (!opened.ok) return opened.error;
  opened.value.close();
  return 'none';
}

const manyRows = () =>
  v1Database({ devices: Array.from({ length: 500 }, (_, n) => [`05${n}`, `${n}`.padStart(64, 'f'), 'ios']) });

describe('a SQLite file', () => {
  it('is read: columns and rows', async () => {
    const opened = await openSqliteFile(
      await write('good.db', await v1Database({ devices: [['05aa', 'x']] })),
    );
    if (!opened.ok) throw new Error(opened.error);
    expect([...opened.value.columnsOf('token_pubkey_table')]).toEqual([
      'pubKey',
      'token',
      'device',
      'legacy_groups_only',
    ]);
    expect(opened.value.columnsOf('nothing').size).toBe(0);
    expect([...opened.value.rows('SELECT * FROM token_pubkey_table')]).toEqual([['05aa', 'x', null, 0]]);
    opened.value.close();
  });

  it('is refused when it is something else', async () => {
    expect(await complaintAbout(join(directory.path, 'nowhere.db'))).toContain('ENOENT');
    expect(await complaintAbout(directory.path)).toContain('not a file');
    expect(await complaintAbout(await write('empty.db', Buffer.alloc(0)))).toContain('not a SQLite database');
    expect(await complaintAbout(await write('text.db', Buffer.from('{"json": true}')))).toContain(
      'not a SQLite',
    );
  });

  it('is refused when it is damaged', async () => {
    const whole = await manyRows();
    expect(await complaintAbout(await write('short.db', whole.subarray(0, whole.length / 2)))).toContain(
      'damaged',
    );
    const filled = Buffer.from(whole);
    filled.fill(0x55, 4096);
    expect(await complaintAbout(await write('filled.db', filled))).toContain('damaged');
    const headOnly = Buffer.concat([whole.subarray(0, 16), Buffer.alloc(50)]);
    expect(await complaintAbout(await write('head.db', headOnly))).toContain('damaged');
  });

  it('is refused with a change beside it that was not finished', async () => {
    const path = await write('busy.db', await manyRows());
    await write('busy.db-journal', Buffer.alloc(512));
    expect(await complaintAbout(path)).toBe('none');
    await write(
      'busy.db-journal',
      Buffer.concat([Buffer.from('d9d505f920a163d7', 'hex'), Buffer.alloc(504)]),
    );
    expect(await complaintAbout(path)).toContain('busy.db-journal');
    await write('busy.db-journal', Buffer.alloc(0));
    await write('busy.db-wal', Buffer.alloc(0));
    expect(await complaintAbout(path)).toBe('none');
    await write('busy.db-wal', Buffer.alloc(32, 1));
    expect(await complaintAbout(path)).toContain('busy.db-wal');
  });
});
