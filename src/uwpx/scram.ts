import { createHash, createHmac, pbkdf2Sync, timingSafeEqual } from 'node:crypto';

export type ScramHash = 'sha256' | 'sha1';

export interface ScramCredentials {
  readonly username: string;
  readonly password: string;
}

/** What a server may ask for: some tens of milliseconds at a login. Usual are 4,096 to 10,000. */
const MAX_ITERATIONS = 100_000;
/** No channel binding, no other identity. */
const GS2_HEADER = 'n,,';

/**
 * Our side of one login by SCRAM: the password does not go over the connection, and the server proves that it knows it.
 * Texts are those of the protocol, a character for each byte. Source: RFC 5802, 3 and 5; RFC 7677.
 *
 * The library's own is broken: its dependency computes asynchronously by now, and the library sends the promise.
 */
export class Scram {
  readonly #firstBare: string;
  /** What the server has to send in the end; null before its challenge, or when that is unacceptable. */
  #serverSignature: Buffer | null = null;

  constructor(
    private readonly hash: ScramHash,
    private readonly credentials: ScramCredentials,
    /** Fresh for each login; printable, no comma. */
    private readonly nonce: string,
  ) {
    const name = credentials.username.replaceAll('=', '=3D').replaceAll(',', '=2C');
    this.#firstBare = `n=${bytesAsText(name)},r=${nonce}`;
  }

  clientFirst(): string {
    return GS2_HEADER + this.#firstBare;
  }

  /** The answer to the server's challenge; null: it is not one to go on with. */
  clientFinal(challenge: string): string | null {
    const { r: nonce, s: salt, i: count } = attributesOf(challenge);
    const iterations = Number(count);
    if (nonce === undefined || salt === undefined || !/^[1-9]\d{0,8}$/.test(count ?? '')) return null;
    if (!nonce.startsWith(this.nonce) || nonce === this.nonce || iterations > MAX_ITERATIONS) return null;

    const password = this.credentials.password.normalize('NFKC');
    const length = this.#digest('').length;
    const salted = pbkdf2Sync(password, Buffer.from(salt, 'base64'), iterations, length, this.hash);
    const clientKey = this.#hmac(salted, 'Client Key');
    const final = `c=${Buffer.from(GS2_HEADER).toString('base64')},r=${nonce}`;
    const message = Buffer.from(`${this.#firstBare},${challenge},${final}`, 'latin1');
    const signature = this.#hmac(this.#digest(clientKey), message);
    const proof = clientKey.map((byte, index) => byte ^ (signature[index] ?? 0));
    this.#serverSignature = this.#hmac(this.#hmac(salted, 'Server Key'), message);
    return `${final},p=${Buffer.from(proof).toString('base64')}`;
  }

  /** Whether the last word of the server shows that it knows the password. */
  isServer(serverFinal: string): boolean {
    const expected = this.#serverSignature;
    const signature = Buffer.from(attributesOf(serverFinal)['v'] ?? '', 'base64');
    return expected !== null && signature.length === expected.length && timingSafeEqual(signature, expected);
  }

  #digest(data: Buffer | string): Buffer {
    return createHash(this.hash).update(data).digest();
  }

  #hmac(key: Buffer, data: Buffer | string): Buffer {
    return createHmac(this.hash, key).update(data).digest();
  }
}

/** `a=…,b=…`: attributes by their letter. */
const attributesOf = (text: string): Partial<Record<string, string>> =>
  Object.fromEntries(text.split(',').map((part) => [part.slice(0, 1), part.slice(2)]));

/** The bytes of the UTF-8, a character for each. */
export const bytesAsText = (text: string): string => Buffer.from(text, 'utf8').toString('latin1');
