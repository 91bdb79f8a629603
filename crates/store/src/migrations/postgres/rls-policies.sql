-- The layout `rls`: who may do what with its tables. Applied again and again: whatever somebody has changed, afterwards it is
-- as it stands here.

-- Ownership, row security, and nothing granted yet.
ALTER TABLE locule.upgrade_rejects NO FORCE ROW LEVEL SECURITY; -- so that a migration run by no superuser can write to it
DO $locule$
DECLARE
    relation regclass;
    policy record;
BEGIN
    FOREACH relation IN ARRAY ARRAY['public.memories', 'public.memory_vectors', 'public.memory_history',
        'public.memory_relationships', 'public.space_audit', 'public.space_state', 'public.space_jobs',
        'public.space_settings', 'public.context_entries', 'public.context_agents', 'public.organizations',
        'public.org_members', 'public.memory_org_shares', 'locule.upgrade_rejects']::regclass[]
    LOOP
        EXECUTE format('ALTER TABLE %s OWNER TO "{prefix}_owner"', relation);
        EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', relation);
        EXECUTE format('REVOKE ALL ON TABLE %s FROM PUBLIC, anon, authenticated, service_role, "{prefix}_user", '
            '"{prefix}_api", "{prefix}_directory", "{prefix}_helper", "{prefix}_writer", "{prefix}_backup"', relation);
        EXECUTE format('GRANT SELECT ON TABLE %s TO "{prefix}_backup"', relation);
        -- Permissive policies are OR-ed: one that is not of here could open what these close. Its words are kept.
        FOR policy IN SELECT * FROM pg_catalog.pg_policies
            WHERE (schemaname, tablename) = (SELECT nspname, relname FROM pg_catalog.pg_class JOIN pg_catalog.pg_namespace
                ON pg_namespace.oid = relnamespace WHERE pg_class.oid = relation)
        LOOP
            IF policy.policyname NOT LIKE 'locule\_%' THEN
                INSERT INTO locule.upgrade_rejects (relation, reason, content)
                VALUES (relation::text, 'a policy that is not of Locule', to_jsonb(policy));
            END IF;
            EXECUTE format('DROP POLICY %I ON %s', policy.policyname, relation);
        END LOOP;
    END LOOP;
END $locule$;

-- Organisations the caller belongs to in one of these roles, by id and by slug. A policy cannot ask org_members itself, for
-- whose own policy asks the same; this runs as a role that sees the caller's memberships and nothing else.
CREATE OR REPLACE FUNCTION locule.organizations(roles text[]) RETURNS text[]
    LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = ''
    AS $$
        SELECT coalesce(array_agg(called), '{}')
        FROM public.org_members JOIN public.organizations ON organizations.id = org_members.org_id,
             LATERAL unnest(ARRAY[organizations.id::text, organizations.slug]) AS called
        WHERE org_members.user_id = (SELECT locule.caller()) AND org_members.role = ANY (roles)
    $$;
CREATE OR REPLACE FUNCTION locule.organization_ids(roles text[]) RETURNS uuid[]
    LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = ''
    AS $$
        SELECT coalesce(array_agg(org_id), '{}') FROM public.org_members
        WHERE user_id = (SELECT locule.caller()) AND role = ANY (roles)
    $$;
