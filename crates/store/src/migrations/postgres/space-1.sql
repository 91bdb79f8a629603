-- One space, in a schema or a database of its own: the tables of the layout `rls` without an owner in them.

CREATE TABLE memories (
    number      bigint      PRIMARY KEY,         -- what vectors call it
    id          uuid        NOT NULL UNIQUE,     -- UUIDv7; its order is the order of adding
    memory      text        NOT NULL,
    agent_id    text,
    run_id      text,
    app_id      text,
    categories  text[]      NOT NULL DEFAULT '{}',
    metadata    jsonb       NOT NULL DEFAULT '{}',
    hash        text        NOT NULL,            -- MD5 of the text, 32 hex digits
    expiration  timestamptz,
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL
);
-- The same text is kept once for each agent, run and app. (A label is never empty, so '' stands for none.)
CREATE UNIQUE INDEX memories_same ON memories (hash, coalesce(agent_id, ''), coalesce(run_id, ''), coalesce(app_id, ''));
CREATE INDEX memories_run ON memories (run_id) WHERE run_id IS NOT NULL;
CREATE INDEX memories_expiration ON memories (expiration) WHERE expiration IS NOT NULL;

CREATE TABLE memory_vectors (
    number      bigint      PRIMARY KEY,
    embedding   bytea       NOT NULL             -- half-precision floats, little-endian, unit length
);
-- Vectors do not compress: trying would be for nothing.
ALTER TABLE memory_vectors ALTER COLUMN embedding SET STORAGE EXTERNAL;

CREATE TABLE memory_history (
    number      bigint      PRIMARY KEY,
    memory_id   uuid,
    operation   text        NOT NULL CHECK (operation IN ('create', 'update', 'delete', 'read', 'export', 'erase', 'access_denied')),
    old_value   jsonb,                           -- objects {"memory": …}; both NULL once the memory is deleted
    new_value   jsonb,
    created_at  timestamptz,                     -- of the memory
    timestamp   timestamptz NOT NULL DEFAULT now(),
    metadata    jsonb       NOT NULL DEFAULT '{}'
);
CREATE INDEX memory_history_memory ON memory_history (memory_id, number);

CREATE TABLE memory_relationships (
    id          uuid        PRIMARY KEY,
    source_memory_id uuid   NOT NULL REFERENCES memories (id) ON DELETE CASCADE,
    target_memory_id uuid   NOT NULL REFERENCES memories (id) ON DELETE CASCADE,
    relationship_type text  NOT NULL,
    strength    float8      NOT NULL DEFAULT 1 CHECK (strength BETWEEN 0 AND 1),
    metadata    jsonb       NOT NULL DEFAULT '{}',
    created_at  timestamptz NOT NULL,
    CONSTRAINT no_self_reference CHECK (source_memory_id <> target_memory_id),
    CONSTRAINT unique_relationship UNIQUE (source_memory_id, target_memory_id, relationship_type)
);
CREATE INDEX memory_relationships_target ON memory_relationships (target_memory_id);

CREATE TABLE space_audit (
    sequence    bigint      PRIMARY KEY,
    time        timestamptz NOT NULL,
    actor_kind  text        NOT NULL,
    actor       text        NOT NULL,
    on_behalf_of text,
    act         text        NOT NULL,
    object      text,
    outcome     text        NOT NULL,
    request_id  text        NOT NULL,
    link        bytea       NOT NULL             -- SHA-256 over the entry and the link before
);

-- One row: what must be known of the whole space without counting it.
CREATE TABLE space_state (
    one         boolean     PRIMARY KEY DEFAULT true CHECK (one),
    revision    bigint      NOT NULL,            -- rises with every commit
    memories    bigint      NOT NULL,
    size_bytes  bigint      NOT NULL,            -- of texts, metadata and vectors
    model       text,                            -- whose vectors these are; NULL before the first
    dimension   bigint
);
INSERT INTO space_state (revision, memories, size_bytes) VALUES (0, 0, 0);
