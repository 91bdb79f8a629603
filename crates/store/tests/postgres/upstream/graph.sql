-- What the schema with a graph has beyond basic.sql.

CREATE TABLE memory_relationships (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    source_memory_id uuid NOT NULL REFERENCES memories (id) ON DELETE CASCADE,
    target_memory_id uuid NOT NULL REFERENCES memories (id) ON DELETE CASCADE,
    relationship_type text NOT NULL,
    strength numeric(3,2) DEFAULT 1.0 CHECK (strength >= 0.0 AND strength <= 1.0),
    metadata jsonb DEFAULT '{}',
    user_id text NOT NULL,
    created_at timestamptz DEFAULT now(),
    CONSTRAINT no_self_reference CHECK (source_memory_id <> target_memory_id),
    CONSTRAINT unique_relationship UNIQUE (source_memory_id, target_memory_id, relationship_type)
);
CREATE TABLE memory_history (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    memory_id uuid NOT NULL,
    operation text NOT NULL CHECK (operation IN ('create', 'update', 'delete')),
    old_value jsonb,
    new_value jsonb,
    user_id text,
    timestamp timestamptz DEFAULT now()
);

CREATE FUNCTION log_memory_changes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO memory_history (memory_id, operation, old_value, new_value, user_id) VALUES (
        CASE TG_OP WHEN 'DELETE' THEN OLD.id ELSE NEW.id END,
        CASE TG_OP WHEN 'INSERT' THEN 'create' ELSE lower(TG_OP) END,
        CASE WHEN TG_OP <> 'INSERT' THEN row_to_json(OLD) END,
        CASE WHEN TG_OP <> 'DELETE' THEN row_to_json(NEW) END,
        CASE TG_OP WHEN 'DELETE' THEN OLD.user_id ELSE NEW.user_id END);
    RETURN NULL;
END $$;
CREATE TRIGGER audit_memory_changes AFTER INSERT OR UPDATE OR DELETE ON memories
    FOR EACH ROW EXECUTE FUNCTION log_memory_changes();

CREATE INDEX idx_memories_user_created ON memories (user_id, created_at DESC);
CREATE INDEX idx_memories_user_agent ON memories (user_id, agent_id);
CREATE INDEX idx_memories_user_run ON memories (user_id, run_id);
CREATE INDEX idx_relationships_source ON memory_relationships (source_memory_id);
CREATE INDEX idx_relationships_target ON memory_relationships (target_memory_id);
CREATE INDEX idx_relationships_type ON memory_relationships (relationship_type);
CREATE INDEX idx_relationships_user_id ON memory_relationships (user_id);
CREATE INDEX idx_relationships_source_type ON memory_relationships (source_memory_id, relationship_type);
CREATE INDEX idx_history_memory_id ON memory_history (memory_id);
CREATE INDEX idx_history_user_id ON memory_history (user_id);
CREATE INDEX idx_history_timestamp ON memory_history (timestamp DESC);
CREATE INDEX idx_history_operation ON memory_history (operation);

ALTER TABLE memory_relationships ENABLE ROW LEVEL SECURITY;
CREATE POLICY users_access_own_relationships ON memory_relationships FOR ALL TO authenticated
    USING ((SELECT auth.uid()::text) = user_id) WITH CHECK ((SELECT auth.uid()::text) = user_id);
CREATE POLICY service_role_all_relationships ON memory_relationships FOR ALL TO service_role
    USING (true) WITH CHECK (true);
ALTER TABLE memory_history ENABLE ROW LEVEL SECURITY;
CREATE POLICY users_view_own_history ON memory_history FOR SELECT TO authenticated
    USING ((SELECT auth.uid()::text) = user_id);
CREATE POLICY service_role_all_history ON memory_history FOR ALL TO service_role USING (true);
GRANT ALL ON memory_relationships, memory_history TO anon, authenticated, service_role;
