-- The directory: what is known about spaces, and nothing of what is in them. Applied once, by whoever migrates; {prefix} is
-- what the names of the installation's roles begin with. Texts are compared byte by byte, as everywhere else.

CREATE TABLE locule.spaces (
    id          uuid        PRIMARY KEY,         -- 128 random bits, never reused
    issuer      text        COLLATE "C" NOT NULL,
    subject     text        COLLATE "C" NOT NULL,
    owner       text        COLLATE "C" NOT NULL UNIQUE, -- whom rows belong to: the subject, or urn:locule:space:…
    placement   text        NOT NULL DEFAULT 'main', -- on which cluster the space lives
    tag         bigint      NOT NULL,            -- what the space's object ids carry
    epoch       bigint      NOT NULL,            -- rises with each suspension and erasure
    state       bigint      NOT NULL,            -- 0 open, 1 suspended, 2 erasing
    born        bigint      NOT NULL,            -- whether there is something in it: if so, nothing is a fault
    created_at  timestamptz NOT NULL,
    not_before  timestamptz,                     -- credentials issued at or before it are void
    seal        bytea       NOT NULL,            -- the key under which the audit trail names this person; goes with the row
    memories    bigint      NOT NULL DEFAULT 0,  -- as the space last published
    size_bytes  bigint      NOT NULL DEFAULT 0,
    revision    bigint      NOT NULL DEFAULT 0,  -- a space that shows an older one was rolled back
    published_at timestamptz,
    UNIQUE (issuer, subject)
);
CREATE INDEX spaces_tag ON locule.spaces (tag);
CREATE INDEX spaces_subject ON locule.spaces (subject);
CREATE INDEX spaces_unfinished ON locule.spaces (id) WHERE state = 2;

-- Who was erased, as a keyed hash: enough to refuse old tokens, too little to name anybody.
CREATE TABLE locule.tombstones (
    who         bytea       PRIMARY KEY,
    erased_at   timestamptz NOT NULL
);

CREATE TABLE locule.keys (
    id          text        COLLATE "C" PRIMARY KEY,
    hash        bytea       NOT NULL,            -- SHA-256 of the secret
    kind        text        NOT NULL,            -- user, service or operator
    issuer      text        COLLATE "C",
    subject     text        COLLATE "C",
    read_only   bigint      NOT NULL,
    act_as      text,
    name        text        NOT NULL,
    created_at  timestamptz NOT NULL,
    expires_at  timestamptz
);
CREATE INDEX keys_owner ON locule.keys (issuer, subject);

CREATE TABLE locule.audit (
    sequence    bigint      PRIMARY KEY,
    time        timestamptz NOT NULL,
    actor_kind  text        NOT NULL,
    actor       bytea       NOT NULL,            -- sealed under the person's key, or hashed for nobody in particular
    target      bytea,                           -- likewise
    space       uuid,                            -- whose key seals
    act         text        NOT NULL,
    outcome     text        NOT NULL,
    request_id  text        NOT NULL,
    link        bytea       NOT NULL
);

-- The data keys of spaces with sealed columns, each wrapped by the master key, which is not in this database.
CREATE TABLE locule.space_keys (
    space       uuid        PRIMARY KEY,
    wrapped     bytea       NOT NULL
);

-- One row. Whoever writes to the directory locks it first, so that there is one writer at a time, which the chain needs.
-- Servers keep answers for as long as the mark is the same: a random one, because a count may come back to where it was when
-- a standby takes over that has not seen the last of them.
CREATE TABLE locule.version (
    one         boolean     PRIMARY KEY DEFAULT true CHECK (one),
    version     bigint      NOT NULL,
    mark        uuid        NOT NULL
) WITH (fillfactor = 10);
INSERT INTO locule.version (version, mark) VALUES (1, gen_random_uuid());

-- Whoever changes what a server may have answered from, also by hand, changes the mark in the same transaction. Figures
-- that spaces publish, and the trail, are no such answers.
CREATE FUNCTION locule.answers_changed() RETURNS trigger
    LANGUAGE plpgsql SET search_path = ''
    AS $$
BEGIN
    UPDATE locule.version SET version = version + 1, mark = pg_catalog.gen_random_uuid();
    RETURN NULL;
END $$;
REVOKE ALL ON FUNCTION locule.answers_changed() FROM PUBLIC;
CREATE TRIGGER answers_changed
    AFTER INSERT OR DELETE OR TRUNCATE
        OR UPDATE OF id, issuer, subject, owner, placement, tag, epoch, state, born, not_before
    ON locule.spaces FOR EACH STATEMENT EXECUTE FUNCTION locule.answers_changed();
CREATE TRIGGER answers_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE
    ON locule.tombstones FOR EACH STATEMENT EXECUTE FUNCTION locule.answers_changed();
CREATE TRIGGER answers_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE
    ON locule.keys FOR EACH STATEMENT EXECUTE FUNCTION locule.answers_changed();

-- The directory's login does what the server does, and no more: what is on record stays on record.
GRANT USAGE ON SCHEMA locule TO "{prefix}_directory";
GRANT SELECT, INSERT, UPDATE, DELETE ON locule.spaces TO "{prefix}_directory";
GRANT SELECT, INSERT, UPDATE ON locule.tombstones TO "{prefix}_directory";
GRANT SELECT, INSERT, DELETE ON locule.keys, locule.space_keys TO "{prefix}_directory";
GRANT SELECT, INSERT ON locule.audit TO "{prefix}_directory";
GRANT SELECT, UPDATE ON locule.version TO "{prefix}_directory";
GRANT SELECT ON locule.migrations TO "{prefix}_directory";

ALTER TABLE locule.spaces OWNER TO "{prefix}_owner";
ALTER TABLE locule.tombstones OWNER TO "{prefix}_owner";
ALTER TABLE locule.keys OWNER TO "{prefix}_owner";
ALTER TABLE locule.audit OWNER TO "{prefix}_owner";
ALTER TABLE locule.space_keys OWNER TO "{prefix}_owner";
ALTER TABLE locule.version OWNER TO "{prefix}_owner";
ALTER FUNCTION locule.answers_changed() OWNER TO "{prefix}_owner";
