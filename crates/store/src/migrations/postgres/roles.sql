-- Who there is: roles that own, roles that only do one thing, and logins that can do nothing by themselves. Roles belong to
-- the whole cluster, so all of ours begin with one word, {prefix}, that an installation may choose.
--
-- Applied again and again: it makes what is missing, puts right what can be put right, and stops at what it must not touch.

DO $locule$
BEGIN
    IF current_setting('server_version_num')::integer < 150000 THEN
        RAISE EXCEPTION 'PostgreSQL 15 or later is needed; this is %.', current_setting('server_version')
            USING ERRCODE = 'feature_not_supported';
    END IF;
    IF pg_catalog.getdatabaseencoding() <> 'UTF8' THEN
        RAISE EXCEPTION 'This database is encoded in %; it must be UTF8, or ids and hashes differ from everywhere else.',
            pg_catalog.getdatabaseencoding() USING ERRCODE = 'feature_not_supported';
    END IF;
    -- An advisory lock reaches no further than its database, and two databases of one cluster share the roles.
    IF current_setting('is_superuser') = 'on' THEN
        LOCK TABLE pg_catalog.pg_authid IN SHARE ROW EXCLUSIVE MODE;
    END IF;
END $locule$;

DO $locule$
DECLARE
    wanted record;
    found pg_catalog.pg_roles;
    password text;
BEGIN
    FOR wanted IN SELECT * FROM (VALUES
        -- name, options, whether it is made at all, whether another's is taken as it is
        ('{prefix}_owner', 'NOLOGIN NOINHERIT', true, false),
        ('{prefix}_helper', 'NOLOGIN NOINHERIT', true, false),
        ('{prefix}_writer', 'NOLOGIN NOINHERIT', true, false),
        ('{prefix}_user', 'NOLOGIN NOINHERIT', true, false),
        ('{prefix}_api', 'LOGIN NOINHERIT', true, false),
        ('{prefix}_directory', 'LOGIN NOINHERIT', true, false),
        -- It makes schemas, databases and their roles for spaces, and only the layouts of those names have need of it: until
        -- PostgreSQL 16, CREATEROLE is the right to become anybody but a superuser.
        ('{prefix}_keeper', 'LOGIN INHERIT CREATEDB CREATEROLE', current_setting('locule.with_keeper', true) = 'on', false),
        -- What the logins of spaces' databases have in common.
        ('{prefix}_space', 'NOLOGIN NOINHERIT', current_setting('locule.with_keeper', true) = 'on', false),
        ('{prefix}_backup', 'NOLOGIN NOINHERIT BYPASSRLS', true, false),
        -- As Supabase makes them, where it has not made them.
        ('anon', 'NOLOGIN NOINHERIT', true, true),
        ('authenticated', 'NOLOGIN NOINHERIT', true, true),
        ('service_role', 'NOLOGIN NOINHERIT BYPASSRLS', true, true)
    ) AS roles (name, options, made, reused) WHERE made IS TRUE
    LOOP
        SELECT * INTO found FROM pg_catalog.pg_roles WHERE rolname = wanted.name;
        IF found.rolname IS NULL THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I %s', wanted.name, wanted.options);
            EXCEPTION
                -- Another database of this cluster was first.
                WHEN duplicate_object OR unique_violation THEN NULL;
                -- Managed databases do not always let BYPASSRLS be given. Without it a role with no policy sees nothing:
                -- that is a fault to report and none to fear.
                WHEN insufficient_privilege THEN
                    EXECUTE format('CREATE ROLE %I %s', wanted.name, replace(wanted.options, ' BYPASSRLS', ''));
            END;
        ELSIF NOT wanted.reused AND (
            found.rolsuper OR found.rolreplication
            OR found.rolcanlogin <> (wanted.options ~ '\mLOGIN')
            OR found.rolbypassrls AND wanted.options !~ 'BYPASSRLS'
            OR found.rolcreaterole AND wanted.options !~ 'CREATEROLE'
            OR found.rolcreatedb AND wanted.options !~ 'CREATEDB')
        THEN
            RAISE EXCEPTION 'The role % is there already and may do more than it should. Drop it, or choose another prefix.',
                wanted.name USING ERRCODE = 'insufficient_privilege';
        END IF;
        -- What is handed in may be a password or, better, its SCRAM verifier; no statement that is logged has it in it.
        password := nullif(current_setting('locule.password_' || replace(wanted.name, '{prefix}_', ''), true), '');
        IF password IS NOT NULL AND wanted.options ~ '\mLOGIN' AND NOT wanted.reused THEN
            EXECUTE format('ALTER ROLE %I PASSWORD %L', wanted.name, password);
        END IF;
    END LOOP;

    -- A migration run by no superuser has to be a member of the owners to hand tables and functions over to them. It
    -- leaves again at the end.
    IF current_setting('is_superuser') <> 'on' THEN
        FOR wanted IN SELECT unnest(ARRAY['{prefix}_owner', '{prefix}_helper', '{prefix}_writer']) AS name LOOP
            IF NOT pg_catalog.pg_has_role(current_user, wanted.name, 'USAGE') THEN
                EXECUTE format('GRANT %I TO %I', wanted.name, current_user);
            END IF;
        END LOOP;
    END IF;

    -- The login of requests is a member of what a request may become, and inherits nothing from any of them. Not of
    -- service_role, and not of the owner: SET ROLE leads nowhere else.
    FOR wanted IN SELECT unnest(ARRAY['{prefix}_user', 'authenticated', 'anon']) AS name LOOP
        IF NOT EXISTS (
            SELECT FROM pg_catalog.pg_auth_members
            WHERE roleid = to_regrole(quote_ident(wanted.name)) AND member = to_regrole('"{prefix}_api"')
        ) THEN
            EXECUTE format('GRANT %I TO %I', wanted.name, '{prefix}_api');
        END IF;
    END LOOP;
