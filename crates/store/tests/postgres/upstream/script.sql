-- What the schema's own script adds to either, in names of its own, so that both sets of policies are in force.

CREATE POLICY "Users access own memories" ON memories FOR SELECT TO authenticated
    USING ((SELECT auth.uid()::text) = user_id);
CREATE POLICY "Users insert own memories" ON memories FOR INSERT TO authenticated
    WITH CHECK ((SELECT auth.uid()::text) = user_id);
CREATE POLICY "Users update own memories" ON memories FOR UPDATE TO authenticated
    USING ((SELECT auth.uid()::text) = user_id) WITH CHECK ((SELECT auth.uid()::text) = user_id);
CREATE POLICY "Users delete own memories" ON memories FOR DELETE TO authenticated
    USING ((SELECT auth.uid()::text) = user_id);
CREATE POLICY "Service role bypass" ON memories FOR ALL TO service_role USING (true) WITH CHECK (true);
CREATE POLICY "Public agent knowledge readable" ON memories FOR SELECT TO authenticated
    USING (agent_id IS NOT NULL AND user_id IS NULL);
