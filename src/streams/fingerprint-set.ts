const INITIAL_ENTRIES = 4096;

/** Two independent 32-bit halves of a keyed 64-bit fingerprint. */
export interface Fingerprint {
  readonly low: number;
  readonly high: number;
}

/**
 * A set of 64-bit fingerprints in one typed array: 16 bytes an entry at worst half full, and nothing for the garbage
 * collector to walk. (0, 0) stands for a free place; whoever has that fingerprint is taken for (1, 0).
 *
 * Both halves decide on the place: whoever chooses the texts can make thousands that agree in one half whatever the
 * seeds are, and in one run of places each of them would cost a walk past all others.
 */
export class FingerprintSet {
  #places = new Uint32Array(INITIAL_ENTRIES * 4);
  #mask = INITIAL_ENTRIES * 2 - 1;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  has({ low, high }: Fingerprint): boolean {
    return this.#isAt(this.#placeOf(low, high));
  }

  add({ low, high }: Fingerprint): void {
    const place = this.#placeOf(low, high);
    if (this.#isAt(place)) return;
    this.#write(place, low, high);
    this.#size += 1;
    if (this.#size * 2 > this.#mask) this.#grow();
  }

  delete({ low, high }: Fingerprint): void {
    let hole = this.#placeOf(low, high);
    if (!this.#isAt(hole)) return;
    this.#size -= 1;
    // Backward-shift deletion, as in the account table.
    for (let place = (hole + 1) & this.#mask; this.#isAt(place); place = (place + 1) & this.#mask) {
      const home = ((this.#places[place * 2] ?? 0) ^ (this.#places[place * 2 + 1] ?? 0)) & this.#mask;
      if (((place - home) & this.#mask) >= ((place - hole) & this.#mask)) {
        this.#places[hole * 2] = this.#places[place * 2] ?? 0;
        this.#places[hole * 2 + 1] = this.#places[place * 2 + 1] ?? 0;
        hole = place;
      }
    }
    this.#places[hole * 2] = 0;
    this.#places[hole * 2 + 1] = 0;
  }

  #isAt(place: number): boolean {
    return this.#places[place * 2] !== 0 || this.#places[place * 2 + 1] !== 0;
  }

  /** The place of the fingerprint, or the free one where it belongs. */
  #placeOf(low: number, high: number): number {
    const places = this.#places;
    const first = low === 0 && high === 0 ? 1 : low;
    for (let place = (first ^ high) & this.#mask; ; place = (place + 1) & this.#mask) {
      const storedLow = places[place * 2];
      const storedHigh = places[place * 2 + 1];
      if ((storedLow === first && storedHigh === high) || (storedLow === 0 && storedHigh === 0)) return place;
    }
  }

  #write(place: number, low: number, high: number): void {
    this.#places[place * 2] = low === 0 && high === 0 ? 1 : low;
    this.#places[place * 2 + 1] = high;
  }

  #grow(): void {
    const old = this.#places;
    this.#places = new Uint32Array(old.length * 2);
    this.#mask = this.#places.length / 2 - 1;
    for (let at = 0; at < old.length; at += 2) {
      const low = old[at] ?? 0;
      const high = old[at + 1] ?? 0;
      if (low !== 0 || high !== 0) this.#write(this.#placeOf(low, high), low, high);
    }
  }
}
