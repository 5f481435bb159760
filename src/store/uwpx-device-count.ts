import type { Clock } from '../domain/clock.js';
import type { Database } from './database.js';
import { numberCell } from './statement.js';
import { countUwpxDevices } from './uwpx-statements.js';

/** How old a count may be: other processes bring devices too. */
const MAX_AGE_MS = 30_000;

/**
 * How many devices there are, about: counted now and then, and kept up with what this process does in between. Of what
 * others do it hears at the next count.
 */
export class UwpxDeviceCount {
  #devices: number | null = null;
  #countedAtMs = 0;
  #counting: Promise<number> | null = null;

  constructor(
    private readonly database: Pick<Database, 'rows'>,
    private readonly clock: Clock,
  ) {}

  /** Waits for a count only when there has been none yet; rejects as the database does, then alone. */
  async about(): Promise<number> {
    if (this.#devices === null) return this.#count();
    const ageMs = this.clock.nowMs() - this.#countedAtMs;
    // The last count stands until there is a new one. A clock that was put back does not make it young for ever.
    if (ageMs >= MAX_AGE_MS || ageMs < 0) this.#count().catch(() => {});
    return this.#devices;
  }

  /** Devices were created, or (negative) removed, here. */
  add(devices: number): void {
    if (this.#devices !== null) this.#devices = Math.max(0, this.#devices + devices);
  }

  #count(): Promise<number> {
    this.#counting ??= this.#ask().finally(() => {
      this.#counting = null;
    });
    return this.#counting;
  }

  async #ask(): Promise<number> {
    const [row] = await this.database.rows(countUwpxDevices);
    this.#devices = numberCell(row, 0);
    this.#countedAtMs = this.clock.nowMs();
    return this.#devices;
  }
}
