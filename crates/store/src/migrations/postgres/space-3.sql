-- The context that agents share.

CREATE TABLE context_entries (
    id           uuid        PRIMARY KEY,        -- UUIDv7, anew with each writing; its order is the order of writing
    key_hash     text        COLLATE "C" NOT NULL UNIQUE, -- SHA-256 of the key
    key          text        NOT NULL,           -- JSON string in ASCII, like all names here
    value        text        NOT NULL,           -- JSON in ASCII
    audience     text,                           -- JSON list of agents; NULL for everybody
    topics       text        NOT NULL,           -- JSON list
    writer       text,
    metadata     text,                           -- JSON object
    ttl_s        double precision,
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz,
    revision     bigint      NOT NULL,           -- of the space, when it was written
    size_bytes   bigint      NOT NULL            -- what it counts for in space_state
);
CREATE INDEX context_entries_revision ON context_entries (revision);
CREATE INDEX context_entries_expires ON context_entries (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE context_agents (
    id           uuid        PRIMARY KEY,        -- its order is the order of beginning to follow
    name_hash    text        COLLATE "C" NOT NULL UNIQUE,
    name         text        NOT NULL,
    topics       text        NOT NULL,           -- JSON list of those it follows
    posts        text,                           -- JSON list of those it may post to; NULL for any
    size_bytes   bigint      NOT NULL
);
