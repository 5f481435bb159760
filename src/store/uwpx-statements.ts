import { arrayRows } from './array-rows.js';
import { isStandby } from './standby.js';
import { statement } from './statement.js';

const MS_PER_DAY = 86_400_000;

/**
 * Until the end of the transaction, in the order of the ids, so that no two processes wait for each other in a circle.
 * What a later statement of the transaction reads is what the last holder wrote. Answers those that are there: the
 * position, the row's id, and whether it has a channel.
 */
export const lockUwpxDevices = statement(
  'uwpx_lock',
  `SELECT given.position, stored.id, stored.channel_uri IS NOT NULL
   FROM ${arrayRows('$1::text[]', 'device_id')} AS given JOIN uwpx_devices AS stored USING (device_id)
   ORDER BY stored.device_id FOR NO KEY UPDATE OF stored`,
);

/** After `lockUwpxDevices`; each device once. Answers which of them were not there: those have no xmax. */
export const setUwpxChannels = statement(
  'uwpx_set_channels',
  `INSERT INTO uwpx_devices AS stored (device_id, channel_uri, protocol_version, channel_set_at_ms, active_at_ms)
   SELECT device_id, channel_uri, protocol_version, now_ms, now_ms
   FROM unnest($1::text[], $2::text[], $3::integer[], $4::bigint[])
     AS given(device_id, channel_uri, protocol_version, now_ms)
   ORDER BY device_id COLLATE "C"
   ON CONFLICT (device_id) DO UPDATE SET
     (channel_uri, protocol_version, channel_set_at_ms, channel_lost_at_ms, active_at_ms) =
     (excluded.channel_uri, excluded.protocol_version, excluded.channel_set_at_ms, NULL,
      greatest(stored.active_at_ms, excluded.active_at_ms))
   RETURNING device_id, xmax = 0`,
);

/**
 * $1 to $3: the ids of locked rows, each once, what those devices speak and the time; $4 to $10: their accounts, each
 * once, with the id of the row. An account that is stored already is not touched, one with a node that somebody else
 * has is left out. Answers what is stored then: id of the row, account id, node and sealed secret.
 */
export const setUwpxAccounts = statement(
  'uwpx_set_accounts',
  `WITH given AS MATERIALIZED ${arrayRows(
    '$1::bigint[], $2::integer[], $3::bigint[]',
    'device, protocol_version, now_ms',
  )}, offered AS MATERIALIZED ${arrayRows(
    '$4::bigint[], $5::text[], $6::text[], $7::bytea[], $8::bytea[], $9::text[], $10::bigint[]',
    'device, account_id, node, secret_hash, sealed_secret, domain, created_at_ms',
  )}, kept AS (
     SELECT device, account_id, stored.node, stored.sealed_secret
     FROM offered JOIN uwpx_accounts AS stored USING (device, account_id)
   ), gone AS (
     DELETE FROM uwpx_accounts AS stored
     USING given LEFT JOIN (SELECT device, array_agg(account_id) AS account_ids FROM offered GROUP BY device) AS named
       USING (device)
     WHERE stored.device = given.device AND (stored.account_id = ANY (named.account_ids)) IS NOT TRUE
   ), added AS (
     INSERT INTO uwpx_accounts (device, account_id, node, secret_hash, sealed_secret, domain, created_at_ms)
     SELECT device, account_id, node, secret_hash, sealed_secret, domain, created_at_ms FROM offered ORDER BY node
     ON CONFLICT DO NOTHING
     RETURNING device, account_id, node, sealed_secret
   ), active AS (
     UPDATE uwpx_devices AS stored
     SET protocol_version = given.protocol_version, active_at_ms = greatest(stored.active_at_ms, given.now_ms)
     FROM given WHERE stored.id = given.device
   )
   SELECT * FROM kept UNION ALL SELECT * FROM added`,
);

