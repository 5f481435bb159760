import { statement } from './statement.js';

export const keyColumns = 'account, service, svcid';
export const valueColumns =
  'session_ed25519, subaccount_tag, subaccount_sig, signature, signature_ts, want_data, enc_key, svcdata, renewed_at_ms';
/** Everything but the id, which is each table's own. */
const rowColumns = `${keyColumns}, ${valueColumns}, namespaces, created_at_ms`;
/** As `subscription-pages.ts` reads them. */
const packedColumns =
  'id, signature_ts, want_data, namespaces, account, enc_key, signature, session_ed25519, subaccount_tag, ' +
  'subaccount_sig, service, svcid, svcdata';

export const of = (table: string, columns: string): string => columns.replaceAll(/\w+/g, `${table}.$&`);

/**
 * One row per element of the arrays. Written in the order of the keys, so that two processes that write the same rows
 * never wait for each other in a circle. A newer signature that is stored stays (spec session-push-v2, section 21, 17).
 * Answers one letter per row, in the order of the arrays: a(dded), u(pdated), s(tale). A row that this statement
 * inserted has no xmax; one that it updated was locked first and has. A tombstone of the same key has had its day.
 */
export const upsertSubscriptions = statement(
  'subscription_upsert',
  `WITH input AS (
     SELECT * FROM unnest($1::bytea[], $2::text[], $3::text[], $4::bytea[], $5::bytea[], $6::bytea[], $7::bytea[],
                          $8::bigint[], $9::boolean[], $10::bytea[], $11::bytea[], $12::bigint[], $13::text[])
     WITH ORDINALITY AS given(${keyColumns}, ${valueColumns}, namespaces, position)
   ), written AS (
     INSERT INTO subscriptions AS stored (${keyColumns}, ${valueColumns}, namespaces, created_at_ms)
     SELECT ${keyColumns}, ${valueColumns}, namespaces::smallint[], renewed_at_ms FROM input ORDER BY ${keyColumns}
     ON CONFLICT (${keyColumns}) DO UPDATE SET
       (${valueColumns}, namespaces) = (${of('excluded', valueColumns + ', namespaces')})
       WHERE stored.signature_ts <= excluded.signature_ts
     RETURNING ${of('stored', keyColumns)}, stored.xmax = 0 AS added
   ), forgotten AS (
     DELETE FROM dead_subscriptions AS dead USING input WHERE (${of('dead', keyColumns)}) = (${of('input', keyColumns)})
   )
   SELECT string_agg(CASE WHEN added THEN 'a' WHEN NOT added THEN 'u' ELSE 's' END, '' ORDER BY position)
   FROM input LEFT JOIN written USING (${keyColumns})`,
);

/**
 * Answers the positions (from 1) of those that were there and not renewed at or after the given time. The rows are
 * locked in the order of the keys, as the upsert does, before any of them goes. With a reason ($5) the row becomes a
 * tombstone of time $6; without one (the client's own wish) a tombstone that is there goes too.
 */
export const removeSubscriptions = statement(
  'subscription_remove',
  `WITH given AS (
     SELECT * FROM unnest($1::bytea[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::bigint[])
     WITH ORDINALITY AS given(${keyColumns}, renewed_before_ms, reason, removed_at_ms, position)
   ), locked AS (
     SELECT stored.id, given.position, given.reason, given.removed_at_ms
     FROM subscriptions AS stored JOIN given USING (${keyColumns})
     WHERE stored.renewed_at_ms < given.renewed_before_ms
     ORDER BY ${of('stored', keyColumns)}
     FOR UPDATE OF stored
   ), removed AS (
     DELETE FROM subscriptions AS stored USING locked WHERE stored.id = locked.id
     RETURNING ${of('stored', rowColumns)}, locked.position, locked.reason, locked.removed_at_ms
   ), buried AS (
     INSERT INTO dead_subscriptions (${rowColumns}, removed_at_ms, reason)
     SELECT ${rowColumns}, removed_at_ms, reason FROM removed WHERE reason IS NOT NULL
     ON CONFLICT (${keyColumns}) DO UPDATE SET
       (${rowColumns}, removed_at_ms, reason) = (${of('excluded', rowColumns + ', removed_at_ms, reason')})
   ), forgotten AS (
     DELETE FROM dead_subscriptions AS dead USING given
     WHERE (${of('dead', keyColumns)}) = (${of('given', keyColumns)}) AND given.reason IS NULL
   )
   SELECT position FROM removed`,
);

