-- Subscriptions of devices that a provider called dead: kept for some days, so that a provider (or a setting) that was
-- wrong about them costs nobody anything. The rows were checked when they were subscriptions.
CREATE TABLE dead_subscriptions (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account bytea NOT NULL,
    session_ed25519 bytea,
    subaccount_tag bytea,
    subaccount_sig bytea,
    signature bytea NOT NULL,
    signature_ts bigint NOT NULL,                    -- unix seconds
    want_data boolean NOT NULL,
    enc_key bytea NOT NULL,
    namespaces smallint[] NOT NULL,
    service text NOT NULL,
    svcid text NOT NULL,
    svcdata bytea,
    created_at_ms bigint NOT NULL,                   -- unix milliseconds
    renewed_at_ms bigint NOT NULL,                   -- unix milliseconds
    removed_at_ms bigint NOT NULL,                   -- unix milliseconds
    reason text NOT NULL,                            -- a word of ours
    UNIQUE (account, service, svcid)
);
CREATE INDEX dead_subscriptions_removed ON dead_subscriptions (removed_at_ms);
