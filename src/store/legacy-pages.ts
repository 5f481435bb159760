import type { LegacyDevice } from '../legacy/device.js';
import { devicePage, memberPage } from './legacy-statements.js';
import { parseDeviceType } from './legacy-tombstones.js';
import { nullableNumberCell, textCell, type Queries, type Row } from './statement.js';

export interface DevicePage {
  readonly devices: readonly LegacyDevice[];
  /** For the next page. */
  readonly lastId: number;
}

/** Two columns of one length. */
export interface MemberPage {
  readonly groups: readonly string[];
  readonly accounts: readonly string[];
}

/** Reads what lives of one brand, page by page; null at the end. Rejects as the database does. */
export class LegacyPages {
  constructor(
    private readonly database: Queries,
    private readonly brand: string,
    private readonly limit: number,
  ) {}

  /** Null = the first. */
  async devices(before: DevicePage | null): Promise<DevicePage | null> {
    const values = [this.brand, before?.lastId ?? 0, this.limit];
    const [row] = await this.database.rows(devicePage, values);
    const lastId = nullableNumberCell(row, 0);
    return row === undefined || lastId === null ? null : { devices: readDevices(row), lastId };
  }

  /** Null = the first. */
  async members(before: MemberPage | null): Promise<MemberPage | null> {
    // No id is empty.
    const values = [this.brand, before?.groups.at(-1) ?? '', before?.accounts.at(-1) ?? '', this.limit];
    const [row] = await this.database.rows(memberPage, values);
    if (row === undefined || row[0] === null) return null;
    return { groups: shared(column<string>(row, 0)), accounts: column<string>(row, 1) };
  }
}

function readDevices(row: Row): LegacyDevice[] {
  const accounts = column<string>(row, 2);
  const types = column<string>(row, 3);
  const groupsOnly = column<boolean>(row, 4);
  const registeredAtMs = column<number>(row, 5);
  return column<string>(row, 1).map((token, index) => ({
    token,
    account: accounts[index] ?? '',
    type: parseDeviceType(types[index]),
    groupsOnly: groupsOnly[index] ?? false,
    registeredAtMs: registeredAtMs[index] ?? 0,
  }));
}

/** The statement says what is in it. */
const column = <Value>(row: Row, index: number): readonly Value[] =>
  JSON.parse(textCell(row, index)) as readonly Value[];

/** Neighbours that are equal become one string: a group's id is kept once, not once per member. */
function shared(texts: readonly string[]): readonly string[] {
  let last = '';
  return texts.map((text) => (last = text === last ? last : text));
}
