import { isIP } from 'node:net';

/** An address in network order: 4 or 16 bytes. */
export type IpBytes = Uint8Array;

export interface Cidr {
  readonly network: IpBytes;
  readonly bits: number;
}

/** Any textual form that `node:net` knows, without brackets; null for everything else, a zone (`%eth0`) included. */
export function parseIp(text: string): IpBytes | null {
  const family = text.includes('%') ? 0 : isIP(text);
  if (family === 0) return null;
  return family === 4 ? parseIpv4(text) : parseIpv6(text);
}

function parseIpv4(text: string): IpBytes {
  return Uint8Array.from(text.split('.'), Number);
}

function parseIpv6(text: string): IpBytes {
  // A dotted tail (::ffff:192.0.2.1) is written as two groups first.
  const lastColon = text.lastIndexOf(':');
  const tail = text.slice(lastColon + 1);
  const groups = tail.includes('.') ? `${text.slice(0, lastColon + 1)}${dottedAsGroups(tail)}` : text;
  const [head = '', rest = ''] = groups.split('::');
  const left = groupsOf(head);
  const right = groupsOf(rest);
  const bytes = new Uint8Array(16);
  left.forEach((group, index) => writeGroup(bytes, index, group));
  right.forEach((group, index) => writeGroup(bytes, 8 - right.length + index, group));
  return bytes;
}

function dottedAsGroups(dotted: string): string {
  const [a = 0, b = 0, c = 0, d = 0] = parseIpv4(dotted);
  return `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
}

const groupsOf = (text: string): number[] =>
  text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16));

function writeGroup(bytes: Uint8Array, index: number, group: number): void {
  bytes[index * 2] = group >> 8;
  bytes[index * 2 + 1] = group & 0xff;
}

/** `ADDRESS/BITS`, or an address alone for exactly that one; null when it is neither. */
export function parseCidr(text: string): Cidr | null {
  const [address = '', bitsText, ...others] = text.trim().split('/');
  const network = parseIp(address);
  if (network === null || others.length > 0) return null;
  if (bitsText === undefined) return { network, bits: network.length * 8 };
  const bits = /^\d{1,3}$/.test(bitsText) ? Number(bitsText) : Infinity;
  return bits <= network.length * 8 ? { network, bits } : null;
}

/** An IPv4 network holds no IPv6 address, not even one that embeds an IPv4 address of it. */
export function isInside(address: IpBytes, { network, bits }: Cidr): boolean {
  if (address.length !== network.length) return false;
  const whole = bits >> 3;
  for (let index = 0; index < whole; index += 1) if (address[index] !== network[index]) return false;
  const rest = bits & 7;
  if (rest === 0) return true;
  const mask = (0xff00 >> rest) & 0xff;
  return ((address[whole] ?? 0) & mask) === ((network[whole] ?? 0) & mask);
}

const networks = (...texts: readonly string[]): readonly Cidr[] =>
  texts.map((text) => {
    const cidr = parseCidr(text);
    if (cidr === null) throw new TypeError(`not a network: ${text}`);
    return cidr;
  });

/** IANA IPv4 Special-Purpose Address Registry, whole; multicast and class E; and one that clouds keep for themselves. */
const specialIpv4 = networks(
  '0.0.0.0/8', // this network
  '10.0.0.0/8', // private
  '100.64.0.0/10', // carrier-grade NAT
  '127.0.0.0/8', // loopback
  '168.63.129.16/32', // public by number, but the host agent of every Azure machine
  '169.254.0.0/16', // link-local, the metadata services of clouds among them
  '172.16.0.0/12', // private
  '192.0.0.0/24', // IETF protocol assignments
  '192.0.2.0/24', // documentation
  '192.31.196.0/24', // AS112
  '192.52.193.0/24', // automatic multicast tunnelling
  '192.88.99.0/24', // 6to4 relays, deprecated
  '192.168.0.0/16', // private
  '192.175.48.0/24', // AS112
  '198.18.0.0/15', // benchmarking
  '198.51.100.0/24', // documentation
  '203.0.113.0/24', // documentation
  '224.0.0.0/4', // multicast
  '240.0.0.0/4', // reserved, and broadcast
);

/** All that is global unicast today (RFC 4291, 2.4); whatever lies outside is special or not assigned. */
const globalIpv6 = networks('2000::/3');

/** IANA IPv6 Special-Purpose Address Registry, as far as it lies inside 2000::/3. */
const specialIpv6 = networks(
  '2001::/23', // IETF protocol assignments: Teredo, benchmarking, ORCHID …
  '2001:db8::/32', // documentation
  '2002::/16', // 6to4, deprecated: a packet to it may end at any IPv4 address
  '2620:4f:8000::/48', // AS112
  '3fff::/20', // documentation
);

/** NAT64 (RFC 6052): what it translates to is what counts. A host without IPv4 reaches the whole IPv4 internet by it. */
const nat64 = networks('64:ff9b::/96');

const isIn = (address: IpBytes, list: readonly Cidr[]): boolean =>
  list.some((cidr) => isInside(address, cidr));

/** Whether everybody in the internet means the same host by this address, and nobody's inside is behind it. */
export function isPublicAddress(address: IpBytes): boolean {
  if (address.length === 4) return !isIn(address, specialIpv4);
  if (isIn(address, nat64)) return isPublicAddress(address.subarray(12));
  return isIn(address, globalIpv6) && !isIn(address, specialIpv6);
}

/** Public, or inside a network that the operator allows; of NAT64 either form counts. */
export function isAllowedAddress(address: IpBytes, allowed: readonly Cidr[]): boolean {
  if (isPublicAddress(address) || isIn(address, allowed)) return true;
  return isIn(address, nat64) && isIn(address.subarray(12), allowed);
}
