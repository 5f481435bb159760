/** No part but the drain needs longer, unless something that it waits for hangs. */
const PART_LIMIT_MS = 10_000;

/** A part was still not stopped when its time was over. */
export class StopTimeout extends Error {
  override readonly name = 'StopTimeout';
}

interface Part {
  readonly stop: () => unknown;
  readonly limitMs: number;
}

/** What was started, to be stopped in the opposite order. */
export class Parts {
  readonly #parts: Part[] = [];
  #stopping: Promise<void> | null = null;

  constructor(private readonly onFailure: (error: unknown) => void) {}

  add(stop: () => unknown, limitMs = PART_LIMIT_MS): void {
    this.#parts.push({ stop, limitMs });
  }

  /** One part that cannot stop, or hangs, does not keep the others from stopping. Idempotent. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stopAll();
    return this.#stopping;
  }

  async #stopAll(): Promise<void> {
    for (const part of this.#parts.splice(0).reverse()) {
      try {
        await withinLimit(part);
      } catch (error) {
        this.onFailure(error);
      }
    }
  }
}

async function withinLimit({ stop, limitMs }: Part): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new StopTimeout(`not stopped within ${limitMs} ms`)), limitMs);
  });
  try {
    await Promise.race([stop(), late]);
  } finally {
    clearTimeout(timer);
  }
}
