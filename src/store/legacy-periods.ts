import type { LegacyPeriod, LegacyPeriodStore } from '../legacy/port.js';
import type { Queries } from './statement.js';
import { numberCell, type Row } from './statement.js';
import { dropPeriods, readPeriods, writePeriod } from './legacy-statements.js';

/** Statistics of older clients, per brand and period. Every call rejects with `StoreUnavailable` while the database is away. */
export class PostgresLegacyPeriods implements LegacyPeriodStore {
  constructor(private readonly database: Queries) {}

  async write(brand: string, period: LegacyPeriod): Promise<void> {
    await this.database.execute(writePeriod, [
      brand,
      period.startMs,
      period.endMs,
      period.iosPushes,
      period.androidPushes,
      period.messages,
      period.groupMessages,
      period.untrackedMessages,
      period.accountMessages,
    ]);
  }

  async read(
    brand: string,
    { fromMs, toMs }: { readonly fromMs: number | null; readonly toMs: number | null },
    limit: number,
  ): Promise<readonly LegacyPeriod[]> {
    const rows = await this.database.rows(readPeriods, [brand, fromMs, toMs, limit]);
    return rows.map(periodOf).reverse();
  }

  dropBefore(brand: string, ms: number): Promise<number> {
    return this.database.execute(dropPeriods, [brand, ms]);
  }
}

const periodOf = (row: Row): LegacyPeriod => ({
  startMs: numberCell(row, 0),
  endMs: numberCell(row, 1),
  iosPushes: numberCell(row, 2),
  androidPushes: numberCell(row, 3),
  messages: numberCell(row, 4),
  groupMessages: numberCell(row, 5),
  untrackedMessages: numberCell(row, 6),
  accountMessages: numberCell(row, 7),
});
