-- The names that PostgreSQL's tables have too, and the history in the columns that people know from mem0.

ALTER TABLE vectors RENAME TO memory_vectors;
ALTER TABLE audit RENAME TO space_audit;
ALTER TABLE state RENAME TO space_state;

CREATE TABLE memory_history (
    number      INTEGER PRIMARY KEY,
    memory_id   BLOB,
    operation   TEXT    NOT NULL,            -- update or delete; that a memory was added is told by the memory itself
    old_value   TEXT,                        -- JSON objects {"memory": …}; both NULL once the memory is deleted
    new_value   TEXT,
    created_at  INTEGER NOT NULL,            -- of the memory
    timestamp   INTEGER NOT NULL
) STRICT;
INSERT INTO memory_history
SELECT number, memory_id, lower(event), CASE WHEN old_memory IS NOT NULL THEN json_object('memory', old_memory) END,
       CASE WHEN new_memory IS NOT NULL THEN json_object('memory', new_memory) END, created_at, at FROM history;
DROP TABLE history;
CREATE INDEX memory_history_memory ON memory_history (memory_id, number);
