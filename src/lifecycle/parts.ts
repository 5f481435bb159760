/** What was started, to be stopped in the opposite order. */
export class Parts {
  readonly #stops: (() => unknown)[] = [];
  #stopping: Promise<void> | null = null;

  constructor(private readonly onFailure: (error: unknown) => void) {}

  add(stop: () => unknown): void {
    this.#stops.push(stop);
  }

  /** One part that cannot stop does not keep the others from stopping. Idempotent. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stopAll();
    return this.#stopping;
  }

  async #stopAll(): Promise<void> {
    for (const stop of this.#stops.splice(0).reverse()) {
      try {
        await stop();
      } catch (error) {
        this.onFailure(error);
      }
    }
  }
}
