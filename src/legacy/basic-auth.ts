import { createHash, timingSafeEqual } from 'node:crypto';

/** The password of `Authorization: Basic …` (RFC 7617), with whatever user name; null when there is none. */
export function basicPassword(authorization: string | undefined): string | null {
  const credentials = /^basic +([A-Za-z0-9+/]+={0,2}) *$/i.exec(authorization ?? '')?.[1];
  if (credentials === undefined) return null;
  const text = Buffer.from(credentials, 'base64').toString('utf8');
  const colonAt = text.indexOf(':');
  return colonAt < 0 ? null : text.slice(colonAt + 1);
}

/**
 * The first of `candidates` whose secret this is; null when none is. Those without a secret, or with an empty one, let
 * nobody in. Takes the same time whichever it is, and tells nothing about how much of a secret was right.
 */
export function ownerOfSecret<Candidate>(
  given: string,
  candidates: Iterable<Candidate>,
  secretOf: (candidate: Candidate) => string | null,
): Candidate | null {
  const givenDigest = digest(given);
  let owner: Candidate | null = null;
  for (const candidate of candidates) {
    const secret = secretOf(candidate);
    const isRight = timingSafeEqual(givenDigest, digest(secret ?? ''));
    if (isRight && secret !== null && secret !== '') owner ??= candidate;
  }
  return owner;
}

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
