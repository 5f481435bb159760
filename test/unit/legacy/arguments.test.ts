import { describe, expect, it } from 'vitest';
import { readGroups, readNotification } from '../../../src/legacy/arguments.js';
import { pythonText } from '../../../src/legacy/python-text.js';
import { setUpLegacy } from './support.js';

const answerOf = async (name: string, args: Record<string, unknown>) => {
  const { methods, store } = await setUpLegacy();
  const { status, body } = await methods.call(name, args);
  return { status, code: body.code, message: body.message, commits: store.commits.length };
};
const bad = (message: unknown = expect.stringMatching(/./)) => ({
  status: 400,
  code: 0,
  message,
  commits: 0,
});

describe('arguments of older clients', () => {
  it.each([undefined, null, '', 0, -0, false, [], {}])('%j is a missing one', async (value) => {
    const missing = bad('Missing parameter');
    expect(await answerOf('unregister', { token: value })).toEqual(missing);
    expect(await answerOf('register', { token: 't', pubKey: value, device: 'ios' })).toEqual(missing);
    expect(await answerOf('subscribe_closed_group', { closedGroupPublicKey: value, pubKey: 'a' })).toEqual(
      missing,
    );
    expect(await answerOf('notify', { send_to: 'a', data: value })).toEqual(missing);
  });

  it.each([7, true, ['t'], { a: 1 }, 'a\0b', 'half \ud800', '\udc00 half'])(
    '%j as id or token is refused alone',
    async (value) => {
      expect(await answerOf('unregister', { token: value })).toEqual(bad());
      expect(await answerOf('register', { token: value, pubKey: 'a', device: 'ios' })).toEqual(bad());
      expect(await answerOf('register', { token: value, pubKey: 'a' })).toEqual(bad());
      expect(await answerOf('register', { token: 't', pubKey: value })).toEqual(bad());
      expect(await answerOf('subscribe_closed_group', { closedGroupPublicKey: value, pubKey: 'a' })).toEqual(
        bad(),
      );
      expect(
        await answerOf('unsubscribe_closed_group', { closedGroupPublicKey: 'g', pubKey: value }),
      ).toEqual(bad());
      expect(await answerOf('notify', { send_to: value, data: 'x' })).toEqual(bad());
    },
  );

  it('names of things that every object has are no arguments and no methods', async () => {
    expect(await answerOf('constructor', {})).toEqual(bad("'constructor'"));
    expect(await answerOf('__proto__', {})).toEqual(bad("'__proto__'"));
    const args = Object.create({ token: 'inherited' }) as Record<string, unknown>;
    expect(await answerOf('unregister', args)).toEqual(bad('Missing parameter'));
    const { methods } = await setUpLegacy();
    expect([methods.has('notify'), methods.has('toString'), methods.has('/notify')]).toEqual([
      true,
      false,
      false,
    ]);
  });

  it('ids are taken up to 512 characters, tokens up to 999 bytes, and no longer', async () => {
    const register = (token: string, pubKey: string) => answerOf('register', { token, pubKey });
    expect(await register('t'.repeat(999), 'a'.repeat(512))).toMatchObject({ status: 200, commits: 1 });
    expect(await register('t'.repeat(1000), 'a')).toEqual(bad('token is too long'));
    expect(await register('ü'.repeat(500), 'a')).toEqual(bad('token is too long'));
    expect(await register('t', 'a'.repeat(513))).toEqual(bad('pubKey is too long'));
    // As long as the table can hold.
    expect(await register('t', 'ü'.repeat(512))).toMatchObject({ status: 200 });
    expect(await register('t', '€'.repeat(512))).toEqual(bad('pubKey is too long'));
  });

  it('a token of 64 characters, however they are made, is one of Apple', async () => {
    const { methods, directory } = await setUpLegacy();
    for (const token of ['é'.repeat(64), '😀'.repeat(64), '😀'.repeat(32), 'x'.repeat(65)]) {
      await methods.call('register', { token, pubKey: 'a' });
    }
    expect([...directory.devices()].map(({ type }) => type)).toEqual(['ios', 'ios', 'android', 'android']);
  });

  it('errors show the value as Python would, and never repeat much of it', async () => {
    const shown = async (device: unknown) =>
      (await answerOf('register', { token: 't', pubKey: 'a', device })).message;
    expect(await shown(7)).toBe('7 is not a valid DeviceType');
    expect(await shown(false)).toBe('False is not a valid DeviceType');
    expect(await shown('')).toBe("'' is not a valid DeviceType");
    expect(await shown(['ios'])).toBe('this list is not a valid DeviceType');
    expect(await shown({ ios: 1 })).toBe('this dict is not a valid DeviceType');
    expect(await shown('x'.repeat(100_000))).toBe('this str is not a valid DeviceType');
    expect(await answerOf('x'.repeat(100_000), {})).toEqual(bad('no such method'));
  });

  it('texts in Python notation', () => {
    expect(["it's", '"', '\'"', '\\', 'a\n\t\x07\x7f', '\ud800', 'ä😀'].map(pythonText)).toEqual([
      '"it\'s"',
      "'\"'",
      "'\\'\"'",
      "'\\\\'",
      "'a\\n\\t\\x07\\x7f'",
      "'\\ud800'",
      "'ä😀'",
    ]);
  });

  it('data is taken up to 10,240 characters, counted as the original does', () => {
    const dataOf = (data: string) => {
      const read = readNotification({ send_to: 'a', data });
      return read.ok ? read.value.data : read.error;
    };
    expect(dataOf('A'.repeat(10_240))).toHaveLength(10_240);
    expect(dataOf('A'.repeat(10_241))).toBeNull();
    expect(dataOf('😀'.repeat(10_240))).toHaveLength(20_480);
    expect(dataOf('😀'.repeat(10_241))).toBeNull();
  });

  it('a list of groups counts each once, and one that is no list is an error', () => {
    const groups = (list: unknown) => readGroups({ legacyGroupPublicKeys: list }, 3);
    expect(groups(['a', 'b', 'a'])).toEqual({ ok: true, value: ['a', 'b'] });
    expect(readGroups({}, 3)).toEqual({ ok: true, value: [] });
    for (const list of [null, 'abc', 7, {}, ['a', ''], ['a', null], [['a']], ['a', 'b', 'c', 'd']]) {
      expect(groups(list)).toMatchObject({ ok: false, error: { reply: { status: 400, body: { code: 0 } } } });
    }
  });
});
