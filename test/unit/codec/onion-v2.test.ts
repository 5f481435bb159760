import { describe, expect, it } from 'vitest';
import {
  encodeOnionV2Answer,
  encodeOnionV2Reply,
  encodeOnionV2Request,
  LEGACY_TEXT_MAX_BYTES,
  parseLegacyArguments,
  parseOnionV2Answer,
  parseOnionV2Reply,
  parseOnionV2Request,
} from '../../../src/codec/onion-v2.js';

const parse = (value: unknown) =>
  parseOnionV2Request(Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)));

describe('a version 2 request', () => {
  it('comes back as it was made', () => {
    const args = { send_to: '05aa', data: 'AA/+==' };
    expect(parseOnionV2Request(encodeOnionV2Request('notify', args))).toEqual({ endpoint: 'notify', args });
  });

  it('may have a slash before its method, and an object as body', () => {
    const read = { endpoint: 'register', args: { token: 't' } };
    expect(parse({ endpoint: '/register', body: '{"token":"t"}' })).toEqual(read);
    expect(parse({ endpoint: 'register', body: { token: 't' } })).toEqual(read);
    expect(parse({ endpoint: '//register', body: '{}' })?.endpoint).toBe('/register');
  });

  it('needs neither method nor headers, and ignores what they are', () => {
    const read = { endpoint: 'notify', args: {} };
    expect(parse({ endpoint: 'notify', body: '{}' })).toEqual(read);
    expect(parse({ endpoint: 'notify', body: '{}', method: 5, headers: null, more: [] })).toEqual(read);
  });

  it.each([
    ['no JSON', 'hello'],
    ['nothing', ''],
    ['an array', []],
    ['a string', '"notify"'],
    ['null', 'null'],
    ['no endpoint', { body: '{}' }],
    ['a number as endpoint', { endpoint: 1, body: '{}' }],
    ['no body', { endpoint: 'notify' }],
    ['null as body', { endpoint: 'notify', body: null }],
    ['an array as body', { endpoint: 'notify', body: [] }],
    ['a number as body', { endpoint: 'notify', body: 7 }],
    ['a body that is no JSON', { endpoint: 'notify', body: 'hello' }],
    ['a body with an array in it', { endpoint: 'notify', body: '[]' }],
    ['a body with null in it', { endpoint: 'notify', body: 'null' }],
    ['a body with JSON text in JSON text', { endpoint: 'notify', body: '"{}"' }],
    ['an empty body', { endpoint: 'notify', body: '' }],
  ])('with %s is none', (_name, value) => {
    expect(parse(value)).toBeNull();
  });

  it('that is no UTF-8 is none', () => {
    const text = Buffer.from('{"endpoint":"notify","body":"{}","x":"?"}');
    text[text.indexOf('?')] = 0xff;
    expect(parseOnionV2Request(text)).toBeNull();
  });

  it('has a longest text', () => {
    const text = '{"a":1}';
    expect(parseLegacyArguments(Buffer.from(text.padEnd(LEGACY_TEXT_MAX_BYTES)))).toEqual({ a: 1 });
    expect(parseLegacyArguments(Buffer.from(text.padEnd(LEGACY_TEXT_MAX_BYTES + 1)))).toBeNull();
  });

  it('survives brackets without end', () => {
    expect(parse('['.repeat(200_000))).toBeNull();
    expect(parse({ endpoint: 'notify', body: '{"a":'.repeat(40_000) })).toBeNull();
  });

  it('leaves the prototypes of objects alone', () => {
    const request = parse('{"endpoint":"notify","body":"{\\"__proto__\\":{\\"token\\":\\"x\\"}}"}');
    expect(request?.args['token']).toBeUndefined();
    expect({}).not.toHaveProperty('token');
  });
});

describe('a version 2 reply', () => {
  it('is the text of the original, spaces included', () => {
    expect(encodeOnionV2Reply({ status: 200, body: { code: 1, message: 'Success' } }).toString()).toBe(
      '{"status": 200, "body": {"code": 1, "message": "Success"}}',
    );
  });

  it('comes back as it was made', () => {
    const reply = { status: 400, body: { code: 0, message: 'a "quoted" \\ ü \n' } } as const;
    expect(parseOnionV2Reply(encodeOnionV2Reply(reply))).toEqual(reply);
    const sealed = Buffer.from([0, 255, 7]);
    expect(parseOnionV2Answer(encodeOnionV2Answer(sealed))).toEqual(sealed);
  });

  it.each([
    '{"status":200,"body":"{\\"code\\":1,\\"message\\":\\"Success\\"}"}',
    '{"status":"200","body":{"code":1,"message":"Success"}}',
    '{"status":200,"body":{"code":true,"message":"Success"}}',
    '{"status":200,"body":{"code":1}}',
    '{"body":{"code":1,"message":"Success"}}',
    '[]',
  ])('is read as strictly as the apps do: %s', (text) => {
    expect(parseOnionV2Reply(Buffer.from(text))).toBeNull();
  });
});
