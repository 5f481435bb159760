import { secretHashOf, type SecretKeeper } from '../crypto/secret-keeper.js';
import type { OfferedAccount, UwpxDevice } from '../uwpx/port.js';
import { arrayRows } from './array-rows.js';
import { bigintArray, byteaArray, integerArray, textArray } from './binary-arrays.js';
import { againAfterCollision } from './collisions.js';
import type { Database, Transaction } from './database.js';
import type { ImportCounts } from './import-counts.js';
import { booleanCell, numberCell, statement, textCell, type Row } from './statement.js';
import { secretContext } from './uwpx-changes.js';

export interface ImportedUwpxDevice extends UwpxDevice {
  /** The last that is known of it, unix milliseconds. */
  readonly updatedAtMs: number;
  /** Each once. */
  readonly accounts: readonly OfferedAccount[];
}

export interface UwpxImportCounts {
  readonly devices: ImportCounts;
  /** Of devices that were added or changed. */
  readonly accounts: number;
  /** Left out: another account has their node. */
  readonly accountsRefused: number;
}

const given = `given AS MATERIALIZED ${arrayRows(
  '$1::text[], $2::text[], $3::integer[], $4::bigint[]',
  'device_id, channel_uri, protocol_version, updated_at_ms',
)}`;
/** The last sign of life here. That a channel died is later knowledge than the file's. */
const storedAtMs = 'greatest(stored.active_at_ms, stored.channel_lost_at_ms)';

/** Answers what is written: id of the row, device id, whether it is new. */
const writeDevices = statement(
  'uwpx_import_devices',
  `WITH ${given}
   INSERT INTO uwpx_devices AS stored
     (device_id, channel_uri, protocol_version, channel_set_at_ms, channel_lost_at_ms, active_at_ms)
   SELECT device_id, channel_uri, nullif(protocol_version, 0), updated_at_ms,
          CASE WHEN channel_uri IS NULL THEN updated_at_ms END, updated_at_ms
   FROM given ORDER BY device_id COLLATE "C"
   ON CONFLICT (device_id) DO UPDATE SET
     (channel_uri, protocol_version, channel_set_at_ms, channel_lost_at_ms, active_at_ms) =
     (excluded.channel_uri, excluded.protocol_version, excluded.channel_set_at_ms, excluded.channel_lost_at_ms,
      excluded.active_at_ms)
     WHERE ${storedAtMs} < excluded.active_at_ms
   RETURNING stored.id, stored.device_id, stored.xmax = 0`,
);

/** What would be written, in the same form. */
const compareDevices = statement(
  'uwpx_import_compare',
  `WITH ${given}
   SELECT stored.id, device_id, stored.id IS NULL FROM given LEFT JOIN uwpx_devices AS stored USING (device_id)
   WHERE stored.id IS NULL OR ${storedAtMs} < given.updated_at_ms`,
);

const countNewer = statement(
  'uwpx_import_newer',
  `SELECT count(*) FROM unnest($1::text[], $2::bigint[]) AS given(device_id, updated_at_ms)
   JOIN uwpx_devices AS stored USING (device_id) WHERE ${storedAtMs} > given.updated_at_ms`,
);

const dropAccounts = statement(
  'uwpx_import_drop_accounts',
  'DELETE FROM uwpx_accounts WHERE device = ANY ($1::bigint[])',
);

const writeAccounts = statement(
  'uwpx_import_accounts',
  `INSERT INTO uwpx_accounts (device, account_id, node, secret_hash, sealed_secret, domain, created_at_ms)
   SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bytea[], $5::bytea[], $6::text[], $7::bigint[])
   ON CONFLICT DO NOTHING`,
);

/**
 * Takes over devices of another server with their accounts, each call in a transaction of its own; some thousands in a
 * call. Whoever was heard of here later stays as it is, and what is imported again changes nothing; of a device that is
 * newer there, the accounts become those of there. No call may hold one device twice. Rejects with `StoreUnavailable`
 * while the database is away.
 */
export class UwpxDeviceImport {
  /** `dryRun`: counts what would be done. */
  constructor(
    private readonly database: Database,
    private readonly secrets: SecretKeeper,
    private readonly dryRun: boolean,
  ) {}

  async devices(devices: readonly ImportedUwpxDevice[]): Promise<UwpxImportCounts> {
    const deviceIds = textArray(devices.map(({ deviceId }) => deviceId));
    const times = bigintArray(devices.map(({ updatedAtMs }) => Math.floor(updatedAtMs)));
    const values = [
      deviceIds,
      textArray(devices.map(({ channelUri }) => channelUri)),
      integerArray(devices.map(({ protocolVersion }) => protocolVersion ?? 0)),
      times,
    ];
    const byId = new Map(devices.map((device) => [device.deviceId as string, device]));
    return againAfterCollision(() =>
      this.database.transaction(async (transaction) => {
        const rows = await transaction.rows(this.dryRun ? compareDevices : writeDevices, values);
        const [newer] = await transaction.rows(countNewer, [deviceIds, times]);
        const accounts = rows.flatMap((row) => byId.get(textCell(row, 1))?.accounts ?? []).length;
        const written = this.dryRun ? accounts : await this.#writeAccounts(transaction, rows, byId);
        const added = rows.filter((row) => booleanCell(row, 2)).length;
        return {
          devices: { added, changed: rows.length - added, newerHere: numberCell(newer, 0) },
          accounts: written,
          accountsRefused: accounts - written,
        };
      }),
    );
  }

  /** How many. */
  async #writeAccounts(
    transaction: Transaction,
    rows: readonly Row[],
    byId: ReadonlyMap<string, ImportedUwpxDevice>,
  ): Promise<number> {
    const changed = rows.filter((row) => !booleanCell(row, 2)).map((row) => numberCell(row, 0));
    if (changed.length > 0) await transaction.execute(dropAccounts, [bigintArray(changed)]);
    const accounts = rows.flatMap((row) => {
      const device = byId.get(textCell(row, 1));
      if (device === undefined) return [];
      return device.accounts.map((account) => ({ rowId: numberCell(row, 0), device, account }));
    });
    return transaction.execute(writeAccounts, [
      bigintArray(accounts.map(({ rowId }) => rowId)),
      textArray(accounts.map(({ account }) => account.accountId)),
      textArray(accounts.map(({ account }) => account.node)),
      byteaArray(accounts.map(({ account }) => secretHashOf(account.secret))),
      byteaArray(
        accounts.map(({ device, account }) =>
          this.secrets.seal(account.secret, secretContext(device.deviceId, account.accountId)),
        ),
      ),
      textArray(accounts.map(({ account }) => account.domain)),
      bigintArray(accounts.map(({ device }) => Math.floor(device.updatedAtMs))),
    ]);
  }
}
