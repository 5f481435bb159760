import type { Subscription } from '../domain/subscription.js';
import { bigintArray, booleanArray, byteaArray, textArray } from './binary-arrays.js';
import type { Database } from './database.js';
import { readCounts, type ImportCounts } from './import-counts.js';
import { statement } from './statement.js';
import { keyColumns, of, valueColumns } from './subscription-statements.js';

/** Two of one key (services that became one): the newer. What died here since its signature does not come back. */
const givenRows = `input AS (
  SELECT DISTINCT ON (${keyColumns}) * FROM unnest($1::bytea[], $2::text[], $3::text[], $4::bytea[], $5::bytea[],
    $6::bytea[], $7::bytea[], $8::bigint[], $9::boolean[], $10::bytea[], $11::bytea[], $12::bigint[], $13::text[])
    AS given(${keyColumns}, ${valueColumns}, namespaces)
  ORDER BY ${keyColumns}, signature_ts DESC
), fresh AS (
  SELECT input.* FROM input LEFT JOIN dead_subscriptions AS dead USING (${keyColumns})
  WHERE dead.id IS NULL OR dead.signature_ts < input.signature_ts
)`;

const countNewerHere = `(SELECT count(*) FROM input
  LEFT JOIN subscriptions AS stored USING (${keyColumns}) LEFT JOIN dead_subscriptions AS dead USING (${keyColumns})
  WHERE stored.signature_ts > input.signature_ts OR dead.signature_ts >= input.signature_ts)`;

/** As `upsertSubscriptions`, but a row of the same signature stays as it is, so that a second run writes nothing. */
const writeSubscriptions = statement(
  'subscription_import',
  `WITH ${givenRows}, written AS (
     INSERT INTO subscriptions AS stored (${keyColumns}, ${valueColumns}, namespaces, created_at_ms)
     SELECT ${keyColumns}, ${valueColumns}, namespaces::smallint[], renewed_at_ms FROM fresh ORDER BY ${keyColumns}
     ON CONFLICT (${keyColumns}) DO UPDATE SET
       (${valueColumns}, namespaces) = (${of('excluded', valueColumns + ', namespaces')})
       WHERE stored.signature_ts < excluded.signature_ts
     RETURNING ${of('stored', keyColumns)}, stored.xmax = 0 AS added
   ), forgotten AS (
     DELETE FROM dead_subscriptions AS dead USING written
     WHERE (${of('dead', keyColumns)}) = (${of('written', keyColumns)})
   )
   SELECT count(*) FILTER (WHERE added), count(*) FILTER (WHERE NOT added), ${countNewerHere} FROM written`,
);

const compareSubscriptions = statement(
  'subscription_import_compare',
  `WITH ${givenRows}
   SELECT count(*) FILTER (WHERE stored.id IS NULL),
          count(*) FILTER (WHERE stored.signature_ts < fresh.signature_ts), ${countNewerHere}
   FROM fresh LEFT JOIN subscriptions AS stored USING (${keyColumns})`,
);

export interface ImportedCounter {
  /** '' for totals. */
  readonly service: string;
  readonly name: string;
  readonly value: number;
}

/** Whichever is larger: counters only rise, and a second run adds nothing. */
const writeCounters = statement(
  'statistics_import',
  `INSERT INTO service_stats AS stored (service, name, val_int)
   SELECT service, name, max(value) FROM unnest($1::text[], $2::text[], $3::bigint[]) AS given(service, name, value)
   GROUP BY service, name ORDER BY service, name
   ON CONFLICT (service, name) DO UPDATE SET val_int = excluded.val_int, val_str = NULL
     WHERE coalesce(stored.val_int, 0) < excluded.val_int`,
);

/**
 * Takes over subscriptions of another server, each call in a transaction of its own. The newer signature wins; one that
 * is as old as ours changes nothing. Rejects with `StoreUnavailable` while the database is away.
 */
export class SubscriptionImport {
  /** `dryRun`: counts what would be done. */
  constructor(
    private readonly database: Database,
    private readonly dryRun: boolean,
  ) {}

  /** `nowMs`: a signature is the last renewal that is known of; one of the future is taken as now's. */
  async subscriptions(subscriptions: readonly Subscription[], nowMs: number): Promise<ImportCounts> {
    const authorisations = subscriptions.map(({ authorisation }) => authorisation);
    const [row] = await this.database.rows(this.dryRun ? compareSubscriptions : writeSubscriptions, [
      byteaArray(subscriptions.map(({ account }) => account)),
      textArray(subscriptions.map(({ service }) => service)),
      textArray(subscriptions.map(({ serviceId }) => serviceId)),
      byteaArray(authorisations.map(({ ed25519Key }) => ed25519Key)),
      byteaArray(authorisations.map(({ subaccount }) => subaccount?.tag ?? null)),
      byteaArray(authorisations.map(({ subaccount }) => subaccount?.signature ?? null)),
      byteaArray(authorisations.map(({ signature }) => signature)),
      bigintArray(authorisations.map(({ signedAtSeconds }) => signedAtSeconds)),
      booleanArray(subscriptions.map(({ wantData }) => wantData)),
      byteaArray(subscriptions.map(({ encryptionKey }) => encryptionKey)),
      byteaArray(subscriptions.map(({ serviceData }) => serviceData)),
      bigintArray(
        authorisations.map(({ signedAtSeconds }) => Math.min(signedAtSeconds * 1000, Math.floor(nowMs))),
      ),
      textArray(subscriptions.map(({ namespaces }) => `{${namespaces.join()}}`)),
    ]);
    return readCounts(row);
  }

  /** How many of ours rose. */
  async counters(counters: readonly ImportedCounter[]): Promise<number> {
    if (this.dryRun) return 0;
    return this.database.execute(writeCounters, [
      textArray(counters.map(({ service }) => service)),
      textArray(counters.map(({ name }) => name)),
      bigintArray(counters.map(({ value }) => value)),
    ]);
  }
}
