-- The end of a migration: what it was allowed to do for as long as it ran is taken back.

-- Whatever part of us made them: tables and functions of this schema are nobody's but those they were granted to.
REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA locule FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA locule FROM PUBLIC, anon, authenticated, service_role, "{prefix}_api";
-- A backup is of everything, by whatever part of us it was made.
GRANT SELECT ON ALL TABLES IN SCHEMA locule TO "{prefix}_backup";
REVOKE CREATE ON SCHEMA locule FROM "{prefix}_helper", "{prefix}_writer";
DO $locule$
DECLARE
    owner text;
BEGIN
    IF current_setting('is_superuser') <> 'on' THEN
        FOREACH owner IN ARRAY ARRAY['{prefix}_owner', '{prefix}_helper', '{prefix}_writer'] LOOP
            EXECUTE format('REVOKE %I FROM %I', owner, current_user);
        END LOOP;
    END IF;
END $locule$;
