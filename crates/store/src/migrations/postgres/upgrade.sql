-- Tables that were made from mem0's Supabase template, in place: before rls-tables.sql, which makes what is missing.
--
-- Nothing is lost. A row that the new tables cannot hold, or hold only changed, stands in locule.upgrade_rejects as it was. The
-- one exception is the text of deleted memories in the history, which its owner has had deleted. A table of a known name
-- that is not the template's is somebody's, and stops the migration.

-- It is somebody's all the same, and is erased with everything of theirs.
CREATE TABLE IF NOT EXISTS locule.upgrade_rejects (
    id          uuid        NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
    at          timestamptz NOT NULL DEFAULT now(),
    user_id     text,
    relation    text        NOT NULL,
    reason      text        NOT NULL,
    content     jsonb       NOT NULL
);

-- Is what is there the template's, or already ours?
DO $locule$
DECLARE
    expected record;
    missing text;
BEGIN
    FOR expected IN SELECT * FROM (VALUES
        ('memories', '{user_id,id,memory,agent_id,run_id,hash,metadata,categories,created_at,updated_at}'::text[]),
        ('memory_history', '{user_id,id,memory_id,operation,old_value,new_value,timestamp}'),
        ('memory_relationships', '{user_id,id,source_memory_id,target_memory_id,relationship_type,strength,metadata,created_at}'),
        ('organizations', '{id,name,slug,created_at}'),
        ('org_members', '{id,org_id,user_id,role,created_at}'),
        ('memory_vectors', '{user_id,number,embedding}'),
        ('space_audit', '{user_id,sequence,link}'),
        ('space_state', '{user_id,space,revision}'),
        ('context_entries', '{user_id,id,key_hash,revision}'),
        ('context_agents', '{user_id,id,name_hash}'),
        ('space_jobs', '{user_id,id,kind,payload,due_at}'),
        ('space_settings', '{user_id,name,value}'),
        ('memory_org_shares', '{user_id,memory_id,org_id,granted_by}')
    ) AS tables (name, columns) WHERE to_regclass('public.' || tables.name) IS NOT NULL
    LOOP
        SELECT string_agg(wanted, ', ') INTO missing FROM unnest(expected.columns) AS wanted
        WHERE NOT EXISTS (
            SELECT FROM pg_catalog.pg_attribute JOIN pg_catalog.pg_class ON pg_class.oid = attrelid
            WHERE attrelid = to_regclass('public.' || expected.name) AND attname = wanted AND NOT attisdropped
                AND relkind = 'r'
                -- What is compared with the caller, and what refers to a memory, has to be of these types.
                AND (wanted NOT IN ('user_id', 'memory') OR atttypid IN ('text'::regtype, 'varchar'::regtype))
                AND (wanted !~ '^(id|.*memory_id|org_id)$' OR atttypid = 'uuid'::regtype));
        IF missing IS NOT NULL THEN
            RAISE EXCEPTION 'There is a table public.% that is neither of Locule nor of the mem0 template. It lacks, or has with another type: %.',
                expected.name, missing
                USING ERRCODE = 'duplicate_table', HINT = 'Give Locule a database of its own, or rename that table.';
        END IF;
    END LOOP;
END $locule$;

-- Which are the template's: those that lack a constraint which ours have. The answer stands in a setting of this transaction.
SELECT set_config('locule.old', coalesce(string_agg(tables.name, ' ' ORDER BY tables.name COLLATE "C"), ''), true) FROM (VALUES
    ('memories', 'memories_identity'),
    ('memory_history', 'memory_history_identity'),
    ('memory_relationships', 'memory_relationships_source'),
    ('organizations', 'organizations_slug'),
    ('org_members', 'org_members_user')
) AS tables (name, marker)
WHERE to_regclass('public.' || tables.name) IS NOT NULL AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_constraint
    WHERE conrelid = to_regclass('public.' || tables.name) AND conname = tables.marker);

-- What guards and orders the old tables goes: policies, triggers, keys over all users, and the indexes that ours replace.
DO $locule$
DECLARE
    relation regclass;
    found record;
