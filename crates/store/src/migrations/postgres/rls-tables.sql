-- The layout `rls`: everybody's rows in the same tables, under the names that people know from Supabase and mem0, and behind
-- policies that nothing but a superuser gets around.
--
-- What holds them apart: every table has an owner column that fills itself from the caller; every constraint begins with it,
-- so that no row can hinder, point at or betray a row of somebody else; row security is on and forced; what is granted is
-- what is needed. Three kinds of callers come here: the server ({prefix}_user), which sees its caller's rows and nothing
-- else whatever the rows say; people and programs through PostgREST (authenticated), for whom there are organisations and
-- the knowledge of agents as well; and service_role, for whom there is no row security.
--
-- Here are the tables; who may do what with them is in rls-policies.sql. Both are applied again and again: they make what is
-- not there, be it all or only what upgrade.sql has prepared the place of.

-- Tables. A column's default makes it optional to clients whose types are generated from the table; the trigger below
-- fills in what stands at 0 or ''.

CREATE TABLE IF NOT EXISTS public.memories (
    user_id     text        DEFAULT locule.caller(),          -- NULL: knowledge of an agent, which all may read
    id          uuid        NOT NULL DEFAULT locule.new_id(), -- UUIDv7; other versions from before an upgrade
    number      bigint      NOT NULL DEFAULT 0,               -- 1, 2, 3 … for each owner: what vectors call it
    memory      text        NOT NULL,
    agent_id    text,
    run_id      text,
    app_id      text,
    categories  text[]      NOT NULL DEFAULT '{}',
    metadata    jsonb       NOT NULL DEFAULT '{}',            -- 'org_id': an organisation's id or slug, whose members read it
    hash        text        NOT NULL DEFAULT '',              -- MD5 of the text, 32 hex digits
    expiration  timestamptz,
    created_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now()
);

-- Apart from the texts, so that a space's vectors are read in one sweep, and searched exactly within the space. There is no
-- index over everybody's vectors: it gives the nearest of all users, and row security then leaves few or none of them.
CREATE TABLE IF NOT EXISTS public.memory_vectors (
    user_id     text        NOT NULL DEFAULT locule.caller(),
    number      bigint      NOT NULL,
    embedding   bytea       NOT NULL          -- half-precision floats, little-endian, unit length
);
-- Random bytes: compressing them is work for nothing.
ALTER TABLE public.memory_vectors ALTER COLUMN embedding SET STORAGE EXTERNAL;

CREATE TABLE IF NOT EXISTS public.memory_history (
    user_id     text        DEFAULT locule.caller(),
    id          uuid        NOT NULL DEFAULT gen_random_uuid(),
    number      bigint,                       -- 1, 2, 3 … for each owner; a denial has none
    memory_id   uuid,                         -- of the memory; NULL where none is meant
    operation   text        NOT NULL,
    old_value   jsonb,                        -- {"memory": …}; both NULL once the memory is deleted
    new_value   jsonb,
    created_at  timestamptz,                  -- of the memory
    timestamp   timestamptz NOT NULL DEFAULT now(),
    metadata    jsonb       NOT NULL DEFAULT '{}',
    actor       text,
    request_id  text
);

CREATE TABLE IF NOT EXISTS public.memory_relationships (
    user_id          text         NOT NULL DEFAULT locule.caller(),
    id               uuid         NOT NULL DEFAULT locule.new_id(),
    source_memory_id uuid         NOT NULL,
    target_memory_id uuid         NOT NULL,
    relationship_type text        NOT NULL,
    strength         numeric(3,2) NOT NULL DEFAULT 1.0,
    metadata         jsonb        NOT NULL DEFAULT '{}',
    created_at       timestamptz  NOT NULL DEFAULT now()
);

CREATE TABLE IF NOT EXISTS public.space_audit (
    user_id     text        NOT NULL DEFAULT locule.caller(),
    sequence    bigint      NOT NULL,
    time        timestamptz NOT NULL,
    actor_kind  text        NOT NULL,
    actor       text        NOT NULL,
    on_behalf_of text,
    act         text        NOT NULL,
    object      text,
    outcome     text        NOT NULL,
    request_id  text        NOT NULL,
    link        bytea       NOT NULL          -- SHA-256 over the entry and the link before
);

