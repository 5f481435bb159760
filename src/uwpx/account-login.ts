import type { RandomBytes } from '../crypto/sodium.js';
import { Scram, type ScramCredentials, type ScramHash } from './scram.js';

/** As the library drives one. Texts have a character for each byte. */
export interface Mechanism {
  /** As the server knows it. */
  readonly name: string;
  readonly clientFirst: boolean;
  /** The text to send next; undefined: nothing. */
  response(): string | undefined;
  challenge(text: string): unknown;
}

const NONCE_BYTES = 18;

const scramHashes: ReadonlyMap<string, ScramHash> = new Map([
  ['SCRAM-SHA-256', 'sha256'],
  ['SCRAM-SHA-1', 'sha1'],
]);

/** Under this the library knows our SCRAM: under its own name it would take its own. */
export const libraryNameOf = (mechanism: string): string =>
  scramHashes.has(mechanism) ? `WAGGLE-${mechanism}` : mechanism;

/**
 * The login of one connection, over a connection that is safe for passwords: SCRAM where the server has it, else PLAIN.
 * Source: RFC 6120, section 6.
 */
export class AccountLogin {
  #scram: Scram | null = null;
  #isServerProven = false;

  constructor(
    private readonly credentials: ScramCredentials,
    private readonly randomBytes: RandomBytes,
  ) {}

  /** The best of what the server offers; null: there is none that we know. */
  choose(offered: readonly string[]): string | null {
    const known = [...scramHashes.keys(), 'PLAIN'];
    return known.find((name) => offered.includes(name)) ?? null;
  }

  /** What the library is to be told of, by its name there. */
  mechanisms(): readonly [name: string, mechanism: new () => Mechanism][] {
    return [...scramHashes].map(([name, hash]) => [libraryNameOf(name), this.#mechanismOf(name, hash)]);
  }

  /** Whether the server's last word (base64, or '') is one to trust it for. With PLAIN it has none. */
  isServerProven(lastWord: string): boolean {
    if (this.#scram === null || this.#isServerProven) return true;
    return this.#scram.isServer(Buffer.from(lastWord, 'base64').toString('latin1'));
  }

  #mechanismOf(name: string, hash: ScramHash): new () => Mechanism {
    const begin = (): Scram => {
      const nonce = this.randomBytes(NONCE_BYTES).toString('base64');
      this.#scram = new Scram(hash, this.credentials, nonce);
      return this.#scram;
    };
    const prove = (scram: Scram, text: string): void => {
      this.#isServerProven = scram.isServer(text);
    };
    return class implements Mechanism {
      readonly name = name;
      readonly clientFirst = true;
      readonly #scram = begin();
      #next: string | undefined = this.#scram.clientFirst();

      response(): string | undefined {
        return this.#next;
      }

      challenge(text: string): void {
        // Some servers send the last word as one more challenge. What is unacceptable is answered with nothing, and refused.
        if (text.startsWith('v=')) {
          prove(this.#scram, text);
          this.#next = undefined;
        } else this.#next = this.#scram.clientFinal(text) ?? undefined;
      }
    };
  }
}
