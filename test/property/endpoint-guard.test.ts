import { BlockList, isIP } from 'node:net';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EndpointGuard } from '../../src/notifiers/endpoint-guard.js';
import { isInside, isPublicAddress, parseCidr, parseIp } from '../../src/notifiers/ip-ranges.js';

const guard = new EndpointGuard({ allowHttp: false, allowNetworks: [], ports: [], maxUrlLength: 999 });

const byte = fc.integer({ min: 0, max: 255 });
const ipv4 = fc.tuple(byte, byte, byte, byte);
const dotted = (parts: readonly number[]): string => parts.join('.');
const asNumber = (parts: readonly number[]): number => parts.reduce((sum, part) => sum * 256 + part, 0);

const privateIpv4 = fc.oneof(
  fc.tuple(fc.constant(10), byte, byte, byte),
  fc.tuple(fc.constant(127), byte, byte, byte),
  fc.tuple(fc.constant(192), fc.constant(168), byte, byte),
  fc.tuple(fc.constant(172), fc.integer({ min: 16, max: 31 }), byte, byte),
  fc.tuple(fc.constant(169), fc.constant(254), byte, byte),
  fc.tuple(fc.constant(100), fc.integer({ min: 64, max: 127 }), byte, byte),
  fc.tuple(fc.integer({ min: 224, max: 255 }), byte, byte, byte),
);

/** The ways of writing an IPv4 address that parsers of URLs take. */
function spellings(parts: readonly number[]): string[] {
  const [a = 0, b = 0, c = 0, d = 0] = parts;
  const octal = parts.map((part) => `0${part.toString(8)}`);
  const hex = parts.map((part) => `0x${part.toString(16)}`);
  const number = asNumber(parts);
  return [
    dotted(parts),
    `${dotted(parts)}.`,
    octal.join('.'),
    hex.join('.'),
    [a, octal[1], hex[2], d].join('.'),
    `${a}.${b}.${c * 256 + d}`,
    `${a}.${(b * 256 + c) * 256 + d}`,
    String(number),
    `0x${number.toString(16)}`,
    `0x${number.toString(16)}.`,
    `0${number.toString(8)}`,
    dotted(parts).replace(/./g, (digit) => String.fromCharCode(digit.charCodeAt(0) + 0xfee0)), // full width
    encodeURIComponent(dotted(parts)).replace(/\d/g, (digit) => `%3${digit}`),
  ];
}

