import type { LookupAddress, LookupOptions } from 'node:dns';
import { fail, ok, type Result } from '../domain/result.js';
import { isLocalName, nameResolver, type ResolveName } from './endpoint-names.js';
import { isAllowedAddress, parseCidr, parseIp, type Cidr } from './ip-ranges.js';

export interface EndpointGuardOptions {
  /** Takes http:// as well: for endpoints inside private networks. */
  readonly allowHttp: boolean;
  /** Networks (`10.0.0.0/8`, `fd00::/8`, `127.0.0.1`) that are allowed though they are not public. */
  readonly allowNetworks: readonly string[];
  /** Ports that may be connected to; empty = any. */
  readonly ports: readonly number[];
  /** In bytes, before and after normalisation. */
  readonly maxUrlLength: number;
  /** All addresses of a host name; default: the name servers of this machine. */
  readonly resolve?: ResolveName;
}

/** What `lookup` fails with when a name has addresses but none that may be connected to. */
export const FORBIDDEN_ADDRESS = 'ERR_FORBIDDEN_ADDRESS';
const NOT_FOUND = 'ENOTFOUND';
/** Of each family: a name with hundreds of addresses must not make us knock at hundreds of doors. */
const MAX_ADDRESSES = 4;
const NOT_HTTPS = 'not an https URL';

const hostName = /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_][a-z0-9_-]{0,62})*$/;

type LookupCallback = (
  error: NodeJS.ErrnoException | null,
  address: string | LookupAddress[],
  family?: number,
) => void;

/**
 * Decides which URLs that come from outside may be connected to. Two steps: `checkUrl` judges what can be read off the
 * text; `lookup` stands where the connection resolves its name, so that the addresses that were judged are the ones
 * that are connected to, whatever the name resolves to before or afterwards (DNS rebinding).
 */
export class EndpointGuard {
  readonly #networks: readonly Cidr[];
  readonly #ports: ReadonlySet<number>;
  readonly #resolve: ResolveName;

  /** Throws a `RangeError` for a network that is none; `invalidNetwork` tells before. */
  constructor(private readonly options: EndpointGuardOptions) {
    this.#networks = options.allowNetworks.map((text) => {
      const cidr = parseCidr(text);
      if (cidr === null) throw new RangeError('allowNetworks: expected ADDRESS/BITS');
      return cidr;
    });
    this.#ports = new Set(options.ports);
    this.#resolve = options.resolve ?? nameResolver(this.#networks.length > 0);
  }

  /**
   * The URL in its normal form when it may be connected to as far as that can be told without looking its name up; or a
   * few words on what is wrong, which never quote it.
   */
  checkUrl(text: string): Result<URL, string> {
    const url = normaliseUrl(text, this.options.maxUrlLength);
    if (!url.ok) return url;
    const refusal = this.refusalOf(url.value);
    return refusal === null ? url : fail(refusal);
  }

  /** Why a URL in normal form is not connected to: scheme, port, host or address; null = nothing speaks against it. */
  refusalOf(url: URL): string | null {
    if (url.protocol !== 'https:' && !(url.protocol === 'http:' && this.options.allowHttp)) {
      return NOT_HTTPS;
    }
    const port = url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port);
    if (port === 0 || (this.#ports.size > 0 && !this.#ports.has(port))) return 'port not allowed';
    const host = url.hostname.startsWith('[') ? url.hostname.slice(1, -1) : url.hostname;
    // A connection to an address looks nothing up: here is the only place where it is judged.
    if (parseIp(host) !== null) return this.allows(host) ? null : 'address not allowed';
    if (!hostName.test(host)) return 'host not allowed';
    return this.#networks.length === 0 && isLocalName(host) ? 'host not allowed' : null;
  }

  /** Whether an address may be connected to. */
  allows(address: string): boolean {
    const bytes = parseIp(address);
    return bytes !== null && isAllowedAddress(bytes, this.#networks);
  }

  /**
   * For the option of the same name of `net.connect` and `tls.connect`: gives a few of the allowed addresses. Fails with
   * `FORBIDDEN_ADDRESS` when there are others only, with ENOTFOUND when there are none.
   */
  readonly lookup = (name: string, options: LookupOptions, callback: LookupCallback): void => {
    this.#allowedAddresses(name).then(
      (addresses) => {
        const [first] = addresses;
        if (options.all === true || first === undefined) callback(null, addresses);
        else callback(null, first.address, first.family);
      },
      (error: NodeJS.ErrnoException) => callback(error, []),
    );
  };

  async #allowedAddresses(name: string): Promise<LookupAddress[]> {
    let found: readonly string[] = [];
    try {
      found = await this.#resolve(name);
    } catch {
      // as if there were none
    }
    const allowed = found.filter((address) => this.allows(address));
    if (allowed.length === 0) {
      throw found.length === 0
        ? coded('the name has no address', NOT_FOUND)
        : coded('the name has no address that may be connected to', FORBIDDEN_ADDRESS);
    }
    const addresses = allowed.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
    return [4, 6].flatMap((wanted) =>
      addresses.filter(({ family }) => family === wanted).slice(0, MAX_ADDRESSES),
    );
  }
}

/**
 * An http or https URL without user name, fragment and trailing dot of the host, as the WHATWG parser writes it: the
 * same endpoint is always the same text. Says nothing about whether it may be connected to.
 */
export function normaliseUrl(text: string, maxBytes: number): Result<URL, string> {
  if (text.length > maxBytes) return fail('too long');
  // What parsers disagree about is nothing that an honest endpoint needs.
  if (!/^https?:\/\/[^/?#]/i.test(text) || hasOddCharacters(text)) return fail(NOT_HTTPS);
  if (!URL.canParse(text)) return fail(NOT_HTTPS);
  const url = new URL(text);
  if (url.username !== '' || url.password !== '') return fail('user name in the URL');
  url.hash = '';
  if (url.hostname.endsWith('.')) url.hostname = url.hostname.slice(0, -1);
  return Buffer.byteLength(url.href) > maxBytes ? fail('too long') : ok(url);
}

/** The first entry of `allowNetworks` that is no network; null when all are. */
export function invalidNetwork(networks: readonly string[]): string | null {
  return networks.find((text) => parseCidr(text) === null) ?? null;
}

/** Blanks, control characters (the parser drops some of them silently) and backslashes (it takes them for slashes). */
function hasOddCharacters(text: string): boolean {
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    if (code <= 0x20 || code === 0x7f || code === 0x5c) return true;
  }
  return /\p{Surrogate}/u.test(text);
}

function coded(message: string, code: string): NodeJS.ErrnoException {
  return Object.assign(new Error(message), { code });
}
