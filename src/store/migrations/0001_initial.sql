-- Subscriptions: account x device. Spec session-push-v2, section 14, with namespaces as an array.
-- The lengths are checked here too: start-up reads the rows as packed records and trusts them.
CREATE TABLE subscriptions (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account bytea NOT NULL CHECK (octet_length(account) = 33),
    session_ed25519 bytea CHECK (octet_length(session_ed25519) = 32),
    subaccount_tag bytea CHECK (octet_length(subaccount_tag) = 36),
    subaccount_sig bytea CHECK (octet_length(subaccount_sig) = 64),
    signature bytea NOT NULL CHECK (octet_length(signature) = 64),
    signature_ts bigint NOT NULL,                    -- unix seconds
    want_data boolean NOT NULL,
    enc_key bytea NOT NULL CHECK (octet_length(enc_key) = 32),
    namespaces smallint[] NOT NULL CHECK (cardinality(namespaces) >= 1),
    service text NOT NULL,
    svcid text NOT NULL,
    svcdata bytea,
    created_at_ms bigint NOT NULL,                   -- unix milliseconds
    renewed_at_ms bigint NOT NULL,                   -- unix milliseconds, the last subscribe that was taken
    CHECK ((subaccount_tag IS NULL) = (subaccount_sig IS NULL)),
    UNIQUE (account, service, svcid)
);
CREATE INDEX subscriptions_signature_ts ON subscriptions (signature_ts);
CREATE INDEX subscriptions_device ON subscriptions (service, svcid);

-- Counters of all time. Service '' holds totals.
CREATE TABLE service_stats (
    service text NOT NULL,
    name text NOT NULL,
    val_str text,
    val_int bigint,
    PRIMARY KEY (service, name),
    CHECK (num_nonnulls(val_str, val_int) = 1)
);

-- Pushes that wait. A claimed row belongs to one process until its lease ends.
CREATE TABLE outbox (
    id uuid PRIMARY KEY,                             -- made by the writer, ascending in time: a repeated insert is none
    service text NOT NULL,
    account bytea NOT NULL,
    svcid text NOT NULL,
    svcdata bytea,
    payload bytea NOT NULL,
    content_kind text NOT NULL,
    priority text NOT NULL,
    expires_at_ms bigint NOT NULL,
    dedupe_key bytea NOT NULL,
    received_at_ms bigint NOT NULL,
    attempts integer NOT NULL,
    due_at_ms bigint NOT NULL,
    claimed_by text,
    claimed_until_ms bigint,
    CHECK ((claimed_by IS NULL) = (claimed_until_ms IS NULL))
);
CREATE INDEX outbox_waiting ON outbox (service, due_at_ms, id) WHERE claimed_by IS NULL;
CREATE INDEX outbox_expiring ON outbox (expires_at_ms) WHERE claimed_by IS NULL;
CREATE INDEX outbox_claimed ON outbox (claimed_until_ms) WHERE claimed_by IS NOT NULL;
-- Sealed payloads are random bytes: trying to compress them only costs time.
ALTER TABLE outbox ALTER COLUMN payload SET STORAGE EXTERNAL;
-- Rows come and go all day: the default of one dead row in five would let a short queue scan a long past.
ALTER TABLE outbox SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);
