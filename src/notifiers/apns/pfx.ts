import type { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { createSecureContext, TLSSocket, type SecureContext } from 'node:tls';
import { fail, ok, type Result } from '../../domain/result.js';

/** A PKCS #12 file that TLS can use as it is. */
export interface PfxCredentials {
  readonly kind: 'pfx';
  readonly pfx: Buffer;
  readonly passphrase: string | null;
  readonly certificate: X509Certificate;
}

/** Keychain Access and older versions of OpenSSL encrypt with RC2, which OpenSSL 3 no longer does. */
const LEGACY =
  'pfxFile: encrypted in an old way (RC2) that OpenSSL 3 does not read; convert it with ' +
  '`openssl pkcs12 -legacy -in OLD.p12 -nodes -out NEW.pem`, then use NEW.pem as certFile and as keyFile';

/**
 * Reads a .p12 file the way that TLS will: what is wrong with it is said at the start, not at the first connection.
 * The error is a text for the operator.
 */
export function readPfx(path: string, passphrase: string | null): Result<PfxCredentials, string> {
  let pfx: Buffer;
  try {
    pfx = readFileSync(path);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable';
    return fail(`pfxFile: cannot read the file (${code})`);
  }
  let context: SecureContext;
  try {
    context = createSecureContext({ pfx, ...(passphrase === null ? {} : { passphrase }) });
  } catch (error) {
    return fail(complaintOf(error instanceof Error ? error.message : '', passphrase));
  }
  const certificate = certificateOf(context);
  return certificate === null
    ? fail('pfxFile: holds no certificate')
    : ok({ kind: 'pfx', pfx, passphrase, certificate });
}

/** By the words of OpenSSL and node: neither gives a code for each of them. */
function complaintOf(message: string, passphrase: string | null): string {
  if (/mac verify/i.test(message)) {
    return passphrase === null
      ? 'pfxPassphrase is missing: the pfxFile is encrypted with one'
      : 'pfxPassphrase: not the passphrase of the pfxFile';
  }
  if (/unsupported/i.test(message)) return LEGACY;
  if (/private key/i.test(message)) return 'pfxFile: holds no private key';
  if (/certificate/i.test(message)) return 'pfxFile: holds no certificate that belongs to its key';
  if (/mismatch/i.test(message)) return 'pfxFile: certificate and key do not match';
  return 'pfxFile: not a PKCS #12 file (.p12)';
}

/** A socket that is never connected knows which certificate it would show; there is no other public way to ask. */
function certificateOf(secureContext: SecureContext): X509Certificate | null {
  const socket = new TLSSocket(new Socket(), { secureContext });
  try {
    return socket.getX509Certificate() ?? null;
  } finally {
    socket.destroy();
  }
}