BEGIN
    FOR relation IN SELECT to_regclass('public.' || name) FROM regexp_split_to_table(current_setting('locule.old'), ' ') AS name
        WHERE name <> ''
    LOOP
        -- Both sets of names that the template's two scripts give, and whatever else there is: a policy that stays would be
        -- OR-ed with ours. Only the template's own are not worth keeping the words of.
        FOR found IN SELECT * FROM pg_catalog.pg_policies WHERE (schemaname, tablename) = (SELECT nspname, relname FROM pg_catalog.pg_class JOIN pg_catalog.pg_namespace
                ON pg_namespace.oid = relnamespace WHERE pg_class.oid = relation)
        LOOP
            IF found.policyname !~ '^(users_(access|view)_own_|service_role_all_|public_agent_knowledge|org_members_(access|create)_|access_shared_org_|(Users|Service role|Organization members|Public agent) )' THEN
                INSERT INTO locule.upgrade_rejects (relation, reason, content)
                VALUES (relation::text, 'a policy that is not of Locule', to_jsonb(found));
            END IF;
            EXECUTE format('DROP POLICY %I ON %s', found.policyname, relation);
        END LOOP;
        EXECUTE format('DROP TRIGGER IF EXISTS update_memories_updated_at ON %s', relation);
        EXECUTE format('DROP TRIGGER IF EXISTS audit_memory_changes ON %s', relation);

        FOR found IN
            SELECT conname FROM pg_catalog.pg_constraint
            WHERE conrelid = relation AND (
                contype = 'f' AND confrelid = to_regclass('public.memories')
                OR conname IN ('unique_relationship', 'no_self_reference', 'memory_history_operation_check',
                    'memory_relationships_strength_check', 'org_members_role_check', 'org_members_org_id_user_id_key'))
        LOOP
            EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', relation, found.conname);
        END LOOP;
    END LOOP;

    -- A published table whose key goes is changed below all the same.
    FOR found IN
        SELECT format('%I.%I', schemaname, tablename) AS relation FROM pg_catalog.pg_publication_tables
        WHERE schemaname = 'public' AND tablename IN ('memories', 'memory_history', 'memory_relationships')
            AND tablename = ANY (string_to_array(current_setting('locule.old'), ' '))
    LOOP
        EXECUTE format('ALTER TABLE %s REPLICA IDENTITY FULL', found.relation);
    END LOOP;

    FOR found IN
        SELECT conrelid::regclass AS relation, conname FROM pg_catalog.pg_constraint
        WHERE contype IN ('p', 'u') AND conrelid IN (SELECT to_regclass('public.' || name)
            FROM regexp_split_to_table(current_setting('locule.old'), ' ') AS name
            WHERE name IN ('memories', 'memory_history', 'memory_relationships'))
    LOOP
        BEGIN
            EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', found.relation, found.conname);
        EXCEPTION WHEN dependent_objects_still_exist THEN
            -- A table of the application refers to it. It may: nobody but the service chooses an id, so that a key over all
            -- users betrays none. `audit report` names it.
            NULL;
        END;
    END LOOP;

    -- An index over the vectors of all users gives each of them the neighbours of others, which row security then hides; one
    -- that is unique over all tells what others have; one over a list of categories fails when the list is long; and those
    -- without the owner serve nobody whom row security holds.
    FOR found IN
        SELECT indexrelid::regclass AS index FROM pg_catalog.pg_index
        JOIN pg_catalog.pg_class ON pg_class.oid = indexrelid JOIN pg_catalog.pg_am ON pg_am.oid = relam
        WHERE indrelid IN (SELECT to_regclass('public.' || name)
                FROM regexp_split_to_table(current_setting('locule.old'), ' ') AS name
                WHERE name <> '')
            AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint WHERE conindid = indexrelid)
            AND (amname IN ('hnsw', 'ivfflat') OR indisunique
                OR relname ~ '^(idx_(memories|relationships|history|org_memories|org_members_user_org)|memories_embedding)')
    LOOP
        EXECUTE format('DROP INDEX %s', found.index);
    END LOOP;

    -- The template's trigger functions, unless somebody else uses them too.
    FOR found IN SELECT unnest(ARRAY['public.update_updated_at_column()', 'public.log_memory_changes()']) AS function LOOP
        BEGIN
            IF current_setting('locule.old') <> '' THEN
                EXECUTE format('DROP FUNCTION IF EXISTS %s', found.function);
            END IF;
        EXCEPTION WHEN dependent_objects_still_exist OR insufficient_privilege THEN NULL;
        END;
    END LOOP;
