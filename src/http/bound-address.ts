import type { Server } from 'node:net';

export interface BoundAddress {
  readonly host: string;
  readonly port: number;
  /** `http://HOST:PORT`. */
  readonly url: string;
}

/** Where a listener really listens, which port 0 does not tell. */
export function boundAddress(server: Server): BoundAddress {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the listener has no port');
  const host = address.family === 'IPv6' ? `[${address.address}]` : address.address;
  return { host: address.address, port: address.port, url: `http://${host}:${address.port}` };
}
