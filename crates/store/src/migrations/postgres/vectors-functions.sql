-- Where pgvector is there, every vector stands a second time in a column of its type, for those who search with SQL. The
-- server does without: it compares a space's vectors in its memory, each of them. Applied again and again; what is made here
-- is in the schema {home}.

-- Whoever writes a vector, by whatever way, writes the other with it. (Without the extension nothing calls it. It names nothing
-- of the extension's, so that who writes need not be allowed to look into its schema.) What is not of unit length is no vector
-- of ours, and so what is sealed is none.
CREATE OR REPLACE FUNCTION {home}.keep_vector() RETURNS trigger
    LANGUAGE plpgsql SET search_path = ''
    AS $$
DECLARE
    numbers real[] := array_fill(NULL::real, ARRAY[octet_length(NEW.embedding) / 2]);
    half integer;
    number float8;
    square float8 := 0;
    -- What one step of the fraction is worth, by the exponent. Nothing of unit length has a higher one than the last.
    steps CONSTANT float8[] := '{5.9604644775390625e-08,5.9604644775390625e-08,1.1920928955078125e-07,2.384185791015625e-07,
        4.76837158203125e-07,9.5367431640625e-07,1.9073486328125e-06,3.814697265625e-06,7.62939453125e-06,1.52587890625e-05,
        3.0517578125e-05,6.103515625e-05,1.220703125e-04,2.44140625e-04,4.8828125e-04,9.765625e-04}';
BEGIN
    FOR place IN 1 .. octet_length(NEW.embedding) / 2 LOOP
        half := get_byte(NEW.embedding, 2 * place - 2) | (get_byte(NEW.embedding, 2 * place - 1) << 8);
        -- An exponent of 0 is for numbers so small that their fraction has no leading 1.
        number := steps[1 + (half >> 10 & 31)] * (1 - (half >> 14 & 2))
            * (CASE WHEN half & 31744 = 0 THEN half & 1023 ELSE 1024 + (half & 1023) END);
        numbers[place] := number;
        square := square + number * number;
    END LOOP;
    IF square BETWEEN 0.98 AND 1.02 THEN
        NEW.vector := numbers;
    ELSE
        NEW.vector := NULL;
    END IF;
    RETURN NEW;
END $$;
REVOKE ALL ON FUNCTION {home}.keep_vector() FROM PUBLIC;
ALTER FUNCTION {home}.keep_vector() OWNER TO "{prefix}_owner";

-- Those who may read vectors may compare them, and the owner makes columns of the type.
DO $locule$
DECLARE
    place regnamespace := (SELECT extnamespace FROM pg_catalog.pg_extension WHERE extname = 'vector');
    reader text;
BEGIN
    FOREACH reader IN ARRAY ARRAY['{prefix}_owner', 'authenticated', 'service_role'] LOOP
        IF NOT has_schema_privilege(reader, place, 'USAGE') THEN
            EXECUTE format('GRANT USAGE ON SCHEMA %s TO %I', place, reader);
        END IF;
    END LOOP;
END $locule$;
