import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { classify, CommandTable } from '../../../src/oxenmq/wire.js';

const bytes = (text: string) => Buffer.from(text);
const kindOf = (name: string, ...rest: string[]) => classify(bytes(name), rest.map(bytes));

describe('classify', () => {
  it('knows the control words, whatever follows them', () => {
    expect(kindOf('HI').kind).toBe('hi');
    expect(kindOf('HELLO', 'and more').kind).toBe('hello');
    expect(kindOf('BYE').kind).toBe('bye');
  });

  it('tells replies by their tag', () => {
    expect(kindOf('REPLY', 'tag', 'a', '')).toEqual({
      kind: 'reply',
      tag: bytes('tag'),
      data: [bytes('a'), bytes('')],
    });
    expect(kindOf('REPLY', 'tag')).toEqual({ kind: 'reply', tag: bytes('tag'), data: [] });
    expect(kindOf('REPLY').kind).toBe('meaningless');
  });

  it.each(['UNKNOWNCOMMAND', 'FORBIDDEN', 'NOT_A_SERVICE_NODE', 'FORBIDDEN_SN', 'NO_REPLY_TAG'])(
    'reads both shapes of %s and the bare word of old peers',
    (word) => {
      expect(kindOf(word, 'REPLY', 'tag')).toEqual({ kind: 'refused-tag', word, tag: bytes('tag') });
      expect(kindOf(word, 'cat.cmd')).toEqual({ kind: 'refused-command', word, command: 'cat.cmd' });
      expect(kindOf(word).kind).toBe('meaningless');
      expect(kindOf(word, 'x'.repeat(252)).kind).toBe('meaningless');
    },
  );

  it('takes any other word for a command, near misses too', () => {
    for (const name of ['', 'hi', 'HELLO ', 'TIMEOUT', 'some.command', 'x'.repeat(1_000)]) {
      expect(kindOf(name, 'REPLY', 'tag')).toEqual({ kind: 'unknown-command', name: bytes(name) });
    }
  });

  it('never throws', () => {
    const part = fc.oneof(
      fc.uint8Array({ maxLength: 30 }).map((array) => Buffer.from(array)),
      fc.constantFrom('REPLY', 'FORBIDDEN', 'UNKNOWNCOMMAND', 'HELLO').map(bytes),
    );
    fc.assert(
      fc.property(part, fc.array(part), (name, rest) => {
        classify(name, rest);
      }),
    );
  });
});

describe('CommandTable', () => {
  it('finds a command by its bytes and nothing that is merely like it', () => {
    const table = new CommandTable(['notify.message', 'notify.block']);
    expect(table.find(bytes('notify.message'))).toBe('notify.message');
    expect(table.find(bytes('notify.block'))).toBe('notify.block');
    for (const other of ['', 'notify.messagf', 'Notify.message', 'notify.message ', 'notify.bloc']) {
      expect(table.find(bytes(other))).toBeNull();
    }
  });
});