/** Of accounts whose devices are locked. */
export const replaceUwpxSecrets = statement(
  'uwpx_replace_secrets',
  `UPDATE uwpx_accounts AS stored SET secret_hash = given.secret_hash, sealed_secret = given.sealed_secret
   FROM ${arrayRows('$1::text[], $2::bytea[], $3::bytea[]', 'node, secret_hash, sealed_secret')} AS given
   WHERE stored.node = given.node`,
);

/**
 * Added at $1 or later. Whose device is active since then: of devices there is an index by day, so that this looks at
 * those of today alone.
 */
export const uwpxNodesSince = statement(
  'uwpx_nodes_since',
  `SELECT account.node FROM uwpx_devices AS device JOIN uwpx_accounts AS account ON account.device = device.id
   WHERE device.active_day >= ($1::bigint / ${MS_PER_DAY})::integer AND device.active_at_ms >= $1::bigint
     AND account.created_at_ms >= $1::bigint AND account.node > $2::text
   ORDER BY account.node LIMIT $3::integer`,
);

export const findUwpxDevice = statement(
  'uwpx_find_device',
  'SELECT channel_uri, protocol_version FROM uwpx_devices WHERE device_id = $1::text',
);

/** One row for each node, with nulls and `isStandby` alone where nobody has it. */
export const findUwpxTargets = statement(
  'uwpx_find_targets',
  `SELECT device.device_id, account.account_id, account.node, account.secret_hash, account.domain, device.channel_uri,
          device.protocol_version, device.channel_lost_at_ms, device.active_at_ms, ${isStandby}
   FROM ${arrayRows('$1::text[]', 'node')} AS given
   LEFT JOIN (uwpx_accounts AS account JOIN uwpx_devices AS device ON device.id = account.device)
     ON account.node = given.node`,
);

export const uwpxNodesOfDevice = statement(
  'uwpx_nodes_of_device',
  `SELECT account.node FROM uwpx_accounts AS account JOIN uwpx_devices AS device ON device.id = account.device
   WHERE device.device_id = $1::text`,
);

export const uwpxNodesAfter = statement(
  'uwpx_nodes_after',
  'SELECT node FROM uwpx_accounts WHERE node > $1::text ORDER BY node LIMIT $2::integer',
);

/** Of those that set it before $2. */
export const endUwpxChannel = statement(
  'uwpx_channel_died',
  `UPDATE uwpx_devices SET channel_uri = NULL, channel_lost_at_ms = $3::bigint
   WHERE channel_uri = $1::text AND channel_set_at_ms < $2::bigint`,
);

export const countUwpxDevices = statement('uwpx_count', 'SELECT count(*) FROM uwpx_devices');

/** Whoever is locked is being registered, and so is active by itself. Times closer than $3 are one. */
export const noteUwpxDevices = statement(
  'uwpx_note_active',
  `UPDATE uwpx_devices SET active_at_ms = $2::bigint WHERE id = ANY (ARRAY(
     SELECT stored.id FROM ${arrayRows('$1::text[]', 'device_id')} AS given JOIN uwpx_devices AS stored USING (device_id)
     WHERE stored.active_at_ms < $2::bigint - $3::bigint FOR NO KEY UPDATE OF stored SKIP LOCKED
   ))`,
);

/** Their accounts go with them. */
const remove = (name: string, condition: string): ReturnType<typeof statement> =>
  statement(
    name,
    `DELETE FROM uwpx_devices WHERE id = ANY (ARRAY(
       SELECT id FROM uwpx_devices WHERE ${condition} LIMIT $2::integer FOR UPDATE SKIP LOCKED
     ))`,
  );

export const removeIdleUwpxDevices = remove(
  'uwpx_remove_idle',
  `active_day <= ($1::bigint / ${MS_PER_DAY})::integer AND active_at_ms < $1::bigint`,
);
export const removeLostUwpxDevices = remove('uwpx_remove_lost', 'channel_lost_at_ms < $1::bigint');
