import type { Clock } from '../domain/clock.js';

/**
 * "Logged once in a while": runs `write` at most once per interval for each kind of trouble, with the number of
 * occurrences that it stands for. `kinds` must be a small fixed set: never a name that a peer chose.
 */
export class SampledLog {
  readonly #last = new Map<string, { atMs: number; suppressed: number }>();

  constructor(
    private readonly clock: Clock,
    private readonly intervalMs = 60_000,
  ) {}

  note(kind: string, write: (occurrences: number) => void): void {
    const now = this.clock.nowMs();
    const entry = this.#last.get(kind);
    if (entry !== undefined && now - entry.atMs < this.intervalMs) {
      entry.suppressed += 1;
      return;
    }
    this.#last.set(kind, { atMs: now, suppressed: 0 });
    write(1 + (entry?.suppressed ?? 0));
  }
}
