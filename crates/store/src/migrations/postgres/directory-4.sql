-- Where ids lead that came from elsewhere, and so do not carry their space's tag. A lead too many costs a look. No server keeps
-- answers made from it, so that it has no part in the mark of the directory.
CREATE TABLE locule.leads (
    tag         bigint      NOT NULL,            -- what stands in the id in the tag's place
    space       uuid        NOT NULL,
    PRIMARY KEY (tag, space)
);
CREATE INDEX leads_space ON locule.leads (space);

GRANT SELECT, INSERT, DELETE ON locule.leads TO "{prefix}_directory";

ALTER TABLE locule.leads OWNER TO "{prefix}_owner";
