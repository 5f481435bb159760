import { describe, expect, it } from 'vitest';
import {
  EndpointGuard,
  FORBIDDEN_ADDRESS,
  invalidNetwork,
  type EndpointGuardOptions,
} from '../../../src/notifiers/endpoint-guard.js';
import { isPublicAddress, parseIp } from '../../../src/notifiers/ip-ranges.js';

const guardWith = (changes: Partial<EndpointGuardOptions> = {}): EndpointGuard =>
  new EndpointGuard({ allowHttp: false, allowNetworks: [], ports: [], maxUrlLength: 999, ...changes });

function check(text: string, changes: Partial<EndpointGuardOptions> = {}): string {
  const url = guardWith(changes).checkUrl(text);
  return url.ok ? url.value.href : url.error;
}

interface LookedUp {
  readonly error: string | null;
  readonly addresses: readonly string[];
}

function lookUp(addresses: readonly string[], allowNetworks: readonly string[] = []): Promise<LookedUp> {
  const guard = guardWith({ allowNetworks, resolve: async () => addresses });
  return new Promise((resolve) => {
    guard.lookup('name.example', { all: true }, (error, found) => {
      const list = Array.isArray(found) ? found.map(({ address }) => address) : [found];
      resolve({ error: error?.code ?? null, addresses: list });
    });
  });
}

