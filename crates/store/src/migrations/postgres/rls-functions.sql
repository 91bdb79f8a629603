-- The layout `rls`: what its tables' columns are made with. Whoever calls these is told nothing that is not handed in.

-- The id of a new memory: a UUIDv7, its time in milliseconds and 4,096ths of one, 30 random bits, and at the end the space's
-- tag, as `core/src/id.rs` has it; random bits where the space has none.
CREATE OR REPLACE FUNCTION locule.new_id(tick bigint DEFAULT NULL, tag bigint DEFAULT NULL) RETURNS uuid
    LANGUAGE sql VOLATILE PARALLEL SAFE SET search_path = ''
    AS $$
        SELECT (lpad(to_hex(tick >> 12), 12, '0') || '7' || lpad(to_hex(tick & 4095), 3, '0') || substr(random, 17, 8)
                || coalesce(lpad(to_hex(new_id.tag), 8, '0'), substr(random, 25)))::uuid
        FROM (SELECT coalesce(new_id.tick, microseconds / 1000 << 12 | microseconds % 1000 * 4096 / 1000) AS tick,
                     replace(gen_random_uuid()::text, '-', '') AS random
              FROM (SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS microseconds) AS now) AS parts
    $$;
REVOKE ALL ON FUNCTION locule.new_id(bigint, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION locule.new_id(bigint, bigint) TO "{prefix}_user", "{prefix}_writer", authenticated, service_role;
ALTER FUNCTION locule.new_id(bigint, bigint) OWNER TO "{prefix}_owner";

-- How many bytes a memory counts for: its text, and its metadata as the shortest JSON, without the blanks that PostgreSQL
-- writes after every comma and colon.
CREATE OR REPLACE FUNCTION locule.size_bytes(memory text, metadata jsonb) RETURNS bigint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = ''
    AS $$
        SELECT octet_length(memory) + CASE WHEN metadata = '{}' THEN 0 ELSE octet_length(metadata::text) - (
            SELECT coalesce(sum(CASE jsonb_typeof(value)
                WHEN 'object' THEN greatest(2 * (SELECT count(*) FROM jsonb_object_keys(value)) - 1, 0)
                WHEN 'array' THEN greatest(jsonb_array_length(value) - 1, 0)
                ELSE 0 END), 0)
            FROM jsonb_path_query(metadata, 'strict $.**') AS value) END
    $$;
REVOKE ALL ON FUNCTION locule.size_bytes(text, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION locule.size_bytes(text, jsonb) TO "{prefix}_writer";
ALTER FUNCTION locule.size_bytes(text, jsonb) OWNER TO "{prefix}_owner";
