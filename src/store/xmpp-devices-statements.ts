import { FORGOTTEN_TOKEN } from '../xmpp-devices/device.js';
import { arrayRows } from './array-rows.js';
import { isStandby } from './standby.js';
import { statement } from './statement.js';

/** As `xmpp-devices-rows.ts` reads them. */
const packedColumns =
  'node, device, channel, type, token, service_data, secret_hash, sealed_secret, account_domain, registered_at_ms, ' +
  'renewed_at_ms, last_push_at_ms, last_error_at_ms, revision, removed_reason';
/** What a registration writes. */
export const offeredColumns =
  'node, device, channel, type, token, service_data, secret_hash, sealed_secret, account_domain';

/** Qualifies a list of columns. */
export const columnsOf = (table: string, columns: string): string =>
  columns.replaceAll(/\w+/g, `${table}.$&`);

/** One hexadecimal text of packed records: many rows of many columns would be a heap of small answers to parse. */
const packed = (select: string): string =>
  `SELECT encode(string_agg(record_send(packed), ''), 'hex') FROM (${select}) AS packed`;

/** "wagglexd" in ASCII: one lock for everybody who changes devices on this database. */
const DEVICES_LOCK = 0x7761_6767_6c65_7864n;
/** A process that stands still in the middle of a change holds up all the others no longer than this. */
const STANDSTILL_MAX_MS = 10_000;

/** Until the end of the transaction. What a later statement of the transaction reads is what the last holder wrote. */
export const lockDevices = statement(
  'xmpp_device_lock',
  `SELECT set_config('idle_in_transaction_session_timeout', '${STANDSTILL_MAX_MS}', true),
          pg_advisory_xact_lock(${DEVICES_LOCK})`,
);

/**
 * Under `lockDevices`, so that the rows are still as they were read when they are written. Each key once. The kinds of
 * change, and what they mean, are those of `DeviceChange`. A registration finds the record that it keeps, if there is
 * one, by a join that takes no other: then every column is the kept one or else the offered one. Answers the
 * rows of those changes that took place, packed.
 */