describe('a URL that a client names', () => {
  it.each([
    ['https://ntfy.sh/upAbCdEf?up=1', 'https://ntfy.sh/upAbCdEf?up=1'],
    ['HTTPS://Ntfy.SH:443/upAbCdEf', 'https://ntfy.sh/upAbCdEf'],
    ['https://ntfy.sh./upAbCdEf', 'https://ntfy.sh/upAbCdEf'],
    ['https://ntfy.sh/up#fragment', 'https://ntfy.sh/up'],
    ['https://ntfy.sh', 'https://ntfy.sh/'],
    ['https://bücher.example/x', 'https://xn--bcher-kva.example/x'],
    ['https://8.8.8.8:8443/x', 'https://8.8.8.8:8443/x'],
    ['https://[2606:4700::1111]/x', 'https://[2606:4700::1111]/x'],
  ])('is taken in its normal form: %s', (text, normal) => {
    expect(check(text)).toBe(normal);
  });

  it.each([
    ['http://ntfy.sh/up', 'not an https URL'],
    ['ftp://ntfy.sh/up', 'not an https URL'],
    ['javascript:alert(1)', 'not an https URL'],
    ['https:ntfy.sh/up', 'not an https URL'],
    ['https:///ntfy.sh/up', 'not an https URL'],
    ['https:\\\\ntfy.sh\\up', 'not an https URL'],
    ['https://ntfy.sh\\@127.0.0.1/', 'not an https URL'],
    ['https://ntfy.sh/a b', 'not an https URL'],
    ['https://ntfy.sh/a\nb', 'not an https URL'],
    ['https://ntfy\t.sh/a', 'not an https URL'],
    [' https://ntfy.sh/a', 'not an https URL'],
    ['https://ntfy.sh/\ud800', 'not an https URL'],
    ['https://ntfy.sh:99999/a', 'not an https URL'],
    ['https://', 'not an https URL'],
    ['', 'not an https URL'],
    ['https://user:secret@ntfy.sh/a', 'user name in the URL'],
    ['https://ntfy.sh@127.0.0.1/a', 'user name in the URL'],
    ['https://ntfy.sh:0/a', 'port not allowed'],
    [`https://ntfy.sh/${'a'.repeat(990)}`, 'too long'],
    [`https://ntfy.sh/${'é'.repeat(400)}`, 'too long'],
    ['https://localhost/a', 'host not allowed'],
    ['https://localhost./a', 'host not allowed'],
    ['https://LOCALHOST/a', 'host not allowed'],
    ['https://intranet/a', 'host not allowed'],
    ['https://printer.local/a', 'host not allowed'],
    ['https://metadata.google.internal/a', 'host not allowed'],
    ['https://a.b.localhost/a', 'host not allowed'],
    ['https://nas.home.arpa/a', 'host not allowed'],
    ['https://a..example/a', 'host not allowed'],
    ['https://example../a', 'host not allowed'],
    ['https://./a', 'host not allowed'],
    ['https://exa$mple.org/a', 'host not allowed'],
    [`https://${'a'.repeat(64)}.example/a`, 'host not allowed'],
  ])('is refused without being quoted: %s', (text, reason) => {
    expect(check(text)).toBe(reason);
  });

  it.each([
    'https://127.0.0.1/?q=.google.com',
    'https://127.0.0.1',
    'https://127.1/',
    'https://2130706433/',
    'https://0x7f000001/',
    'https://0x7f.0.0.1/',
    'https://0177.0.0.1/',
    'https://017700000001/',
    'https://127.0.0.1./',
    'https://0/',
    'https://１２７.０.０.１/',
    'https://10.1.2.3/',
    'https://169.254.169.254/latest/meta-data',
    'https://[::1]/',
    'https://[::]/',
    'https://[::ffff:127.0.0.1]/',
    'https://[::ffff:8.8.8.8]/',
    'https://[0:0:0:0:0:ffff:7f00:1]/',
    'https://[::127.0.0.1]/',
    'https://[64:ff9b::127.0.0.1]/',
    'https://[64:ff9b:1::8.8.8.8]/',
    'https://[2002:7f00:1::]/',
    'https://[2001::1]/',
    'https://[fe80::1]/',
    'https://[fd00:ec2::254]/',
    'https://[ff02::1]/',
  ])('is refused when its host is an address of the inside, however it is written: %s', (text) => {
    expect(check(text)).toBe('address not allowed');
  });

  it('may be inside a network that the operator allows, under a local name as well', () => {
    const open = { allowNetworks: ['127.0.0.0/8', '::1'] };
    expect(check('https://127.0.0.1/a', open)).toBe('https://127.0.0.1/a');
    expect(check('https://[::1]:8443/a', open)).toBe('https://[::1]:8443/a');
    expect(check('https://localhost/a', open)).toBe('https://localhost/a');
    expect(check('https://ntfy/a', open)).toBe('https://ntfy/a');
    expect(check('https://10.0.0.1/a', open)).toBe('address not allowed');
    expect(check('https://[::ffff:127.0.0.1]/a', open)).toBe('address not allowed');
  });

  it('may be plain http only when the operator says so', () => {
    expect(check('http://ntfy.sh/a', { allowHttp: true })).toBe('http://ntfy.sh/a');
    expect(check('http://127.0.0.1/a', { allowHttp: true })).toBe('address not allowed');
    expect(check('ws://ntfy.sh/a', { allowHttp: true })).toBe('not an https URL');
  });

  it('must name a port of the list, the default one included', () => {
    const ports = [443];
    expect(check('https://ntfy.sh/a', { ports })).toBe('https://ntfy.sh/a');
    expect(check('https://ntfy.sh:8443/a', { ports })).toBe('port not allowed');
    expect(check('http://ntfy.sh/a', { ports, allowHttp: true })).toBe('port not allowed');
    expect(check('http://ntfy.sh:443/a', { ports, allowHttp: true })).toBe('http://ntfy.sh:443/a');
  });
});

