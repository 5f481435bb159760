import { statement } from './statement.js';

const deviceColumns = 'token, account, type, groups_only, registered_at_ms, removed_at_ms';

/**
 * Keys to look up, from arrays ($1 is the brand). Each of them has its place in an index, but the planner must be made to
 * see it: while the tables are small it would rather read them whole, and keep that plan while they grow (the embedded
 * database never learns that they have). So it is told of a narrow range of positions, which is all of them and which it
 * takes for one row, and not told that all have the same brand. (IS NULL, too, would lure it into another index.)
 */
const keys = (arrays: string, columns: string): string =>
  `(SELECT $1::text AS brand, ${columns} FROM unnest(${arrays}) WITH ORDINALITY AS array_rows(${columns}, position)
    WHERE position BETWEEN 1 AND 1000000000 OFFSET 0) AS given`;

/**
 * One transaction by itself. No row is in two of the lists (`foldChanges`), so the parts may run in any order. New rows
 * are numbered in the order of the arrays.
 */
export const commitChanges = statement(
  'legacy_commit',
  `WITH put AS (
     INSERT INTO legacy_devices (brand, ${deviceColumns})
     SELECT $1::text, token, account, type, groups_only, registered_at_ms, nullif(removed_at_ms, -1)
     FROM unnest($2::text[], $3::text[], $4::text[], $5::boolean[], $6::bigint[], $7::bigint[])
       WITH ORDINALITY AS given(${deviceColumns}, position)
     ORDER BY position
     ON CONFLICT (brand, token) DO UPDATE SET
       (account, type, groups_only, registered_at_ms, removed_at_ms) =
       (excluded.account, excluded.type, excluded.groups_only, excluded.registered_at_ms, excluded.removed_at_ms)
   ), died AS (
     UPDATE legacy_devices AS stored SET removed_at_ms = given.died_at_ms
     FROM ${keys('$8::text[], $9::bigint[], $10::bigint[], $11::bigint[]', 'token, from_ms, until_ms, died_at_ms')}
     WHERE (stored.brand, stored.token) = (given.brand, given.token) AND num_nulls(stored.removed_at_ms) = 1
       AND stored.registered_at_ms >= given.from_ms AND stored.registered_at_ms < given.until_ms
   ), removed AS (
     DELETE FROM legacy_devices AS stored USING ${keys('$12::text[]', 'token')}
     WHERE (stored.brand, stored.token) = (given.brand, given.token)
   ), joined AS (
     INSERT INTO legacy_members (brand, group_id, account)
     SELECT $1::text, group_id, account FROM unnest($13::text[], $14::text[]) AS given(group_id, account)
     ORDER BY group_id, account
     ON CONFLICT DO NOTHING
   )
   DELETE FROM legacy_members AS stored USING ${keys('$15::text[], $16::text[]', 'group_id, account')}
   WHERE (stored.brand, stored.group_id, stored.account) = (given.brand, given.group_id, given.account)`,
);

/**
 * A page of living devices in the order of their first registration: its last id (null = the end), and each column as
 * one JSON text: a hundred thousand rows would be half a million small answers to parse. The subquery's order is what
 * the aggregates see.
 */
export const devicePage = statement(
  'legacy_device_page',
  `SELECT max(id), array_to_json(array_agg(token))::text, array_to_json(array_agg(account))::text,
          array_to_json(array_agg(type))::text, array_to_json(array_agg(groups_only))::text,
          array_to_json(array_agg(registered_at_ms))::text
   FROM (
     SELECT id, ${deviceColumns} FROM legacy_devices
     WHERE brand = $1::text AND removed_at_ms IS NULL AND id > $2::bigint ORDER BY id LIMIT $3::integer
   ) AS page`,
);

/** A page of members after one, group by group; both columns as JSON texts, null at the end. */
export const memberPage = statement(
  'legacy_member_page',
  `SELECT array_to_json(array_agg(group_id))::text, array_to_json(array_agg(account))::text
   FROM (
     SELECT group_id, account FROM legacy_members
     WHERE brand = $1::text AND (group_id, account) > ($2::text, $3::text) ORDER BY group_id, account LIMIT $4::integer
   ) AS page`,
);

/** Of all brands: how many were removed at $1 or later. */
export const countDeadDevices = statement(
  'legacy_dead_count',
  `SELECT brand, type, count(*) FROM legacy_devices WHERE removed_at_ms >= $1::bigint
   GROUP BY brand, type ORDER BY brand, type`,
);

const deadOf =
  'brand = $1::text AND type = ANY($2::text[]) AND removed_at_ms BETWEEN $3::bigint AND $4::bigint';

/** A page of tombstones in the order of removal. */
export const deadDevicePage = statement(
  'legacy_dead_page',
  `SELECT id, token, account, type, groups_only, registered_at_ms, removed_at_ms FROM legacy_devices
   WHERE ${deadOf} AND (removed_at_ms, id) > ($5::bigint, $6::bigint)
   ORDER BY removed_at_ms, id LIMIT $7::integer`,
);

export const restoreDeadDevices = statement(
  'legacy_dead_restore',
  `UPDATE legacy_devices SET removed_at_ms = NULL WHERE id = ANY (ARRAY(
     SELECT id FROM legacy_devices WHERE ${deadOf} LIMIT $5::integer FOR UPDATE
   ))`,
);

export const dropDeadDevices = statement(
  'legacy_dead_drop',
  `DELETE FROM legacy_devices WHERE id = ANY (ARRAY(
     SELECT id FROM legacy_devices WHERE removed_at_ms < $1::bigint LIMIT $2::integer FOR UPDATE SKIP LOCKED
   ))`,
);

const counterColumns =
  'ios_pushes, android_pushes, messages, group_messages, untracked_messages, account_messages';

export const writePeriod = statement(
  'legacy_period_write',
  `INSERT INTO legacy_periods (brand, start_ms, end_ms, ${counterColumns})
   VALUES ($1::text, $2::bigint, $3::bigint, $4::bigint, $5::bigint, $6::bigint, $7::bigint, $8::bigint, $9::bigint)
   ON CONFLICT (brand, start_ms) DO UPDATE SET
     (end_ms, ${counterColumns}) = (excluded.end_ms, ${counterColumns.replaceAll(/\w+/g, 'excluded.$&')})`,
);

/** The newest $4, newest first. */
export const readPeriods = statement(
  'legacy_period_read',
  `SELECT start_ms, end_ms, ${counterColumns} FROM legacy_periods
   WHERE brand = $1::text AND ($2::bigint IS NULL OR start_ms >= $2::bigint)
     AND ($3::bigint IS NULL OR end_ms <= $3::bigint)
   ORDER BY start_ms DESC LIMIT $4::integer`,
);

export const dropPeriods = statement(
  'legacy_period_drop',
  'DELETE FROM legacy_periods WHERE brand = $1::text AND end_ms < $2::bigint',
);
