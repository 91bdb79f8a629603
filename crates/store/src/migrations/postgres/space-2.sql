-- Jobs: work that the space asked for and that is done behind the answer; the user's own settings; and what they think of a
-- memory.

CREATE TABLE space_jobs (
    id           uuid        PRIMARY KEY,        -- UUIDv7; its order is the order of adding
    kind         text        NOT NULL,           -- extract, export, summarize or deliver
    status       text        NOT NULL,           -- pending, running, succeeded or failed
    payload      text,                           -- JSON object; NULL once the job has succeeded
    results      text,                           -- JSON object
    error        text,
    attempts     bigint      NOT NULL,
    due_at       timestamptz,                    -- NULL when nothing is to be done; while it runs, when the claim lapses
    size_bytes   bigint      NOT NULL,           -- what it counts for in space_state
    created_at   timestamptz NOT NULL,
    updated_at   timestamptz NOT NULL,
    started_at   timestamptz,
    completed_at timestamptz
);
CREATE INDEX space_jobs_due ON space_jobs (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX space_jobs_completed ON space_jobs (completed_at) WHERE completed_at IS NOT NULL;

CREATE TABLE space_settings (
    name         text        COLLATE "C" PRIMARY KEY,
    value        text        NOT NULL,           -- JSON
    updated_at   timestamptz NOT NULL
);

ALTER TABLE memories ADD COLUMN feedback text, ADD COLUMN feedback_reason text;
