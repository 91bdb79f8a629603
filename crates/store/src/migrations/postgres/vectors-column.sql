-- The second column of {tables}.memory_vectors, where this database has pgvector and vectors-functions.sql was applied to it.
--
-- Its vectors may be of any dimension: spaces differ. There is no index over them: over all users' it would give the nearest
-- of all, of which row security leaves few or none.
DO $locule$
DECLARE
    -- Before its version 0.7 it knows no vectors of half precision.
    kind regtype := (SELECT pg_type.oid FROM pg_catalog.pg_type JOIN pg_catalog.pg_extension ON extnamespace = typnamespace
                     WHERE extname = 'vector' AND typname = 'halfvec');
BEGIN
    IF kind IS NULL OR to_regprocedure('{home}.keep_vector()') IS NULL
        OR NOT has_schema_privilege((SELECT typnamespace FROM pg_catalog.pg_type WHERE oid = kind), 'USAGE')
    THEN
        RETURN;
    END IF;
    EXECUTE format('ALTER TABLE {tables}.memory_vectors ADD COLUMN IF NOT EXISTS vector %s', kind);
    -- That the trigger is about the column lets it go with the column, should somebody drop the extension.
    CREATE OR REPLACE TRIGGER locule_vector BEFORE INSERT OR UPDATE OF embedding, vector ON {tables}.memory_vectors
        FOR EACH ROW EXECUTE FUNCTION {home}.keep_vector();
END $locule$;
