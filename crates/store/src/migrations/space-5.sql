-- The context that agents share.

CREATE TABLE context_entries (
    id           BLOB    PRIMARY KEY NOT NULL,   -- UUIDv7, 16 bytes, anew with each writing; its order is the order of writing
    key_hash     TEXT    NOT NULL UNIQUE,        -- SHA-256 of the key
    key          TEXT    NOT NULL,               -- JSON string in ASCII, like all names here
    value        TEXT    NOT NULL,               -- JSON in ASCII
    audience     TEXT,                           -- JSON list of agents; NULL for everybody
    topics       TEXT    NOT NULL,               -- JSON list
    writer       TEXT,
    metadata     TEXT,                           -- JSON object
    ttl_s        REAL,
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER,
    revision     INTEGER NOT NULL,               -- of the space, when it was written
    size_bytes   INTEGER NOT NULL                -- what it counts for in space_state
) STRICT;
CREATE INDEX context_entries_revision ON context_entries (revision);
CREATE INDEX context_entries_expires ON context_entries (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE context_agents (
    id           BLOB    PRIMARY KEY NOT NULL,   -- its order is the order of beginning to follow
    name_hash    TEXT    NOT NULL UNIQUE,
    name         TEXT    NOT NULL,
    topics       TEXT    NOT NULL,               -- JSON list of those it follows
    posts        TEXT,                           -- JSON list of those it may post to; NULL for any
    size_bytes   INTEGER NOT NULL
) STRICT;