-- One row for each owner, which a writer holds locked: whoever changes rows here, by whatever way, changes this one too.
CREATE TABLE IF NOT EXISTS public.space_state (
    user_id     text        NOT NULL DEFAULT locule.caller(),
    space       uuid,                         -- as the directory calls it; NULL before the server has met this owner
    tag         bigint,                       -- what the space's ids carry; NULL likewise
    revision    bigint      NOT NULL DEFAULT 0,  -- rises with every commit of the server and every row that others change
    memories    bigint      NOT NULL DEFAULT 0,
    size_bytes  bigint      NOT NULL DEFAULT 0,  -- of texts, metadata and vectors
    model       text,                         -- whose vectors these are; NULL before the first
    dimension   bigint
);

-- Work that a space asked for and that is done behind the answer. Only the server comes here.
CREATE TABLE IF NOT EXISTS public.space_jobs (
    user_id     text        NOT NULL DEFAULT locule.caller(),
    id          uuid        NOT NULL,         -- UUIDv7; its order is the order of adding
    kind        text        NOT NULL,         -- extract, export, summarize or deliver
    status      text        NOT NULL,         -- pending, running, succeeded or failed
    payload     text,                         -- JSON object; NULL once the job has succeeded
    results     text,                         -- JSON object
    error       text,
    attempts    bigint      NOT NULL,
    due_at      timestamptz,                  -- NULL when nothing is to be done; while it runs, when the claim lapses
    size_bytes  bigint      NOT NULL,         -- what it counts for in space_state
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL,
    started_at  timestamptz,
    completed_at timestamptz
);

-- A user's own settings.
CREATE TABLE IF NOT EXISTS public.space_settings (
    user_id     text        NOT NULL DEFAULT locule.caller(),
    name        text        COLLATE "C" NOT NULL,
    value       text        NOT NULL,         -- JSON
    updated_at  timestamptz NOT NULL
);

-- The context that agents share. Only the server comes here.
CREATE TABLE IF NOT EXISTS public.context_entries (
    user_id     text        NOT NULL DEFAULT locule.caller(),
    id          uuid        NOT NULL,         -- UUIDv7, anew with each writing; its order is the order of writing
    key_hash    text        COLLATE "C" NOT NULL, -- SHA-256 of the key
    key         text        NOT NULL,         -- JSON string in ASCII, like all names here
    value       text        NOT NULL,         -- JSON in ASCII
    audience    text,                         -- JSON list of agents; NULL for everybody
    topics      text        NOT NULL,         -- JSON list
    writer      text,
    metadata    text,                         -- JSON object
    ttl_s       double precision,
    created_at  timestamptz NOT NULL,
    expires_at  timestamptz,
    revision    bigint      NOT NULL,         -- of the space, when it was written
    size_bytes  bigint      NOT NULL          -- what it counts for in space_state
);
CREATE TABLE IF NOT EXISTS public.context_agents (
    user_id     text        NOT NULL DEFAULT locule.caller(),
    id          uuid        NOT NULL,         -- its order is the order of beginning to follow
    name_hash   text        COLLATE "C" NOT NULL,
    name        text        NOT NULL,
    topics      text        NOT NULL,         -- JSON list of those it follows
    posts       text,                         -- JSON list of those it may post to; NULL for any
    size_bytes  bigint      NOT NULL
);

-- What somebody thinks of a memory.
ALTER TABLE public.memories ADD COLUMN IF NOT EXISTS feedback text, ADD COLUMN IF NOT EXISTS feedback_reason text;

