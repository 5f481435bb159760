import { fail, ok, type Result } from '../domain/result.js';
import type { OxenmqAddress } from './port.js';

/** Why an address was refused; a sentence's worth for an operator. */
export type AddressError =
  | 'no scheme (expected tcp://, curve:// or ipc://)'
  | 'unknown scheme (expected tcp://, curve:// or ipc://, in lower case)'
  | 'no usable host'
  | 'no port, or not 1 to 65535'
  | 'no path'
  | 'no public key behind the last slash'
  | 'the public key is neither 64 hex digits, 52 base32z nor 43 base64 characters'
  | 'something follows where the address should end'
  | 'a character that QR addresses do not have';

const SCHEMES = new Map<string, { transport: 'tcp' | 'ipc'; curve: boolean; qr: boolean }>([
  ['tcp', { transport: 'tcp', curve: false, qr: false }],
  ['curve', { transport: 'tcp', curve: true, qr: false }],
  ['tcp+curve', { transport: 'tcp', curve: true, qr: false }],
  ['ipc', { transport: 'ipc', curve: false, qr: false }],
  ['ipc+curve', { transport: 'ipc', curve: true, qr: false }],
  // Upper case makes denser QR codes.
  ['TCP', { transport: 'tcp', curve: false, qr: true }],
  ['CURVE', { transport: 'tcp', curve: true, qr: true }],
]);

/** Spec oxenmq, section 2: all forms of an OxenMQ address. `inproc://` is of no use between processes. */
export function parseOxenmqAddress(text: string): Result<OxenmqAddress, AddressError> {
  const match = /^([^:]+):\/\/(.*)$/s.exec(text);
  if (match === null) return fail('no scheme (expected tcp://, curve:// or ipc://)');
  const [, name = '', rest = ''] = match;
  const scheme = SCHEMES.get(name);
  if (scheme === undefined) {
    return fail('unknown scheme (expected tcp://, curve:// or ipc://, in lower case)');
  }
  if (scheme.qr && !/^[A-Z0-9$:/.-]*$/.test(rest)) return fail('a character that QR addresses do not have');
  return scheme.transport === 'ipc' ? parseIpc(rest, scheme.curve) : parseTcp(rest, scheme.curve, scheme.qr);
}

function parseIpc(rest: string, curve: boolean): Result<OxenmqAddress, AddressError> {
  if (!curve) return isPath(rest) ? ok({ endpoint: `ipc://${rest}`, serverKey: null }) : fail('no path');
  // The path has slashes too: the key is what follows the last one.
  const slash = rest.lastIndexOf('/');
  const path = rest.slice(0, Math.max(slash, 0));
  if (!isPath(path)) return fail('no path');
  return withKey(`ipc://${path}`, rest.slice(slash + 1), false);
}

/** `sockaddr_un` holds 107 bytes on Linux; ZeroMQ says so itself. NUL would cut the path silently. */
const isPath = (path: string): boolean => path !== '' && !path.includes('\0');

// A host in the plain form may not hold what ZeroMQ gives a meaning of its own (`;` source address, `*` wildcard).
const TCP_FORM = /^(?:\[([0-9A-Fa-f:.]+)\]|\$([0-9A-Fa-f:.]+)\$|([A-Za-z0-9._-]+)):([0-9]+)(.*)$/s;

function parseTcp(rest: string, curve: boolean, qr: boolean): Result<OxenmqAddress, AddressError> {
  const match = TCP_FORM.exec(rest);
  if (match === null) {
    return fail(/^[^:/]+(:(?![0-9])|\/|$)/.test(rest) ? 'no port, or not 1 to 65535' : 'no usable host');
  }
  const [, bracketed, dollared, plain, digits = '', tail = ''] = match;
  if (dollared !== undefined && !qr) return fail('no usable host');
  const ipv6 = bracketed ?? dollared;
  const host = ipv6 !== undefined ? `[${ipv6}]` : (plain ?? '');
  // Leading zeros are taken; a longer number than that is out of range anyway.
  const port = Number(digits);
  if (!(port >= 1 && port <= 65535)) return fail('no port, or not 1 to 65535');
  const endpoint = `tcp://${qr ? host.toLowerCase() : host}:${port}`;
  if (!curve) {
    return tail === ''
      ? ok({ endpoint, serverKey: null })
      : fail('something follows where the address should end');
  }
  if (!tail.startsWith('/')) return fail('no public key behind the last slash');
  return withKey(endpoint, tail.slice(1), qr);
}

function withKey(endpoint: string, text: string, qr: boolean): Result<OxenmqAddress, AddressError> {
  if (text === '') return fail('no public key behind the last slash');
  const serverKey = parsePublicKey(text, !qr);
  return serverKey === null
    ? fail('the public key is neither 64 hex digits, 52 base32z nor 43 base64 characters')
    : ok({ endpoint, serverKey });
}

const BASE32Z = 'ybndrfg8ejkmcpqxot1uwisza345h769';

/** 32 bytes as hex, base32z or base64, tried in this order as OxenMQ does; null for anything else. */
export function parsePublicKey(text: string, base64Allowed = true): Buffer | null {
  if (/^[0-9a-fA-F]{64}$/.test(text)) return Buffer.from(text, 'hex');
  if (/^[a-km-uw-z13-9]{52}$/i.test(text)) return fromBase32z(text.toLowerCase());
  if (base64Allowed && /^[A-Za-z0-9+/]{43}=?$/.test(text)) return Buffer.from(text, 'base64');
  return null;
}

/** Most significant bits first; the last of 52 characters carries one bit, the other four are ignored. */
function fromBase32z(text: string): Buffer {
  const bytes = Buffer.alloc(32);
  let bits = 0;
  let pending = 0;
  let written = 0;
  for (const character of text) {
    pending = ((pending << 5) | BASE32Z.indexOf(character)) & 0xfff;
    bits += 5;
    if (bits >= 8 && written < bytes.length) {
      bits -= 8;
      bytes[written] = (pending >>> bits) & 0xff;
      written += 1;
    }
  }
  return bytes;
}