describe('a lookup', () => {
  it('gives the allowed ones of the addresses, and fails when there are others only', async () => {
    expect(await lookUp(['10.0.0.1', '8.8.8.8', '::1', '2606:4700::1'])).toEqual({
      error: null,
      addresses: ['8.8.8.8', '2606:4700::1'],
    });
    expect(await lookUp(['10.0.0.1', '::ffff:8.8.8.8', 'fe80::1%eth0', 'rubbish'])).toEqual({
      error: FORBIDDEN_ADDRESS,
      addresses: [],
    });
    expect(await lookUp(['10.0.0.1'], ['10.0.0.0/8'])).toEqual({ error: null, addresses: ['10.0.0.1'] });
    expect(await lookUp([])).toEqual({ error: 'ENOTFOUND', addresses: [] });
  });

  it('gives few of very many addresses, of both families', async () => {
    const many = Array.from({ length: 200 }, (_, number) => [
      `8.8.8.${number}`,
      `2606:4700::${number}`,
    ]).flat();
    const { addresses } = await lookUp(many);
    expect(addresses).toEqual([
      ...many.filter((ip) => !ip.includes(':')).slice(0, 4),
      ...many.filter((ip) => ip.includes(':')).slice(0, 4),
    ]);
  });

  it('takes a failed resolver for a name without addresses', async () => {
    const guard = guardWith({ resolve: () => Promise.reject(new Error('SERVFAIL')) });
    const error = await new Promise<NodeJS.ErrnoException | null>((resolve) => {
      guard.lookup('name.example', { all: true }, resolve);
    });
    expect(error?.code).toBe('ENOTFOUND');
  });

  it('gives one address to a caller that asks for one', async () => {
    const guard = guardWith({ resolve: async () => ['10.0.0.1', '2606:4700::1'] });
    const found = await new Promise((resolve) => {
      guard.lookup('name.example', {}, (_error, address, family) => resolve([address, family]));
    });
    expect(found).toEqual(['2606:4700::1', 6]);
  });

  it('judges a NAT64 address by the address that it stands for', () => {
    const guard = guardWith();
    expect(guard.allows('64:ff9b::808:808')).toBe(true);
    expect(guard.allows('64:ff9b::a00:1')).toBe(false);
    expect(guardWith({ allowNetworks: ['10.0.0.0/8'] }).allows('64:ff9b::a00:1')).toBe(true);
  });
});

describe('the table of networks', () => {
  // First and last address of every block of the IANA special-purpose registries, and its neighbours outside.
  it.each([
    ['0.0.0.0', '0.255.255.255', '1.0.0.0'],
    ['10.0.0.0', '10.255.255.255', '11.0.0.0', '9.255.255.255'],
    ['100.64.0.0', '100.127.255.255', '100.63.255.255', '100.128.0.0'],
    ['127.0.0.0', '127.255.255.255', '126.255.255.255', '128.0.0.0'],
    ['169.254.0.0', '169.254.255.255', '169.253.255.255', '169.255.0.0'],
    ['172.16.0.0', '172.31.255.255', '172.15.255.255', '172.32.0.0'],
    ['192.0.0.0', '192.0.0.255', '191.255.255.255', '192.0.1.0'],
    ['192.0.2.0', '192.0.2.255', '192.0.1.255', '192.0.3.0'],
    ['192.168.0.0', '192.168.255.255', '192.167.255.255', '192.169.0.0'],
    ['198.18.0.0', '198.19.255.255', '198.17.255.255', '198.20.0.0'],
    ['198.51.100.0', '198.51.100.255', '198.51.99.255', '198.51.101.0'],
    ['203.0.113.0', '203.0.113.255', '203.0.112.255', '203.0.114.0'],
    ['224.0.0.0', '255.255.255.255', '223.255.255.255'],
    ['fc00::', 'fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', '2600::'],
    ['fe80::', 'febf::', '2400::'],
    ['fec0::', 'feff::', '2a00::'],
    ['2001::', '2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff', '2001:200::'],
    ['2001:db8::', '2001:db8:ffff:ffff:ffff:ffff:ffff:ffff', '2001:db7::', '2001:db9::'],
    ['2002::', '2002:ffff::', '2003::'],
    ['3fff::', '3fff:fff:ffff::', '3fff:1000::'],
    ['5f00::', '4000::', '3ffe:ffff::'],
    ['100::', '::ffff:1.1.1.1', '2620:4f:7fff::'],
  ])('forbids %s and %s', (first, last, ...outside) => {
    const isPublic = (text: string): boolean | null => {
      const bytes = parseIp(text);
      return bytes === null ? null : isPublicAddress(bytes);
    };
    expect([first, last].map(isPublic)).toEqual([false, false]);
    expect(outside.map(isPublic)).toEqual(outside.map(() => true));
  });

  it('is extended by networks only', () => {
    expect(invalidNetwork(['10.0.0.0/8', 'fd00::/8', '127.0.0.1', ' ::1/128'])).toBeNull();
    for (const bad of ['10.0.0.0/33', '10.0.0/8', 'localhost', '::1/129', '10.0.0.0/8/8', '', '1.2.3.4/']) {
      expect(invalidNetwork([bad])).toBe(bad);
      expect(() => guardWith({ allowNetworks: [bad] })).toThrow(RangeError);
    }
  });
});
