-- What the schema's page on organisations adds, where its policies can be created at all.

CREATE TABLE organizations (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name text NOT NULL,
    slug text UNIQUE NOT NULL,
    created_at timestamptz DEFAULT now()
);
CREATE TABLE org_members (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    org_id uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    user_id text NOT NULL,
    role text NOT NULL CHECK (role IN ('owner', 'admin', 'member', 'viewer')),
    created_at timestamptz DEFAULT now(),
    UNIQUE (org_id, user_id)
);
CREATE INDEX idx_org_members_user_org ON org_members (user_id, org_id);
CREATE INDEX idx_org_members_org ON org_members (org_id);
CREATE INDEX idx_memories_org_created ON memories ((metadata ->> 'org_id'), created_at DESC);
CREATE INDEX idx_org_memories ON memories (created_at DESC) WHERE metadata ->> 'org_id' IS NOT NULL;
ALTER TABLE org_members ENABLE ROW LEVEL SECURITY;
CREATE POLICY org_members_access_org_memories ON memories FOR SELECT TO authenticated USING (
    metadata ->> 'org_id' IS NOT NULL AND EXISTS (
        SELECT 1 FROM org_members WHERE org_members.user_id = (SELECT auth.uid()::text)
            AND org_members.org_id::text = memories.metadata ->> 'org_id'));
CREATE POLICY org_members_create_memories ON memories FOR INSERT TO authenticated WITH CHECK (
    metadata ->> 'org_id' IS NULL OR EXISTS (
        SELECT 1 FROM org_members WHERE org_members.user_id = (SELECT auth.uid()::text)
            AND org_members.org_id::text = memories.metadata ->> 'org_id'
            AND org_members.role IN ('owner', 'admin', 'member')));
CREATE POLICY users_view_own_memberships ON org_members FOR SELECT TO authenticated
    USING ((SELECT auth.uid()::text) = user_id);
CREATE POLICY access_shared_org_memories ON memories FOR SELECT TO authenticated USING (
    metadata -> 'shared_with_orgs' ? (
        SELECT org_id::text FROM org_members WHERE user_id = (SELECT auth.uid()::text)));
GRANT ALL ON organizations, org_members TO anon, authenticated, service_role;
