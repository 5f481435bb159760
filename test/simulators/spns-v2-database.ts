import type { Subscription } from '../../src/domain/subscription.js';
import { openDatabase, type Database } from '../../src/store/database.js';
import { statement } from '../../src/store/statement.js';
import { databaseOptionsFor } from './database-options.js';

/** As SPNS v2 makes them. Source: spec session-push-v2, section 14. */
const tables = `
CREATE TABLE subscriptions (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account bytea NOT NULL,
    session_ed25519 bytea,
    subaccount_tag bytea,
    subaccount_sig bytea,
    signature bytea NOT NULL,
    signature_ts bigint NOT NULL,
    want_data boolean NOT NULL,
    enc_key bytea NOT NULL,
    service varchar NOT NULL,
    svcid varchar NOT NULL,
    svcdata bytea,
    UNIQUE (account, service, svcid)
);
CREATE INDEX subscriptions_signature_ts ON subscriptions (signature_ts);
CREATE INDEX subscriptions_service ON subscriptions (service);
CREATE TABLE sub_namespaces (
    subscription bigint NOT NULL REFERENCES subscriptions ON DELETE CASCADE,
    namespace smallint NOT NULL,
    PRIMARY KEY (subscription, namespace)
);
CREATE TABLE service_stats (
    service varchar NOT NULL,
    name varchar NOT NULL,
    val_str varchar,
    val_int bigint,
    PRIMARY KEY (service, name),
    CHECK (num_nonnulls(val_str, val_int) = 1)
);`;

const insert = statement(
  'test_insert',
  `WITH row AS (
     INSERT INTO subscriptions (account, session_ed25519, subaccount_tag, subaccount_sig, signature, signature_ts,
                                want_data, enc_key, service, svcid, svcdata)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
     ON CONFLICT (account, service, svcid) DO UPDATE SET signature_ts = excluded.signature_ts, signature = excluded.signature
     RETURNING id
   )
   INSERT INTO sub_namespaces SELECT id, unnest($12::smallint[]) FROM row ON CONFLICT DO NOTHING`,
);

/** Many at once: account, token and keys from a number; every second one is a group's, with a subaccount. */
const insertMany = statement(
  'test_insert_many',
  `WITH row AS (
     INSERT INTO subscriptions (account, session_ed25519, subaccount_tag, subaccount_sig, signature, signature_ts,
                                want_data, enc_key, service, svcid, svcdata)
     SELECT decode(CASE WHEN n % 2 = 0 THEN '05' ELSE '03' END, 'hex') || sha256(n::text::bytea),
            CASE WHEN n % 2 = 0 THEN sha256(('e' || n)::bytea) END,
            CASE WHEN n % 2 = 1 THEN '\\x03010000'::bytea || sha256(('t' || n)::bytea) END,
            CASE WHEN n % 2 = 1 THEN sha512(('u' || n)::bytea) END,
            sha512(n::text::bytea), $2::bigint, true, sha256(('k' || n)::bytea), 'apns',
            encode(sha256(('d' || n)::bytea), 'hex'), NULL
     FROM generate_series(1, $1::integer) AS n RETURNING id
   )
   INSERT INTO sub_namespaces SELECT id, unnest('{0,2,3,4,5}'::smallint[]) FROM row`,
);

export interface SpnsV2Database {
  readonly database: Database;
  /** A second one of the same key replaces the signature. */
  add(subscription: Subscription): Promise<void>;
  addMany(count: number, signedAtSeconds: number): Promise<void>;
  script(sql: string): Promise<void>;
  close(): Promise<void>;
}

/** An old server's database at the address of an empty one. */
export async function createSpnsV2Database(url: string): Promise<SpnsV2Database> {
  const database = await openDatabase({ ...databaseOptionsFor(url, ''), statementTimeoutMs: 60_000 });
  const script = (sql: string): Promise<void> =>
    database.transaction((transaction) => transaction.script(sql));
  await script(tables);
  return {
    database,
    script,
    add: async ({ account, authorisation, service, serviceId, serviceData, ...rest }) => {
      const { ed25519Key, subaccount, signature, signedAtSeconds } = authorisation;
      const tag = subaccount?.tag ?? null;
      await database.execute(insert, [
        account,
        ed25519Key,
        tag,
        subaccount?.signature ?? null,
        signature,
        signedAtSeconds,
        rest.wantData,
        rest.encryptionKey,
        service,
        serviceId,
        serviceData,
        `{${rest.namespaces.join()}}`,
      ]);
    },
    addMany: async (count, signedAtSeconds) => {
      await database.execute(insertMany, [count, signedAtSeconds]);
    },
    close: () => database.close(),
  };
}
