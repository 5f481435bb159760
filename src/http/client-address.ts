import { BlockList, isIP, isIPv4, isIPv6 } from 'node:net';

const IPV4_MAPPED = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i;
const IPV6_PREFIX_GROUPS = 4;

/**
 * What counts as one client for rate limits: an IPv4 address (also when it comes mapped into IPv6), or the first 64
 * bits of an IPv6 address, because every household has at least 2^64 of those.
 */
export function clientAddressKey(address: string): string {
  if (isIPv4(address)) return address;
  const zone = address.indexOf('%');
  const plain = zone < 0 ? address : address.slice(0, zone);
  const mapped = IPV4_MAPPED.exec(plain)?.[1];
  if (mapped !== undefined) return mapped;
  // Behind a proxy that passes on what clients write, an address may be any text of any length.
  if (!isIPv6(plain)) return 'unknown';

  const [head = '', tail] = plain.toLowerCase().split('::');
  const groups = head === '' ? [] : head.split(':');
  if (tail !== undefined) {
    const tailGroups = tail === '' ? [] : tail.split(':');
    // A dotted quad at the end stands for two groups.
    const tailLength = tailGroups.length + (tail.includes('.') ? 1 : 0);
    while (groups.length + tailLength < 8) groups.push('0');
    groups.push(...tailGroups);
  }
  const prefix = groups.slice(0, IPV6_PREFIX_GROUPS).map((group) => group.replace(/^0+(?=.)/, ''));
  return `${prefix.join(':')}::/64`;
}

export interface ClientAddress {
  /** See `clientAddressKey`. */
  readonly key: string;
  /** On the list of those without limits. */
  readonly isExempt: boolean;
}

const CACHED_ADDRESSES_MAX = 4_096;

/**
 * What the rate limits ask about an address. The answers are kept for a while: the few nodes and proxies that most
 * requests come from are seen again and again. `exempt`: addresses and networks (`10.0.0.0/8`, `::1`); throws at a
 * text that is neither.
 */
export function createAddressClassifier(exempt: readonly string[]): (address: string) => ClientAddress {
  const isExempt = createAddressList(exempt);
  const seen = new Map<string, ClientAddress>();
  return (address) => {
    const known = seen.get(address);
    if (known !== undefined) return known;
    const answer = { key: clientAddressKey(address), isExempt: isExempt(address) };
    if (isIP(address) !== 0) {
      if (seen.size >= CACHED_ADDRESSES_MAX) seen.clear();
      seen.set(address, answer);
    }
    return answer;
  };
}

function createAddressList(entries: readonly string[]): (address: string) => boolean {
  const list = new BlockList();
  for (const entry of entries) {
    const [network = '', bits, ...rest] = entry.split('/');
    const family = isIP(network);
    const prefixBits = bits === undefined ? null : /^\d{1,3}$/.test(bits) ? Number(bits) : Infinity;
    if (family === 0 || rest.length > 0 || (prefixBits ?? 0) > (family === 4 ? 32 : 128)) {
      throw new RangeError(`not an address or network: ${entry}`);
    }
    const type = family === 4 ? 'ipv4' : 'ipv6';
    if (prefixBits === null) list.addAddress(network, type);
    else list.addSubnet(network, prefixBits, type);
  }
  if (entries.length === 0) return () => false;
  return (address) => {
    const mapped = IPV4_MAPPED.exec(address)?.[1] ?? address;
    const family = isIP(mapped);
    return family !== 0 && list.check(mapped, family === 4 ? 'ipv4' : 'ipv6');
  };
}
