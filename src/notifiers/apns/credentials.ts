import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto';
import { assertNever } from '../../domain/assert-never.js';
import type { Clock } from '../../domain/clock.js';
import { fail, ok, type Result } from '../../domain/result.js';
import { readCredentialFile } from '../credential-files.js';
import type { ApnsEntry } from './apns-entry.js';
import type { ApnsCredentials } from './node-apn-connector.js';
import { readPfx } from './pfx.js';

/** What of an entry, or of the configuration, says who we are; a passphrase of the configuration is wrapped. */
export interface ApnsCredentialOptions extends Pick<
  ApnsEntry,
  'certFile' | 'keyFile' | 'keyId' | 'teamId' | 'pfxFile'
> {
  readonly pfxPassphrase?: string | { reveal(): string } | null;
}

/**
 * Reads and checks what the entry names. node-apn checks too, but lets what it cannot parse pass in silence, to fail
 * at the first connection; and it takes a key that is no PEM for a file name.
 */
export function loadApnsCredentials(
  entry: ApnsCredentialOptions,
  clock: Clock,
): Result<ApnsCredentials, string> {
  const { certFile, keyFile, keyId, teamId, pfxFile } = entry;
  if (given(pfxFile)) {
    if ([certFile, keyFile, keyId, teamId].some(given)) {
      return fail('pfxFile excludes certFile, keyFile, keyId and teamId');
    }
    const passphrase = entry.pfxPassphrase ?? null;
    const pfx = readPfx(
      pfxFile,
      typeof passphrase === 'object' ? (passphrase?.reveal() ?? null) : passphrase,
    );
    if (pfx.ok && pfx.value.expiresAtMs <= clock.nowMs()) {
      return fail(`pfxFile: certificate has expired (${new Date(pfx.value.expiresAtMs).toUTCString()})`);
    }
    return pfx;
  }
  if (!given(keyFile)) return fail('keyFile is missing');
  const keyText = readCredentialFile('keyFile', keyFile);
  if (!keyText.ok) return keyText;
  const key = parsePrivateKey(keyText.value);
  if (key === null) return fail('keyFile: not a private key in PEM form');

  if (given(certFile)) {
    if (given(keyId) || given(teamId)) return fail('certFile excludes keyId and teamId');
    const certificate = readCredentialFile('certFile', certFile);
    if (!certificate.ok) return certificate;
    const problem = certificateProblem(certificate.value, key, clock);
    if (problem !== null) return fail(problem);
    return ok({ kind: 'certificate', certificate: certificate.value, key: keyText.value });
  }
  if (!given(keyId) || !given(teamId)) return fail('keyId and teamId, or certFile, are missing');
  if (key.asymmetricKeyType !== 'ec' || key.asymmetricKeyDetails?.namedCurve !== 'prime256v1') {
    return fail('keyFile: a token key (.p8) is an EC key on P-256');
  }
  return ok({ kind: 'token', key: keyText.value, keyId, teamId });
}

/** Unix milliseconds; null in token mode, whose keys do not expire. */
export function certificateExpiryMs(credentials: ApnsCredentials): number | null {
  switch (credentials.kind) {
    case 'token':
      return null;
    case 'certificate':
      return Date.parse(new X509Certificate(credentials.certificate).validTo);
    case 'pfx':
      return credentials.expiresAtMs;
    default:
      return assertNever(credentials);
  }
}

function certificateProblem(pem: string, key: KeyObject, clock: Clock): string | null {
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(pem);
  } catch {
    return 'certFile: not a certificate in PEM form';
  }
  if (!certificate.checkPrivateKey(key)) return 'certFile: certificate and key do not match';
  if (Date.parse(certificate.validTo) <= clock.nowMs()) {
    return `certFile: certificate has expired (${certificate.validTo})`;
  }
  return null;
}

function parsePrivateKey(pem: string): KeyObject | null {
  try {
    return createPrivateKey(pem);
  } catch {
    return null;
  }
}

function given(value: string | null | undefined): value is string {
  return value !== null && value !== undefined && value !== '';
}
