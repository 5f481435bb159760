import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import { fail, ok, type Result } from '../domain/result.js';

export interface Certificate {
  /** PEM. */
  readonly cert: Buffer;
  /** PEM. */
  readonly key: Buffer;
  /** Unix milliseconds. */
  readonly expiresAtMs: number;
}

export interface CertificateFiles {
  readonly certificateFile: string;
  readonly keyFile: string;
}

/** Certificate and key that fit one another. The error is for the operator, and holds nothing of the files. */
export async function readCertificate(files: CertificateFiles): Promise<Result<Certificate, string>> {
  let cert: Buffer;
  let key: Buffer;
  try {
    cert = await readFile(files.certificateFile);
  } catch (error) {
    return fail(`certificateFile: cannot read the file (${codeOf(error)})`);
  }
  try {
    key = await readFile(files.keyFile);
  } catch (error) {
    return fail(`keyFile: cannot read the file (${codeOf(error)})`);
  }
  try {
    const expiresAtMs = Date.parse(new X509Certificate(cert).validTo);
    createSecureContext({ cert, key });
    return ok({ cert, key, expiresAtMs });
  } catch (error) {
    return fail(`certificateFile and keyFile: no certificate with its key (${codeOf(error)})`);
  }
}

export const isSameCertificate = (a: Certificate, b: Certificate): boolean =>
  a.cert.equals(b.cert) && a.key.equals(b.key);

/** The system's or OpenSSL's: a short word. */
export const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'unreadable';
