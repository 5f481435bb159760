import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseForm } from '../../../src/http/app-server-form.js';

const parse = (text: string | Buffer): Record<string, string> | null => {
  const fields = parseForm(Buffer.from(text));
  return fields === null ? null : Object.fromEntries(fields);
};

describe('a form', () => {
  it.each([
    ['type=apns&node=a&token=b', { type: 'apns', node: 'a', token: 'b' }],
    ['node=a%2Fb+c%26d', { node: 'a/b c&d' }],
    ['a=1&a=2', { a: '2' }],
    ['a=1&a=', { a: '' }],
    ['a=b=c', { a: 'b=c' }],
    ['a=1&nothing&b=2', { a: '1', b: '2' }],
    ['&&a=1&', { a: '1' }],
    ['=x', { '': 'x' }],
    ['%61=%c3%a9', { a: 'é' }],
    ['a=%', { a: '%' }],
    ['a=%4', { a: '%4' }],
    ['a=%zz%41', { a: '%zzA' }],
    ['a=%%41', { a: '%A' }],
    ['a=100%&b=1', { a: '100%', b: '1' }],
    ['a=%EF%BB%BFx', { a: '\ufeffx' }],
  ])('%s', (text, fields) => {
    expect(parse(text)).toEqual(fields);
  });

  it.each(['', 'a', 'a&b', '{"type":"apns"}', 'a=%ff', 'a=%c3', '%ff=a', 'a=%ed%a0%80', 'a=%c0%80'])(
    'is none: %s',
    (text) => {
      expect(parse(text)).toBeNull();
    },
  );

  it('is none with raw bytes that are no UTF-8', () => {
    expect(parse(Buffer.from([0x61, 0x3d, 0xff]))).toBeNull();
  });

  it('of any texts is read as it was written', () => {
    const text = fc.string({ unit: 'grapheme' });
    fc.assert(
      fc.property(fc.dictionary(text, text, { minKeys: 1 }), (fields) => {
        expect(parse(new URLSearchParams(fields).toString())).toEqual(fields);
      }),
    );
  });

  it('of any bytes is read without an accident', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        const fields = parseForm(Buffer.from(bytes));
        for (const value of fields?.values() ?? []) expect(value.length).toBeLessThanOrEqual(bytes.length);
      }),
    );
  });
});
