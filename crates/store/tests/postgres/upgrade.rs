//! Tables made from the mem0 template become ours where they are: nothing is lost, nothing of its faults stays (U1 to U14 of
//! the research, in its numbering), and what is not the template's is left alone.

use std::collections::BTreeSet;
use std::process::Command;

use locule_core::Code;
use locule_store::postgres::Report;
use locule_testbed::Flavour;

use crate::place::{Place, Who};

rules! { Place::empty;
    every_row_is_there_or_put_aside
    the_report_says_what_became_of_it
    once_more_changes_nothing
    u01_to_u14_are_gone
    every_combination_of_the_template_becomes_the_same
    what_an_application_refers_to_stays
    a_policy_of_ones_own_is_put_aside
    a_table_that_is_not_the_templates_stops_it
    functions_of_supabase_stay_as_they_are
    vectors_are_taken_over
    vectors_that_are_none_are_left
    a_published_table_goes_on_being_published
    history_of_what_was_deleted_is_emptied
}

const PARTS: [(&str, &str); 5] = [
    ("supabase", include_str!("upstream/supabase.sql")),
    ("basic", include_str!("upstream/basic.sql")),
    ("graph", include_str!("upstream/graph.sql")),
    ("script", include_str!("upstream/script.sql")),
    ("organizations", include_str!("upstream/organizations.sql")),
];
const DATA: [(&str, &str); 3] = [
    ("basic", include_str!("upstream/data.sql")),
    ("graph", include_str!("upstream/graph-data.sql")),
    ("organizations", include_str!("upstream/organizations-data.sql")),
];
pub const ALL: &[&str] = &["supabase", "basic", "graph", "script", "organizations"];

const ALICE: &str = "alice-123";
const BOB: &str = "bob-456";

/// A database with these parts of the template and their data, as it stands in an application.
pub fn template(place: &Place, parts: &[&str]) -> Place {
    let old = Place::empty(place.database.postgres().flavour());
    let vector = old.database.postgres().has_extension("vector");
    let (extension, embedding) = if vector { ("CREATE EXTENSION vector;", "vector(3)") } else { ("", "real[]") };
    old.root(extension);
    for (_, sql) in PARTS.iter().chain(&DATA).filter(|(part, _)| parts.contains(part)) {
        old.root(&sql.replace("{embedding}", embedding));
    }
    if vector {
        old.root("CREATE INDEX idx_memories_embedding ON memories USING hnsw (embedding vector_cosine_ops)");
    }
    old
}

fn upgraded(place: &Place, parts: &[&str]) -> (Place, Report) {
    let old = template(place, parts);
    let report = old.migrate();
    (old, report)
}

fn every_row_is_there_or_put_aside(place: &Place) {
    let old = template(place, ALL);
    let tables = ["memories", "memory_history", "memory_relationships", "organizations", "org_members"];
    let ids = |place: &Place, table: &str| -> BTreeSet<String> {
        place.root(&format!("SELECT id FROM {table}")).lines().map(str::to_owned).collect()
    };
    let before = tables.map(|table| ids(&old, table));
    let texts = old.root("SELECT count(*), sum(length(memory)) FROM memories");
    assert_eq!(texts, "9|162");
    old.migrate();
    for (table, before) in tables.iter().zip(before) {
        let aside = format!(
            "(SELECT (content ->> 'id')::uuid AS id FROM locule.upgrade_rejects WHERE relation = 'public.{table}') AS aside"
        );
        let after = ids(&old, table).union(&ids(&old, &aside)).cloned().collect::<BTreeSet<_>>();
        assert_eq!(before.difference(&after).count(), 0, "{table}");
    }
    let kept = old.root(
        "SELECT number, memory, agent_id, metadata, categories, hash = md5(memory), created_at::date FROM memories
         WHERE user_id = 'alice-123' AND created_at < '2025-01-01' ORDER BY number",
    );
    assert_eq!(
        kept,
        "1|Alice drinks oolong||{\"mood\": \"calm\"}|{tea}|t|2024-01-01\n2|Alice drinks oolong|chef|{}|{}|t|2024-03-01"
    );
    let made_fit = "SELECT metadata, categories FROM memories WHERE memory = 'Bob drinks mate'";
    assert_eq!(old.root(made_fit), "{\"value\": [1]}|{a}");
    assert_eq!(
        old.root("SELECT count(*), count(*) FILTER (WHERE source_memory_id = '11111111-1111-4111-8111-111111111111') FROM memory_relationships"),
        "2|1"
    );
    let odd = "quo'te \\ \"Ünï\" 🫖";
    assert_eq!(old.see(Who::Rest(odd), "SELECT memory FROM memories"), "Odd names are names");
    assert_eq!(old.see(Who::Server(odd), "SELECT memories, size_bytes, revision FROM space_state"), "1|19|1");
}

