-- One space. There is no user in it: the file is the user.

CREATE TABLE memories (
    number      INTEGER PRIMARY KEY,         -- what vectors and the word index call it
    id          BLOB    NOT NULL UNIQUE,     -- UUIDv7, 16 bytes; its order is the order of adding
    memory      TEXT    NOT NULL,
    agent_id    TEXT,
    run_id      TEXT,
    app_id      TEXT,
    categories  TEXT    NOT NULL,            -- JSON list of texts
    metadata    TEXT    NOT NULL,            -- JSON object
    hash        TEXT    NOT NULL,            -- MD5 of the text, 32 hex digits
    expiration  INTEGER,                     -- all times: microseconds since 1970, UTC
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL
) STRICT;

-- The same text is kept once for each agent, run and app. (A label is never empty, so '' stands for none.)
CREATE UNIQUE INDEX memories_same ON memories (hash, coalesce(agent_id, ''), coalesce(run_id, ''), coalesce(app_id, ''));
CREATE INDEX memories_expiration ON memories (expiration) WHERE expiration IS NOT NULL;

-- Apart from the texts, so that a space's vectors are read in one sweep.
CREATE TABLE vectors (
    number      INTEGER PRIMARY KEY,
    embedding   BLOB    NOT NULL             -- half-precision floats, little-endian, unit length
) STRICT;

CREATE VIRTUAL TABLE words USING fts5 (
    memory, content = 'memories', content_rowid = 'number', tokenize = 'porter unicode61 remove_diacritics 2'
);
INSERT INTO words (words, rank) VALUES ('secure-delete', 1);

-- Changes and deletions. That a memory was added is told by the memory itself.
CREATE TABLE history (
    number      INTEGER PRIMARY KEY,
    memory_id   BLOB    NOT NULL,
    event       TEXT    NOT NULL,            -- UPDATE or DELETE
    old_memory  TEXT,                        -- both NULL once the memory is deleted
    new_memory  TEXT,
    created_at  INTEGER NOT NULL,            -- of the memory
    at          INTEGER NOT NULL
) STRICT;
CREATE INDEX history_memory ON history (memory_id, number);

CREATE TABLE audit (
    sequence    INTEGER PRIMARY KEY,
    time        INTEGER NOT NULL,
    actor_kind  TEXT    NOT NULL,
    actor       TEXT    NOT NULL,
    on_behalf_of TEXT,
    act         TEXT    NOT NULL,
    object      TEXT,
    outcome     TEXT    NOT NULL,
    request_id  TEXT    NOT NULL,
    link        BLOB    NOT NULL             -- SHA-256 over the entry and the link before
) STRICT;

-- One row: what must be known of the whole space without counting it.
CREATE TABLE state (
    one         INTEGER PRIMARY KEY CHECK (one = 1),
    revision    INTEGER NOT NULL,            -- rises with every commit
    memories    INTEGER NOT NULL,
    size_bytes  INTEGER NOT NULL,            -- of texts, metadata and vectors
    model       TEXT,                        -- whose vectors these are; NULL before the first
    dimension   INTEGER
) STRICT;
INSERT INTO state (one, revision, memories, size_bytes) VALUES (1, 0, 0, 0);
