-- What XMPP servers publish to. Texts are whatever clients sent, their lengths are checked here too. Byte order ("C"), since
-- nobody reads these lists and comparing by a language's rules costs time. Secrets are here as their SHA-256 and sealed
-- with a key that is not in the database.

-- Several processes share this table; each has all of it in memory and keeps up by asking for what came after the last
-- revision that it has seen. So revisions are drawn under a lock that is held until the commit: their order is the order
-- of the commits. Spec xmpp-push, section 8.
CREATE SEQUENCE xmpp_revisions;

CREATE TABLE xmpp_devices (
    key_hash bytea PRIMARY KEY CHECK (octet_length(key_hash) = 32), -- SHA-256 of the key's text: a node may be too long for an index
    node text COLLATE "C" NOT NULL CHECK (octet_length(node) BETWEEN 1 AND 4096),
    device text COLLATE "C" CHECK (octet_length(device) BETWEEN 1 AND 1024), -- p2: with channel the key; null: the node is the key
    channel text COLLATE "C" CHECK (octet_length(channel) <= 1024),
    type text COLLATE "C" NOT NULL CHECK (octet_length(type) BETWEEN 1 AND 100),
    token text COLLATE "C" NOT NULL CHECK (octet_length(token) BETWEEN 1 AND 999),
    service_data bytea CHECK (octet_length(service_data) <= 99999),
    secret_hash bytea NOT NULL CHECK (octet_length(secret_hash) = 32),
    sealed_secret bytea NOT NULL CHECK (octet_length(sealed_secret) BETWEEN 1 AND 1024),
    account_domain text COLLATE "C" CHECK (octet_length(account_domain) <= 4096),
    registered_at_ms bigint NOT NULL,                -- unix milliseconds
    renewed_at_ms bigint,                            -- unix milliseconds
    last_push_at_ms bigint,                          -- unix milliseconds
    last_error_at_ms bigint,                         -- unix milliseconds
    removed_at_ms bigint,                            -- unix milliseconds; null = it lives
    removed_reason text COLLATE "C" CHECK (removed_reason IN ('unregistered', 'dead')),
    revision bigint NOT NULL UNIQUE,
    CHECK ((device IS NULL) = (channel IS NULL)),
    CHECK (device IS NULL OR octet_length(node) <= 1024),
    CHECK ((removed_at_ms IS NULL) = (removed_reason IS NULL))
);
-- A registration draws a revision, and so has a new entry in the two indexes above: that of the revision is always the
-- last one. The times of pushes are written far more often and are in no index: with room in the page they stay in it.
ALTER TABLE xmpp_devices SET (fillfactor = 85);
CREATE INDEX xmpp_devices_p2_node ON xmpp_devices (node) WHERE device IS NOT NULL;
CREATE INDEX xmpp_devices_removed ON xmpp_devices (removed_at_ms, key_hash) WHERE removed_at_ms IS NOT NULL;

-- Devices of UWPX. Spec uwpx-push, 5.3.
CREATE TABLE uwpx_devices (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    device_id text COLLATE "C" NOT NULL UNIQUE CHECK (octet_length(device_id) BETWEEN 1 AND 1024),
    channel_uri text COLLATE "C" CHECK (octet_length(channel_uri) BETWEEN 1 AND 2048), -- null: lost
    protocol_version integer CHECK (protocol_version IN (1, 2)), -- null: not known
    channel_set_at_ms bigint NOT NULL,               -- unix milliseconds
    channel_lost_at_ms bigint,                       -- unix milliseconds
    active_at_ms bigint NOT NULL,                    -- unix milliseconds, the last sign of life
    -- What is indexed of it: it stays the same for a day, and such an update touches no index.
    active_day integer NOT NULL GENERATED ALWAYS AS ((active_at_ms / 86400000)::integer) STORED,
    CHECK ((channel_uri IS NULL) = (channel_lost_at_ms IS NOT NULL))
);
ALTER TABLE uwpx_devices SET (fillfactor = 85);
CREATE INDEX uwpx_devices_channel ON uwpx_devices USING hash (channel_uri);
CREATE INDEX uwpx_devices_active ON uwpx_devices (active_day);
CREATE INDEX uwpx_devices_lost ON uwpx_devices (channel_lost_at_ms) WHERE channel_lost_at_ms IS NOT NULL;

-- Accounts of a device: written once, never changed, and gone with it or when it no longer names them.
CREATE TABLE uwpx_accounts (
    device bigint NOT NULL REFERENCES uwpx_devices ON DELETE CASCADE,
    account_id text COLLATE "C" NOT NULL CHECK (octet_length(account_id) BETWEEN 1 AND 1024),
    node text COLLATE "C" NOT NULL UNIQUE CHECK (octet_length(node) BETWEEN 1 AND 1024),
    secret_hash bytea NOT NULL CHECK (octet_length(secret_hash) = 32),
    sealed_secret bytea NOT NULL CHECK (octet_length(sealed_secret) BETWEEN 1 AND 1024),
    domain text COLLATE "C" CHECK (octet_length(domain) <= 4096),
    created_at_ms bigint NOT NULL,                   -- unix milliseconds
    PRIMARY KEY (device, account_id)
);