fn the_report_says_what_became_of_it(place: &Place) {
    let (_, report) = upgraded(place, ALL);
    assert_eq!(report.before, None);
    assert_eq!(report.upgraded, ["memories", "memory_history", "memory_relationships", "org_members", "organizations"]);
    assert_eq!(report.owners, [ALICE, BOB, "quo'te \\ \"Ünï\" 🫖"]);
    let aside: Vec<_> = report.put_aside.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    assert_eq!(
        aside,
        [
            "1 a memory without an owner that could have it",
            "1 a relationship of a memory with itself",
            "1 a relationship that is there already",
            "1 a relationship whose ends are not both its owner's",
            "1 a slug that looks like an id: made longer",
            "1 metadata that is no object, or categories that are no list of texts: kept in a form that is",
            "1 the same text as another memory of this owner",
            "1 the tag of an organisation in which its owner may not write: taken off",
        ]
    );
    for made in ["table public.memory_vectors", "table public.space_audit", "schema locule"] {
        assert!(report.made.iter().any(|thing| thing == made), "{made}: {:?}", report.made);
    }
    assert!(report.notes.is_empty(), "{:?}", report.notes);
}

fn once_more_changes_nothing(place: &Place) {
    let (old, _) = upgraded(place, ALL);
    let before = dump(&old);
    let again = old.migrate();
    assert_eq!(dump(&old), before);
    assert_eq!((again.before, again.made.len(), again.upgraded.len()), (Some(2), 0, 0));
}

