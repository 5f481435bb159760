import { fail, ok, type Result } from '../domain/result.js';
import type { Database } from './database.js';
import {
  booleanCell,
  bytesCell,
  nullableBytesCell,
  numberCell,
  statement,
  textCell,
  type Row,
} from './statement.js';
import type { ImportedCounter } from './subscription-import.js';

/** A row as it is there; nothing about it is checked but the types of its columns. */
export interface SpnsV2Row {
  readonly id: number;
  readonly account: Buffer;
  readonly ed25519Key: Buffer | null;
  readonly subaccountTag: Buffer | null;
  readonly subaccountSignature: Buffer | null;
  readonly signature: Buffer;
  /** Unix seconds; -1 for what is no time. */
  readonly signedAtSeconds: number;
  readonly wantData: boolean;
  readonly encryptionKey: Buffer;
  readonly service: string;
  readonly serviceId: string;
  readonly serviceData: Buffer | null;
  /** Ascending, without duplicates. */
  readonly namespaces: readonly number[];
}

const PAGE_DATA_MAX_BYTES = 8 * 1024 * 1024;
/** More than a subscription may have: what is longer is too long, and need not be fetched to know it. */
const SERVICE_DATA_FETCHED_BYTES = 100_000;
const COUNTERS_MAX = 10_000;
const LATEST_SECONDS = 0xffff_ffff;

const visibleColumns = statement(
  'spns_v2_columns',
  `SELECT relation.relname, attribute.attname
   FROM pg_catalog.pg_class AS relation JOIN pg_catalog.pg_attribute AS attribute ON attribute.attrelid = relation.oid
   WHERE relation.relname IN ('subscriptions', 'sub_namespaces', 'service_stats')
     AND pg_catalog.pg_table_is_visible(relation.oid) AND attribute.attnum > 0 AND NOT attribute.attisdropped`,
);

const countRows = statement('spns_v2_count', 'SELECT count(*) FROM subscriptions');

/** A page also ends when the service data before a row exceeds $3 bytes. */
const rowPage = statement(
  'spns_v2_page',
  `SELECT id, account, session_ed25519, subaccount_tag, subaccount_sig, signature,
          CASE WHEN signature_ts BETWEEN 0 AND ${LATEST_SECONDS} THEN signature_ts ELSE -1 END, want_data, enc_key,
          service::text, svcid::text, substring(svcdata FROM 1 FOR ${SERVICE_DATA_FETCHED_BYTES}),
          ARRAY(SELECT namespace FROM sub_namespaces WHERE subscription = page.id ORDER BY namespace)
   FROM (
     SELECT *, sum(octet_length(svcdata)) OVER (ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
               AS data_bytes_before
     FROM (SELECT * FROM subscriptions WHERE id > $1::bigint ORDER BY id LIMIT $2::integer) AS slice
   ) AS page
   WHERE coalesce(data_bytes_before, 0) < $3::bigint
   ORDER BY id`,
);

/** Times of reports (`last.`) are no counters. */
const counterRows = statement(
  'spns_v2_counters',
  `SELECT service::text, name::text, val_int FROM service_stats
   WHERE val_int BETWEEN 1 AND ${Number.MAX_SAFE_INTEGER} AND name NOT LIKE 'last.%'
     AND octet_length(service) <= 32 AND octet_length(name) <= 100
   ORDER BY service, name LIMIT ${COUNTERS_MAX}`,
);

const neededColumns = [
  'subscriptions.id',
  'subscriptions.account',
  'subscriptions.session_ed25519',
  'subscriptions.signature',
  'subscriptions.signature_ts',
  'subscriptions.want_data',
  'subscriptions.enc_key',
  'subscriptions.service',
  'subscriptions.svcid',
  'subscriptions.svcdata',
  'sub_namespaces.subscription',
  'sub_namespaces.namespace',
];

/**
 * The database of SPNS v2 or of its Bchat fork, which is only read: the old server may go on meanwhile. Every call
 * rejects with `StoreUnavailable` when it is away. Source: spec session-push-v2, section 14.
 */
export class SpnsV2Source {
  private constructor(
    private readonly database: Database,
    private readonly hasCounters: boolean,
  ) {}

  /** The error is a sentence for the operator: these are not its tables. */
  static async over(database: Database): Promise<Result<SpnsV2Source, string>> {
    const rows = await database.rows(visibleColumns);
    const columns = new Set(rows.map((row) => `${textCell(row, 0)}.${textCell(row, 1)}`));
    const missing = neededColumns.filter((column) => !columns.has(column));
    if (missing.length > 0) {
      return fail(`that database is not one of SPNS v2: it has no column ${missing[0] ?? ''}`);
    }
    if (!columns.has('subscriptions.subaccount_tag') || !columns.has('subscriptions.subaccount_sig')) {
      return fail('that database has the schema of before October 2023: start a newer SPNS v2 on it once');
    }
    return ok(new SpnsV2Source(database, columns.has('service_stats.val_int')));
  }

  async count(): Promise<number> {
    const [row] = await this.database.rows(countRows);
    return numberCell(row, 0);
  }

  /** Up to `limit` rows after an id (the first: 0), in the order of the ids; none at the end. */
  async page(afterId: number, limit: number): Promise<readonly SpnsV2Row[]> {
    const rows = await this.database.transaction(async (transaction) => {
      // Where statistics are old, the planner compiles the query anew for each page, which takes longer than the page.
      await transaction.script('SET LOCAL jit = off');
      return transaction.rows(rowPage, [afterId, limit, PAGE_DATA_MAX_BYTES]);
    });
    return rows.map(readRow);
  }

  async counters(): Promise<readonly ImportedCounter[]> {
    if (!this.hasCounters) return [];
    const rows = await this.database.rows(counterRows);
    return rows.map((row) => ({
      service: textCell(row, 0),
      name: textCell(row, 1),
      value: numberCell(row, 2),
    }));
  }
}

const readRow = (row: Row): SpnsV2Row => ({
  id: numberCell(row, 0),
  account: bytesCell(row, 1),
  ed25519Key: nullableBytesCell(row, 2),
  subaccountTag: nullableBytesCell(row, 3),
  subaccountSignature: nullableBytesCell(row, 4),
  signature: bytesCell(row, 5),
  signedAtSeconds: numberCell(row, 6),
  wantData: booleanCell(row, 7),
  encryptionKey: bytesCell(row, 8),
  service: textCell(row, 9),
  serviceId: textCell(row, 10),
  serviceData: nullableBytesCell(row, 11),
  namespaces: numbersCell(row, 12),
});

function numbersCell(row: Row, column: number): readonly number[] {
  const value = row[column];
  if (!Array.isArray(value)) throw new TypeError(`column ${column} is not a list`);
  const numbers = value.filter((element): element is number => typeof element === 'number');
  if (numbers.length !== value.length) throw new TypeError(`column ${column} is not a list of numbers`);
  return numbers;
}
