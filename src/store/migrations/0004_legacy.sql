-- Older clients (SPNS v1, Bchat). Everything of a brand is read at its start and kept in memory; the tables are the truth.
-- Ids and tokens are whatever clients sent. Their lengths are checked here too: an index holds both ids of a membership.
-- Byte order ("C"), since nobody reads these lists and comparing by a language's rules costs time.

-- A token belongs to one account of its brand. With removed_at_ms it is a tombstone: a provider called the device dead,
-- it gets nothing, and is kept for some days, so that a provider (or a setting) that was wrong costs nobody anything.
CREATE TABLE legacy_devices (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- ascends with the first registration
    brand text COLLATE "C" NOT NULL CHECK (octet_length(brand) BETWEEN 1 AND 100),
    token text COLLATE "C" NOT NULL CHECK (octet_length(token) BETWEEN 1 AND 999),
    account text COLLATE "C" NOT NULL CHECK (octet_length(account) BETWEEN 1 AND 1024),
    type text NOT NULL CHECK (type IN ('ios', 'android', 'huawei', 'unknown')),
    groups_only boolean NOT NULL,
    registered_at_ms bigint NOT NULL,                -- unix milliseconds, the last registration
    removed_at_ms bigint,                            -- unix milliseconds; null = it lives
    UNIQUE (brand, token)
);
-- Clients register again every twelve hours: with room in the page, and no index on what changes then, such an update
-- stays in its page and touches no index.
ALTER TABLE legacy_devices SET (fillfactor = 90);
CREATE INDEX legacy_devices_living ON legacy_devices (brand, id) WHERE removed_at_ms IS NULL;
CREATE INDEX legacy_devices_dead ON legacy_devices (removed_at_ms, id) WHERE removed_at_ms IS NOT NULL;

-- Who gets what is sent to a group. Neither side need have devices.
CREATE TABLE legacy_members (
    brand text COLLATE "C" NOT NULL CHECK (octet_length(brand) BETWEEN 1 AND 100),
    group_id text COLLATE "C" NOT NULL CHECK (octet_length(group_id) BETWEEN 1 AND 1024),
    account text COLLATE "C" NOT NULL CHECK (octet_length(account) BETWEEN 1 AND 1024),
    PRIMARY KEY (brand, group_id, account)
);

-- Statistics of /get_statistics_data: one row per period. Spec session-push-v1, section 6.
CREATE TABLE legacy_periods (
    brand text COLLATE "C" NOT NULL,
    start_ms bigint NOT NULL,                        -- unix milliseconds
    end_ms bigint NOT NULL,                          -- unix milliseconds: when it was written last, or its end
    ios_pushes bigint NOT NULL,                      -- attempts
    android_pushes bigint NOT NULL,                  -- attempts, Huawei's included
    messages bigint NOT NULL,
    group_messages bigint NOT NULL,
    untracked_messages bigint NOT NULL,
    account_messages bigint NOT NULL,
    PRIMARY KEY (brand, start_ms)
);