export const changeDevices = statement(
  'xmpp_device_change',
  `WITH given AS MATERIALIZED ${arrayRows(
    `$1::text[], $2::bytea[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bytea[], $9::bytea[],
     $10::bytea[], $11::text[], $12::boolean[], $13::bigint[], $14::bigint[]`,
    `kind, key_hash, ${offeredColumns}, replaces_secret, since_ms, now_ms`,
  )}, registered AS (
     INSERT INTO xmpp_devices AS stored
       (key_hash, ${offeredColumns}, registered_at_ms, renewed_at_ms, revision)
     SELECT given.key_hash, coalesce(kept.node, given.node), given.device, given.channel, given.type, given.token,
            given.service_data,
            CASE WHEN given.replaces_secret THEN given.secret_hash ELSE coalesce(kept.secret_hash, given.secret_hash) END,
            CASE WHEN given.replaces_secret THEN given.sealed_secret
                 ELSE coalesce(kept.sealed_secret, given.sealed_secret) END,
            coalesce(kept.account_domain, given.account_domain), coalesce(kept.registered_at_ms, given.now_ms),
            CASE WHEN kept.key_hash IS NOT NULL THEN given.now_ms END, nextval('xmpp_revisions')
     FROM given LEFT JOIN xmpp_devices AS kept
       ON kept.key_hash = given.key_hash AND kept.type = given.type AND coalesce(kept.removed_reason, '') <> 'unregistered'
     WHERE given.kind = 'register'
     ON CONFLICT (key_hash) DO UPDATE SET
       (${offeredColumns}, registered_at_ms, renewed_at_ms, revision) =
       (${columnsOf('excluded', offeredColumns)}, excluded.registered_at_ms, excluded.renewed_at_ms, excluded.revision),
       removed_at_ms = NULL, removed_reason = NULL,
       last_push_at_ms = CASE WHEN excluded.renewed_at_ms IS NOT NULL THEN stored.last_push_at_ms END,
       last_error_at_ms = CASE WHEN excluded.renewed_at_ms IS NOT NULL THEN stored.last_error_at_ms END
     RETURNING ${columnsOf('stored', packedColumns)}
   ), ended AS (
     -- Whoever unregisters leaves nothing behind that leads to his device: what stays is for the other processes.
     UPDATE xmpp_devices AS stored SET
       token = CASE given.kind WHEN 'unregister' THEN '${FORGOTTEN_TOKEN}' ELSE stored.token END,
       service_data = CASE WHEN given.kind <> 'unregister' THEN stored.service_data END,
       account_domain = CASE WHEN given.kind <> 'unregister' THEN stored.account_domain END,
       removed_at_ms = CASE WHEN given.kind <> 'restore' THEN given.now_ms END,
       removed_reason = CASE given.kind WHEN 'unregister' THEN 'unregistered' WHEN 'token-died' THEN 'dead' END,
       revision = nextval('xmpp_revisions')
     FROM given
     WHERE stored.key_hash = given.key_hash AND CASE given.kind
       WHEN 'unregister' THEN stored.removed_reason IS NULL AND stored.type = given.type
       WHEN 'token-died' THEN stored.removed_reason IS NULL AND stored.token = given.token
         AND coalesce(stored.renewed_at_ms, stored.registered_at_ms) < given.since_ms
       WHEN 'restore' THEN stored.removed_reason = 'dead'
       ELSE false END
     RETURNING ${columnsOf('stored', packedColumns)}
   )
   ${packed('SELECT * FROM registered UNION ALL SELECT * FROM ended')}`,
);

/** Null: there are none yet. */
export const lastRevision = statement('xmpp_device_last_revision', 'SELECT max(revision) FROM xmpp_devices');

/** Of the sequence, which outlives the rows: the last ones may be dropped. */
export const drawnRevision = statement(
  'xmpp_device_drawn_revision',
  `SELECT last_value, ${isStandby} FROM xmpp_revisions`,
);

/**
 * At most $2 rows in the order of revisions, of those after $1, the removed ones too (see `findDevices`); a page also ends
 * when the service data before a row exceeds $3 bytes. Answers the last revision (null: the end), the rows, packed, and
 * `isStandby`.
 */
export const devicePage = statement(
  'xmpp_device_page',
  `WITH page AS MATERIALIZED (
     SELECT * FROM (
       SELECT ${packedColumns},
              sum(octet_length(service_data)) OVER (ORDER BY revision ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
                AS data_bytes_before
       FROM (SELECT * FROM xmpp_devices WHERE revision > $1::bigint ORDER BY revision LIMIT $2::integer) AS next_rows
     ) AS measured
     WHERE coalesce(data_bytes_before, 0) < $3::bigint
   )
   SELECT (SELECT max(revision) FROM page), (${packed(`SELECT ${packedColumns} FROM page ORDER BY revision`)}),
          ${isStandby}`,
);

/**
 * $1: the hashes of the keys that the nodes would be; $2: the nodes. The removed ones too: a condition on what lives looks
 * so rare to the planner that it would read the table instead of the index. Answers the rows, packed, and `isStandby`.
 */
export const findDevices = statement(
  'xmpp_device_find',
  `SELECT (${packed(
    `SELECT ${columnsOf('stored', packedColumns)}
     FROM ${arrayRows('$1::bytea[]', 'key_hash')} AS given JOIN xmpp_devices AS stored USING (key_hash)
     UNION ALL
     SELECT ${columnsOf('stored', packedColumns)}
     FROM ${arrayRows('$2::text[]', 'node')} AS given JOIN xmpp_devices AS stored ON stored.node = given.node
     WHERE stored.device IS NOT NULL`,
  )}), ${isStandby}`,
);

/** Each key once; times never go back. */
export const noteDevices = statement(
  'xmpp_device_note',
  `UPDATE xmpp_devices AS stored SET
     last_push_at_ms = greatest(stored.last_push_at_ms, nullif(given.pushed_at_ms, -1)),
     last_error_at_ms = greatest(stored.last_error_at_ms, nullif(given.failed_at_ms, -1))
   FROM ${arrayRows('$1::bytea[], $2::bigint[], $3::bigint[]', 'key_hash, pushed_at_ms, failed_at_ms')} AS given
   WHERE stored.key_hash = given.key_hash`,
);

const deadSince = `removed_reason = 'dead' AND removed_at_ms >= $2::bigint
  AND ($1::text[] IS NULL OR type = ANY ($1::text[]))`;

export const countDeadDevices = statement(
  'xmpp_device_dead_count',
  `SELECT type, count(*) FROM xmpp_devices WHERE ${deadSince} GROUP BY type ORDER BY type`,
);

export const listDeadDevices = statement(
  'xmpp_device_dead_list',
  `SELECT node, device, channel FROM xmpp_devices WHERE ${deadSince}
   ORDER BY removed_at_ms, key_hash LIMIT $3::integer`,
);

export const dropRemovedDevices = statement(
  'xmpp_device_drop',
  `DELETE FROM xmpp_devices WHERE key_hash = ANY (ARRAY(
     SELECT key_hash FROM xmpp_devices WHERE removed_at_ms < $1::bigint AND removed_reason = $2
     ORDER BY removed_at_ms LIMIT $3::integer
   ))`,
);