END $locule$;

-- Memories.
DO $locule$
DECLARE
    related boolean := to_regclass('public.memory_relationships') IS NOT NULL;
BEGIN
    IF NOT 'memories' = ANY (string_to_array(current_setting('locule.old'), ' ')) THEN
        RETURN;
    END IF;
    ALTER TABLE public.memories
        ALTER user_id DROP NOT NULL, ALTER user_id TYPE text, ALTER user_id SET DEFAULT locule.caller(),
        ALTER memory TYPE text, ALTER hash TYPE text,
        ADD number bigint, ADD app_id text, ADD expiration timestamptz;

    INSERT INTO locule.upgrade_rejects (user_id, relation, reason, content)
    SELECT user_id, 'public.memories', 'a memory without an owner that could have it', to_jsonb(memories) FROM public.memories
    WHERE user_id = '' OR octet_length(user_id) > 255 OR (user_id IS NULL AND coalesce(agent_id, '') = '');
    DELETE FROM public.memories
    WHERE user_id = '' OR octet_length(user_id) > 255 OR (user_id IS NULL AND coalesce(agent_id, '') = '');

    INSERT INTO locule.upgrade_rejects (user_id, relation, reason, content)
    SELECT user_id, 'public.memories', 'metadata that is no object, or categories that are no list of texts: kept in a form that is',
        jsonb_build_object('id', id, 'metadata', metadata, 'categories', to_jsonb(categories)) FROM public.memories
    WHERE jsonb_typeof(metadata) <> 'object' OR array_ndims(categories) > 1 OR array_position(categories, NULL) IS NOT NULL;

    -- One memory of each text for each agent, run and app of an owner: the oldest stays, and the relationships of the others
    -- become its own.
    IF related THEN
        EXECUTE $$
            WITH same AS (
                SELECT id, first_value(id) OVER (PARTITION BY user_id, md5(memory), coalesce(agent_id, ''), coalesce(run_id, '')
                    ORDER BY created_at, id) AS kept FROM public.memories)
            UPDATE public.memory_relationships AS edges
            SET source_memory_id = source.kept, target_memory_id = target.kept FROM same AS source, same AS target
            WHERE source.id = source_memory_id AND target.id = target_memory_id
                AND (source.kept <> source.id OR target.kept <> target.id)$$;
    END IF;
    WITH same AS (
        SELECT id, first_value(id) OVER (PARTITION BY user_id, md5(memory), coalesce(agent_id, ''), coalesce(run_id, '')
            ORDER BY created_at, id) AS kept FROM public.memories),
    twice AS (
        DELETE FROM public.memories USING same WHERE same.id = memories.id AND same.kept <> same.id
        RETURNING memories.*, same.kept)
    INSERT INTO locule.upgrade_rejects (user_id, relation, reason, content)
    SELECT user_id, 'public.memories', 'the same text as another memory of this owner', to_jsonb(twice) FROM twice;

    UPDATE public.memories SET
        number = numbers.number, hash = md5(memory), agent_id = nullif(agent_id, ''), run_id = nullif(run_id, ''),
        metadata = CASE coalesce(jsonb_typeof(metadata), 'null')
            WHEN 'object' THEN metadata WHEN 'null' THEN '{}' ELSE jsonb_build_object('value', metadata) END,
        categories = coalesce(ARRAY(SELECT category FROM unnest(categories) AS category WHERE category IS NOT NULL), '{}'),
        created_at = coalesce(created_at, updated_at, now()), updated_at = coalesce(updated_at, created_at, now())
    FROM (SELECT id, row_number() OVER (
            PARTITION BY user_id ORDER BY coalesce(created_at, updated_at), id) AS number FROM public.memories) AS numbers
    WHERE numbers.id = memories.id;

    -- An organisation's members read what its tag stands on, and anybody could put it on anything. Where organisations are in
    -- use, it stays on the rows of those who may write there, and is put aside from all others.
    IF to_regclass('public.org_members') IS NOT NULL AND to_regclass('public.organizations') IS NOT NULL THEN
        EXECUTE $$
            WITH strangers AS (
                SELECT id, metadata FROM public.memories
                WHERE user_id IS NOT NULL AND metadata ->> 'org_id' IS NOT NULL
                    AND EXISTS (SELECT FROM public.organizations)
                    AND NOT EXISTS (
                        SELECT FROM public.org_members JOIN public.organizations ON organizations.id = org_members.org_id
                        WHERE org_members.user_id = memories.user_id AND role IN ('owner', 'admin', 'member')
                            AND memories.metadata ->> 'org_id' IN (organizations.id::text, organizations.slug))),
            stripped AS (
                UPDATE public.memories SET metadata = memories.metadata - 'org_id' FROM strangers
                WHERE strangers.id = memories.id
                RETURNING memories.user_id, memories.id, strangers.metadata)
            INSERT INTO locule.upgrade_rejects (user_id, relation, reason, content)
            SELECT user_id, 'public.memories', 'the tag of an organisation in which its owner may not write: taken off',
                jsonb_build_object('id', id, 'metadata', metadata) FROM stripped$$;
    END IF;

    ALTER TABLE public.memories
        ALTER id SET DEFAULT locule.new_id(), ALTER id SET NOT NULL,
        ALTER number SET DEFAULT 0, ALTER number SET NOT NULL,
        ALTER categories SET DEFAULT '{}', ALTER categories SET NOT NULL,
        ALTER metadata SET DEFAULT '{}', ALTER metadata SET NOT NULL,
        ALTER hash SET DEFAULT '', ALTER hash SET NOT NULL,
        ALTER created_at SET DEFAULT now(), ALTER created_at SET NOT NULL,
        ALTER updated_at SET DEFAULT now(), ALTER updated_at SET NOT NULL;
