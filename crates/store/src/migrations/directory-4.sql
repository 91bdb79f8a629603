-- Where ids lead that came from elsewhere, and so do not carry their space's tag. A lead too many costs a look.
CREATE TABLE leads (
    tag         INTEGER NOT NULL,            -- what stands in the id in the tag's place
    space       BLOB    NOT NULL,
    PRIMARY KEY (tag, space)
) STRICT, WITHOUT ROWID;
CREATE INDEX leads_space ON leads (space);
