-- What is known about spaces, and nothing of what is in them.

CREATE TABLE spaces (
    id          BLOB    PRIMARY KEY,         -- 16 random bytes, never reused
    issuer      TEXT    NOT NULL,
    subject     TEXT    NOT NULL,
    tag         INTEGER NOT NULL,            -- what the space's object ids carry
    epoch       INTEGER NOT NULL,            -- rises with each suspension and erasure
    state       INTEGER NOT NULL,            -- 0 open, 1 suspended, 2 erasing
    born        INTEGER NOT NULL,            -- whether files exist: if so, missing ones are a fault
    created_at  INTEGER NOT NULL,            -- all times: microseconds since 1970, UTC
    not_before  INTEGER,                     -- credentials issued at or before it are void
    seal        BLOB    NOT NULL,            -- the key under which the audit trail names this person; dies with the row
    memories    INTEGER NOT NULL DEFAULT 0,  -- as the space last published
    size_bytes  INTEGER NOT NULL DEFAULT 0,
    revision    INTEGER NOT NULL DEFAULT 0,  -- a space that shows an older one was rolled back
    published_at INTEGER,
    UNIQUE (issuer, subject)
) STRICT, WITHOUT ROWID;
CREATE INDEX spaces_tag ON spaces (tag);

-- Who was erased, as a keyed hash: enough to refuse old tokens, too little to name anybody.
CREATE TABLE tombstones (
    who         BLOB    PRIMARY KEY,
    erased_at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE keys (
    id          TEXT    PRIMARY KEY,
    hash        BLOB    NOT NULL,            -- SHA-256 of the secret
    kind        TEXT    NOT NULL,            -- user, service or operator
    issuer      TEXT,
    subject     TEXT,
    read_only   INTEGER NOT NULL,
    act_as      TEXT,
    name        TEXT    NOT NULL,
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX keys_owner ON keys (issuer, subject);

CREATE TABLE audit (
    sequence    INTEGER PRIMARY KEY,
    time        INTEGER NOT NULL,
    actor_kind  TEXT    NOT NULL,
    actor       BLOB    NOT NULL,            -- sealed under the person's key, or the installation's for nobody in particular
    target      BLOB,                        -- likewise
    space       BLOB,                        -- whose key seals
    act         TEXT    NOT NULL,
    outcome     TEXT    NOT NULL,
    request_id  TEXT    NOT NULL,
    link        BLOB    NOT NULL
) STRICT;