/// Everything that is in a database, as text.
pub fn dump(place: &Place) -> String {
    let program = place.database.postgres().programs().join("pg_dump");
    let output = Command::new(program).arg(place.database.url()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    // Newer ones begin and end with a word of their own.
    text.lines().filter(|line| !line.contains("restrict ")).collect::<Vec<_>>().join("\n")
}

fn u01_to_u14_are_gone(place: &Place) {
    let (old, _) = upgraded(place, ALL);
    let denied = |who, sql: &str| assert_eq!(old.ask(who, sql), Err("42501".to_owned()), "{sql}");
    let (alice, bob) = (Who::Rest(ALICE), Who::Rest(BOB));

    // U1, U14: somebody whose id is no UUID adds a memory, and it is in the history.
    let added = "INSERT INTO memories (memory) VALUES ('fresh') RETURNING user_id;
         SELECT operation, new_value ->> 'memory' FROM memory_history ORDER BY number DESC LIMIT 1";
    assert_eq!(old.see(alice, added), "alice-123\ncreate|fresh");
    // U2: agents have knowledge.
    let known = "INSERT INTO memories (user_id, agent_id, memory) VALUES (NULL, 'chef', 'Salt') RETURNING number";
    assert_eq!(old.see(Who::Service, known), "1");
    // U3: a denial is an operation like others.
    let denial = "INSERT INTO memory_history (user_id, operation, metadata) VALUES ('bob-456', 'access_denied', '{\"attempted_user_id\": \"alice-123\"}');
         SELECT user_id, metadata->>'attempted_user_id' FROM memory_history WHERE operation = 'access_denied'";
    assert_eq!(old.see(Who::Service, denial), "bob-456|alice-123");
    // U4: what somebody else has said can be said.
    assert_eq!(old.ask(bob, "INSERT INTO memories (memory) VALUES ('Alice drinks oolong')"), Ok(String::new()));
    // U5: a foreign memory is pointed at like none.
    let edge = "INSERT INTO memory_relationships (source_memory_id, target_memory_id, relationship_type)
         VALUES ('44444444-4444-4444-8444-444444444444', '11111111-1111-4111-8111-111111111111', 'x')";
    assert_eq!(old.ask(bob, edge), Err("23503".to_owned()));
    // U6, U7: neither in another's name nor with another's tag.
    denied(bob, "INSERT INTO memories (user_id, memory) VALUES ('alice-123', 'poison')");
    denied(bob, "INSERT INTO memories (memory, metadata) VALUES ('poison', '{\"org_id\": \"acme-corp\"}')");
    denied(
        Who::Rest("carol-789"),
        "INSERT INTO memories (memory, metadata) VALUES ('x', '{\"org_id\": \"acme-corp\"}')",
    );
    // U8, and the poison of years ago: a viewer reads by slug, and only what a member wrote.
    assert_eq!(old.see(Who::Rest("carol-789"), "SELECT memory FROM memories"), "Acme uses Debian");
    // U9: in two organisations one reads.
    assert_eq!(old.see(alice, "SELECT count(*) FROM memories"), "3");
    // U10: whoever calls himself an agent is himself.
    denied(
        bob,
        "SELECT set_config('app.agent_id', 'chef', true); INSERT INTO memories (user_id, agent_id, memory) VALUES (NULL, 'chef', 'x')",
    );
    // U11: what is deleted is nowhere.
    old.commit(bob, "DELETE FROM memories");
    assert_eq!(old.root("SELECT count(*) FROM memory_history WHERE user_id = 'bob-456' AND coalesce(old_value, new_value) IS NOT NULL"), "0");
    // U12: many categories.
    let many = "INSERT INTO memories (memory, categories) SELECT 'many', array_agg(repeat('c', 28) || n) FROM generate_series(1000, 1199) AS n";
    assert_eq!(old.ask(bob, many), Ok(String::new()));
    // U13: no index over the vectors of all.
    let over_all =
        "SELECT count(*) FROM pg_class JOIN pg_am ON pg_am.oid = relam WHERE amname IN ('hnsw', 'ivfflat', 'gin')
         AND relnamespace = 'public'::regnamespace";
    assert_eq!(old.root(over_all), "0");
    // And of the template nothing that guards or counts is left.
    let left = "SELECT string_agg(tgname, ' ') FROM pg_trigger WHERE tgname IN ('update_memories_updated_at', 'audit_memory_changes')";
    assert_eq!(old.root(left), "");
    assert_eq!(old.root("SELECT count(*) FROM pg_policies WHERE policyname NOT LIKE 'locule%'"), "0");
    assert_eq!(
        old.root("SELECT count(*) FROM pg_proc WHERE proname IN ('update_updated_at_column', 'log_memory_changes')"),
        "0"
    );
}

/// What is made from any of the template's forms differs from what is made from nothing only in the order of columns and in
/// the column that the template has more.
fn every_combination_of_the_template_becomes_the_same(place: &Place) {
    let shape = |place: &Place| {
        place.root(
            "SELECT 'column', attrelid::regclass, attname, format_type(atttypid, atttypmod), attnotnull, pg_get_expr(adbin, adrelid)
                 FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
                 WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND attnum > 0 AND NOT attisdropped AND attname <> 'embedding'
             UNION ALL SELECT 'constraint', conrelid::regclass, conname, pg_get_constraintdef(oid), NULL, NULL
                 FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND contype <> 'n'
             UNION ALL SELECT 'index', tablename::regclass, indexname, indexdef, NULL, NULL FROM pg_indexes WHERE schemaname = 'public'
             UNION ALL SELECT 'trigger', tgrelid::regclass, tgname, replace(pg_get_triggerdef(oid), current_database(), ''), NULL, NULL
                 FROM pg_trigger WHERE NOT tgisinternal
             UNION ALL SELECT 'policy', (schemaname || '.' || tablename)::regclass, policyname || cmd, qual, NULL, with_check FROM pg_policies
             UNION ALL SELECT 'table', oid::regclass, replace(relacl::text, current_database(), ''), NULL, relrowsecurity AND relforcerowsecurity, NULL
                 FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
             ORDER BY 1, 2, 3",
        )
        // The prefix of the roles is the database's name here.
        .replace(&place.prefix, "")
    };
    let fresh = Place::empty(place.database.postgres().flavour());
    if place.database.postgres().has_extension("vector") {
        // As those have it who used the template.
        fresh.root("CREATE EXTENSION vector");
    }
    fresh.migrate();
    let fresh = shape(&fresh);
    for parts in
        [&ALL[..2], &ALL[..3], &["supabase", "basic", "script"], &["supabase", "basic", "graph", "organizations"], ALL]
    {
        let (old, _) = upgraded(place, parts);
        let made = shape(&old);
        let difference: Vec<_> = made.lines().filter(|line| !fresh.contains(line)).collect();
        assert_eq!(made.lines().count(), fresh.lines().count(), "{parts:?}: {difference:?}");
        assert!(difference.is_empty(), "{parts:?}: {difference:#?}");
    }
}

fn what_an_application_refers_to_stays(place: &Place) {
    let old = template(place, ALL);
    old.root(
        "CREATE TABLE notes (memory_id uuid REFERENCES memories (id) ON DELETE CASCADE, note text);
         INSERT INTO notes VALUES ('11111111-1111-4111-8111-111111111111', 'mine');
         CREATE FUNCTION touched() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
         CREATE TRIGGER application AFTER UPDATE ON memories FOR EACH ROW EXECUTE FUNCTION touched()",
    );
    let report = old.migrate();
    assert_eq!(old.root("SELECT count(*) FROM notes JOIN memories ON memories.id = memory_id"), "1");
    assert!(report.notes.iter().any(|note| note.starts_with("notes refers to the ids")), "{:?}", report.notes);
    assert!(report.notes.iter().any(|note| note.starts_with("The trigger application")), "{:?}", report.notes);
    // The key over all users tells nobody anything: no user chooses an id.
    let chosen = "INSERT INTO memories (id, memory) VALUES ('44444444-4444-4444-8444-444444444444', 'x')";
    assert_eq!(old.ask(Who::Rest(ALICE), chosen), Err("42501".to_owned()));
    assert_eq!(old.migrate().notes, report.notes);
}

fn a_policy_of_ones_own_is_put_aside(place: &Place) {
    let old = template(place, &ALL[..3]);
    old.root("CREATE POLICY everybody_reads ON memories FOR SELECT TO authenticated USING (true)");
    let report = old.migrate();
    assert!(report.put_aside.iter().any(|(reason, count)| reason == "a policy that is not of Locule" && *count == 1));
    let kept =
        "SELECT content ->> 'policyname', content ->> 'qual' FROM locule.upgrade_rejects WHERE reason LIKE 'a policy%'";
    assert_eq!(old.root(kept), "everybody_reads|true");
    assert_eq!(old.see(Who::Rest(BOB), "SELECT count(*) FROM memories WHERE user_id = 'alice-123'"), "0");
    // And one that is put there later.
    old.root("CREATE POLICY once_more ON memory_history FOR SELECT TO PUBLIC USING (true)");
    old.migrate();
    assert_eq!(old.root("SELECT count(*) FROM pg_policies WHERE policyname NOT LIKE 'locule%'"), "0");
    assert!(old.root(kept).contains("once_more"));
}

fn a_table_that_is_not_the_templates_stops_it(place: &Place) {
    for table in [
        "memories (id bigint PRIMARY KEY, vector real[], payload jsonb)",
        "memories (id uuid, user_id uuid, memory text, agent_id text, run_id text, hash text, metadata jsonb, categories text[], created_at timestamptz, updated_at timestamptz)",
        "organizations (id serial PRIMARY KEY, title text)",
        "space_state (id integer)",
    ] {
        let old = Place::empty(place.database.postgres().flavour());
        old.root(&format!("CREATE TABLE {table}"));
        let before = dump(&old);
        let refused = old.try_migrate(None).unwrap_err();
        assert_eq!(refused.code(), Code::Conflict);
        assert!(refused.to_string().contains("neither of Locule nor of the mem0 template"), "{refused}");
        assert_eq!(dump(&old), before);
    }
    let view = Place::empty(place.database.postgres().flavour());
    view.root("CREATE VIEW memories AS SELECT 1 AS id");
    assert_eq!(view.try_migrate(None).unwrap_err().code(), Code::Conflict);
}

fn functions_of_supabase_stay_as_they_are(place: &Place) {
    let old = template(place, ALL);
    let functions = "SELECT oid, proname, proowner, proacl, pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'auth'::regnamespace ORDER BY 1";
    let schema = "SELECT nspowner, nspacl FROM pg_namespace WHERE nspname = 'auth'";
    let before = (old.root(functions), old.root(schema));
    old.migrate();
    assert_eq!((old.root(functions), old.root(schema)), before);
    // One that an application has under this name is not Supabase's, and is left alone too.
    let own = Place::empty(place.database.postgres().flavour());
    own.root("CREATE SCHEMA auth; CREATE TABLE auth.users (id integer)");
    own.migrate();
    assert_eq!(own.root("SELECT count(*) FROM pg_proc WHERE pronamespace = 'auth'::regnamespace"), "0");
    assert!(own.ask(Who::Rest("alice"), "INSERT INTO public.memories (memory) VALUES ('x')").is_ok());
}

fn with_vectors(place: &Place) -> Place {
    let old = template(place, ALL);
    let vector = |numbers: &str| match old.database.postgres().flavour() {
        Flavour::Debian15 => format!("'{{{numbers}}}'::real[]"),
        Flavour::Eighteen => format!("'[{numbers}]'::vector"),
    };
    for (memory, numbers) in
        [("Alice drinks oolong", "3,0,4"), ("Bob drinks mate", "0,0,0"), ("Bob has two dogs", "0,-2,0")]
    {
        old.root(&format!("UPDATE memories SET embedding = {} WHERE memory = '{memory}'", vector(numbers)));
    }
    old
}

fn vectors_are_taken_over(place: &Place) {
    let old = with_vectors(place);
    let report = old.try_migrate(Some("text-embedding-3-small")).unwrap();
    assert_eq!(report.vectors, 3);
    // 0.6, 0 and 0.8 as half-precision numbers; 0, -1 and 0.
    let taken = "SELECT user_id, number, encode(embedding, 'hex') FROM memory_vectors ORDER BY 1, 2";
    assert_eq!(old.root(taken), "alice-123|1|cd380000663a\nalice-123|2|cd380000663a\nbob-456|1|000000bc0000");
    if report.pgvector {
        assert_eq!(old.see(Who::Rest("bob-456"), "SELECT vector FROM memory_vectors"), "[0,-1,0]");
    }
    let state = "SELECT model, dimension, size_bytes - (SELECT sum(locule.size_bytes(memory, metadata)) FROM memories WHERE memories.user_id = space_state.user_id)
         FROM space_state WHERE user_id IN ('alice-123', 'bob-456') ORDER BY user_id";
    assert_eq!(old.root(state), "text-embedding-3-small|3|12\ntext-embedding-3-small|3|6");
    assert_eq!(old.root("SELECT count(*) FROM memories WHERE embedding IS NOT NULL"), "4");
    let again = old.try_migrate(Some("text-embedding-3-small")).unwrap();
    assert_eq!((again.vectors, old.root("SELECT count(*) FROM memory_vectors")), (0, "3".to_owned()));
    // Vectors of another model do not go among them.
    assert_eq!(old.try_migrate(Some("another")).unwrap().vectors, 0);
}

fn vectors_that_are_none_are_left(place: &Place) {
    let old = with_vectors(place);
    if old.database.postgres().flavour() == Flavour::Debian15 {
        old.root("UPDATE memories SET embedding = '{1,2}' WHERE memory = 'Bob drinks mate'");
    }
    let report = old.try_migrate(Some("model")).unwrap();
    assert_eq!(report.vectors, 3);
    assert!(
        report.notes.iter().any(|note| note.starts_with("1 vectors are of no or of another length")),
        "{:?}",
        report.notes
    );
    // Without a model nobody can say whose they are.
    let old = with_vectors(place);
    assert_eq!(old.migrate().vectors, 0);
    assert_eq!(old.root("SELECT count(*) FROM memory_vectors"), "0");
    assert_eq!(old.root("SELECT count(*) FROM memories WHERE embedding IS NOT NULL"), "4");
}

fn a_published_table_goes_on_being_published(place: &Place) {
    let old = template(place, ALL);
    old.root("CREATE PUBLICATION live FOR TABLE memories");
    old.migrate();
    assert_eq!(old.root("SELECT relreplident FROM pg_class WHERE oid = 'memories'::regclass"), "f");
    assert!(old.ask(Who::Rest(ALICE), "UPDATE memories SET memory = 'changed' WHERE number = 1").is_ok());
}

fn history_of_what_was_deleted_is_emptied(place: &Place) {
    let (old, _) = upgraded(place, ALL);
    assert!(!dump(&old).contains("Alice regrets this"));
    let past = "SELECT operation, old_value IS NULL AND new_value IS NULL FROM memory_history
         WHERE memory_id = '77777777-7777-4777-8777-777777777777' ORDER BY number";
    assert_eq!(old.root(past), "create|t\ndelete|t");
    // Of what is still there, the past is too.
    let past = "SELECT operation, old_value ->> 'memory', new_value ->> 'memory', created_at::date FROM memory_history
         WHERE memory_id = '55555555-5555-4555-8555-555555555555' ORDER BY number";
    assert_eq!(old.root(past), "create||Bob has a dog|2024-05-01\nupdate|Bob has a dog|Bob has two dogs|2024-05-01");
}
