-- Which spaces have work to be done, and what is so of an issuer's application as a whole.

-- No later than its space's first job is due: one mark too many costs a look. Nothing of what the work is. No server answers
-- from it, so that it has no part in the mark of the directory.
CREATE TABLE locule.work (
    space       uuid        PRIMARY KEY,
    due_at      timestamptz NOT NULL
);
CREATE INDEX work_due ON locule.work (due_at);

CREATE TABLE locule.projects (
    issuer      text        COLLATE "C" PRIMARY KEY,
    settings    text        NOT NULL,            -- JSON object
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL
);

CREATE TABLE locule.webhooks (
    id          text        COLLATE "C" PRIMARY KEY,
    issuer      text        COLLATE "C" NOT NULL,
    name        text        NOT NULL,
    url         text        NOT NULL,
    event_types text[]      NOT NULL,
    secret      bytea       NOT NULL,            -- what deliveries are signed with, sealed under a key of the installation
    is_active   bigint      NOT NULL,
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL
);
CREATE INDEX webhooks_issuer ON locule.webhooks (issuer);

CREATE TRIGGER answers_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE
    ON locule.projects FOR EACH STATEMENT EXECUTE FUNCTION locule.answers_changed();
CREATE TRIGGER answers_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE
    ON locule.webhooks FOR EACH STATEMENT EXECUTE FUNCTION locule.answers_changed();

GRANT SELECT, INSERT, UPDATE, DELETE ON locule.work, locule.projects, locule.webhooks TO "{prefix}_directory";

ALTER TABLE locule.work OWNER TO "{prefix}_owner";
ALTER TABLE locule.projects OWNER TO "{prefix}_owner";
ALTER TABLE locule.webhooks OWNER TO "{prefix}_owner";
