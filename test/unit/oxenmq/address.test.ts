import { describe, expect, it } from 'vitest';
import { parseOxenmqAddress, parsePublicKey } from '../../../src/oxenmq/address.js';

const hex = '13be4feaeaf204c7fd3358fc9c00721881d174278128227ec674f37f7fe97b6d';
const base32z = 'nq9r94zk6encx9jumd6jayd1dny7n7b8orwnr9sgqu3z699jxpso';
const base64 = 'E75P6uryBMf9M1j8nAByGIHRdCeBKCJ+xnTzf3/pe20';
const key = Buffer.from(hex, 'hex');

describe('parseOxenmqAddress', () => {
  it.each<[string, string, Buffer | null]>([
    ['tcp://example.org:22020', 'tcp://example.org:22020', null],
    ['tcp://127.0.0.1:00080', 'tcp://127.0.0.1:80', null],
    ['tcp://[::1]:5', 'tcp://[::1]:5', null],
    ['tcp://h:65535', 'tcp://h:65535', null],
    [`curve://h:1/${hex}`, 'tcp://h:1', key],
    [`curve://h:1/${hex.toUpperCase()}`, 'tcp://h:1', key],
    [`tcp+curve://[2001:db8::1]:22020/${base32z}`, 'tcp://[2001:db8::1]:22020', key],
    [`curve://h:1/${base32z.toUpperCase()}`, 'tcp://h:1', key],
    [`curve://h:1/${base64}`, 'tcp://h:1', key],
    [`curve://h:1/${base64}=`, 'tcp://h:1', key],
    ['ipc:///run/oxend.sock', 'ipc:///run/oxend.sock', null],
    ['ipc://./oxend.sock', 'ipc://./oxend.sock', null],
    [`ipc+curve:///run/oxend.sock/${hex}`, 'ipc:///run/oxend.sock', key],
    ['TCP://EXAMPLE.ORG:22020', 'tcp://example.org:22020', null],
    [`CURVE://H:1/${hex.toUpperCase()}`, 'tcp://h:1', key],
    [`CURVE://$2001:DB8::1$:1/${base32z.toUpperCase()}`, 'tcp://[2001:db8::1]:1', key],
  ])('takes %s', (text, endpoint, serverKey) => {
    expect(parseOxenmqAddress(text)).toEqual({ ok: true, value: { endpoint, serverKey } });
  });

  it.each([
    '',
    'h:1',
    '://h:1',
    'http://h:1',
    'Curve://h:1/' + hex,
    'inproc://x',
    'tcp://h',
    'tcp://h:',
    'tcp://h:0',
    'tcp://h:65536',
    'tcp://h:99999999999999999999',
    'tcp://h:x',
    'tcp://h:-1',
    'tcp://:1',
    'tcp://::1:5',
    'tcp://[::1:5',
    'tcp://$::1$:5',
    'tcp://*:5',
    'tcp://a;b:5',
    'tcp://h:1/',
    `tcp://h:1/${hex}`,
    'curve://h:1',
    'curve://h:1/',
    `curve://h:1/${hex.slice(1)}`,
    `curve://h:1/${hex}0`,
    `curve://h:1/${hex} `,
    `curve://h:1/${base64}==`,
    `curve://h:1/${base64.slice(1)}`,
    `curve://h:1/${base32z}/`,
    `CURVE://H:1/${base64}`,
    `CURVE://h:1/${hex.toUpperCase()}`,
    `CURVE://H:1/${hex}`,
    'ipc://',
    'ipc+curve://',
    `ipc+curve://${hex}`,
    `ipc+curve:///${hex.slice(2)}`,
  ])('refuses %s', (text) => {
    expect(parseOxenmqAddress(text).ok).toBe(false);
  });

  it('says what is wrong', () => {
    expect(parseOxenmqAddress('tcp://h')).toEqual({ ok: false, error: 'no port, or not 1 to 65535' });
    expect(parseOxenmqAddress('tcp://:1')).toEqual({ ok: false, error: 'no usable host' });
    expect(parseOxenmqAddress('curve://h:1')).toEqual({
      ok: false,
      error: 'no public key behind the last slash',
    });
  });
});

describe('parsePublicKey', () => {
  it('reads the three notations as the same key and ignores spare bits', () => {
    for (const text of [hex, base32z, base64, `${base64}=`]) expect(parsePublicKey(text)).toEqual(key);
    // The last base32z character carries one bit, the last base64 character four.
    expect(parsePublicKey(`${base32z.slice(0, -1)}e`)?.subarray(0, 31)).toEqual(key.subarray(0, 31));
    expect(parsePublicKey(`${base64.slice(0, -1)}1`)).toEqual(key);
  });

  it('refuses characters that base32z does not have', () => {
    for (const character of ['l', 'v', '0', '2']) {
      expect(parsePublicKey(character.repeat(52))).toBeNull();
    }
  });
});
