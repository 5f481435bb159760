import { statement } from './statement.js';

const keyColumns = 'account, service, svcid';
const valueColumns =
  'session_ed25519, subaccount_tag, subaccount_sig, signature, signature_ts, want_data, enc_key, svcdata, renewed_at_ms';

/**
 * One row per element of the arrays. Written in the order of the keys, so that two processes that write the same rows
 * never wait for each other in a circle. A newer signature that is stored stays (spec session-push-v2, section 21, 17).
 * Answers one letter per row, in the order of the arrays: a(dded), u(pdated), s(tale). A row that this statement
 * inserted has no xmax; one that it updated was locked first and has.
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
       (${valueColumns}, namespaces) = (${(valueColumns + ', namespaces').replaceAll(/\w+/g, 'excluded.$&')})
       WHERE stored.signature_ts <= excluded.signature_ts
     RETURNING ${keyColumns.replaceAll(/\w+/g, 'stored.$&')}, stored.xmax = 0 AS added
   )
   SELECT string_agg(CASE WHEN added THEN 'a' WHEN NOT added THEN 'u' ELSE 's' END, '' ORDER BY position)
   FROM input LEFT JOIN written USING (${keyColumns})`,
);

/**
 * Answers the positions (from 1) of those that were there and not renewed at or after the given time. The rows are
 * locked in the order of the keys, as the upsert does, before any of them goes.
 */
export const removeSubscriptions = statement(
  'subscription_remove',
  `WITH locked AS (
     SELECT stored.id, given.position
     FROM subscriptions AS stored
     JOIN unnest($1::bytea[], $2::text[], $3::text[], $4::bigint[])
       WITH ORDINALITY AS given(${keyColumns}, renewed_before_ms, position) USING (${keyColumns})
     WHERE stored.renewed_at_ms < given.renewed_before_ms
     ORDER BY stored.account, stored.service, stored.svcid
     FOR UPDATE OF stored
   )
   DELETE FROM subscriptions AS stored USING locked WHERE stored.id = locked.id
   RETURNING locked.position`,
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
 * exceeds $3 bytes. Columns in the order that `subscription-pages.ts` reads.
 */
export const subscriptionPage = statement(
  'subscription_page',
  `SELECT max(id), count(*), encode(string_agg(record_send(packed), '' ORDER BY id), 'hex')
   FROM (
     SELECT id, signature_ts, want_data, namespaces, account, enc_key, signature,
            session_ed25519, subaccount_tag, subaccount_sig, service, svcid, svcdata
     FROM (
       SELECT *, sum(octet_length(svcdata)) OVER (ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
                 AS data_bytes_before
       FROM subscriptions WHERE id > $1::bigint ORDER BY id LIMIT $2::integer
     ) AS page
     WHERE coalesce(data_bytes_before, 0) < $3::bigint
   ) AS packed`,
);
