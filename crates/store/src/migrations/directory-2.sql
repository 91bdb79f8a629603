-- Where spaces are kept, and those that are on their way to another place.

ALTER TABLE spaces ADD COLUMN placement TEXT NOT NULL DEFAULT 'file';

-- What a move has got to: one that was cut short is finished, or taken back.
CREATE TABLE moves (
    space       BLOB    PRIMARY KEY,
    issuer      TEXT    NOT NULL,
    subject     TEXT    NOT NULL,
    source      TEXT    NOT NULL,            -- where it is, or was
    target      TEXT    NOT NULL,            -- where it goes
    state       INTEGER NOT NULL,            -- of the space before
    owner       TEXT,                        -- of its rows, where rows have owners
    phase       INTEGER NOT NULL,            -- 0 it is copied, 1 it is handed over and the old copy is to be destroyed
    began_at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Who is in another installation now, as a keyed hash: enough to say so, too little to name anybody.
CREATE TABLE moved (
    who         BLOB    PRIMARY KEY,
    space       BLOB    NOT NULL,
    target      TEXT    NOT NULL,
    moved_at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX moved_space ON moved (space);

-- What is so of the installation as a whole: `moving_to` while it takes no new users, `moved_to` once it has no more.
CREATE TABLE installation (
    name        TEXT    PRIMARY KEY,
    value       TEXT    NOT NULL
) STRICT, WITHOUT ROWID;
