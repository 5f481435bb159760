import type { Clock } from '../domain/clock.js';
import type { SecretKeeper } from '../crypto/secret-keeper.js';
import type {
  AccountsChange,
  ChannelChange,
  ChannelResult,
  ChannelUri,
  ProtocolVersion,
  UwpxAccount,
  UwpxAccountId,
  UwpxDevice,
  UwpxDeviceId,
  UwpxPushStore,
  UwpxStore,
  UwpxTargetRecord,
} from '../uwpx/port.js';
import { BatchWriter, type BatchWriterOptions } from './batch-writer.js';
import { textArray } from './binary-arrays.js';
import { againAfterCollision } from './collisions.js';
import type { Database } from './database.js';
import { bytesCell, nullableNumberCell, numberCell, textCell, type Row } from './statement.js';
import { refuseStandby } from './standby.js';
import { isStorable, refuseUnstorable, type BoundedValue } from './storable.js';
import { lockDevices, writeAccounts, writeChannels } from './uwpx-changes.js';
import { UwpxDeviceCount } from './uwpx-device-count.js';
import {
  endUwpxChannel,
  findUwpxDevice,
  findUwpxTargets,
  noteUwpxDevices,
  removeIdleUwpxDevices,
  removeLostUwpxDevices,
  setUwpxAccounts,
  setUwpxChannels,
  uwpxNodesAfter,
  uwpxNodesOfDevice,
  uwpxNodesSince,
} from './uwpx-statements.js';

export interface UwpxStoreOptions {
  readonly database: Pick<Database, 'rows' | 'execute' | 'transaction'>;
  readonly secrets: SecretKeeper;
  /** About so many devices, over all processes; further ones are `full`. */
  readonly maxDevices: number;
  readonly clock: Clock;
  readonly writer?: BatchWriterOptions;
}

export const defaultUwpxWriter: BatchWriterOptions = {
  maxRows: 200,
  gatherMs: 1,
  maxInFlight: 2,
  maxQueued: 20_000,
};

/** As the tables' CHECKs. */
const ID_MAX_BYTES = 1024;
const CHANNEL_MAX_BYTES = 2048;
const DOMAIN_MAX_BYTES = 4096;

/** Of one statement. */
const SLICE_ROWS = 500;
/** A device that is pushed to all day is not written all day. */
const ACTIVE_GRAIN_MS = 60_000;

type Change =
  | { readonly kind: 'channel'; readonly change: ChannelChange }
  | { readonly kind: 'accounts'; readonly change: AccountsChange };
type Answer =
  | { readonly kind: 'channel'; readonly result: ChannelResult }
  | { readonly kind: 'accounts'; readonly accounts: readonly UwpxAccount[] | null };

/**
 * Devices and accounts of UWPX in PostgreSQL; several processes may share it. Rejects as the ports say, and with
 * `StoreQueryError` for what the database cannot hold (a zero byte, half a surrogate pair, something too long): then
 * for that call alone.
 */
export class PostgresUwpxStore implements UwpxStore, UwpxPushStore {
  readonly #options: UwpxStoreOptions;
  readonly #writer: BatchWriter<Change, Answer>;
  readonly #count: UwpxDeviceCount;

