import { isIP } from 'node:net';

/** 127.0.0.0/8, ::1 and `localhost`: nobody else can reach such a listener. */
export function isLoopback(host: string): boolean {
  const address = host.toLowerCase().replace(/^::ffff:/, '');
  if (isIP(address) === 4) return address.startsWith('127.');
  return address === '::1' || address === '0:0:0:0:0:0:0:1' || address === 'localhost';
}
