import type { XmppDevice } from '../xmpp-devices/device.js';
import { arrayRows } from './array-rows.js';
import { bigintArray, byteaArray, textArray } from './binary-arrays.js';
import { againAfterCollision } from './collisions.js';
import type { Database } from './database.js';
import { readCounts, type ImportCounts } from './import-counts.js';
import { statement, type Parameter } from './statement.js';
import { keyHashOf, nodeOf } from './xmpp-devices-changes.js';
import { columnsOf, lockDevices, offeredColumns } from './xmpp-devices-statements.js';

const timeColumns = 'registered_at_ms, renewed_at_ms, last_push_at_ms, last_error_at_ms';
const given = `given AS MATERIALIZED ${arrayRows(
  `$1::bytea[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bytea[], $8::bytea[], $9::bytea[],
   $10::text[], $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[]`,
  `key_hash, ${offeredColumns}, ${timeColumns}`,
)}`;

/** The last that its client, or a provider, said of a device. Removal counts: it is later knowledge than the file's. */
const storedAtMs = 'greatest(stored.registered_at_ms, stored.renewed_at_ms, stored.removed_at_ms)';
const saidAtMs = (table: string): string =>
  `greatest(${table}.registered_at_ms, nullif(${table}.renewed_at_ms, -1))`;
const countNewer = `(SELECT count(*) FROM given JOIN xmpp_devices AS stored USING (key_hash)
  WHERE ${storedAtMs} > ${saidAtMs('given')})`;

/** Under `lockDevices`: what is written draws revisions. */
const writeDevices = statement(
  'xmpp_device_import',
  `WITH ${given}, written AS (
     INSERT INTO xmpp_devices AS stored (key_hash, ${offeredColumns}, ${timeColumns}, revision)
     SELECT key_hash, ${offeredColumns}, registered_at_ms, nullif(renewed_at_ms, -1), nullif(last_push_at_ms, -1),
            nullif(last_error_at_ms, -1), nextval('xmpp_revisions')
     FROM given ORDER BY position
     ON CONFLICT (key_hash) DO UPDATE SET
       (${offeredColumns}, ${timeColumns}, revision, removed_at_ms, removed_reason) =
       (${columnsOf('excluded', `${offeredColumns}, ${timeColumns}, revision`)}, NULL, NULL)
       WHERE ${storedAtMs} < ${saidAtMs('excluded')}
     RETURNING stored.xmax = 0 AS added
   )
   SELECT count(*) FILTER (WHERE added), count(*) FILTER (WHERE NOT added), ${countNewer} FROM written`,
);

const compareDevices = statement(
  'xmpp_device_import_compare',
  `WITH ${given}
   SELECT count(*) FILTER (WHERE stored.key_hash IS NULL),
          count(*) FILTER (WHERE ${storedAtMs} < ${saidAtMs('given')}), ${countNewer}
   FROM given LEFT JOIN xmpp_devices AS stored USING (key_hash)`,
);

const NEVER_MS = -1;

/**
 * Takes over devices of another server, each call in a transaction of its own; some thousands in a call. The one of which
 * its client spoke later stays; what is imported again changes nothing. Processes that run hear of it as of any change.
 * No call may hold one key twice. Rejects with `StoreUnavailable` while the database is away.
 */
export class XmppDeviceImport {
  /** `dryRun`: counts what would be done. */
  constructor(
    private readonly database: Pick<Database, 'rows' | 'transaction'>,
    private readonly dryRun: boolean,
  ) {}

  async devices(devices: readonly XmppDevice[]): Promise<ImportCounts> {
    const values = parametersOf(devices);
    if (this.dryRun) return readCounts((await this.database.rows(compareDevices, values))[0]);
    const [row] = await againAfterCollision(() =>
      this.database.transaction(async (transaction) => {
        await transaction.rows(lockDevices);
        return transaction.rows(writeDevices, values);
      }),
    );
    return readCounts(row);
  }
}

const parametersOf = (devices: readonly XmppDevice[]): Parameter[] => [
  byteaArray(devices.map(({ key }) => keyHashOf(key))),
  textArray(devices.map(({ key, node }) => nodeOf(key, node))),
  textArray(devices.map(({ key }) => (key.kind === 'p2' ? key.device : null))),
  textArray(devices.map(({ key }) => (key.kind === 'p2' ? key.channel : null))),
  textArray(devices.map(({ type }) => type)),
  textArray(devices.map(({ token }) => token)),
  byteaArray(devices.map(({ serviceData }) => serviceData)),
  byteaArray(devices.map(({ secretHash }) => secretHash)),
  byteaArray(devices.map(({ sealedSecret }) => sealedSecret)),
  textArray(devices.map(({ accountDomain }) => accountDomain)),
  bigintArray(devices.map(({ registeredAtMs }) => Math.floor(registeredAtMs))),
  bigintArray(devices.map(({ renewedAtMs }) => wholeMs(renewedAtMs))),
  bigintArray(devices.map(({ lastPushAtMs }) => wholeMs(lastPushAtMs))),
  bigintArray(devices.map(({ lastErrorAtMs }) => wholeMs(lastErrorAtMs))),
];

const wholeMs = (ms: number | null): number => (ms === null ? NEVER_MS : Math.floor(ms));
