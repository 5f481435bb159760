import { createHash, timingSafeEqual } from 'node:crypto';

/**
 * Whether an `Authorization` header carries this token (RFC 6750, 2.1). Digests are compared, so that neither the content
 * nor the length of the token shows in the time.
 */
export function bearerTokenCheck(token: string): (authorization: string | undefined) => boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  const wanted = digest(token);
  return (authorization) => {
    const given = /^Bearer +(.+)$/i.exec(authorization ?? '')?.[1];
    return given !== undefined && timingSafeEqual(digest(given), wanted);
  };
}
