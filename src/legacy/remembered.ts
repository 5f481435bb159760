/** Things that are known though nothing holds them any more. Bounded: of too many the oldest is forgotten. */
export class Remembered<Thing> {
  /** In the order in which they came. */
  readonly #things = new Set<Thing>();

  constructor(
    private readonly max: number,
    private readonly onForgotten: (thing: Thing) => void,
  ) {}

  get size(): number {
    return this.#things.size;
  }

  has(thing: Thing): boolean {
    return this.#things.has(thing);
  }

  add(thing: Thing): void {
    this.#things.add(thing);
    if (this.#things.size <= this.max) return;
    for (const oldest of this.#things) {
      this.#things.delete(oldest);
      this.onForgotten(oldest);
      return;
    }
  }

  delete(thing: Thing): void {
    this.#things.delete(thing);
  }

  clear(): void {
    this.#things.clear();
  }

  values(): IterableIterator<Thing> {
    return this.#things.values();
  }
}
