import { describe, expect, test } from 'vitest';
import { readLuaReturn } from '../../../src/import/lua-literal.js';
import { readPushAppserverRecord } from '../../../src/import/push-appserver-record.js';
import {
  prosodyValue,
  pushAppserverRecord,
  type LuaTableSource,
} from '../../simulators/prosody-store-files.js';

const now = Date.parse('2024-01-01T00:00:00Z');
function readText(text: string, node = 'node') {
  const value = readLuaReturn(Buffer.from(text));
  if (!value.ok) throw new Error('malformed');
  return readPushAppserverRecord(node, value.value, now);
}
const readRecord = (changes: LuaTableSource, node = 'node') =>
  readText(prosodyValue(pushAppserverRecord(node, changes)), node);
const without = (name: string) => {
  const record = pushAppserverRecord('node');
  delete record[name];
  return readText(prosodyValue(record));
};

describe('a record of mod_push_appserver', () => {
  test('is taken as it is', () => {
    const node = 'Ünïcode node/1';
    const record = readRecord(
      {
        type: 'fcm',
        token: 'a:b_c-D',
        secret: 'ab'.repeat(32),
        renewed: '2022-01-02T03:04:05Z',
        last_successful_push: '2023-01-02T03:04:05Z',
        last_push_error: '2023-01-02T03:04:06.789Z',
        something: true,
      },
      node,
    );
    expect(record).toEqual({
      ok: true,
      value: {
        node,
        type: 'fcm',
        token: 'a:b_c-D',
        secret: 'ab'.repeat(32),
        registeredAtMs: Date.UTC(2021, 2, 4, 5, 6, 7),
        renewedAtMs: Date.UTC(2022, 0, 2, 3, 4, 5),
        lastPushAtMs: Date.UTC(2023, 0, 2, 3, 4, 5),
        lastErrorAtMs: Date.UTC(2023, 0, 2, 3, 4, 6, 789),
      },
    });
  });

  test.each<[string, LuaTableSource, string]>([
    ['another node', { node: 'other' }, 'other-node'],
    ['a node in another case', { node: 'Node' }, 'other-node'],
    ['a node that is a number', { node: 7 }, 'other-node'],
    ['no type', { type: '' }, 'bad-type'],
    ['a long type', { type: 'x'.repeat(65) }, 'bad-type'],
    ['a type of many bytes', { type: '€'.repeat(60) }, 'bad-type'],
    ['a type that is no text', { type: true }, 'bad-type'],
    ['no token', { token: '' }, 'bad-token'],
    ['a long token', { token: 'x'.repeat(1000) }, 'bad-token'],
    ['a zero byte in the token', { token: 'a\0b' }, 'bad-token'],
    ['no secret', { secret: '' }, 'bad-secret'],
    ['a zero byte in the secret', { secret: 'a\0' }, 'bad-secret'],
    ['a long secret', { secret: 'x'.repeat(513) }, 'bad-secret'],
  ])('is refused with %s', (_, changes, reason) => {
    expect(readRecord(changes)).toEqual({ ok: false, error: reason });
  });

  test('is refused without what it cannot do without, and where there is none', () => {
    expect(without('node')).toEqual({ ok: false, error: 'other-node' });
    expect(without('type')).toEqual({ ok: false, error: 'bad-type' });
    expect(without('token')).toEqual({ ok: false, error: 'bad-token' });
    expect(without('secret')).toEqual({ ok: false, error: 'bad-secret' });
    expect(readText('return {}')).toEqual({ ok: false, error: 'empty' });
    expect(readText('return nil')).toEqual({ ok: false, error: 'no-record' });
    expect(readText('return "text"')).toEqual({ ok: false, error: 'no-record' });
    expect(readText(String.raw`return { node = "node"; type = "a\xff" }`)).toEqual({
      ok: false,
      error: 'bad-type',
    });
    expect(readRecord({}, 'n'.repeat(1025))).toEqual({ ok: false, error: 'bad-node' });
    expect(readRecord({}, '\0')).toEqual({ ok: false, error: 'bad-node' });
  });

  test('is not lost for a time that is none, or is to come', () => {
    for (const registered of [
      'yesterday',
      '2021-13-45T00:00:00Z',
      '2030-01-01T00:00:00Z',
      '1960-01-01T00:00:00Z',
      5,
    ]) {
      expect(readRecord({ registered })).toMatchObject({
        ok: true,
        value: { registeredAtMs: 0, renewedAtMs: null },
      });
    }
    expect(readRecord({ registered: '', renewed: '2022-01-01T00:00:00Z' })).toMatchObject({
      ok: true,
      value: { registeredAtMs: Date.UTC(2022, 0, 1), renewedAtMs: Date.UTC(2022, 0, 1) },
    });
  });

  test('has no renewal from before its registration: that was of another type', () => {
    expect(readRecord({ renewed: '2020-01-01T00:00:00Z' })).toMatchObject({
      ok: true,
      value: { renewedAtMs: null },
    });
  });
});
