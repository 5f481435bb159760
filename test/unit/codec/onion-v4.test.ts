import { describe, expect, it } from 'vitest';
import {
  encodeOnionV4Reply,
  encodeOnionV4Request,
  parseOnionV4Reply,
  parseOnionV4Request,
  parseOnionV4Text,
} from '../../../src/codec/onion-v4.js';

const parse = (text: string) => parseOnionV4Request(Buffer.from(text));
const list = (...parts: string[]): string =>
  `l${parts.map((part) => `${Buffer.byteLength(part)}:${part}`).join('')}e`;
const metadata = (fields: Record<string, unknown>): string =>
  JSON.stringify({ method: 'POST', endpoint: '/subscribe', ...fields });

describe('a version 4 request', () => {
  it('comes back as it was made', () => {
    const text = encodeOnionV4Request({ method: 'POST', endpoint: '/a' }, Buffer.from([0, 255, 0x65]));
    expect(parseOnionV4Request(text)).toEqual({
      method: 'POST',
      path: '/a',
      query: '',
      headers: new Map(),
      body: Buffer.from([0, 255, 0x65]),
    });
    expect(parseOnionV4Request(encodeOnionV4Request({ method: 'POST', endpoint: '/a' }, null))?.body).toEqual(
      Buffer.alloc(0),
    );
  });

  it('has header names in lower case and no length of its own', () => {
    const headers = parse(list(metadata({ headers: { 'X-A': '1', 'Content-LENGTH': '9' } })))?.headers;
    expect(headers).toEqual(new Map([['x-a', '1']]));
  });

  it.each([
    ['a number as header', list(metadata({ headers: { a: 1 } }))],
    ['null as headers', list(metadata({ headers: null }))],
    ['an empty method', list(metadata({ method: '' }))],
    ['no leading slash', list(metadata({ endpoint: 'subscribe' }))],
    ['an empty endpoint', list(metadata({ endpoint: '' }))],
    ['a broken escape', list(metadata({ endpoint: '/%4' }))],
    ['text behind the list', `${list(metadata({}))}x`],
    ['an empty list', 'le'],
    ['no list', ''],
    ['a stray byte', list(metadata({})).replace(/e$/, 'xe')],
    ['a length without end', `l${'0'.repeat(50)}2:{}e`],
    ['a negative length', 'l-1:e'],
    ['a length that ends with the text', 'l2:{}'],
  ])('with %s is none', (_name, text) => {
    expect(parse(text)).toBeNull();
  });
});

describe('a version 4 reply', () => {
  it('comes back as it was made', () => {
    const reply = { code: 404, headers: { 'content-type': 'text/plain' }, body: Buffer.from('no') };
    expect(encodeOnionV4Reply(reply).toString()).toBe(
      'l52:{"code":404,"headers":{"content-type":"text/plain"}}2:noe',
    );
    expect(parseOnionV4Reply(encodeOnionV4Reply(reply))).toEqual(reply);
  });
});

describe('the text of a version 4 request', () => {
  const parts = (text: string) => parseOnionV4Text(Buffer.from(text));

  it('is taken apart whatever its metadata says', () => {
    expect(parts(list('{"endpoint":5}', 'x'))).toEqual({ metadata: { endpoint: 5 }, body: Buffer.from('x') });
  });

  it('tells an empty body from none', () => {
    expect(parts(list('{}', ''))?.body).toEqual(Buffer.alloc(0));
    expect(parts(list('{}'))?.body).toBeNull();
  });

  it.each([list('[]'), list('hello', 'x'), 'le', '{}'])('needs an object in front: %s', (text) => {
    expect(parts(text)).toBeNull();
  });
});