  constructor(options: UwpxStoreOptions) {
    this.#options = options;
    this.#writer = new BatchWriter(
      ({ change }) => change.deviceId,
      (batch) => this.#write(batch),
      options.writer ?? defaultUwpxWriter,
    );
    this.#count = new UwpxDeviceCount(options.database, options.clock);
  }

  /** Resolves when every change has been answered; for a stop. */
  idle(): Promise<void> {
    return this.#writer.idle();
  }

  async setChannel(change: ChannelChange): Promise<ChannelResult> {
    refuseUnstorable(setUwpxChannels.name, [
      [change.deviceId, 1, ID_MAX_BYTES],
      [change.channelUri, 1, CHANNEL_MAX_BYTES],
    ]);
    const answer = await this.#writer.add({ kind: 'channel', change });
    if (answer.kind !== 'channel') throw new TypeError('an answer to something else');
    return answer.result;
  }

  async setAccounts(change: AccountsChange): Promise<readonly UwpxAccount[] | null> {
    refuseUnstorable(setUwpxAccounts.name, [
      [change.deviceId, 1, ID_MAX_BYTES],
      ...change.accounts.flatMap(({ accountId, node, domain }): BoundedValue[] => [
        [accountId, 1, ID_MAX_BYTES],
        [node, 1, ID_MAX_BYTES],
        [domain, 0, DOMAIN_MAX_BYTES],
      ]),
    ]);
    const answer = await this.#writer.add({ kind: 'accounts', change });
    if (answer.kind !== 'accounts') throw new TypeError('an answer to something else');
    return answer.accounts;
  }

  async findDevice(deviceId: UwpxDeviceId): Promise<UwpxDevice | null> {
    if (!isStorable(deviceId)) return null;
    const [row] = await this.#options.database.rows(findUwpxDevice, [deviceId]);
    return row === undefined
      ? null
      : { deviceId, channelUri: channelCell(row, 0), protocolVersion: versionCell(row, 1) };
  }

  async findTargets(nodes: readonly string[]): Promise<readonly UwpxTargetRecord[]> {
    const targets: UwpxTargetRecord[] = [];
    for (const slice of slicesOf([...new Set(nodes)].filter(isStorable))) {
      const rows = await this.#options.database.rows(findUwpxTargets, [textArray(slice)]);
      refuseStandby(rows[0], 9);
      for (const row of rows) if (row[0] !== null) targets.push(targetOf(row));
    }
    return targets;
  }

  /** Of all accounts of one device; empty for an unknown one. */
  async nodesOf(deviceId: UwpxDeviceId): Promise<readonly string[]> {
    if (!isStorable(deviceId)) return [];
    const rows = await this.#options.database.rows(uwpxNodesOfDevice, [deviceId]);
    return rows.map((row) => textCell(row, 0));
  }

  /** Of all devices, in ascending order of their bytes, from behind `after` on ('' = from the first). */
  async nodesAfter(after: string, limit: number): Promise<readonly string[]> {
    const rows = await this.#options.database.rows(uwpxNodesAfter, [after, limit]);
    return rows.map((row) => textCell(row, 0));
  }

  /** Of accounts that were added since, in the order of `nodesAfter`. */
  async nodesSince(sinceMs: number, after: string, limit: number): Promise<readonly string[]> {
    const rows = await this.#options.database.rows(uwpxNodesSince, [Math.floor(sinceMs), after, limit]);
    return rows.map((row) => textCell(row, 0));
  }

  channelDied({ channelUri, sinceMs, nowMs }: Parameters<UwpxPushStore['channelDied']>[0]): Promise<number> {
    const values = [channelUri, Math.ceil(sinceMs), Math.floor(nowMs)];
    return againAfterCollision(() => this.#options.database.execute(endUwpxChannel, values));
  }

  countDevices(): Promise<number> {
    return this.#count.about();
  }

  async noteActive(deviceIds: readonly UwpxDeviceId[], nowMs: number): Promise<void> {
    for (const slice of slicesOf([...new Set(deviceIds)].filter(isStorable))) {
      await this.#options.database.execute(noteUwpxDevices, [
        textArray(slice),
        Math.floor(nowMs),
        ACTIVE_GRAIN_MS,
      ]);
    }
  }

  async removeOutdated({
    idleSinceMs,
    lostBeforeMs,
    limit,
  }: Parameters<UwpxPushStore['removeOutdated']>[0]): Promise<number> {
    const idle = await this.#options.database.execute(removeIdleUwpxDevices, [Math.ceil(idleSinceMs), limit]);
    const lost = await this.#options.database.execute(removeLostUwpxDevices, [
      Math.ceil(lostBeforeMs),
      limit - idle,
    ]);
    this.#count.add(-idle - lost);
    return idle + lost;
  }

  /**
   * One transaction for a batch, whatever is in it. It begins with locking all devices of the batch that are there. Its
   * COMMIT is one of its own: of a connection that was given up, a statement may reach the database after later
   * changes did, but nobody commits it then.
   */
  async #write(batch: readonly Change[]): Promise<readonly Answer[]> {
    const channels: ChannelChange[] = [];
    const accounts: AccountsChange[] = [];
    for (const { kind, change } of batch) {
      if (kind === 'channel') channels.push(change);
      else accounts.push(change);
    }
    // Not within the transaction: the embedded database has one connection.
    const room =
      channels.length === 0 ? 0 : Math.max(0, this.#options.maxDevices - (await this.#count.about()));
    const [results, stored] = await againAfterCollision(() =>
      this.#options.database.transaction(async (transaction) => {
        const locked = await lockDevices(
          transaction,
          batch.map(({ change }) => change.deviceId),
        );
        return [
          await writeChannels(transaction, channels, locked, room),
          await writeAccounts(transaction, accounts, locked, this.#options.secrets),
        ] as const;
      }),
    );
    this.#count.add(results.filter((result) => result === 'created').length);
    let [channelIndex, accountsIndex] = [0, 0];
    return batch.map(({ kind }): Answer =>
      kind === 'channel'
        ? { kind, result: results[channelIndex++] ?? 'refused' }
        : { kind, accounts: stored[accountsIndex++] ?? null },
    );
  }
}

function targetOf(row: Row): UwpxTargetRecord {
  return {
    deviceId: textCell(row, 0) as UwpxDeviceId,
    accountId: textCell(row, 1) as UwpxAccountId,
    node: textCell(row, 2),
    secretHash: bytesCell(row, 3),
    domain: nullableTextCell(row, 4),
    channelUri: channelCell(row, 5),
    protocolVersion: versionCell(row, 6),
    channelLostAtMs: nullableNumberCell(row, 7),
    activeAtMs: numberCell(row, 8),
  };
}

const channelCell = (row: Row, column: number): ChannelUri | null =>
  nullableTextCell(row, column) as ChannelUri | null;

function versionCell(row: Row, column: number): ProtocolVersion | null {
  const version = nullableNumberCell(row, column);
  if (version === null || version === 1 || version === 2) return version;
  throw new TypeError('not a version of the protocol');
}

const nullableTextCell = (row: Row, column: number): string | null =>
  row[column] === null ? null : textCell(row, column);

function* slicesOf<Item>(items: readonly Item[]): Generator<readonly Item[]> {
  for (let start = 0; start < items.length; start += SLICE_ROWS) yield items.slice(start, start + SLICE_ROWS);
}