END $locule$;

CREATE SCHEMA IF NOT EXISTS locule;
DO $locule$
BEGIN
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO "{prefix}_api", "{prefix}_directory"', current_database());
    IF to_regrole('"{prefix}_keeper"') IS NOT NULL THEN
        EXECUTE format('GRANT CONNECT ON DATABASE %I TO "{prefix}_keeper"', current_database());
        -- Schemas and databases are the owner's; the keeper becomes it to make them.
        EXECUTE format('GRANT CREATE ON DATABASE %I TO "{prefix}_owner"', current_database());
        GRANT "{prefix}_owner" TO "{prefix}_keeper";
        GRANT "{prefix}_space" TO "{prefix}_keeper" WITH ADMIN OPTION;
    END IF;
    -- Whoever may make a temporary table may stand it before one of the same name, and may leave it behind for the next
    -- client of a pooler.
    EXECUTE format('REVOKE CREATE, TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());
    -- A new owner of a table has to be allowed to make one in its schema.
    GRANT CREATE, USAGE ON SCHEMA public TO "{prefix}_owner";
    GRANT CREATE, USAGE ON SCHEMA locule TO "{prefix}_owner", "{prefix}_helper", "{prefix}_writer";
    IF pg_catalog.pg_get_userbyid((SELECT nspowner FROM pg_catalog.pg_namespace WHERE nspname = 'locule'))
        <> '{prefix}_owner'
    THEN
        EXECUTE format('GRANT CREATE ON DATABASE %I TO "{prefix}_owner"', current_database());
        ALTER SCHEMA locule OWNER TO "{prefix}_owner";
        IF to_regrole('"{prefix}_keeper"') IS NULL THEN
            EXECUTE format('REVOKE CREATE ON DATABASE %I FROM "{prefix}_owner"', current_database());
        END IF;
    END IF;
END $locule$;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
REVOKE ALL ON SCHEMA locule FROM PUBLIC, anon, authenticated, service_role;
-- What stands in policies, defaults and triggers was looked up when they were made: only who writes a name needs this.
-- (The server binds a transaction and asks whose it is in one statement, whose names are looked up before it is bound.)
GRANT USAGE ON SCHEMA locule TO "{prefix}_user", "{prefix}_api", "{prefix}_directory", "{prefix}_backup";
GRANT USAGE ON SCHEMA public TO "{prefix}_user", "{prefix}_helper", "{prefix}_writer", "{prefix}_directory", "{prefix}_backup";
GRANT USAGE ON SCHEMA public TO anon, authenticated, service_role;

-- What has been applied to this database.
CREATE TABLE IF NOT EXISTS locule.migrations (
    name        text        PRIMARY KEY,     -- rls, directory
    version     integer     NOT NULL,
    prefix      text        NOT NULL,        -- which roles: nothing else in the database tells
    applied_at  timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE locule.migrations OWNER TO "{prefix}_owner";
REVOKE ALL ON locule.migrations FROM PUBLIC, anon, authenticated, service_role;

-- Who asks: the subject of the token that the transaction was opened with, or NULL, which equals nobody. The token counts
-- as a whole; Supabase's older setting for the subject alone is not looked at, for whoever sets that one is not checked
-- against the token. (An id need not be a UUID; where it is one, this is auth.uid() as text.)
CREATE OR REPLACE FUNCTION locule.caller() RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE SET search_path = ''
    AS $$ SELECT nullif(nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub', '') $$;
REVOKE ALL ON FUNCTION locule.caller() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION locule.caller()
    TO "{prefix}_api", "{prefix}_user", "{prefix}_helper", "{prefix}_writer", anon, authenticated, service_role;
ALTER FUNCTION locule.caller() OWNER TO "{prefix}_owner";

-- The functions that Supabase's users write policies and queries with. A schema of this name that is there already is
-- somebody's, and is not touched.
DO $locule$
BEGIN
    IF to_regnamespace('auth') IS NOT NULL THEN
        RETURN;
    END IF;
    CREATE SCHEMA auth;
    GRANT USAGE ON SCHEMA auth TO anon, authenticated, service_role;
    CREATE FUNCTION auth.jwt() RETURNS jsonb
        LANGUAGE sql STABLE PARALLEL SAFE SET search_path = ''
        AS $$ SELECT coalesce(nullif(current_setting('request.jwt.claim', true), ''),
                              nullif(current_setting('request.jwt.claims', true), ''))::jsonb $$;
    CREATE FUNCTION auth.uid() RETURNS uuid
        LANGUAGE sql STABLE PARALLEL SAFE SET search_path = ''
        AS $$ SELECT coalesce(nullif(current_setting('request.jwt.claim.sub', true), ''),
                              nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')::uuid $$;
    CREATE FUNCTION auth.role() RETURNS text
        LANGUAGE sql STABLE PARALLEL SAFE SET search_path = ''
        AS $$ SELECT coalesce(nullif(current_setting('request.jwt.claim.role', true), ''),
                              nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'role') $$;
    CREATE FUNCTION auth.email() RETURNS text
        LANGUAGE sql STABLE PARALLEL SAFE SET search_path = ''
        AS $$ SELECT coalesce(nullif(current_setting('request.jwt.claim.email', true), ''),
                              nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'email') $$;
    REVOKE ALL ON FUNCTION auth.jwt(), auth.uid(), auth.role(), auth.email() FROM PUBLIC;
    GRANT EXECUTE ON FUNCTION auth.jwt(), auth.uid(), auth.role(), auth.email()
        TO anon, authenticated, service_role, "{prefix}_user";
    GRANT USAGE, CREATE ON SCHEMA auth TO "{prefix}_owner";
    ALTER FUNCTION auth.jwt() OWNER TO "{prefix}_owner";
    ALTER FUNCTION auth.uid() OWNER TO "{prefix}_owner";
    ALTER FUNCTION auth.role() OWNER TO "{prefix}_owner";
    ALTER FUNCTION auth.email() OWNER TO "{prefix}_owner";
END $locule$;
