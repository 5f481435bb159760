import { createSecureContext, type SecureContext } from 'node:tls';

/** Our own certificate, where the provider wants one. */
export interface TlsIdentity {
  readonly cert?: string;
  readonly key?: string;
  readonly pfx?: Buffer;
  readonly passphrase?: string;
}

/**
 * What all TLS connections of one client have in common. To be made once: the usual trust anchors with an extra one are
 * some 140 certificates to read, which blocks everything else for tens of milliseconds.
 */
export function createTlsContext(
  trustAnchors: string[] | undefined,
  identity: TlsIdentity = {},
): SecureContext {
  return createSecureContext({
    minVersion: 'TLSv1.2',
    ...identity,
    ...(trustAnchors === undefined ? {} : { ca: trustAnchors }),
  });
}
