-- Spaces that are on their way to another place. (Where they are kept is in the first step; 'main' is where the server keeps
-- those that it makes.)

-- What a move has got to: one that was cut short is finished, or taken back.
CREATE TABLE locule.moves (
    space       uuid        PRIMARY KEY,
    issuer      text        COLLATE "C" NOT NULL,
    subject     text        COLLATE "C" NOT NULL,
    source      text        NOT NULL,            -- where it is, or was
    target      text        NOT NULL,            -- where it goes
    state       bigint      NOT NULL,            -- of the space before
    owner       text        COLLATE "C",         -- of its rows
    phase       bigint      NOT NULL,            -- 0 it is copied, 1 it is handed over and the old copy is to be destroyed
    began_at    timestamptz NOT NULL
);

-- Who is in another installation now, as a keyed hash: enough to say so, too little to name anybody.
CREATE TABLE locule.moved (
    who         bytea       PRIMARY KEY,
    space       uuid        NOT NULL,
    target      text        NOT NULL,
    moved_at    timestamptz NOT NULL
);
CREATE INDEX moved_space ON locule.moved (space);

-- What is so of the installation as a whole: `moving_to` while it takes no new users, `moved_to` once it has no more.
CREATE TABLE locule.installation (
    name        text        COLLATE "C" PRIMARY KEY,
    value       text        NOT NULL
);

CREATE TRIGGER answers_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE
    ON locule.moved FOR EACH STATEMENT EXECUTE FUNCTION locule.answers_changed();
CREATE TRIGGER answers_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE
    ON locule.installation FOR EACH STATEMENT EXECUTE FUNCTION locule.answers_changed();

GRANT SELECT, INSERT, UPDATE, DELETE ON locule.moves, locule.moved, locule.installation TO "{prefix}_directory";

ALTER TABLE locule.moves OWNER TO "{prefix}_owner";
ALTER TABLE locule.moved OWNER TO "{prefix}_owner";
ALTER TABLE locule.installation OWNER TO "{prefix}_owner";