END $locule$;

-- Relationships: those whose ends and itself are one owner's.
DO $locule$
BEGIN
    IF NOT 'memory_relationships' = ANY (string_to_array(current_setting('locule.old'), ' ')) THEN
        RETURN;
    END IF;
    ALTER TABLE public.memory_relationships ALTER user_id TYPE text, ALTER user_id SET DEFAULT locule.caller();
    WITH judged AS (
        SELECT edges.id, CASE
            WHEN source_memory_id = target_memory_id THEN 'a relationship of a memory with itself'
            WHEN NOT EXISTS (SELECT FROM public.memories WHERE memories.id = source_memory_id AND memories.user_id = edges.user_id)
                OR NOT EXISTS (SELECT FROM public.memories WHERE memories.id = target_memory_id AND memories.user_id = edges.user_id)
                THEN 'a relationship whose ends are not both its owner''s'
            WHEN row_number() OVER (PARTITION BY user_id, source_memory_id, target_memory_id, relationship_type
                ORDER BY created_at, id) > 1 THEN 'a relationship that is there already'
            END AS reason FROM public.memory_relationships AS edges),
    refused AS (
        DELETE FROM public.memory_relationships USING judged
        WHERE judged.id = memory_relationships.id AND judged.reason IS NOT NULL
        RETURNING memory_relationships.*, judged.reason)
    INSERT INTO locule.upgrade_rejects (user_id, relation, reason, content)
    SELECT user_id, 'public.memory_relationships', reason, to_jsonb(refused) FROM refused;
    UPDATE public.memory_relationships SET strength = coalesce(strength, 1.0), metadata = coalesce(metadata, '{}'),
        created_at = coalesce(created_at, now())
    WHERE strength IS NULL OR metadata IS NULL OR created_at IS NULL;
    ALTER TABLE public.memory_relationships
        ALTER id SET DEFAULT locule.new_id(), ALTER strength SET NOT NULL, ALTER metadata SET NOT NULL, ALTER created_at SET NOT NULL;