describe('the endpoint guard', () => {
  it('lets no spelling of a private address through, whatever surrounds it', () => {
    const tail = fc.constantFrom('', '/', '/?q=.google.com', '/google.com', ':8443/', '/#.google.com', '?x');
    fc.assert(
      fc.property(privateIpv4, tail, (parts, rest) => {
        for (const host of spellings(parts)) expect(guard.checkUrl(`https://${host}${rest}`).ok).toBe(false);
      }),
    );
  });

  it('lets no IPv6 address through that embeds an IPv4 address, but NAT64 of a public one', () => {
    const form = fc.constantFrom(
      (text: string) => `::ffff:${text}`,
      (text: string) => `0:0:0:0:0:FFFF:${text}`,
      (text: string) => `::${text}`,
      (text: string) => `::ffff:0:${text}`,
      (text: string) => `64:ff9b:1::${text}`,
      (text: string) => `fe80::${text}`,
    );
    const groups = ([a = 0, b = 0, c = 0, d = 0]: readonly number[]): string =>
      `${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
    fc.assert(
      fc.property(ipv4, form, (parts, write) => {
        for (const tail of [dotted(parts), groups(parts)]) {
          expect(guard.checkUrl(`https://[${write(tail)}]/`).ok).toBe(false);
        }
        const sixToFour = `https://[2002:${groups(parts)}::1]/`;
        expect(guard.checkUrl(sixToFour).ok).toBe(false);
        const nat64 = `64:ff9b::${dotted(parts)}`;
        expect(guard.allows(nat64)).toBe(guard.allows(dotted(parts)));
      }),
    );
  });

  it('gives a URL that it gives again, and that the connection reads the same way', () => {
    fc.assert(
      fc.property(
        fc.webUrl({ withQueryParameters: true, withFragments: true, validSchemes: ['https'] }),
        (text) => {
          const url = guard.checkUrl(text);
          if (!url.ok) return;
          const again = guard.checkUrl(url.value.href);
          expect(again.ok && again.value.href).toBe(url.value.href);
          expect(guard.refusalOf(url.value)).toBeNull();
          expect(url.value.protocol).toBe('https:');
          expect(url.value.username + url.value.password + url.value.hash).toBe('');
          expect(url.value.hostname.endsWith('.')).toBe(false);
        },
      ),
      { numRuns: 30 }, // the generator is slow
    );
  });

  it('never throws and never quotes, whatever the text', () => {
    const piece = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 6 }),
      fc.constantFrom(
        'https://',
        '@',
        ':',
        '/',
        '\\',
        '[',
        ']',
        '127.0.0.1',
        '%00',
        '?',
        '#',
        '.',
        'localhost',
        '::1',
      ),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 10 }), (pieces) => {
        const url = guard.checkUrl(`https://${pieces.join('')}`);
        if (!url.ok) {
          expect([
            'not an https URL',
            'too long',
            'user name in the URL',
            'port not allowed',
            'host not allowed',
            'address not allowed',
          ]).toContain(url.error);
          return;
        }
        const host = url.value.hostname.replace(/^\[|\]$/g, '');
        if (isIP(host) !== 0) expect(guard.allows(host)).toBe(true);
        else expect(host).toMatch(/^[a-z0-9_-]+(\.[a-z0-9_-]+)+$/);
      }),
      { numRuns: 2_000 },
    );
  });

  it('finds an address in a network exactly when node does', () => {
    const network = fc.oneof(
      fc.tuple(fc.ipV4(), fc.integer({ min: 0, max: 32 })),
      fc.tuple(fc.ipV6(), fc.integer({ min: 0, max: 128 })),
    );
    const near = fc.tuple(network, fc.oneof(fc.ipV4(), fc.ipV6()), fc.boolean());
    fc.assert(
      fc.property(near, ([[base, bits], other, sameFamily]) => {
        const address = sameFamily && isIP(other) !== isIP(base) ? base : other;
        const family = (text: string): 'ipv4' | 'ipv6' => (isIP(text) === 4 ? 'ipv4' : 'ipv6');
        const cidr = parseCidr(`${base}/${bits}`);
        const bytes = parseIp(address);
        if (cidr === null || bytes === null) throw new Error('not parsed');
        const list = new BlockList();
        list.addSubnet(base, bits, family(base));
        // Node finds a v4-mapped address in an IPv4 network; for us the families never meet.
        const expected = family(base) === family(address) && list.check(address, family(address));
        expect(isInside(bytes, cidr)).toBe(expected);
      }),
      { numRuns: 1_000 },
    );
  });

  it('calls nothing public outside 2000::/3 but NAT64', () => {
    fc.assert(
      fc.property(fc.ipV6(), (text) => {
        const bytes = parseIp(text);
        if (bytes === null) throw new Error('not parsed');
        const isGlobal = ((bytes[0] ?? 0) & 0xe0) === 0x20;
        const isNat64 = Buffer.from(bytes.subarray(0, 12)).toString('hex') === '0064ff9b0000000000000000';
        if (!isGlobal && !isNat64) expect(isPublicAddress(bytes)).toBe(false);
      }),
    );
  });

  it('connects only to allowed addresses of any answer of a name server', async () => {
    const answer = fc.array(fc.oneof(fc.ipV4(), fc.ipV6(), ipv4.map(dotted), privateIpv4.map(dotted)), {
      maxLength: 8,
    });
    await fc.assert(
      fc.asyncProperty(answer, async (addresses) => {
        const resolving = new EndpointGuard({
          allowHttp: false,
          allowNetworks: [],
          ports: [],
          maxUrlLength: 999,
          resolve: async () => addresses,
        });
        const given = await new Promise<string[]>((resolve) => {
          resolving.lookup('name.example', { all: true }, (_error, list) =>
            resolve(Array.isArray(list) ? list.map(({ address }) => address) : []),
          );
        });
        const allowed = addresses.filter((address) => guard.allows(address));
        const of = (family: number): string[] => allowed.filter((ip) => isIP(ip) === family).slice(0, 4);
        expect(given).toEqual([...of(4), ...of(6)]);
      }),
    );
  });
});
