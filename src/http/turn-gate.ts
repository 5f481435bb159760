/**
 * Lets at most `perTurn` pieces of costly synchronous work into one turn of the event loop, in order of arrival. A
 * signature check takes about 0.1 ms: a hundred subscriptions in one request, or a thousand requests that arrive
 * together, would otherwise hold up everything else that this process does.
 */
export class TurnGate {
  #left: number;
  #waiting: (() => void)[] = [];
  #turnAsked = false;

  constructor(private readonly perTurn: number) {
    this.#left = perTurn;
  }

  /** null when the work may begin at once; otherwise wait. */
  enter(): Promise<void> | null {
    this.#askForTurn();
    if (this.#left > 0) {
      this.#left -= 1;
      return null;
    }
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #askForTurn(): void {
    if (this.#turnAsked) return;
    this.#turnAsked = true;
    setImmediate(() => this.#nextTurn());
  }

  #nextTurn(): void {
    this.#turnAsked = false;
    const admitted = this.#waiting.splice(0, this.perTurn);
    this.#left = this.perTurn - admitted.length;
    if (this.#waiting.length > 0) this.#askForTurn();
    for (const admit of admitted) admit();
  }
}
