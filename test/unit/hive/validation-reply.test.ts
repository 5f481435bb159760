import { describe, expect, it } from 'vitest';
import { parseValidationReply } from '../../../src/hive/validation-reply.js';

const id = 'i'.repeat(32);
const parse = (...parts: (string | Buffer)[]) =>
  parseValidationReply(parts.map((part) => (Buffer.isBuffer(part) ? part : Buffer.from(part))));
const broken = { ok: false, error: { code: 4, message: 'An error occured while processing your request' } };

describe('the reply to a validation', () => {
  it('names a device', () => {
    expect(parse('0', id)).toEqual({ ok: true, value: { serviceId: id, serviceData: null } });
    expect(parse('00', 'i'.repeat(999), '')).toMatchObject({
      ok: true,
      value: { serviceData: Buffer.alloc(0) },
    });
    expect(parse('-0', id, Buffer.alloc(99_999))).toMatchObject({ ok: true });
  });

  it('or a code and a text for the client, whatever they are', () => {
    expect(parse('4', 'Invalid token')).toEqual({ ok: false, error: { code: 4, message: 'Invalid token' } });
    expect(parse('-2147483648', '', 'x')).toEqual({ ok: false, error: { code: -2147483648, message: '' } });
    expect(parse('0017', 'seventeen')).toMatchObject({ error: { code: 17 } });
  });

  it.each<[string, (string | Buffer)[]]>([
    ['one part', ['0']],
    ['no part', []],
    ['four parts', ['0', id, '', '']],
    ['a space before the code', [' 0', id]],
    ['a plus', ['+1', 'x']],
    ['something behind the code', ['0x', id]],
    ['no code', ['', id]],
    ['a code beyond 32 bits', ['2147483648', 'x']],
    ['a code without end', ['1'.repeat(1000), 'x']],
    ['a short service id', ['0', 'i'.repeat(31)]],
    ['a long service id', ['0', 'i'.repeat(1000)]],
    ['a service id that is no text', ['0', Buffer.alloc(40, 0xff)]],
    ['too much service data', ['0', id, Buffer.alloc(100_000)]],
  ])('is error 4 with %s', (_what, parts) => {
    expect(parse(...parts)).toEqual(broken);
  });
});
