import { statement } from '../store/statement.js';

const columns =
  'id, service, account, svcid, svcdata, payload, content_kind, priority, expires_at_ms, dedupe_key, received_at_ms, ' +
  'attempts, due_at_ms';

/**
 * Leases run by the database's clock, which is the same for all: a process whose own clock is ahead would end the
 * others' claims before their time.
 */
const NOW_MS = '(extract(epoch FROM clock_timestamp()) * 1000)::bigint';

/** A row that is there already was committed by an attempt whose answer got lost. */
export const insertRows = statement(
  'outbox_insert',
  `INSERT INTO outbox (${columns}, claimed_by, claimed_until_ms)
   SELECT ${columns}, CASE WHEN claimed THEN $15::text END, CASE WHEN claimed THEN ${NOW_MS} + $16::bigint END
   FROM unnest($1::uuid[], $2::text[], $3::bytea[], $4::text[], $5::bytea[], $6::bytea[], $7::text[],
               $8::text[], $9::bigint[], $10::bytea[], $11::bigint[], $12::integer[], $13::bigint[], $14::boolean[])
     AS given(${columns}, claimed)
   ON CONFLICT (id) DO NOTHING`,
);

/** Back to waiting. Not a row whose lease ended and which another process has claimed since. */
export const updateRows = statement(
  'outbox_update',
  `UPDATE outbox SET due_at_ms = given.due_at_ms, attempts = given.attempts, claimed_by = NULL, claimed_until_ms = NULL
   FROM unnest($1::uuid[], $2::bigint[], $3::integer[]) AS given(id, due_at_ms, attempts)
   WHERE outbox.id = given.id AND outbox.claimed_by = $4::text`,
);

export const deleteRows = statement('outbox_delete', 'DELETE FROM outbox WHERE id = ANY($1::uuid[])');

export const releaseRows = statement(
  'outbox_release',
  `UPDATE outbox SET claimed_by = NULL, claimed_until_ms = NULL
   WHERE id = ANY($1::uuid[]) AND claimed_by = $2::text`,
);

/**
 * At most $3 rows, and no further one once those before it hold $6 bytes. Rows that another transaction is claiming at
 * this moment are passed over, not waited for. The ids go through an array: in a join the planner, who does not know
 * the limit, may choose to read the whole table for it.
 */
export const claimRows = statement(
  'outbox_claim',
  `WITH claimed AS (
     UPDATE outbox SET claimed_by = $4::text, claimed_until_ms = ${NOW_MS} + $5::bigint
     WHERE id = ANY (ARRAY(
       SELECT id FROM (
         SELECT id, sum(bytes) OVER (ORDER BY due_at_ms, id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
                      AS bytes_before
         FROM (
           SELECT id, due_at_ms, octet_length(payload) + coalesce(octet_length(svcdata), 0) AS bytes FROM outbox
           WHERE service = $1::text AND claimed_by IS NULL AND due_at_ms <= $2::bigint AND expires_at_ms > $2::bigint
           ORDER BY due_at_ms, id LIMIT $3::integer FOR UPDATE SKIP LOCKED
         ) AS due
       ) AS measured
       WHERE coalesce(bytes_before, 0) < $6::bigint
     ))
     RETURNING *
   )
   SELECT ${columns} FROM claimed ORDER BY due_at_ms, id`,
);

/** What a previous run of this instance had claimed: it is gone, or it would hold the instance's lock. */
export const recoverClaims = statement(
  'outbox_recover',
  'UPDATE outbox SET claimed_by = NULL, claimed_until_ms = NULL WHERE claimed_by = $1::text',
);

/** Of rows whose lease ends within $4: most are claimed and gone within a moment, and need no renewal. */
export const renewLeases = statement(
  'outbox_renew',
  `UPDATE outbox SET claimed_until_ms = ${NOW_MS} + $3::bigint
   WHERE id = ANY($1::uuid[]) AND claimed_by = $2::text AND claimed_until_ms < ${NOW_MS} + $4::bigint`,
);

export const endLeases = statement(
  'outbox_end_leases',
  `UPDATE outbox SET claimed_by = NULL, claimed_until_ms = NULL
   WHERE claimed_by IS NOT NULL AND claimed_until_ms <= ${NOW_MS}`,
);

/** A claimed row is somebody's: it is counted where it ends. */
export const dropExpiredRows = statement(
  'outbox_drop_expired',
  `WITH gone AS (
     DELETE FROM outbox WHERE id = ANY (ARRAY(
       SELECT id FROM outbox WHERE claimed_by IS NULL AND expires_at_ms <= $1::bigint
       LIMIT $2::integer FOR UPDATE SKIP LOCKED
     )) RETURNING service
   )
   SELECT service, count(*) FROM gone GROUP BY service`,
);

/** "waggleob" in ASCII: one of several instances makes room, while the others go on. Ends with the transaction. */
export const tryRoomLock = statement(
  'outbox_room_lock',
  `SELECT pg_try_advisory_xact_lock(${0x7761_6767_6c65_6f62n})`,
);

export const countRows = statement('outbox_count', 'SELECT count(*) FROM outbox');

/** A claimed row is about to end by itself. */
export const countWaiting = statement(
  'outbox_count_waiting',
  'SELECT service, count(*) FILTER (WHERE claimed_by IS NULL), count(*) FROM outbox GROUP BY service',
);

/** Of one service; the ids ascend in time: the oldest first. */
export const evictRows = statement(
  'outbox_evict',
  `DELETE FROM outbox WHERE id = ANY (ARRAY(
     SELECT id FROM outbox WHERE service = $1::text AND claimed_by IS NULL
     ORDER BY id LIMIT $2::integer FOR UPDATE SKIP LOCKED
   ))`,
);

export const nextDueRow = statement(
  'outbox_next_due',
  `SELECT due_at_ms FROM outbox WHERE service = $1::text AND claimed_by IS NULL AND expires_at_ms > $2::bigint
   ORDER BY due_at_ms LIMIT 1`,
);

export const outboxStats = statement(
  'outbox_stats',
  'SELECT service, count(*), min(due_at_ms) FROM outbox GROUP BY service',
);
