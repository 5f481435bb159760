import { describe, expect, it } from 'vitest';
import { clientAddressKey, createAddressClassifier } from '../../../src/http/client-address.js';

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

describe('addresses without limits', () => {
  it('are those of the list and its networks, of both families, also mapped', () => {
    const classify = createAddressClassifier(['127.0.0.0/8', '::1', '2001:db8::/32']);
    for (const address of ['127.3.4.5', '::ffff:127.0.0.1', '::1', '2001:db8:5::1']) {
      expect(classify(address).isExempt).toBe(true);
      expect(classify(address)).toBe(classify(address));
    }
    for (const address of ['128.0.0.1', '::2', '2001:db9::1', '', 'nonsense']) {
      expect(classify(address).isExempt).toBe(false);
    }
  });

  it('may be none', () => {
    expect(createAddressClassifier([])('127.0.0.1')).toEqual({ key: '127.0.0.1', isExempt: false });
  });

  it.each([
    'localhost',
    '10.0.0.0/33',
    '10.0.0.0/x',
    '10.0.0.0/8/8',
    '::/129',
    '10.0.0.0/-1',
    '10.0.0.0/',
    '',
  ])('cannot be listed as %s', (entry) => {
    expect(() => createAddressClassifier([entry])).toThrow(RangeError);
  });
});