END $locule$;

-- The history. What it says of memories that were deleted is taken out of it.
DO $locule$
BEGIN
    IF NOT 'memory_history' = ANY (string_to_array(current_setting('locule.old'), ' ')) THEN
        RETURN;
    END IF;
    ALTER TABLE public.memory_history
        ALTER user_id TYPE text, ALTER user_id SET DEFAULT locule.caller(), ALTER memory_id DROP NOT NULL,
        ADD number bigint, ADD created_at timestamptz, ADD actor text, ADD request_id text,
        ADD COLUMN IF NOT EXISTS metadata jsonb DEFAULT '{}';
    UPDATE public.memory_history SET timestamp = now() WHERE timestamp IS NULL;
    UPDATE public.memory_history SET metadata = '{}' WHERE metadata IS NULL;

    UPDATE public.memory_history AS history SET
        number = numbers.number,
        created_at = coalesce((SELECT memories.created_at FROM public.memories WHERE memories.id = history.memory_id), numbers.first)
    FROM (SELECT id, min(timestamp) OVER (PARTITION BY memory_id) AS first,
                 row_number() OVER (PARTITION BY user_id
                     ORDER BY timestamp, array_position('{create,update,delete}', operation), id) AS number
          FROM public.memory_history) AS numbers
    WHERE numbers.id = history.id;

    UPDATE public.memory_history AS history SET old_value = NULL, new_value = NULL
    WHERE (old_value IS NOT NULL OR new_value IS NOT NULL)
        AND NOT EXISTS (SELECT FROM public.memories WHERE memories.id = history.memory_id)
        AND EXISTS (SELECT FROM public.memory_history AS deletion
                    WHERE deletion.memory_id = history.memory_id AND deletion.operation = 'delete');

    WITH odd AS (
        SELECT id, old_value, new_value FROM public.memory_history
        WHERE NOT coalesce(jsonb_typeof(old_value -> 'memory') = 'string', old_value IS NULL)
            OR NOT coalesce(jsonb_typeof(new_value -> 'memory') = 'string', new_value IS NULL)),
    emptied AS (
        UPDATE public.memory_history SET old_value = NULL, new_value = NULL FROM odd WHERE odd.id = memory_history.id
        RETURNING memory_history.user_id, jsonb_build_object('id', odd.id, 'old_value', odd.old_value, 'new_value', odd.new_value) AS was)
    INSERT INTO locule.upgrade_rejects (user_id, relation, reason, content)
    SELECT user_id, 'public.memory_history', 'values that hold no memory: taken out', was FROM emptied;

    ALTER TABLE public.memory_history ALTER timestamp SET DEFAULT now(), ALTER timestamp SET NOT NULL,
        ALTER metadata SET DEFAULT '{}', ALTER metadata SET NOT NULL;
END $locule$;

-- Organisations.
DO $locule$
BEGIN
    IF 'organizations' = ANY (string_to_array(current_setting('locule.old'), ' ')) THEN
        WITH renamed AS (
            SELECT * FROM public.organizations WHERE slug = '' OR slug ~* '^[{(]?([0-9a-f]{4}-?){8}[})]?$'),
        done AS (
            UPDATE public.organizations SET slug = 'organization-' || renamed.slug FROM renamed
            WHERE renamed.id = organizations.id RETURNING to_jsonb(renamed) AS was)
        INSERT INTO locule.upgrade_rejects (relation, reason, content)
        SELECT 'public.organizations', 'a slug that looks like an id: made longer', was FROM done;
        UPDATE public.organizations SET created_at = now() WHERE created_at IS NULL;
        ALTER TABLE public.organizations ALTER created_at SET NOT NULL;
    END IF;
    IF 'org_members' = ANY (string_to_array(current_setting('locule.old'), ' ')) THEN
        UPDATE public.org_members SET created_at = now() WHERE created_at IS NULL;
        ALTER TABLE public.org_members ALTER user_id TYPE text, ALTER created_at SET NOT NULL;
    END IF;
END $locule$;