REVOKE ALL ON FUNCTION locule.organizations(text[]), locule.organization_ids(text[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION locule.organizations(text[]), locule.organization_ids(text[]) TO authenticated;
ALTER FUNCTION locule.organizations(text[]) OWNER TO "{prefix}_helper";
ALTER FUNCTION locule.organization_ids(text[]) OWNER TO "{prefix}_helper";
GRANT SELECT ON public.org_members, public.organizations TO "{prefix}_helper";
CREATE POLICY locule_helper_memberships ON public.org_members FOR SELECT TO "{prefix}_helper"
    USING (user_id = (SELECT locule.caller()));
CREATE POLICY locule_helper_organizations ON public.organizations FOR SELECT TO "{prefix}_helper"
    USING (id IN (SELECT org_id FROM public.org_members));

-- The server. It may not even name an owner: the column fills itself.
DO $locule$
DECLARE
    relation regclass;
    -- What locule.caller() says, without the call: a third of what a statement of the server costs. Asked once, not per row.
    caller text := $$(SELECT nullif(nullif((SELECT current_setting('request.jwt.claims', true)), '')::jsonb ->> 'sub', ''))$$;
BEGIN
    FOREACH relation IN ARRAY ARRAY['public.memories', 'public.memory_vectors', 'public.memory_history',
        'public.memory_relationships', 'public.space_audit', 'public.space_state', 'public.space_jobs',
        'public.space_settings', 'public.context_entries', 'public.context_agents', 'public.memory_org_shares', 'locule.upgrade_rejects']::regclass[]
    LOOP
        EXECUTE format('CREATE POLICY locule_user ON %1$s FOR ALL TO "{prefix}_user" '
            'USING (user_id = %2$s) WITH CHECK (user_id = %2$s)', relation, caller);
    END LOOP;
END $locule$;
GRANT SELECT, DELETE ON public.memories, public.memory_vectors, public.memory_history, public.memory_relationships,
    public.space_audit, public.space_state, public.space_jobs, public.space_settings, public.context_entries, public.context_agents,
    public.memory_org_shares,
    locule.upgrade_rejects TO "{prefix}_user";
GRANT INSERT (number, id, memory, agent_id, run_id, app_id, categories, metadata, hash, expiration, created_at, updated_at,
        feedback, feedback_reason),
    UPDATE (memory, agent_id, run_id, app_id, categories, metadata, hash, expiration, created_at, updated_at,
        feedback, feedback_reason)
    ON public.memories TO "{prefix}_user";
GRANT INSERT (number, embedding), UPDATE (embedding) ON public.memory_vectors TO "{prefix}_user";
GRANT INSERT (id, number, memory_id, operation, old_value, new_value, created_at, timestamp, metadata, actor, request_id),
    -- To take the texts of a deleted memory out.
    UPDATE (old_value, new_value) ON public.memory_history TO "{prefix}_user";
GRANT INSERT (id, source_memory_id, target_memory_id, relationship_type, strength, metadata, created_at),
    UPDATE (relationship_type, strength, metadata) ON public.memory_relationships TO "{prefix}_user";
-- Whole or not at all: an entry is never changed, and goes only when the space does.
GRANT INSERT (sequence, time, actor_kind, actor, on_behalf_of, act, object, outcome, request_id, link)
    ON public.space_audit TO "{prefix}_user";
GRANT INSERT (space, tag, revision, memories, size_bytes, model, dimension),
    UPDATE (space, tag, revision, memories, size_bytes, model, dimension) ON public.space_state TO "{prefix}_user";
GRANT INSERT (id, kind, status, payload, results, error, attempts, due_at, size_bytes, created_at, updated_at, started_at,
        completed_at),
    UPDATE (status, payload, results, error, attempts, due_at, size_bytes, updated_at, started_at, completed_at)
    ON public.space_jobs TO "{prefix}_user";
GRANT INSERT (name, value, updated_at), UPDATE (value, updated_at) ON public.space_settings TO "{prefix}_user";
-- An entry that is written anew is another row.
GRANT INSERT (id, key_hash, key, value, audience, topics, writer, metadata, ttl_s, created_at, expires_at, revision, size_bytes)
    ON public.context_entries TO "{prefix}_user";
GRANT INSERT (id, name_hash, name, topics, posts, size_bytes) ON public.context_agents TO "{prefix}_user";

-- PostgREST. One permissive policy for each act, and the tenant's rule beside it as a restrictive one: an organisation's tag
-- on a row is a claim until its author may write there.
GRANT SELECT, DELETE ON public.memories TO authenticated;
GRANT INSERT (user_id, memory, agent_id, run_id, app_id, categories, metadata, expiration),
    UPDATE (memory, agent_id, run_id, app_id, categories, metadata, expiration) ON public.memories TO authenticated;
CREATE POLICY locule_read ON public.memories FOR SELECT TO authenticated USING (
    user_id = (SELECT locule.caller())
    OR metadata ->> 'org_id' = ANY ((SELECT locule.organizations('{owner,admin,member,viewer}'))::text[])
    -- Knowledge of an agent. A user's own memory that an agent's name stands on is the user's.
    OR (user_id IS NULL AND agent_id IS NOT NULL)
    -- Shared with an organisation: the first two are for the index, the third is the rule. Of the shares one sees those
    -- of one's own memories and those with one's organisations.
    OR (user_id = ANY (ARRAY(SELECT shares.user_id FROM public.memory_org_shares AS shares))
        AND id = ANY (ARRAY(SELECT shares.memory_id FROM public.memory_org_shares AS shares))
        AND EXISTS (SELECT FROM public.memory_org_shares AS shares
                    WHERE shares.user_id = memories.user_id AND shares.memory_id = memories.id)));
CREATE POLICY locule_insert ON public.memories FOR INSERT TO authenticated
    WITH CHECK (user_id = (SELECT locule.caller()));
CREATE POLICY locule_update ON public.memories FOR UPDATE TO authenticated
    USING (user_id = (SELECT locule.caller())
           OR metadata ->> 'org_id' = ANY ((SELECT locule.organizations('{owner,admin,member}'))::text[]))
    WITH CHECK (user_id = (SELECT locule.caller())
                OR metadata ->> 'org_id' = ANY ((SELECT locule.organizations('{owner,admin,member}'))::text[]));
CREATE POLICY locule_delete ON public.memories FOR DELETE TO authenticated
    USING (user_id = (SELECT locule.caller())
           OR (user_id IS NOT NULL AND metadata ->> 'org_id' = ANY ((SELECT locule.organizations('{owner,admin}'))::text[])));
CREATE POLICY locule_tenant_insert ON public.memories AS RESTRICTIVE FOR INSERT TO authenticated
    WITH CHECK (user_id = (SELECT locule.caller())
                AND (metadata ->> 'org_id' IS NULL OR metadata ->> 'org_id' = ANY ((SELECT locule.organizations('{owner,admin,member}'))::text[])));
CREATE POLICY locule_tenant_update ON public.memories AS RESTRICTIVE FOR UPDATE TO authenticated
    USING (user_id IS NOT NULL)
    WITH CHECK (metadata ->> 'org_id' IS NULL OR metadata ->> 'org_id' = ANY ((SELECT locule.organizations('{owner,admin,member}'))::text[]));

-- One's own vectors, for searching with SQL. Members of an organisation read its memories and nobody's vectors.
GRANT SELECT ON public.memory_vectors TO authenticated;
CREATE POLICY locule_read ON public.memory_vectors FOR SELECT TO authenticated
    USING (user_id = (SELECT locule.caller()));

GRANT SELECT ON public.memory_history TO authenticated;
CREATE POLICY locule_read ON public.memory_history FOR SELECT TO authenticated
    USING (user_id = (SELECT locule.caller()));

GRANT SELECT, DELETE ON public.memory_relationships TO authenticated;
GRANT INSERT (user_id, source_memory_id, target_memory_id, relationship_type, strength, metadata),
    UPDATE (relationship_type, strength, metadata) ON public.memory_relationships TO authenticated;
CREATE POLICY locule_own ON public.memory_relationships FOR ALL TO authenticated
    USING (user_id = (SELECT locule.caller())) WITH CHECK (user_id = (SELECT locule.caller()));

-- Who is in which organisation is for the service to say.
GRANT SELECT ON public.organizations, public.org_members TO authenticated;
CREATE POLICY locule_read ON public.organizations FOR SELECT TO authenticated
    USING (id = ANY ((SELECT locule.organization_ids('{owner,admin,member,viewer}'))::uuid[]));
CREATE POLICY locule_read ON public.org_members FOR SELECT TO authenticated
    USING (org_id = ANY ((SELECT locule.organization_ids('{owner,admin,member,viewer}'))::uuid[]));

-- One shares one's own memory, with an organisation one may write in.
GRANT SELECT, DELETE ON public.memory_org_shares TO authenticated;
GRANT INSERT (user_id, memory_id, org_id) ON public.memory_org_shares TO authenticated;
CREATE POLICY locule_read ON public.memory_org_shares FOR SELECT TO authenticated
    USING (user_id = (SELECT locule.caller())
           OR org_id = ANY ((SELECT locule.organization_ids('{owner,admin,member,viewer}'))::uuid[]));
CREATE POLICY locule_insert ON public.memory_org_shares FOR INSERT TO authenticated
    WITH CHECK (user_id = (SELECT locule.caller()) AND granted_by = (SELECT locule.caller())
                AND org_id = ANY ((SELECT locule.organization_ids('{owner,admin,member}'))::uuid[]));
CREATE POLICY locule_delete ON public.memory_org_shares FOR DELETE TO authenticated
    USING (user_id = (SELECT locule.caller())
           OR org_id = ANY ((SELECT locule.organization_ids('{owner,admin}'))::uuid[]));

-- The service, which row security does not hold: it answers for whom it acts. Audit trail and state are not its to write.
GRANT SELECT, INSERT, UPDATE, DELETE ON public.memories, public.memory_history, public.memory_relationships,
    public.organizations, public.org_members, public.memory_org_shares TO service_role;
GRANT SELECT ON public.memory_vectors, public.space_audit, public.space_state TO service_role;

-- A refusal is put on record by itself, on another connection than the act that was refused and is rolled back.
GRANT INSERT (user_id, id, operation, timestamp, metadata, actor, request_id) ON public.memory_history
    TO "{prefix}_directory";
CREATE POLICY locule_denials ON public.memory_history FOR INSERT TO "{prefix}_directory"
    WITH CHECK (operation = 'access_denied' AND user_id <> '');
-- Whoever is erased is named in no refusal of somebody else any more: the name becomes a pseudonym, and nothing else changes.
GRANT SELECT (operation, metadata), UPDATE (metadata) ON public.memory_history TO "{prefix}_directory";
CREATE POLICY locule_denials_seen ON public.memory_history FOR SELECT TO "{prefix}_directory"
    USING (operation = 'access_denied');
CREATE POLICY locule_denials_forgotten ON public.memory_history FOR UPDATE TO "{prefix}_directory"
    USING (operation = 'access_denied') WITH CHECK (operation = 'access_denied');

-- What the server does by itself, triggers do for everybody else: ids, numbers and hashes, the history, and the state, by
-- which a server notices that what it holds in memory is old. They run as a role that sees the rows of one owner: of the one
-- whose row it is, which row security has let the caller touch by then, or the condition below.
DO $locule$
DECLARE
    owned record;
    owner text := $$nullif(current_setting('locule.row_owner', true), '')$$;
BEGIN
    FOR owned IN SELECT * FROM (VALUES
        -- Knowledge of agents has no owner.
        ('public.memories'::regclass, 'user_id IS NULL AND agent_id IS NOT NULL'),
        ('public.memory_history', 'user_id IS NULL AND memory_id IS NOT NULL'),
        ('public.memory_vectors', 'false'),
        ('public.space_state', 'false')
    ) AS tables (relation, ownerless)
    LOOP
        EXECUTE format('CREATE POLICY locule_writer ON %1$s FOR ALL TO "{prefix}_writer" '
            'USING (user_id = (SELECT %2$s) OR (%3$s AND (SELECT %2$s) IS NULL)) '
            'WITH CHECK (user_id = (SELECT %2$s) OR (%3$s AND (SELECT %2$s) IS NULL))', owned.relation, owner, owned.ownerless);
    END LOOP;
END $locule$;
GRANT SELECT (user_id, id, number, agent_id) ON public.memories TO "{prefix}_writer";
GRANT SELECT (user_id, number, embedding), DELETE ON public.memory_vectors TO "{prefix}_writer";
GRANT SELECT (user_id, number, memory_id), UPDATE (old_value, new_value),
    INSERT (user_id, number, memory_id, operation, old_value, new_value, created_at, timestamp, actor)
    ON public.memory_history TO "{prefix}_writer";
GRANT SELECT (user_id, tag, revision, memories, size_bytes), INSERT (user_id),
    UPDATE (revision, memories, size_bytes) ON public.space_state TO "{prefix}_writer";

-- Before a row is written.
CREATE OR REPLACE FUNCTION locule.prepare_memory() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
    AS $$
DECLARE
    now_us bigint;
    tick bigint;
    latest uuid;
    space_tag bigint;
BEGIN
    NEW.agent_id := nullif(NEW.agent_id, '');
    NEW.run_id := nullif(NEW.run_id, '');
    NEW.app_id := nullif(NEW.app_id, '');
    NEW.categories := coalesce(NEW.categories, '{}');
    NEW.metadata := coalesce(NEW.metadata, '{}');
    NEW.hash := md5(NEW.memory);

    IF TG_OP = 'UPDATE' THEN
        IF NEW.user_id IS DISTINCT FROM OLD.user_id OR NEW.id <> OLD.id OR NEW.number <> OLD.number THEN
            RAISE EXCEPTION 'A memory keeps its owner, its id and its number.' USING ERRCODE = 'insufficient_privilege';
        END IF;
        NEW.updated_at := now();
        RETURN NEW;
    END IF;

    -- One writer at a time gives out numbers, the server being one of them.
    -- (Two statements and not one with OR, which would read the whole table for every row.)
    IF NEW.user_id IS NULL THEN
        PERFORM pg_catalog.pg_advisory_xact_lock(7311, 1);
        SELECT 1 + coalesce(max(memories.number), 0) INTO NEW.number FROM public.memories WHERE memories.user_id IS NULL;
    ELSE
        PERFORM set_config('locule.row_owner', NEW.user_id, true);
        INSERT INTO public.space_state (user_id) VALUES (NEW.user_id) ON CONFLICT (user_id) DO NOTHING;
        SELECT state.tag INTO space_tag FROM public.space_state AS state WHERE state.user_id = NEW.user_id FOR UPDATE;
        SELECT 1 + coalesce(max(memories.number), 0) INTO NEW.number FROM public.memories
        WHERE memories.user_id = NEW.user_id;
    END IF;

    IF TG_ARGV[0] = 'mint' THEN
        now_us := (extract(epoch FROM clock_timestamp()) * 1000000)::bigint;
        tick := now_us / 1000 << 12 | now_us % 1000 * 4096 / 1000;
        -- No id comes before one that was given. (Ids from before an upgrade may be of another version and tell no time.)
        SELECT memories.id INTO latest FROM public.memories
        WHERE memories.user_id = NEW.user_id AND substr(memories.id::text, 15, 1) = '7'
            AND memories.id < locule.new_id(tick + (3600000::bigint << 12))
        ORDER BY memories.id DESC LIMIT 1;
        IF latest IS NOT NULL THEN
            tick := greatest(tick, 1 + (('x' || lpad(substr(latest::text, 1, 8) || substr(latest::text, 10, 4)
                || substr(latest::text, 16, 3), 16, '0'))::bit(64))::bigint);
        END IF;
        NEW.id := locule.new_id(tick, space_tag);
        NEW.created_at := now();
        NEW.updated_at := now();
    END IF;
    PERFORM set_config('locule.row_owner', '', true);
    RETURN NEW;
END $$;

-- After it is.
CREATE OR REPLACE FUNCTION locule.record_memory() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
    AS $$
DECLARE
    memory_row public.memories%ROWTYPE;
    vector_bytes bigint;
    more_memories bigint := 0;
    more_bytes bigint := 0;
    line bigint;
BEGIN
    IF TG_OP = 'DELETE' THEN memory_row := OLD; ELSE memory_row := NEW; END IF;
    PERFORM set_config('locule.row_owner', coalesce(memory_row.user_id, ''), true);

    IF TG_OP <> 'INSERT' THEN
        more_memories := more_memories - 1;
        more_bytes := more_bytes - locule.size_bytes(OLD.memory, OLD.metadata);
        -- The vector of a text that is no more. The memory goes on without one, until somebody makes it.
        IF TG_OP = 'DELETE' OR OLD.memory <> NEW.memory THEN
            DELETE FROM public.memory_vectors AS vectors
            WHERE vectors.user_id = OLD.user_id AND vectors.number = OLD.number
            RETURNING octet_length(vectors.embedding) INTO vector_bytes;
            more_bytes := more_bytes - coalesce(vector_bytes, 0);
        END IF;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        more_memories := more_memories + 1;
        more_bytes := more_bytes + locule.size_bytes(NEW.memory, NEW.metadata);
    ELSE
        -- That it was there and when is kept, what it said is not.
        IF OLD.user_id IS NULL THEN
            UPDATE public.memory_history AS history SET old_value = NULL, new_value = NULL
            WHERE history.user_id IS NULL AND history.memory_id = OLD.id;
        ELSE
            UPDATE public.memory_history AS history SET old_value = NULL, new_value = NULL
            WHERE history.user_id = OLD.user_id AND history.memory_id = OLD.id;
        END IF;
    END IF;

    IF memory_row.user_id IS NOT NULL THEN
        -- First of all the lock, so that the number below is given once.
        INSERT INTO public.space_state (user_id) VALUES (memory_row.user_id) ON CONFLICT (user_id) DO NOTHING;
        UPDATE public.space_state AS state
        SET revision = state.revision + 1, memories = greatest(state.memories + more_memories, 0),
            size_bytes = greatest(state.size_bytes + more_bytes, 0)
        WHERE state.user_id = memory_row.user_id;
        SELECT 1 + coalesce(max(history.number), 0) INTO line FROM public.memory_history AS history
        WHERE history.user_id = memory_row.user_id;
    ELSE
        SELECT 1 + coalesce(max(history.number), 0) INTO line FROM public.memory_history AS history
        WHERE history.user_id IS NULL;
    END IF;
    INSERT INTO public.memory_history (user_id, number, memory_id, operation, old_value, new_value, created_at, timestamp, actor)
    VALUES (memory_row.user_id, line, memory_row.id,
            CASE TG_OP WHEN 'INSERT' THEN 'create' WHEN 'UPDATE' THEN 'update' ELSE 'delete' END,
            CASE TG_OP WHEN 'UPDATE' THEN jsonb_build_object('memory', OLD.memory) END,
            CASE WHEN TG_OP <> 'DELETE' THEN jsonb_build_object('memory', NEW.memory) END,
            memory_row.created_at, now(),
            coalesce(locule.caller(), nullif(current_setting('role'), 'none'), session_user));
    PERFORM set_config('locule.row_owner', '', true);
    RETURN NULL;
END $$;
-- After a relationship is written: what it takes counts, and is free again when a memory takes it along.
CREATE OR REPLACE FUNCTION locule.record_relationship() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
    AS $$
DECLARE
    owner text;
    more_bytes bigint := 0;
BEGIN
    IF TG_OP = 'DELETE' THEN owner := OLD.user_id; ELSE owner := NEW.user_id; END IF;
    -- Three ids, a strength and a time take 64 bytes.
    IF TG_OP <> 'INSERT' THEN
        more_bytes := more_bytes - 64 - locule.size_bytes(OLD.relationship_type, OLD.metadata);
    END IF;
    IF TG_OP <> 'DELETE' THEN
        more_bytes := more_bytes + 64 + locule.size_bytes(NEW.relationship_type, NEW.metadata);
    END IF;
    PERFORM set_config('locule.row_owner', owner, true);
    INSERT INTO public.space_state (user_id) VALUES (owner) ON CONFLICT (user_id) DO NOTHING;
    UPDATE public.space_state AS state
    SET revision = state.revision + 1, size_bytes = greatest(state.size_bytes + more_bytes, 0)
    WHERE state.user_id = owner;
    PERFORM set_config('locule.row_owner', '', true);
    RETURN NULL;
END $$;
REVOKE ALL ON FUNCTION locule.prepare_memory(), locule.record_memory(), locule.record_relationship() FROM PUBLIC;
ALTER FUNCTION locule.prepare_memory() OWNER TO "{prefix}_writer";
ALTER FUNCTION locule.record_memory() OWNER TO "{prefix}_writer";
ALTER FUNCTION locule.record_relationship() OWNER TO "{prefix}_writer";

-- Triggers fire before row security has looked at a new row. Were the first to run for any row, whoever names somebody as
-- owner would wait for that person's writer and learn of it: so it runs for one's own, and otherwise row security refuses the
-- row as it is. The id is the caller's to choose only where row security does not hold the caller.
CREATE OR REPLACE TRIGGER locule_prepare_own BEFORE INSERT ON public.memories FOR EACH ROW
    WHEN (current_user <> '{prefix}_user' AND row_security_active('public.memories') AND NEW.user_id = locule.caller())
    EXECUTE FUNCTION locule.prepare_memory('mint');
CREATE OR REPLACE TRIGGER locule_prepare_any BEFORE INSERT ON public.memories FOR EACH ROW
    WHEN (current_user <> '{prefix}_user' AND NOT row_security_active('public.memories'))
    EXECUTE FUNCTION locule.prepare_memory('keep');
CREATE OR REPLACE TRIGGER locule_prepare_change BEFORE UPDATE ON public.memories FOR EACH ROW
    WHEN (current_user <> '{prefix}_user')
    EXECUTE FUNCTION locule.prepare_memory('keep');
CREATE OR REPLACE TRIGGER locule_record AFTER INSERT OR UPDATE OR DELETE ON public.memories FOR EACH ROW
    WHEN (current_user <> '{prefix}_user')
    EXECUTE FUNCTION locule.record_memory();
CREATE OR REPLACE TRIGGER locule_record AFTER INSERT OR UPDATE OR DELETE ON public.memory_relationships FOR EACH ROW
    WHEN (current_user <> '{prefix}_user')
    EXECUTE FUNCTION locule.record_relationship();

-- A table without a primary key can be published for replication only if whole rows tell which is meant. Only where somebody
-- does so, since whole rows in the log are dear.
DO $locule$
DECLARE
    relation regclass;
BEGIN
    FOR relation IN
        SELECT format('%I.%I', schemaname, tablename) FROM pg_catalog.pg_publication_tables
        WHERE schemaname = 'public' AND tablename IN ('memories', 'memory_history')
    LOOP
        EXECUTE format('ALTER TABLE %s REPLICA IDENTITY FULL', relation);
    END LOOP;
END $locule$;
