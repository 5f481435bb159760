/**
 * Many items, one message: the first one tells, further ones join it until they are taken. A message costs a turn of
 * the event loop, an item in it next to nothing.
 */
export class Gathered<Item> {
  #items: Item[] | null = null;

  constructor(private readonly tell: () => void) {}

  add(item: Item): void {
    if (this.#items === null) {
      this.#items = [item];
      this.tell();
    } else {
      this.#items.push(item);
    }
  }

  take(): Item[] {
    const items = this.#items ?? [];
    this.#items = null;
    return items;
  }
}
