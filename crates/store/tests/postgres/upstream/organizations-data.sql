INSERT INTO organizations (id, name, slug) VALUES
    ('0a000000-0000-4000-8000-000000000001', 'Acme', 'acme-corp'), ('0b000000-0000-4000-8000-000000000002', 'Globex', 'globex-inc'),
    ('0c000000-0000-4000-8000-000000000003', 'Mimic', '0a000000-0000-4000-8000-000000000001');
INSERT INTO org_members (org_id, user_id, role) VALUES
    ('0a000000-0000-4000-8000-000000000001', 'alice-123', 'admin'), ('0b000000-0000-4000-8000-000000000002', 'alice-123', 'viewer'),
    ('0a000000-0000-4000-8000-000000000001', 'carol-789', 'viewer');
INSERT INTO memories (id, user_id, memory, metadata) VALUES
    ('a1111111-1111-4111-8111-111111111111', 'alice-123', 'Acme uses Debian', '{"org_id": "acme-corp"}'),
    ('a2222222-2222-4222-8222-222222222222', 'bob-456', 'Acme pays to this account', '{"org_id": "acme-corp", "n": 1}');