export const removeExpiredSubscriptions = statement(
  'subscription_expire',
  `DELETE FROM subscriptions WHERE id IN (
     SELECT id FROM subscriptions WHERE signature_ts <= $1::bigint
     ORDER BY signature_ts LIMIT $2::integer FOR UPDATE SKIP LOCKED
   ) RETURNING ${keyColumns}`,
);

export const accountsOfDevice = statement(
  'subscription_accounts_of_device',
  'SELECT account FROM subscriptions WHERE service = $1::text AND svcid = $2::text',
);

export const countSubscriptions = statement(
  'subscription_count',
  'SELECT service, count(*) FROM subscriptions GROUP BY service',
);

/**
 * A page in order of id, as one hexadecimal text of packed records (`record_send`): a hundred thousand rows of twelve
 * columns each would be a million small strings and buffers. A page also ends when the service data before a row
 * exceeds $3 bytes.
 */
export const subscriptionPage = statement(
  'subscription_page',
  `SELECT max(id), count(*), encode(string_agg(record_send(packed), '' ORDER BY id), 'hex')
   FROM (
     SELECT ${packedColumns}
     FROM (
       SELECT *, sum(octet_length(svcdata)) OVER (ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
                 AS data_bytes_before
       FROM subscriptions WHERE id > $1::bigint ORDER BY id LIMIT $2::integer
     ) AS page
     WHERE coalesce(data_bytes_before, 0) < $3::bigint
   ) AS packed`,
);

/** Rows by their keys, packed like a page; null when none of them is there. */
export const findSubscriptions = statement(
  'subscription_find',
  `SELECT encode(string_agg(record_send(packed), ''), 'hex')
   FROM (
     SELECT ${packedColumns}
     FROM subscriptions JOIN unnest($1::bytea[], $2::text[], $3::text[]) AS given(${keyColumns}) USING (${keyColumns})
   ) AS packed`,
);

/** The positions (from 1) of the keys that have no row. */
export const absentSubscriptions = statement(
  'subscription_absent',
  `SELECT given.position
   FROM unnest($1::bytea[], $2::text[], $3::text[]) WITH ORDINALITY AS given(${keyColumns}, position)
   LEFT JOIN subscriptions AS stored USING (${keyColumns})
   WHERE stored.id IS NULL`,
);

const tombstonesOf = '($1::text IS NULL OR service = $1::text) AND removed_at_ms >= $2::bigint';

/**
 * A page of tombstones in order of id, made subscriptions again where their signature is younger than $3 and nobody has
 * subscribed anew. The tombstones of both go; the others stay until they are swept. Answers the last id (null: none are
 * left), how many there were in the page, and the restored rows packed like a page (null when there are none).
 */
export const restoreTombstones = statement(
  'tombstone_restore',
  `WITH page AS (
     SELECT * FROM dead_subscriptions WHERE ${tombstonesOf} AND id > $4::bigint
     ORDER BY id LIMIT $5::integer FOR UPDATE
   ), restored AS (
     INSERT INTO subscriptions (${rowColumns})
     SELECT ${rowColumns} FROM page WHERE signature_ts > $3::bigint ORDER BY ${keyColumns}
     ON CONFLICT (${keyColumns}) DO NOTHING
     RETURNING ${packedColumns}
   ), gone AS (
     DELETE FROM dead_subscriptions AS dead USING page WHERE dead.id = page.id AND page.signature_ts > $3::bigint
   )
   SELECT (SELECT max(id) FROM page), (SELECT count(*) FROM page),
          (SELECT encode(string_agg(record_send(restored), ''), 'hex') FROM restored)`,
);

/** What the above would restore, and all that it would look at. */
export const countRestorableTombstones = statement(
  'tombstone_count_restorable',
  `SELECT count(*) FILTER (WHERE signature_ts > $3::bigint AND NOT EXISTS (
            SELECT FROM subscriptions AS stored WHERE (${of('stored', keyColumns)}) = (${of('dead', keyColumns)})
          )), count(*)
   FROM dead_subscriptions AS dead WHERE ${tombstonesOf}`,
);

export const countTombstones = statement(
  'tombstone_count',
  'SELECT service, count(*) FROM dead_subscriptions GROUP BY service',
);

export const dropTombstones = statement(
  'tombstone_drop',
  `DELETE FROM dead_subscriptions WHERE id = ANY (ARRAY(
     SELECT id FROM dead_subscriptions WHERE removed_at_ms < $1::bigint LIMIT $2::integer FOR UPDATE SKIP LOCKED
   ))`,
);
