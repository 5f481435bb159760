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
  'sandbox' | 'certFile' | 'keyFile' | 'keyId' | 'teamId' | 'pfxFile'
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
    const { pfxPassphrase: passphrase = null, sandbox } = entry;
    const pfx = readPfx(
      pfxFile,
      typeof passphrase === 'object' ? (passphrase?.reveal() ?? null) : passphrase,
    );
    if (!pfx.ok) return pfx;
    const problem =
      expiryProblem(pfx.value.certificate, clock) ?? environmentProblem(pfx.value.certificate, sandbox);
    return problem === null ? pfx : fail(`pfxFile: ${problem}`);
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
      return Date.parse(credentials.certificate.validTo);
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
  const expired = expiryProblem(certificate, clock);
  return expired === null ? null : `certFile: ${expired}`;
}

function expiryProblem(certificate: X509Certificate, clock: Clock): string | null {
  const expired = Date.parse(certificate.validTo) <= clock.nowMs();
  return expired ? `certificate has expired (${certificate.validTo})` : null;
}

/** The object identifiers (DER) of Apple's extensions 1.2.840.113635.100.6.3.1 and .2: what a certificate is good for. */
const SANDBOX_EXTENSION = Buffer.from('060a2a864886f76364060301', 'hex');
const PRODUCTION_EXTENSION = Buffer.from('060a2a864886f76364060302', 'hex');

/** node-apn looks, too, but not into every .p12 file: where it cannot read one it says nothing. */
function environmentProblem(certificate: X509Certificate, sandbox: boolean): string | null {
  if (certificate.raw.includes(sandbox ? SANDBOX_EXTENSION : PRODUCTION_EXTENSION)) return null;
  return `certificate is not for Apple's ${sandbox ? 'sandbox' : 'production'} environment`;
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
