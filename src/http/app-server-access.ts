import type { FastifyRequest } from 'fastify';
import { bearerTokenCheck } from './bearer-token.js';
import { createAddressClassifier } from './client-address.js';
import { isOwnHost } from './own-host.js';

export interface DebugAccessOptions {
  /** Without it nobody sees anything. */
  readonly debug: boolean;
  /** `Authorization: Bearer TOKEN` opens the pages from everywhere; null: nothing but an address of this machine does. */
  readonly adminToken: string | null;
}

/** What a proxy adds. One that adds none of these, and names us by our address, is caught by its HTTP/1.0 at most. */
const proxyHeaders = [
  'forwarded',
  'via',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
  'x-real-ip',
];

/**
 * Whether a request may see the pages with devices on them: they were open to the world in the original (spec xmpp-push,
 * 14.11). From this machine means: sent by itself, not passed on by a proxy that runs on it, and not by a web page whose
 * name was made to resolve to it.
 */
export function createDebugAccess({
  debug,
  adminToken,
}: DebugAccessOptions): (request: FastifyRequest) => boolean {
  if (!debug) return () => false;
  const hasToken = adminToken === null ? () => false : bearerTokenCheck(adminToken);
  const classify = createAddressClassifier(['127.0.0.0/8', '::1']);
  // Missing when the connection has ended meanwhile, whatever the type says.
  const isLoopback = (address: string | undefined): boolean => classify(address ?? '').isExempt;
  const isLocal = ({ raw, ip }: FastifyRequest): boolean =>
    isLoopback(raw.socket.remoteAddress) &&
    isLoopback(ip) &&
    raw.httpVersion !== '1.0' &&
    isOwnHost(raw.headers.host) &&
    proxyHeaders.every((name) => raw.headers[name] === undefined);
  return (request) => hasToken(request.headers.authorization) || isLocal(request);
}