CREATE TABLE IF NOT EXISTS public.organizations (
    id          uuid        NOT NULL DEFAULT gen_random_uuid(),
    name        text        NOT NULL,
    slug        text        NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE IF NOT EXISTS public.org_members (
    id          uuid        NOT NULL DEFAULT gen_random_uuid(),
    org_id      uuid        NOT NULL,
    user_id     text        NOT NULL,
    role        text        NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now()
);

-- Who has shared which memory with which organisation. It stands here and not in the memory's metadata, which says
-- whatever its author writes there.
CREATE TABLE IF NOT EXISTS public.memory_org_shares (
    user_id     text        NOT NULL DEFAULT locule.caller(),  -- the memory's owner
    memory_id   uuid        NOT NULL,
    org_id      uuid        NOT NULL,
    granted_by  text        NOT NULL DEFAULT locule.caller(),
    created_at  timestamptz NOT NULL DEFAULT now()
);

-- Constraints. Uniqueness and references begin with the owner: two people may have the same text and the same id, and a
-- reference to somebody else's memory fails exactly as one to no memory at all.
DO $locule$
DECLARE
    wanted record;
BEGIN
    FOR wanted IN SELECT * FROM (VALUES
        ('public.memories', 'memories_identity', 'UNIQUE NULLS NOT DISTINCT (user_id, id)'),
        ('public.memories', 'memories_number', 'UNIQUE NULLS NOT DISTINCT (user_id, number)'),
        ('public.memories', 'memories_owner', $$CHECK (user_id <> '' AND octet_length(user_id) <= 255)$$),
        -- No run alone owns a memory, and no agent without a name.
        ('public.memories', 'memories_ownerless', 'CHECK (user_id IS NOT NULL OR agent_id IS NOT NULL)'),
        ('public.memories', 'memories_filled_in', $$CHECK (number > 0 AND hash <> '')$$),
        ('public.memories', 'memories_labels', $$CHECK (agent_id <> '' AND run_id <> '' AND app_id <> '')$$),
        ('public.memories', 'memories_metadata', $$CHECK (jsonb_typeof(metadata) = 'object')$$),
        ('public.memories', 'memories_categories',
            'CHECK (coalesce(array_ndims(categories), 1) = 1 AND array_position(categories, NULL) IS NULL)'),
        -- No reference to the memory: a check for every vector that the server writes, which deletes both itself. For
        -- everybody else the trigger does.
        ('public.memory_vectors', 'memory_vectors_pkey', 'PRIMARY KEY (user_id, number)'),
        ('public.memory_history', 'memory_history_identity', 'UNIQUE NULLS NOT DISTINCT (user_id, id)'),
        ('public.memory_history', 'memory_history_number', 'UNIQUE (user_id, number)'),
        ('public.memory_history', 'memory_history_operation',
            $$CHECK (operation IN ('create', 'update', 'delete', 'read', 'export', 'erase', 'access_denied'))$$),
        -- What the server reads of a memory's past is there.
        ('public.memory_history', 'memory_history_complete',
            $$CHECK (operation NOT IN ('create', 'update', 'delete')
                     OR (number IS NOT NULL AND memory_id IS NOT NULL AND created_at IS NOT NULL))$$),
        ('public.memory_relationships', 'memory_relationships_pkey', 'PRIMARY KEY (user_id, id)'),
        ('public.memory_relationships', 'no_self_reference', 'CHECK (source_memory_id <> target_memory_id)'),
        ('public.memory_relationships', 'unique_relationship',
            'UNIQUE (user_id, source_memory_id, target_memory_id, relationship_type)'),
        ('public.memory_relationships', 'memory_relationships_strength', 'CHECK (strength >= 0.0 AND strength <= 1.0)'),
        ('public.memory_relationships', 'memory_relationships_source',
            'FOREIGN KEY (user_id, source_memory_id) REFERENCES public.memories (user_id, id) ON DELETE CASCADE'),
        ('public.memory_relationships', 'memory_relationships_target',
            'FOREIGN KEY (user_id, target_memory_id) REFERENCES public.memories (user_id, id) ON DELETE CASCADE'),
        ('public.space_audit', 'space_audit_pkey', 'PRIMARY KEY (user_id, sequence)'),
        ('public.space_state', 'space_state_pkey', 'PRIMARY KEY (user_id)'),
        ('public.space_jobs', 'space_jobs_pkey', 'PRIMARY KEY (user_id, id)'),
        ('public.space_settings', 'space_settings_pkey', 'PRIMARY KEY (user_id, name)'),
        ('public.context_entries', 'context_entries_pkey', 'PRIMARY KEY (user_id, id)'),
        ('public.context_entries', 'context_entries_key', 'UNIQUE (user_id, key_hash)'),
        ('public.context_agents', 'context_agents_pkey', 'PRIMARY KEY (user_id, id)'),
        ('public.context_agents', 'context_agents_key', 'UNIQUE (user_id, name_hash)'),
        ('public.organizations', 'organizations_pkey', 'PRIMARY KEY (id)'),
        ('public.organizations', 'organizations_slug_key', 'UNIQUE (slug)'),
        -- A memory may name its organisation by id or by slug: a slug that looks like an id would name two.
        ('public.organizations', 'organizations_slug',
            $$CHECK (slug <> '' AND slug !~* '^[{(]?([0-9a-f]{4}-?){8}[})]?$')$$),
        ('public.org_members', 'org_members_pkey', 'PRIMARY KEY (id)'),
        ('public.org_members', 'org_members_user', 'UNIQUE (user_id, org_id)'),
        ('public.org_members', 'org_members_role', $$CHECK (role IN ('owner', 'admin', 'member', 'viewer'))$$),
        ('public.org_members', 'org_members_org_id_fkey',
            'FOREIGN KEY (org_id) REFERENCES public.organizations (id) ON DELETE CASCADE'),
        ('public.memory_org_shares', 'memory_org_shares_pkey', 'PRIMARY KEY (user_id, memory_id, org_id)'),
        ('public.memory_org_shares', 'memory_org_shares_memory',
            'FOREIGN KEY (user_id, memory_id) REFERENCES public.memories (user_id, id) ON DELETE CASCADE'),
        ('public.memory_org_shares', 'memory_org_shares_org_id_fkey',
            'FOREIGN KEY (org_id) REFERENCES public.organizations (id) ON DELETE CASCADE')
    ) AS constraints (relation, name, definition)
    LOOP
        IF NOT EXISTS (
            SELECT FROM pg_catalog.pg_constraint WHERE conrelid = wanted.relation::regclass AND conname = wanted.name
        ) THEN
            EXECUTE format('ALTER TABLE %s ADD CONSTRAINT %I %s', wanted.relation, wanted.name, wanted.definition);
        END IF;
    END LOOP;
END $locule$;

-- Indexes. All that a caller's query can use begins with the owner, or serves another arm of a policy.
--
-- There is none on categories or metadata: @> and ? are not leakproof, so PostgreSQL asks them only after the policy, of
-- rows it has found by other means, and the index would be written for nobody. A btree over an array of categories fails
-- moreover as soon as there are many.

-- The same text is kept once for each agent, run and app. (A label is never empty, so '' stands for none.)
CREATE UNIQUE INDEX IF NOT EXISTS memories_same ON public.memories
    (user_id, hash, coalesce(agent_id, ''), coalesce(run_id, ''), coalesce(app_id, '')) NULLS NOT DISTINCT;
CREATE INDEX IF NOT EXISTS idx_memories_user_created ON public.memories (user_id, created_at DESC);
CREATE INDEX IF NOT EXISTS idx_memories_user_agent ON public.memories (user_id, agent_id) WHERE agent_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS idx_memories_user_run ON public.memories (user_id, run_id) WHERE run_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS idx_memories_user_expiration ON public.memories (user_id, expiration)
    WHERE expiration IS NOT NULL;
-- The organisation is not a column of its own: from PostgreSQL 18 on a generated one cannot be in a table that is published
-- as this one has to be.
CREATE INDEX IF NOT EXISTS idx_memories_org_created ON public.memories ((metadata ->> 'org_id'), created_at DESC)
    WHERE metadata ->> 'org_id' IS NOT NULL;
CREATE INDEX IF NOT EXISTS idx_memories_agent_knowledge ON public.memories (agent_id, created_at DESC)
    WHERE user_id IS NULL;
-- From a source, unique_relationship leads.
CREATE INDEX IF NOT EXISTS idx_relationships_user_target ON public.memory_relationships
    (user_id, target_memory_id, relationship_type);
CREATE INDEX IF NOT EXISTS idx_history_user_memory ON public.memory_history (user_id, memory_id, number);
CREATE INDEX IF NOT EXISTS idx_history_user_timestamp ON public.memory_history (user_id, timestamp DESC);
CREATE INDEX IF NOT EXISTS idx_history_operation ON public.memory_history (operation, timestamp DESC)
    WHERE operation = 'access_denied';
CREATE INDEX IF NOT EXISTS space_jobs_due ON public.space_jobs (user_id, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS context_entries_revision ON public.context_entries (user_id, revision);
CREATE INDEX IF NOT EXISTS context_entries_expires ON public.context_entries (user_id, expires_at)
    WHERE expires_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS idx_org_members_org ON public.org_members (org_id);
CREATE INDEX IF NOT EXISTS idx_memory_org_shares_org ON public.memory_org_shares (org_id);
CREATE INDEX IF NOT EXISTS upgrade_rejects_user ON locule.upgrade_rejects (user_id);
