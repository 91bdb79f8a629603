-- Jobs: work that the space asked for and that is done behind the answer; the user's own settings; and what they think of a
-- memory.

CREATE TABLE space_jobs (
    number       INTEGER PRIMARY KEY,
    id           BLOB    NOT NULL UNIQUE,    -- UUIDv7, 16 bytes; its order is the order of adding
    kind         TEXT    NOT NULL,           -- extract, export, summarize or deliver
    status       TEXT    NOT NULL,           -- pending, running, succeeded or failed
    payload      TEXT,                       -- JSON object; NULL once the job has succeeded
    results      TEXT,                       -- JSON object
    error        TEXT,
    attempts     INTEGER NOT NULL,
    due_at       INTEGER,                    -- NULL when nothing is to be done; while it runs, when the claim lapses
    size_bytes   INTEGER NOT NULL,           -- what it counts for in space_state
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL,
    started_at   INTEGER,
    completed_at INTEGER
) STRICT;
CREATE INDEX space_jobs_due ON space_jobs (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX space_jobs_completed ON space_jobs (completed_at) WHERE completed_at IS NOT NULL;

CREATE TABLE space_settings (
    name         TEXT    PRIMARY KEY,
    value        TEXT    NOT NULL,           -- JSON
    updated_at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

ALTER TABLE memories ADD COLUMN feedback TEXT;         -- POSITIVE, NEGATIVE or VERY_NEGATIVE
ALTER TABLE memories ADD COLUMN feedback_reason TEXT;
