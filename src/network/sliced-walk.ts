/** How long a slice may take: far below what anybody notices. */
const SLICE_MS = 5;
/** Looking at the clock costs more than a step. */
const STEPS_PER_LOOK = 64;

/**
 * Walks over 0..limit-1 in slices with turns of the event loop between them. One walk at a time: beginning a new one
 * ends the old one where it is, without its `onDone`.
 */
export class SlicedWalk {
  #walk = 0;
  #isRunning = false;

  get isRunning(): boolean {
    return this.#isRunning;
  }

  /** `limit` is read again after each slice. `onSlice` follows each slice, also the last, before `onDone`. */
  begin(steps: {
    readonly limit: () => number;
    readonly visit: (index: number) => void;
    readonly onSlice: () => void;
    readonly onDone: () => void;
  }): void {
    this.#walk += 1;
    const mine = this.#walk;
    this.#isRunning = true;
    let index = 0;
    const slice = (): void => {
      if (mine !== this.#walk) return;
      const until = performance.now() + SLICE_MS;
      const limit = steps.limit();
      while (index < limit) {
        steps.visit(index);
        index += 1;
        if (index % STEPS_PER_LOOK === 0 && performance.now() >= until) break;
      }
      const isDone = index >= steps.limit();
      steps.onSlice();
      if (!isDone) {
        setImmediate(slice);
        return;
      }
      this.#isRunning = false;
      steps.onDone();
    };
    setImmediate(slice);
  }

  stop(): void {
    this.#walk += 1;
    this.#isRunning = false;
  }
}
