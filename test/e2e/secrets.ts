/** A piece of a secret of this length is a leak. */
const PIECE = 16;

/** What must never be seen, by a name that may be. */
export class Secrets {
  readonly #pieces = new Map<string, string>();

  text(name: string, text: string): void {
    for (const at of [0, Math.floor((text.length - PIECE) / 2), text.length - PIECE]) {
      const piece = text.slice(Math.max(0, at), Math.max(0, at) + PIECE);
      if (piece.length >= 12) this.#pieces.set(piece, name);
    }
  }

  /** In every form in which bytes get into texts. */
  bytes(name: string, bytes: Buffer): void {
    this.text(`${name}, hex`, bytes.toString('hex'));
    this.text(`${name}, hex`, bytes.toString('hex').toUpperCase());
    // Base64 of bytes that begin elsewhere looks different.
    for (const from of [0, 1, 2]) this.text(`${name}, base64`, bytes.subarray(from).toString('base64'));
    this.text(`${name}, base64url`, bytes.toString('base64url'));
    this.text(`${name}, numbers`, [...bytes].join(','));
    this.text(`${name}, as it is`, bytes.toString('utf8'));
  }

  get count(): number {
    return this.#pieces.size;
  }

  /** The names of what is in the text. */
  foundIn(text: string): string[] {
    return [...this.#pieces].filter(([piece]) => text.includes(piece)).map(([, name]) => name);
  }

  /** Every piece, each in a line such as a log could have. */
  *control(): Iterable<string> {
    for (const piece of this.#pieces.keys()) yield `{"level":30,"msg":"x${piece}y"}`;
  }
}
