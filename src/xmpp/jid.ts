/** An address as it stands on the wire. Source: RFC 7622, section 3. */
export interface Jid {
  /** XEP-0106 escapes are kept as they came; '' for a server's own address. */
  readonly local: string;
  /** Lower case. */
  readonly domain: string;
  /** '' for none. */
  readonly resource: string;
}

const PART_MAX_BYTES = 1023;

/** Null when it is none. Lower-cases local part and domain, escapes what XEP-0106 says in the local part. */
export function parseJid(text: string): Jid | null {
  const slash = text.indexOf('/');
  const bare = slash === -1 ? text : text.slice(0, slash);
  const resource = slash === -1 ? '' : text.slice(slash + 1);
  const at = bare.indexOf('@');
  const local = escapeLocal(bare.slice(0, Math.max(at, 0)));
  const domain = bare
    .slice(at + 1)
    .replace(/\.$/, '')
    .toLowerCase();
  if (at === 0 || slash === text.length - 1) return null;
  if (!isDomain(domain) || isTooLong(local) || isTooLong(resource)) return null;
  return { local: local.toLowerCase(), domain, resource };
}

/** Local part and domain: the account, whichever of its clients speaks. */
export const bareJid = ({ local, domain }: Jid): string => (local === '' ? domain : `${local}@${domain}`);

const isTooLong = (part: string): boolean => Buffer.byteLength(part) > PART_MAX_BYTES;

const isDomain = (text: string): boolean =>
  text !== '' && !/[\0- "&'/<>@\\\x7f]/.test(text) && !isTooLong(text);

/**
 * Escapes what may not stand in a local part (XEP-0106, table 1). Backslashes stay: in an address that comes over the
 * wire they begin an escape, and escaping twice would name another account.
 */
export const escapeLocal = (local: string): string =>
  local.replaceAll(/[ "&'/:<>@]/g, (character) => `\\${character.charCodeAt(0).toString(16)}`);
