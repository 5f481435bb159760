import { StoreUnavailable } from '../../src/store/errors.js';
import type { LegacyPeriod, LegacyPeriodStore } from '../../src/legacy/port.js';

/** A table of periods in memory, whose database can be away. */
export class MemoryPeriods implements LegacyPeriodStore {
  readonly #brands = new Map<string, Map<number, LegacyPeriod>>();
  isAway = false;
  writeCount = 0;
  /** Runs before an answer, while the caller waits. */
  meanwhile: () => void = () => undefined;

  of(brand: string): readonly LegacyPeriod[] {
    return [...(this.#brands.get(brand)?.values() ?? [])].sort((left, right) => left.startMs - right.startMs);
  }

  async write(brand: string, period: LegacyPeriod): Promise<void> {
    await this.#turn();
    this.writeCount += 1;
    let periods = this.#brands.get(brand);
    if (periods === undefined) {
      periods = new Map();
      this.#brands.set(brand, periods);
    }
    periods.set(period.startMs, { ...period });
  }

  async read(
    brand: string,
    { fromMs, toMs }: { readonly fromMs: number | null; readonly toMs: number | null },
    limit: number,
  ): Promise<readonly LegacyPeriod[]> {
    await this.#turn();
    return this.of(brand)
      .filter(({ startMs, endMs }) => startMs >= (fromMs ?? -Infinity) && endMs <= (toMs ?? Infinity))
      .slice(-limit);
  }

  async dropBefore(brand: string, ms: number): Promise<number> {
    await this.#turn();
    const old = this.of(brand).filter(({ endMs }) => endMs < ms);
    for (const { startMs } of old) this.#brands.get(brand)?.delete(startMs);
    return old.length;
  }

  async #turn(): Promise<void> {
    await Promise.resolve();
    this.meanwhile();
    if (this.isAway) throw new StoreUnavailable('unreachable');
  }
}
