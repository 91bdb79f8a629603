-- Which spaces have work to be done, and what is so of an issuer's application as a whole.

-- No later than its space's first job is due: one mark too many costs a look. Nothing of what the work is.
CREATE TABLE work (
    space       BLOB    PRIMARY KEY,
    due_at      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX work_due ON work (due_at);

CREATE TABLE projects (
    issuer      TEXT    PRIMARY KEY,
    settings    TEXT    NOT NULL,            -- JSON object
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE webhooks (
    id          TEXT    PRIMARY KEY,
    issuer      TEXT    NOT NULL,
    name        TEXT    NOT NULL,
    url         TEXT    NOT NULL,
    event_types TEXT    NOT NULL,            -- JSON list of texts
    secret      BLOB    NOT NULL,            -- what deliveries are signed with, sealed under a key of the installation
    is_active   INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX webhooks_issuer ON webhooks (issuer);
