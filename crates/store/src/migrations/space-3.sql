-- Relationships between memories, and what finds the memories of a run.

-- Without foreign keys: a memory's relationships are deleted with it by the statement that also counts what they took, and
-- a key would make SQLite look at memories one by one where all are deleted at once.
CREATE TABLE memory_relationships (
    number            INTEGER PRIMARY KEY,
    id                BLOB    NOT NULL UNIQUE,  -- UUIDv7, 16 bytes; its order is the order of adding
    source_memory_id  BLOB    NOT NULL,
    target_memory_id  BLOB    NOT NULL,
    relationship_type TEXT    NOT NULL,
    strength          REAL    NOT NULL CHECK (strength BETWEEN 0 AND 1),  -- in hundredths
    metadata          TEXT    NOT NULL,         -- JSON object
    created_at        INTEGER NOT NULL,
    CHECK (source_memory_id <> target_memory_id),
    UNIQUE (source_memory_id, target_memory_id, relationship_type)  -- which is also what finds those of a source
) STRICT;
CREATE INDEX memory_relationships_target ON memory_relationships (target_memory_id);

CREATE INDEX memories_run ON memories (run_id) WHERE run_id IS NOT NULL;
