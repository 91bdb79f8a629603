-- The shape of the basic Supabase schema for mem0 that is in circulation, faults included, in our own words. {embedding} is
-- vector(1536), or real[] where there is no pgvector.

CREATE TABLE memories (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id text NOT NULL,
    agent_id text,
    run_id text,
    memory text NOT NULL,
    hash text UNIQUE,
    metadata jsonb DEFAULT '{}',
    categories text[] DEFAULT '{}',
    embedding {embedding},
    created_at timestamptz DEFAULT now(),
    updated_at timestamptz DEFAULT now()
);

CREATE FUNCTION update_updated_at_column() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN NEW.updated_at = now(); RETURN NEW; END $$;
CREATE TRIGGER update_memories_updated_at BEFORE UPDATE ON memories
    FOR EACH ROW EXECUTE FUNCTION update_updated_at_column();

CREATE INDEX idx_memories_user_id ON memories (user_id);
CREATE INDEX idx_memories_agent_id ON memories (agent_id);
CREATE INDEX idx_memories_run_id ON memories (run_id);
CREATE INDEX idx_memories_hash ON memories (hash);
CREATE INDEX idx_memories_created_at ON memories (created_at DESC);
CREATE INDEX idx_memories_user_category ON memories (user_id, categories);
CREATE INDEX idx_memories_metadata ON memories USING gin (metadata);
CREATE INDEX idx_memories_categories ON memories USING gin (categories);

ALTER TABLE memories ENABLE ROW LEVEL SECURITY;
CREATE POLICY users_access_own_memories ON memories FOR ALL TO authenticated
    USING ((SELECT auth.uid()::text) = user_id) WITH CHECK ((SELECT auth.uid()::text) = user_id);
CREATE POLICY service_role_all_access ON memories FOR ALL TO service_role USING (true) WITH CHECK (true);
CREATE POLICY public_agent_knowledge ON memories FOR SELECT TO authenticated
    USING (agent_id IS NOT NULL AND user_id IS NULL);
GRANT ALL ON memories TO anon, authenticated, service_role;
