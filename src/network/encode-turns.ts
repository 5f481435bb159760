/**
 * Who may encode a large request in this turn of the event loop. Encoding one takes some milliseconds, and hundreds
 * of swarms may want to at the same moment; without this they would all do it in the same turn.
 */
export class EncodeTurns {
  #queue: { readonly accounts: number; readonly grant: () => void }[] = [];
  #isRunning = false;

  /** `accountsPerTurn`: how much may be encoded before timers and sockets get a chance again. */
  constructor(private readonly accountsPerTurn: number) {}

  get waiting(): number {
    return this.#queue.length;
  }

  /** `grant` is called in a later turn, in the order of the requests. `accounts`: how much it is about to encode. */
  request(accounts: number, grant: () => void): void {
    this.#queue.push({ accounts, grant });
    if (this.#isRunning) return;
    this.#isRunning = true;
    setImmediate(() => this.#run());
  }

  clear(): void {
    this.#queue = [];
  }

  #run(): void {
    let left = this.accountsPerTurn;
    let granted = 0;
    for (const { accounts, grant } of this.#queue) {
      if (granted > 0 && accounts > left) break;
      left -= accounts;
      granted += 1;
      grant();
    }
    this.#queue.splice(0, granted);
    this.#isRunning = this.#queue.length > 0;
    if (this.#isRunning) setImmediate(() => this.#run());
  }
}
