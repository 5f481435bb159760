import { rootCertificates } from 'node:tls';
import { fail, ok, type Result } from '../domain/result.js';

/** Where a provider listens. */
export interface ProviderEndpoint {
  /** Without brackets for IPv6. */
  readonly host: string;
  readonly port: number;
  /** `https://HOST:PORT`. */
  readonly origin: string;
  /** What the `:authority` header says: the port only where it is not 443. */
  readonly authority: string;
}

/** Parses `https://HOST[:PORT]`, the form of the option `endpoint`. */
export function parseEndpoint(text: string): Result<ProviderEndpoint, string> {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    return fail('endpoint: expected https://HOST:PORT');
  }
  const bare = url.pathname === '/' && url.search === '' && url.hash === '' && url.username === '';
  if (url.protocol !== 'https:' || !bare) return fail('endpoint: expected https://HOST:PORT');
  const port = url.port === '' ? 443 : Number(url.port);
  return ok({
    host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    port,
    origin: `https://${url.hostname}:${port}`,
    authority: url.host,
  });
}

/** The same for an option that may be left out. */
export function parseOptionalEndpoint(
  text: string | null | undefined,
): Result<ProviderEndpoint | null, string> {
  return text === null || text === undefined ? ok(null) : parseEndpoint(text);
}

/** Trust anchors for a connection: the usual ones and the extra one of `caFile`; undefined = node's default. */
export function trustAnchors(extraCaPem: string | null): string[] | undefined {
  return extraCaPem === null ? undefined : [...rootCertificates, extraCaPem];
}
