import { X509Certificate } from 'node:crypto';
import { readSmallFile } from '../config/small-file.js';
import type { Clock } from '../domain/clock.js';
import { error, warning, type Finding } from './finding.js';

const DAY_MS = 24 * 3600 * 1000;
const EXPIRY_WARNING_DAYS = 30;
const PEM_MAX_BYTES = 1024 * 1024;

/** Our own one. `expiresAtMs`: unix milliseconds; null = never. */
export function* checkCertificate(key: string, expiresAtMs: number | null, clock: Clock): Iterable<Finding> {
  if (expiresAtMs === null) return;
  const days = Math.floor((expiresAtMs - clock.nowMs()) / DAY_MS);
  if (days < 0) yield error(key, `the certificate has expired (${new Date(expiresAtMs).toISOString()})`);
  else if (days < EXPIRY_WARNING_DAYS) yield warning(key, `the certificate expires in ${days} days`);
}

const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** Trust anchors. `key`: the option that names the file. */
export function* checkCaFile(key: string, path: string, clock: Clock): Iterable<Finding> {
  const read = readSmallFile(path, PEM_MAX_BYTES);
  if (!read.ok) {
    yield error(key, `${path} ${read.error}`);
    return;
  }
  const blocks = read.value.match(PEM_CERTIFICATE) ?? [];
  if (blocks.length === 0) yield error(key, `${path} holds no certificate in PEM form`);
  for (const block of blocks) {
    const certificate = parseCertificate(block);
    if (certificate === null) {
      yield error(key, `${path} holds a certificate that cannot be parsed`);
    } else if (Date.parse(certificate.validTo) <= clock.nowMs()) {
      yield warning(key, `${path} holds a certificate that has expired (${certificate.validTo})`);
    }
  }
}

function parseCertificate(pem: string): X509Certificate | null {
  try {
    return new X509Certificate(pem);
  } catch {
    return null;
  }
}
