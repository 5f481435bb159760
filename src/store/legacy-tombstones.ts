import type { LegacyDevice, LegacyDeviceType } from '../legacy/device.js';
import type {
  LegacyTombstones,
  TombstoneCount,
  TombstoneCursor,
  TombstoneFilter,
  TombstonePage,
} from '../legacy/tombstones.js';
import { textArray } from './binary-arrays.js';
import {
  countDeadDevices,
  deadDevicePage,
  dropDeadDevices,
  restoreDeadDevices,
} from './legacy-statements.js';
import { booleanCell, numberCell, textCell, type Parameter, type Queries, type Row } from './statement.js';

/** Rows of one statement. */
const SLICE_ROWS = 2000;

/** Tombstones of older clients' devices; they are rows of the devices' own table. */
export class PostgresLegacyTombstones implements LegacyTombstones {
  constructor(private readonly database: Queries) {}

  async count(sinceMs: number): Promise<readonly TombstoneCount[]> {
    const rows = await this.database.rows(countDeadDevices, [Math.ceil(sinceMs)]);
    return rows.map((row) => ({
      brand: textCell(row, 0),
      type: parseDeviceType(row[1]),
      devices: numberCell(row, 2),
    }));
  }

  async page(
    filter: TombstoneFilter,
    after: TombstoneCursor | null,
    limit: number,
  ): Promise<TombstonePage | null> {
    const rows = await this.database.rows(deadDevicePage, [
      ...parametersOf(filter),
      after?.removedAtMs ?? Number.MIN_SAFE_INTEGER,
      after?.id ?? 0,
      limit,
    ]);
    const last = rows.at(-1);
    if (last === undefined) return null;
    return {
      devices: rows.map(deviceOf),
      cursor: { id: numberCell(last, 0), removedAtMs: numberCell(last, 6) },
    };
  }

  restore(filter: TombstoneFilter): Promise<number> {
    return this.#inSlices((limit) =>
      this.database.execute(restoreDeadDevices, [...parametersOf(filter), limit]),
    );
  }

  drop(removedBeforeMs: number): Promise<number> {
    return this.#inSlices((limit) =>
      this.database.execute(dropDeadDevices, [Math.floor(removedBeforeMs), limit]),
    );
  }

  async #inSlices(write: (limit: number) => Promise<number>): Promise<number> {
    let rows = 0;
    for (;;) {
      const slice = await write(SLICE_ROWS);
      rows += slice;
      if (slice < SLICE_ROWS) return rows;
    }
  }
}

const parametersOf = ({ brand, types, sinceMs, untilMs }: TombstoneFilter): Parameter[] => [
  brand,
  textArray(types),
  Math.ceil(sinceMs),
  Math.floor(untilMs),
];

const deviceOf = (row: Row): LegacyDevice => ({
  token: textCell(row, 1),
  account: textCell(row, 2),
  type: parseDeviceType(row[3]),
  groupsOnly: booleanCell(row, 4),
  registeredAtMs: numberCell(row, 5),
});

/** The table holds no other. */
export function parseDeviceType(value: unknown): LegacyDeviceType {
  if (value === 'ios' || value === 'android' || value === 'huawei' || value === 'unknown') return value;
  throw new TypeError('not a type of device');
}
