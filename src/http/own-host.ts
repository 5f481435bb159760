import { isIP } from 'node:net';

const WITH_PORT = /^(?:\[([0-9a-f:.]+)\]|([^:[\]]+))(?::\d*)?$/i;

/**
 * Whether a `Host` header names this machine by an address or as `localhost`. A page of a stranger can make its own name
 * resolve to a loopback address and then talk to what listens there from the operator's browser (DNS rebinding); what it
 * cannot do is leave its name out of this header.
 */
export function isOwnHost(header: string | undefined): boolean {
  if (header === undefined) return true; // HTTP/1.0: no browser
  const [, bracketed, plain] = WITH_PORT.exec(header) ?? [];
  if (bracketed !== undefined) return isIP(bracketed) === 6;
  return plain !== undefined && (isIP(plain) === 4 || plain.toLowerCase() === 'localhost');
}
