import { describe, expect, it } from 'vitest';
import { clientAddressKey, createAddressList } from '../../../src/http/client-address.js';

describe('the key of a client address', () => {
  it.each([
    ['192.0.2.7', '192.0.2.7'],
    ['::ffff:192.0.2.7', '192.0.2.7'],
    ['::FFFF:192.0.2.7', '192.0.2.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:0DB8:0001:0002::', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['64:ff9b::192.0.2.7', '64:ff9b:0:0::/64'],
    ['1:2:3::4:5:6:7', '1:2:3:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['', 'unknown'],
    ['x'.repeat(10_000), 'unknown'],
  ])('of %s is %s', (address, key) => {
    expect(clientAddressKey(address)).toBe(key);
  });
});

describe('a list of addresses', () => {
  it('holds addresses and networks of both families, also mapped', () => {
    const isListed = createAddressList(['127.0.0.0/8', '::1', '2001:db8::/32']);
    expect(['127.3.4.5', '::ffff:127.0.0.1', '::1', '2001:db8:5::1'].map(isListed)).toEqual([
      true,
      true,
      true,
      true,
    ]);
    expect(['128.0.0.1', '::2', '2001:db9::1', '', 'nonsense'].map(isListed)).toEqual([
      false,
      false,
      false,
      false,
      false,
    ]);
  });

  it('may be empty', () => {
    expect(createAddressList([])('127.0.0.1')).toBe(false);
  });

  it('refuses what is no address', () => {
    expect(() => createAddressList(['localhost'])).toThrow(RangeError);
  });
});
