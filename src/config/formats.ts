import { isIP } from 'node:net';
import convict from 'convict';

/** How a value is written: decides what text (environment, flags) and YAML scalars turn into. */
export type ValueKind = 'number' | 'boolean' | 'boolean-or-text' | 'text' | 'list' | 'number-list';

export interface FormatRule {
  readonly min?: number;
  readonly max?: number;
  readonly values?: readonly string[];
}

export interface Format {
  readonly kind: ValueKind;
  /** For the documentation and for complaints: "must be ...". */
  describe(rule: FormatRule): string;
  /** Whether a value of the right kind is good. */
  accepts(value: unknown, rule: FormatRule): boolean;
}

const MAX_TEXT_BYTES = 4096;
const isText = (value: unknown): value is string =>
  typeof value === 'string' &&
  value.length > 0 &&
  Buffer.byteLength(value) <= MAX_TEXT_BYTES &&
  !value.includes('\0');

/** A host name, an IPv4 or an IPv6 address, without port. */
const isHost = (text: string): boolean =>
  isIP(text) !== 0 || /^[A-Za-z0-9]([A-Za-z0-9._-]{0,252}[A-Za-z0-9])?$/.test(text);

const isListOf =
  (accepts: (text: string) => boolean) =>
  (value: unknown): boolean =>
    Array.isArray(value) && value.length <= 1000 && value.every((item) => isText(item) && accepts(item));

function parseHttpsUrl(text: string): URL | null {
  if (!URL.canParse(text)) return null;
  const url = new URL(text);
  const plain = url.username === '' && url.password === '' && url.hash === '';
  return url.protocol === 'https:' && url.hostname !== '' && plain ? url : null;
}

/** An address or a network: `10.0.0.0/8`. */
function isNetwork(text: string): boolean {
  const [address = '', bits, ...rest] = text.split('/');
  const family = isIP(address);
  // A zone (fe80::1%eth0) names an interface, not a network.
  if (family === 0 || address.includes('%') || rest.length > 0) return false;
  return bits === undefined || (/^(0|[1-9]\d{0,2})$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128));
}

const isProxyList = (text: string): boolean => text.split(',').every((part) => isNetwork(part.trim()));

const hasScheme = (text: string, schemes: readonly string[]): boolean =>
  schemes.some((scheme) => text.startsWith(`${scheme}://`) && text.length > scheme.length + 3);

/** As browsers write it in `Origin` (RFC 6454, 6.2). */
const isWebOrigin = (text: string): boolean =>
  /^https?:/.test(text) && URL.canParse(text) && new URL(text).origin === text;

const MAX_PORTS = 100;
const isPeerPort = (value: unknown): boolean =>
  typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= 65_535;

/** RFC 8292, 2.1: how the operator of a push service reaches us. Some refuse anything around the address. */
const isContact = (text: string): boolean =>
  /^mailto:[^\s@<>,]+@[^\s@<>,]+$/.test(text) || parseHttpsUrl(text) !== null;

/** What a client's router and a storage node take: plain segments, nothing that either would read as more than text. */
const isOnionPath = (text: string): boolean =>
  text.length <= 200 && /^(\/[A-Za-z0-9][A-Za-z0-9._~-]*)+$/.test(text) && text.endsWith('/lsrpc');

/** `HOST=PATH`, split; null when it is none. */
export function splitHostPath(text: string): { readonly host: string; readonly path: string } | null {
  const [, host = '', path = ''] = /^([^=]+)=(.+)$/s.exec(text) ?? [];
  // The header of a request has an IPv6 address in brackets; nobody's clients know us by one.
  return isHost(host) && isIP(host) !== 6 && path !== '' ? { host: host.toLowerCase(), path } : null;
}

function hasHostTwice(texts: readonly string[]): boolean {
  return new Set(texts.map((text) => splitHostPath(text)?.host)).size < texts.length;
}

/** What a push has of its own, or a provider keeps for itself, cannot be a marker. */
const isMarker = (text: string): boolean =>
  /^[A-Za-z]\w{0,31}$/.test(text) &&
  !/^(aps|enc_payload|encrypted_data|remote|from|message_type|collapse_key|notification|google.*|gcm.*)$/i.test(
    text,
  );

const MAX_MARKERS = 8;

const MAX_WAITS = 20;
const isWait = (value: unknown): boolean => typeof value === 'number' && value >= 0.1 && value <= 3600;

