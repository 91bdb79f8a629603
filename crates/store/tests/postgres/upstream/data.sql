-- Some years of use: with texts twice, a poisoned tag, edges over the fence and a deletion. Written as the owner, whom the
-- old tables do not hold.

INSERT INTO memories (id, user_id, agent_id, memory, hash, metadata, categories, created_at) VALUES
    ('11111111-1111-4111-8111-111111111111', 'alice-123', NULL, 'Alice drinks oolong', 'aa', '{"mood": "calm"}', '{tea}', '2024-01-01'),
    ('22222222-2222-4222-8222-222222222222', 'alice-123', NULL, 'Alice drinks oolong', 'bb', '{}', '{}', '2024-02-01'),
    ('33333333-3333-4333-8333-333333333333', 'alice-123', 'chef', 'Alice drinks oolong', NULL, NULL, NULL, '2024-03-01'),
    ('44444444-4444-4444-8444-444444444444', 'bob-456', NULL, 'Bob drinks mate', 'cc', '[1]', '{a,NULL}', NULL),
    ('55555555-5555-4555-8555-555555555555', 'bob-456', NULL, 'Bob has a dog', md5('Bob has a dog'), '{}', '{}', '2024-05-01'),
    ('66666666-6666-4666-8666-666666666666', '', NULL, 'Nobody said so', 'ee', '{}', '{}', '2024-06-01'),
    ('77777777-7777-4777-8777-777777777777', 'alice-123', NULL, 'Alice regrets this', 'ff', '{}', '{}', '2024-07-01'),
    ('88888888-8888-4888-8888-888888888888', 'quo''te \ "Ünï" 🫖', '', 'Odd names are names', 'gg', '{}', '{}', '2024-08-01');
UPDATE memories SET memory = 'Bob has two dogs' WHERE id = '55555555-5555-4555-8555-555555555555';
DELETE FROM memories WHERE id = '77777777-7777-4777-8777-777777777777';
