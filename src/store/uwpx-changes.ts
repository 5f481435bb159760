import { secretHashOf, type SecretKeeper } from '../crypto/secret-keeper.js';
import type {
  AccountsChange,
  ChannelChange,
  ChannelResult,
  OfferedAccount,
  UwpxAccount,
  UwpxAccountId,
} from '../uwpx/port.js';
import { bigintArray, byteaArray, integerArray, textArray } from './binary-arrays.js';
import type { Transaction } from './database.js';
import { booleanCell, bytesCell, numberCell, textCell } from './statement.js';
import { lockUwpxDevices, replaceUwpxSecrets, setUwpxAccounts, setUwpxChannels } from './uwpx-statements.js';

interface LockedDevice {
  /** Of the row. */
  readonly id: number;
  readonly hasChannel: boolean;
}
/** By device id. */
type LockedDevices = ReadonlyMap<string, LockedDevice>;

/** Each device once. Those that are not there cannot be locked, and may come to be meanwhile. */
export async function lockDevices(
  transaction: Transaction,
  deviceIds: readonly string[],
): Promise<LockedDevices> {
  const locked = new Map<string, LockedDevice>();
  for (const row of await transaction.rows(lockUwpxDevices, [textArray(deviceIds)])) {
    const deviceId = deviceIds[numberCell(row, 0) - 1];
    if (deviceId !== undefined)
      locked.set(deviceId, { id: numberCell(row, 1), hasChannel: booleanCell(row, 2) });
  }
  return locked;
}

/** One result per change, in their order. `room`: further devices that there may be. */
export async function writeChannels(
  transaction: Transaction,
  changes: readonly ChannelChange[],
  locked: LockedDevices,
  room: number,
): Promise<readonly ChannelResult[]> {
  let left = room;
  const results = changes.map(({ deviceId, mayCreate }): ChannelResult => {
    if (locked.has(deviceId)) return 'changed';
    if (!mayCreate) return 'refused';
    left -= 1;
    return left < 0 ? 'full' : 'created';
  });
  const written = changes.filter((_, index) => results[index] === 'created' || results[index] === 'changed');
  if (written.length === 0) return results;
  const rows = await transaction.rows(setUwpxChannels, [
    textArray(written.map(({ deviceId }) => deviceId)),
    textArray(written.map(({ channelUri }) => channelUri)),
    integerArray(written.map(({ protocolVersion }) => protocolVersion)),
    bigintArray(written.map(({ nowMs }) => Math.floor(nowMs))),
  ]);
  // Another process may have been quicker.
  const met = new Set(rows.filter((row) => !booleanCell(row, 1)).map((row) => textCell(row, 0)));
  return results.map((result, index) => (met.has(changes[index]?.deviceId ?? '') ? 'changed' : result));
}

/** Whose secret it is, for `SecretKeeper`. */
export const secretContext = (deviceId: string, accountId: string): string => `uwpx ${deviceId} ${accountId}`;

interface Offer {
  /** Of the device's row. */
  readonly rowId: number;
  readonly account: OfferedAccount;
  readonly context: string;
  readonly sealedSecret: Buffer;
  readonly createdAtMs: number;
}

/**
 * Makes these the accounts of their devices; one answer per change, in their order (null: the device is unknown or has
 * no channel). A secret that cannot be opened any more, because its key is lost, is replaced by the one that is offered.
 */
export async function writeAccounts(
  transaction: Transaction,
  changes: readonly AccountsChange[],
  locked: LockedDevices,
  secrets: SecretKeeper,
): Promise<readonly (readonly UwpxAccount[] | null)[]> {
  const rowIds = changes.map(({ deviceId }) => {
    const device = locked.get(deviceId);
    return device?.hasChannel === true ? device.id : null;
  });
  const given = changes.flatMap((change, index) => {
    const rowId = rowIds[index] ?? null;
    return rowId === null ? [] : [{ rowId, change }];
  });
  if (given.length === 0) return rowIds.map(() => null);
  const offers = given.flatMap(({ rowId, change }) => offersOf(rowId, change, secrets));
  const rows = await transaction.rows(setUwpxAccounts, [
    bigintArray(given.map(({ rowId }) => rowId)),
    integerArray(given.map(({ change }) => change.protocolVersion)),
    bigintArray(given.map(({ change }) => Math.floor(change.nowMs))),
    bigintArray(offers.map(({ rowId }) => rowId)),
    textArray(offers.map(({ account }) => account.accountId)),
    textArray(offers.map(({ account }) => account.node)),
    byteaArray(offers.map(({ account }) => secretHashOf(account.secret))),
    byteaArray(offers.map(({ sealedSecret }) => sealedSecret)),
    textArray(offers.map(({ account }) => account.domain)),
    bigintArray(offers.map(({ createdAtMs }) => createdAtMs)),
  ]);
  const offered = new Map(offers.map((offer) => [`${offer.rowId} ${offer.account.accountId}`, offer]));
  const accounts = new Map<number, UwpxAccount[]>(given.map(({ rowId }) => [rowId, []]));
  const unreadable: { readonly node: string; readonly offer: Offer }[] = [];
  for (const row of rows) {
    const rowId = numberCell(row, 0);
    const accountId = textCell(row, 1) as UwpxAccountId;
    const node = textCell(row, 2);
    const sealed = bytesCell(row, 3);
    const offer = offered.get(`${rowId} ${accountId}`);
    if (offer === undefined) continue;
    // What was added just now needs no opening.
    const isAdded = sealed.equals(offer.sealedSecret);
    const secret = isAdded ? offer.account.secret : secrets.open(sealed, offer.context);
    if (secret === null) unreadable.push({ node, offer });
    accounts.get(rowId)?.push({ accountId, node, secret: secret ?? offer.account.secret });
  }
  if (unreadable.length > 0) {
    await transaction.execute(replaceUwpxSecrets, [
      textArray(unreadable.map(({ node }) => node)),
      byteaArray(unreadable.map(({ offer }) => secretHashOf(offer.account.secret))),
      byteaArray(unreadable.map(({ offer }) => offer.sealedSecret)),
    ]);
  }
  return rowIds.map((rowId) => (rowId === null ? null : (accounts.get(rowId) ?? null)));
}

const offersOf = (
  rowId: number,
  { deviceId, accounts, nowMs }: AccountsChange,
  secrets: SecretKeeper,
): Offer[] =>
  accounts.map((account) => {
    const context = secretContext(deviceId, account.accountId);
    return {
      rowId,
      account,
      context,
      sealedSecret: secrets.seal(account.secret, context),
      createdAtMs: Math.floor(nowMs),
    };
  });
