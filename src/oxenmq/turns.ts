/**
 * Takes care that busy receive loops leave room for everything else. ZeroMQ hands over up to 512 messages per socket
 * without yielding, which with hundreds of busy sockets stops timers for a second (spec oxenmq, 9.7). So a loop that
 * has had its share waits for its next turn, and only some of the waiting loops have it in one pass of the event
 * loop: first come, first served.
 */
export class Turns {
  /** Messages since the last pass that let waiting loops go on. */
  #handled = 0;
  #waiting: (() => void)[] = [];
  #scheduled = false;
  readonly #messagesPerPass: number;

  constructor(
    private readonly messagesPerTurn: number,
    private readonly loopsPerPass: number,
  ) {
    this.#messagesPerPass = messagesPerTurn * loopsPerPass;
  }

  /** Called after each message with how many the loop has handled in its turn; true = it must wait for the next. */
  isOver(handledInTurn: number): boolean {
    this.#handled += 1;
    return handledInTurn >= this.messagesPerTurn || this.#handled >= this.#messagesPerPass;
  }

  next(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#schedule();
    });
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => this.#pass());
  }

  #pass(): void {
    this.#scheduled = false;
    this.#handled = 0;
    const admitted = this.#waiting.splice(0, this.loopsPerPass);
    if (this.#waiting.length > 0) this.#schedule();
    for (const resume of admitted) resume();
  }
}