/** What may stand in a domain part is decided by who configures servers; what ends one, or breaks a line, may not. */
const isXmppDomain = (text: string): boolean =>
  Buffer.byteLength(text) <= 253 && /^[^\0-\x20\x7f"&'/<>@\\:]+$/.test(text) && !/^\.|\.\.|\.$/.test(text);

/** `USER@DOMAIN`, without resource. */
function isBareJid(text: string): boolean {
  const at = text.indexOf('@');
  return at > 0 && !/[\0-\x20\x7f"&'/<>:]/.test(text.slice(0, at)) && isXmppDomain(text.slice(at + 1));
}

const SERVICE_NAME = /^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$/;
/** Names end up in metric labels, environment variables and flags, so only plain characters, 1 to 32. */
export const isServiceNameText = (text: string): boolean => SERVICE_NAME.test(text);

const BRAND_NAME = /^[A-Za-z][A-Za-z0-9_-]{0,19}$/;
/** Short for metrics, and a number would not stay in its place in an object. */
export const isTypeNameText = (text: string): boolean => SERVICE_NAME.test(text) && /^[A-Za-z]/.test(text);
/** Mostly a domain; no number, which would not stay in its place in an object. */
export const isComponentNameText = (text: string): boolean =>
  text.length <= 253 && /^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$/.test(text) && !/^\d+$/.test(text);
/** As a service's, but `-firebase` must have room behind it; and a number would not stay in its place in an object. */
export const isBrandNameText = (text: string): boolean => BRAND_NAME.test(text);

export const formats = {
  'whole-number': {
    kind: 'number',
    describe: ({ min, max }) => `a whole number from ${String(min)} to ${String(max)}`,
    accepts: (value, { min = 0, max = Number.MAX_SAFE_INTEGER }) =>
      typeof value === 'number' && Number.isSafeInteger(value) && value >= min && value <= max,
  },
  number: {
    kind: 'number',
    describe: ({ min, max }) => `a number from ${String(min)} to ${String(max)}, fractions allowed`,
    accepts: (value, { min = 0, max = Number.MAX_SAFE_INTEGER }) =>
      typeof value === 'number' && Number.isFinite(value) && value >= min && value <= max,
  },
  waits: {
    kind: 'number-list',
    describe: () => `a list of 1 to ${MAX_WAITS} numbers from 0.1 to 3600`,
    accepts: (value) =>
      Array.isArray(value) && value.length > 0 && value.length <= MAX_WAITS && value.every(isWait),
  },
  port: {
    kind: 'number',
    describe: () => 'a port from 0 to 65535 (0 = any free port)',
    accepts: (value) => typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 65_535,
  },
  'peer-port': {
    kind: 'number',
    describe: () => 'a port from 1 to 65535',
    accepts: isPeerPort,
  },
  switch: {
    kind: 'boolean',
    describe: () => 'true or false',
    accepts: (value) => typeof value === 'boolean',
  },
  choice: {
    kind: 'text',
    describe: ({ values = [] }) => `one of ${values.join(', ')}`,
    accepts: (value, { values = [] }) => typeof value === 'string' && values.includes(value),
  },
  'number-choice': {
    kind: 'number',
    describe: ({ values = [] }) => values.join(' or '),
    accepts: (value, { values = [] }) => typeof value === 'number' && values.includes(String(value)),
  },
  words: {
    kind: 'text',
    describe: () => 'text, not empty',
    accepts: isText,
  },
  host: {
    kind: 'text',
    describe: () => 'a host name or an address, without port',
    accepts: (value) => isText(value) && isHost(value),
  },
  path: {
    kind: 'text',
    describe: () => 'a path',
    accepts: isText,
  },
  paths: {
    kind: 'list',
    describe: () => 'a list of paths, at least one',
    accepts: (value) => Array.isArray(value) && value.length > 0 && isListOf(() => true)(value),
  },
  'optional-paths': {
    kind: 'list',
    describe: () => 'a list of paths',
    accepts: isListOf(() => true),
  },
  'hex-keys': {
    kind: 'list',
    describe: () => 'a list of X25519 public keys, 64 hex digits each',
    accepts: isListOf((text) => /^[0-9a-fA-F]{64}$/.test(text)),
  },
  networks: {
    kind: 'list',
    describe: () => 'a list of addresses and networks (10.0.0.0/8)',
    accepts: isListOf(isNetwork),
  },
  'web-origins': {
    kind: 'list',
    describe: () => 'a list of web origins (https://HOST, with :PORT where it is not 443), or *',
    accepts: isListOf((text) => text === '*' || isWebOrigin(text)),
  },
  ports: {
    kind: 'number-list',
    describe: () => `a list of ports from 1 to 65535, at most ${MAX_PORTS}; empty = any`,
    accepts: (value) => Array.isArray(value) && value.length <= MAX_PORTS && value.every(isPeerPort),
  },
  'service-name': {
    kind: 'text',
    describe: () => 'a name, 1 to 32 letters, digits, - and _',
    accepts: (value) => isText(value) && isServiceNameText(value),
  },
  'onion-path': {
    kind: 'text',
    describe: () => 'a path that begins with / and ends in /lsrpc, of letters, digits, ., _, ~ and -',
    accepts: (value) => isText(value) && isOnionPath(value),
  },
  'host-paths': {
    kind: 'list',
    describe: () => 'a list of HOST=PATH, each a host name without port and a path, no host twice',
    accepts: (value) =>
      isListOf((text) => splitHostPath(text) !== null)(value) && !hasHostTwice(value as readonly string[]),
  },
  'account-prefix': {
    kind: 'text',
    describe: () => 'two hex digits, other than 03 (groups)',
    accepts: (value) => isText(value) && /^[0-9a-f]{2}$/i.test(value) && value !== '03',
  },
  markers: {
    kind: 'list',
    describe: () =>
      `a list of 1 to ${MAX_MARKERS} names of letters, digits and _, none that a push or a provider has for itself`,
    accepts: (value) =>
      Array.isArray(value) &&
      value.length > 0 &&
      value.length <= MAX_MARKERS &&
      new Set(value).size === value.length &&
      isListOf(isMarker)(value),
  },
  'service-names': {
    kind: 'list',
    describe: () => 'a list of names, 1 to 32 letters, digits, - and _ each',
    accepts: isListOf(isServiceNameText),
  },
  address: {
    kind: 'text',
    describe: ({ values = [] }) =>
      `an address starting with ${values.map((scheme) => `${scheme}://`).join(', ')}`,
    accepts: (value, { values = [] }) => isText(value) && hasScheme(value, values),
  },
  'https-origin': {
    kind: 'text',
    describe: () => 'https://HOST:PORT, nothing behind it',
    accepts: (value) => {
      const url = isText(value) ? parseHttpsUrl(value) : null;
      return url !== null && url.pathname === '/' && url.search === '';
    },
  },
  'https-url': {
    kind: 'text',
    describe: () => 'an https:// address',
    accepts: (value) => isText(value) && parseHttpsUrl(value) !== null,
  },
  contact: {
    kind: 'text',
    describe: () => 'mailto:ADDRESS or an https:// address',
    accepts: (value) => isText(value) && isContact(value),
  },
  'xmpp-domain': {
    kind: 'text',
    describe: () => 'a domain, without port',
    accepts: (value) => isText(value) && isXmppDomain(value),
  },
  'bare-jid': {
    kind: 'text',
    describe: () => 'USER@DOMAIN',
    accepts: (value) => isText(value) && isBareJid(value),
  },
  'xmpp-address': {
    kind: 'text',
    describe: () => 'a domain or USER@DOMAIN',
    accepts: (value) => isText(value) && (isXmppDomain(value) || isBareJid(value)),
  },
  proxies: {
    kind: 'boolean-or-text',
    describe: () => 'true, false or a comma-separated list of addresses and networks (10.0.0.0/8)',
    accepts: (value) => typeof value === 'boolean' || (isText(value) && isProxyList(value)),
  },
} satisfies Record<string, Format>;

export type FormatName = keyof typeof formats;

export const formatOf = (name: FormatName): Format => formats[name];

/**
 * convict's own coercion is lax ("12abc" is 12, any text is true, and a default of another type decides), so every
 * format is a named one of ours: convict hands such values through untouched and only asks for validation.
 */
for (const [name, format] of Object.entries<Format>(formats)) {
  convict.addFormat({
    name: conventionalName(name),
    validate(value: unknown, property: convict.SchemaObj) {
      const rule = property as FormatRule;
      if (!format.accepts(value, rule)) throw new Error(`must be ${format.describe(rule)}`);
    },
  });
}

/** convict knows some of our names itself (`port`) and would coerce by them. */
export function conventionalName(name: string): string {
  return `waggle-${name}`;
}
