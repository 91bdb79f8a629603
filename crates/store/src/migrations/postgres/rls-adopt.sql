-- Owners whose rows are there and whose state is not, after an upgrade: what the server counts as it goes is counted once.
-- Before the policies, so that a migration run by no superuser sees the rows.

INSERT INTO public.space_state (user_id, revision, memories, size_bytes)
SELECT user_id, 1, count(*), sum(locule.size_bytes(memory, metadata))
FROM public.memories WHERE user_id IS NOT NULL GROUP BY user_id
ON CONFLICT (user_id) DO NOTHING;
