//! Every pitfall of row security that was found to leak elsewhere, tried on our tables: P1 to P45 of the research, in its
//! numbering. What is not in SQL's hands is in [`ACCEPTED`], which may only shrink.

use std::process::Command;

use crate::place::{Place, Who};

/// What row security does not hide in PostgreSQL, whoever wrote the policies. None of it is content; all of it needs SQL of
/// one's own, which no tenant has: the server and PostgREST make every statement.
pub const ACCEPTED: [&str; 4] = [
    "P14 EXPLAIN ANALYZE counts the rows that a filter removed",
    "P15 EXPLAIN estimates with statistics over all rows",
    "P17 pg_class tells how many rows and pages a table has",
    "P34 whoever may run any statement may set the claims",
];

rules! { Place::inhabited;
    what_is_accepted_only_shrinks
    p01_the_owner_is_held_too
    p02_no_login_of_ours_gets_around
    p03_nobody_switches_it_off
    p04_no_function_lends_what_anybody_may_not
    p05_no_table_of_the_callers_own_is_taken_for_ours
    p06_p07_there_is_no_view
    p08_two_people_have_the_same_text
    p09_an_id_that_is_taken_is_free
    p10_a_foreign_memory_is_pointed_at_like_none
    p11_p13_no_condition_sees_a_foreign_row
    p12_no_function_of_ours_is_leakproof
    p14_explain_removes_no_foreign_rows
    p16_statistics_are_hidden
    p18_other_sessions_are_hidden
    p19_nothing_stays_on_the_connection
    p20_outside_a_transaction_nobody_asks
    p21_there_is_nowhere_to_leave_a_table
    p22_p23_who_was_never_told_or_is_no_more_is_nobody
    p24_claims_that_are_none_see_nothing
    p25_p26_every_policy_checks_what_it_writes
    p28_who_is_nobody_owns_nothing
    p31_no_table_has_children
    p32_nobody_may_more_than_rows
    p33_the_login_leads_nowhere_else
    p34_no_function_builds_a_statement
    p35_the_older_setting_is_not_believed
    p36_row_security_is_not_switched_off
    p37_copy_is_held
    p38_a_backup_is_whole
    p39_what_is_not_granted_is_denied
    p40_a_prepared_statement_is_whoever_asks
    p41_what_one_adds_one_is_shown
    p42_what_hangs_on_a_memory_goes_with_it
    p43_a_role_in_the_claims_is_only_a_word
    p44_the_books_are_not_the_users
    p45_the_past_is_not_the_users
    a_foreign_row_is_not_there
    numbers_tell_nothing_of_others
    a_denial_outlives_what_was_denied
    erased_is_gone
    a_minority_finds_all_it_has
}

fn what_is_accepted_only_shrinks(_: &Place) {
    assert!(ACCEPTED.len() <= 4, "{ACCEPTED:?}");
}

const BOB: [Who; 2] = [Who::Server("bob"), Who::Rest("bob")];
const TABLES: [&str; 9] = [
    "memories",
    "memory_vectors",
    "memory_history",
    "memory_relationships",
    "space_audit",
    "space_state",
    "organizations",
    "org_members",
    "memory_org_shares",
];

fn denied(place: &Place, who: Who, sql: &str) {
    assert_eq!(place.ask(who, sql), Err("42501".to_owned()), "{sql}");
}

fn p01_the_owner_is_held_too(place: &Place) {
    for table in TABLES {
        assert_eq!(place.see(Who::Login("owner"), &format!("SELECT count(*) FROM public.{table}")), "0", "{table}");
    }
    assert_eq!(place.root("SELECT count(*) > 0 FROM memories"), "t");
}

fn p02_no_login_of_ours_gets_around(place: &Place) {
    let around = format!(
        "SELECT string_agg(rolname, ' ') FROM pg_roles WHERE starts_with(rolname, '{}_')
         AND (rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls OR (rolcanlogin AND rolinherit))",
        place.prefix
    );
    assert_eq!(place.root(&around), place.role("backup"));
    let logins = format!(
        "SELECT string_agg(rolname, ' ' ORDER BY rolname) FROM pg_roles WHERE starts_with(rolname, '{}_') AND rolcanlogin",
        place.prefix
    );
    assert_eq!(place.root(&logins), format!("{} {}", place.role("api"), place.role("directory")));
}

fn p03_nobody_switches_it_off(place: &Place) {
    for who in
        [Who::Server("bob"), Who::Rest("bob"), Who::Anon, Who::Service, Who::Login("api"), Who::Login("directory")]
    {
        denied(place, who, "ALTER TABLE memories DISABLE ROW LEVEL SECURITY");
        denied(place, who, &format!("SET LOCAL ROLE {}", place.role("owner")));
    }
}

fn p04_no_function_lends_what_anybody_may_not(place: &Place) {
    let lending = "SELECT count(*) FROM pg_proc WHERE pronamespace = 'locule'::regnamespace AND prosecdef";
    assert_eq!(place.root(lending), "5");
    let to_all =
        "SELECT string_agg(proname, ' ') FROM pg_proc, aclexplode(coalesce(proacl, acldefault('f', proowner))) AS acl
         WHERE pronamespace = 'locule'::regnamespace AND acl.grantee = 0";
    assert_eq!(place.root(to_all), "");
    for who in [Who::Anon, Who::Server("bob"), Who::Rest("bob")] {
        // A name in this schema is not even looked up for those who do not write it; and a trigger's function is not called.
        assert!(place.ask(who, "SELECT locule.organizations('{owner}')").is_err());
        assert!(place.ask(who, "SELECT locule.record_memory()").is_err());
    }
}

fn p05_no_table_of_the_callers_own_is_taken_for_ours(place: &Place) {
    for who in [Who::Rest("bob"), Who::Server("bob"), Who::Anon, Who::Login("api")] {
        denied(place, who, "CREATE TEMPORARY TABLE org_members (org_id uuid, user_id text, role text)");
        denied(place, who, "CREATE TABLE public.om (id integer)");
    }
    // And if there were one.
    let shadow = format!(
        "CREATE TEMPORARY TABLE org_members AS SELECT gen_random_uuid() AS org_id, 'bob'::text AS user_id, 'owner'::text AS role;
         GRANT ALL ON org_members TO PUBLIC;
         {} SELECT count(*) FROM pg_temp.org_members; SELECT count(*) FROM public.org_members; ROLLBACK;",
        place.begin(Who::Rest("bob"))
    );
    assert_eq!(place.script(&shadow), Ok("1\n0".to_owned()));
    let unfixed = "SELECT string_agg(proname, ' ') FROM pg_proc WHERE pronamespace IN ('locule'::regnamespace, 'auth'::regnamespace)
         AND NOT coalesce('search_path=\"\"' = ANY (proconfig), false)";
    assert_eq!(place.root(unfixed), "");
}

fn p06_p07_there_is_no_view(place: &Place) {
    let views = "SELECT count(*) FROM pg_class WHERE relkind IN ('v', 'm')
         AND relnamespace IN ('public'::regnamespace, 'locule'::regnamespace)";
    assert_eq!(place.root(views), "0");
}

fn p08_two_people_have_the_same_text(place: &Place) {
    for who in BOB {
        let add = match who {
            Who::Server(_) => {
                "INSERT INTO memories (number, id, memory, hash)
                 VALUES (9, locule.new_id(), 'SECRET of Alice', md5('SECRET of Alice')) RETURNING number"
            }
            _ => "INSERT INTO memories (memory) VALUES ('SECRET of Alice') RETURNING number",
        };
        assert!(place.ask(who, add).is_ok());
        let twice = format!("{add}; {}", add.replace("(9,", "(10,"));
        assert_eq!(place.ask(who, &twice), Err("23505".to_owned()));
    }
}

fn p09_an_id_that_is_taken_is_free(place: &Place) {
    let id = place.root("SELECT id FROM memories WHERE user_id = 'alice'");
    denied(place, Who::Rest("bob"), &format!("INSERT INTO memories (id, memory) VALUES ('{id}', 'x')"));
    // An import brings its ids.
    let import = format!("INSERT INTO memories (number, id, memory, hash) VALUES (9, '{id}', 'x', 'x')");
    assert_eq!(place.ask(Who::Server("bob"), &import), Ok(String::new()));
}

fn p10_a_foreign_memory_is_pointed_at_like_none(place: &Place) {
    let own = place.root("SELECT id FROM memories WHERE user_id = 'bob'");
    let foreign = place.root("SELECT id FROM memories WHERE user_id = 'alice'");
    for who in BOB {
        for target in [foreign.as_str(), "00000000-0000-7000-8000-000000000000"] {
            for (source, target) in [(own.as_str(), target), (target, own.as_str())] {
                let edge = format!(
                    "INSERT INTO memory_relationships (source_memory_id, target_memory_id, relationship_type)
                     VALUES ('{source}', '{target}', 'x')"
                );
                assert_eq!(place.ask(who, &edge), Err("23503".to_owned()));
            }
        }
    }
    denied(
        place,
        Who::Rest("bob"),
        &format!(
            "INSERT INTO memory_relationships (user_id, source_memory_id, target_memory_id, relationship_type)
             VALUES ('alice', '{foreign}', '{own}', 'x')"
        ),
    );
}

fn p11_p13_no_condition_sees_a_foreign_row(place: &Place) {
    place.root(
        "CREATE OR REPLACE FUNCTION public.loud(memory text) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS
         $$ BEGIN IF memory LIKE '%SECRET%' THEN RAISE 'seen'; END IF; RETURN true; END $$",
    );
    for who in BOB {
        for sql in [
            "SELECT count(*) FROM memories WHERE public.loud(memory)",
            "SELECT count(*) FROM memories WHERE 1 / (CASE WHEN memory LIKE '%SECRET%' THEN 0 ELSE 1 END) = 1",
            "SELECT count(*) FROM memories WHERE (CASE WHEN memory LIKE '%SECRET%' THEN memory ELSE '1' END)::integer = 1",
        ] {
            assert_eq!(place.see(who, sql), "1", "{sql}");
        }
    }
    place.root("DROP FUNCTION public.loud");
}

fn p12_no_function_of_ours_is_leakproof(place: &Place) {
    let leakproof = "SELECT count(*) FROM pg_proc WHERE proleakproof AND pronamespace <> 'pg_catalog'::regnamespace";
    assert_eq!(place.root(leakproof), "0");
}

fn p14_explain_removes_no_foreign_rows(place: &Place) {
    let explained = place.see(
        Who::Server("bob"),
        "SET LOCAL enable_seqscan = off; EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) SELECT * FROM memories WHERE memory LIKE '%o%'",
    );
    assert!(explained.contains("user_id = $1") || explained.contains("(InitPlan 2)"), "{explained}");
    assert!(!explained.contains("Rows Removed"), "{explained}");
}

fn p16_statistics_are_hidden(place: &Place) {
    place.root("ANALYZE memories");
    for who in BOB {
        assert_eq!(place.see(who, "SELECT count(*) FROM pg_stats WHERE tablename = 'memories'"), "0");
    }
    assert_ne!(place.root("SELECT count(*) FROM pg_stats WHERE tablename = 'memories'"), "0");
}

fn p18_other_sessions_are_hidden(place: &Place) {
    let texts = "SELECT count(*) FROM pg_stat_activity
         WHERE pid <> pg_backend_pid() AND query <> '' AND query NOT LIKE '<insufficient%'";
    for who in BOB {
        assert_eq!(place.see(who, texts), "0");
    }
}

fn p19_nothing_stays_on_the_connection(place: &Place) {
    for who in [Who::Server("alice"), Who::Rest("alice")] {
        let alice = place.begin(who);
        let after = format!(
            "{alice} SELECT count(*) FROM memories; COMMIT;
             SELECT current_user = session_user, current_setting('request.jwt.claims'), current_setting('role');
             BEGIN; SELECT count(*) FROM memories; COMMIT;"
        );
        assert_eq!(place.script(&after), Err("42501".to_owned()));
        let after = after.replace("BEGIN; SELECT count(*) FROM memories; COMMIT;", "");
        assert_eq!(place.script(&after), Ok("1\nt||none".to_owned()));
    }
}

fn p20_outside_a_transaction_nobody_asks(place: &Place) {
    let lost = format!(
        "SET SESSION AUTHORIZATION {};
         SELECT set_config('role', '{}', true), set_config('request.jwt.claims', '{{\"sub\":\"alice\"}}', true) \\g /dev/null
         SELECT count(*) FROM memories;",
        place.role("api"),
        place.role("user")
    );
    assert_eq!(place.script(&lost), Err("42501".to_owned()));
    let role_only = lost.replace("true), set_config", "false), set_config");
    assert_eq!(place.script(&role_only), Ok("0".to_owned()));
}

fn p21_there_is_nowhere_to_leave_a_table(place: &Place) {
    let may = format!(
        "SELECT count(*) FROM pg_roles WHERE (starts_with(rolname, '{}_') OR rolname IN ('anon', 'authenticated'))
         AND (has_database_privilege(rolname, current_database(), 'TEMP')
              OR has_database_privilege(rolname, current_database(), 'CREATE')
              OR (has_schema_privilege(rolname, 'public', 'CREATE') AND rolname !~ '_owner$'))",
        place.prefix
    );
    assert_eq!(place.root(&may), "0");
}

fn p22_p23_who_was_never_told_or_is_no_more_is_nobody(place: &Place) {
    let never =
        format!("SET SESSION AUTHORIZATION {}; BEGIN; SET LOCAL ROLE {};", place.role("api"), place.role("user"));
    let asked = "SELECT locule.caller() IS NULL, count(*) FROM memories;";
    assert_eq!(place.script(&format!("{never} {asked}")), Ok("t|0".to_owned()));
    let no_more = format!("{} COMMIT; {}", place.begin(Who::Server("alice")), never.replace(';', ";\n"));
    let no_more = no_more.replacen("SET SESSION", "RESET SESSION AUTHORIZATION; SET SESSION", 2);
    assert_eq!(place.script(&format!("{no_more} {asked}")), Ok("t|0".to_owned()));
}

fn p24_claims_that_are_none_see_nothing(place: &Place) {
    let user = place.role("user");
    for role in ["authenticated", &user] {
        for nobody in ["", "{}", r#"{"sub":null}"#, r#"{"sub":""}"#, "[]", "null", "\"alice\"", r#"{"SUB":"alice"}"#] {
            assert_eq!(place.see(Who::Claims(role, nobody), "SELECT count(*) FROM memories"), "0", "{nobody}");
            let add = match role {
                "authenticated" => "INSERT INTO memories (memory) VALUES ('x')",
                _ => "INSERT INTO memories (number, id, memory, hash) VALUES (1, gen_random_uuid(), 'x', 'x')",
            };
            denied(place, Who::Claims(role, nobody), add);
        }
        for garbage in ["{", "alice", "{\"sub\":'alice'}"] {
            let asked = place.ask(Who::Claims(role, garbage), "SELECT count(*) FROM memories");
            assert_eq!(asked, Err("22P02".to_owned()), "{garbage}");
        }
    }
}

fn p25_p26_every_policy_checks_what_it_writes(place: &Place) {
    let careless = "SELECT string_agg(tablename || '.' || policyname, ' ') FROM pg_policies
         WHERE schemaname IN ('public', 'locule') AND cmd IN ('ALL', 'INSERT', 'UPDATE')
             AND (with_check IS NULL OR (cmd <> 'INSERT' AND qual IS NULL))";
    assert_eq!(place.root(careless), "");
    let open = "SELECT string_agg(tablename || '.' || policyname, ' ') FROM pg_policies
         WHERE schemaname IN ('public', 'locule') AND (qual = 'true' OR with_check = 'true' OR 'public' = ANY (roles))";
    assert_eq!(place.root(open), "");
    denied(place, Who::Rest("bob"), "INSERT INTO memories (user_id, memory) VALUES ('alice', 'poison')");
    denied(place, Who::Rest("bob"), "UPDATE memories SET user_id = 'alice'");
    for user_id in ["'alice'", "'bob'"] {
        // The server does not so much as name an owner.
        denied(
            place,
            Who::Server("bob"),
            &format!(
                "INSERT INTO memories (user_id, number, id, memory, hash) VALUES ({user_id}, 9, gen_random_uuid(), 'x', 'x')"
            ),
        );
    }
    denied(place, Who::Server("bob"), "UPDATE memories SET user_id = 'alice'");
}

fn p28_who_is_nobody_owns_nothing(place: &Place) {
    place.commit(
        Who::Service,
        "INSERT INTO memories (user_id, agent_id, memory) VALUES (NULL, 'chef', 'Salt the water')",
    );
    denied(place, Who::Anon, "SELECT * FROM memories");
    let user = place.role("user");
    assert_eq!(place.see(Who::Claims(&user, "{}"), "SELECT count(*) FROM memories"), "0");
    assert_eq!(place.see(Who::Server("bob"), "SELECT count(*) FROM memories WHERE user_id IS NULL"), "0");
    for who in BOB {
        let add = match who {
            Who::Server(_) => "INSERT INTO memories (user_id, memory) VALUES (NULL, 'x')",
            _ => "INSERT INTO memories (user_id, agent_id, memory) VALUES (NULL, 'chef', 'x')",
        };
        denied(place, who, add);
    }
    let ownerless = place.ask(Who::Service, "INSERT INTO memories (user_id, run_id, memory) VALUES (NULL, 'r', 'x')");
    assert_eq!(ownerless, Err("23514".to_owned()));
    place.commit(
        Who::Service,
        "DELETE FROM memories WHERE user_id IS NULL; DELETE FROM memory_history WHERE user_id IS NULL",
    );
}

fn p31_no_table_has_children(place: &Place) {
    assert_eq!(
        place.root(
            "SELECT count(*) FROM pg_inherits WHERE inhparent IN (SELECT oid FROM pg_class WHERE relkind IN ('r', 'p'))"
        ),
        "0"
    );
}

fn p32_nobody_may_more_than_rows(place: &Place) {
    for who in
        [Who::Server("bob"), Who::Rest("bob"), Who::Anon, Who::Service, Who::Login("api"), Who::Login("directory")]
    {
        for table in TABLES {
            denied(place, who, &format!("TRUNCATE {table}"));
        }
    }
    let more = format!(
        "SELECT string_agg(DISTINCT format('%s %s %s', grantee, privilege_type, table_name), ', ')
         FROM information_schema.role_table_grants WHERE table_schema IN ('public', 'locule') AND grantee <> '{}'
             AND privilege_type NOT IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE')",
        place.role("owner")
    );
    assert_eq!(place.root(&more), "");
}

fn p33_the_login_leads_nowhere_else(place: &Place) {
    for who in BOB {
        for sql in [
            "RESET ROLE; SELECT count(*) FROM memories".to_owned(),
            "SET ROLE service_role".to_owned(),
            format!("SET ROLE {}", place.role("helper")),
            format!("SET ROLE {}", place.role("writer")),
            format!("SET ROLE {}", place.role("backup")),
            format!("SET ROLE {}", place.role("directory")),
        ] {
            denied(place, who, &sql);
        }
    }
}

fn p34_no_function_builds_a_statement(place: &Place) {
    let dynamic = "SELECT count(*) FROM pg_proc WHERE pronamespace IN ('locule'::regnamespace, 'auth'::regnamespace)
         AND prosrc ~* '\\mexecute\\M'";
    assert_eq!(place.root(dynamic), "0");
}

fn p35_the_older_setting_is_not_believed(place: &Place) {
    let bob = format!(
        "{} SELECT set_config('request.jwt.claim.sub', 'alice', true) \\g /dev/null
         SELECT user_id FROM memories; ROLLBACK;",
        place.begin(Who::Rest("bob"))
    );
    assert_eq!(place.script(&bob), Ok("bob".to_owned()));
    // The server empties it with the same statement that says who asks.
    let server = place.begin(Who::Server("bob"));
    let stale = format!(
        "SELECT set_config('request.jwt.claim.sub', 'alice', false) \\g /dev/null\n{server} SELECT user_id FROM memories;"
    );
    assert_eq!(place.script(&stale), Ok("bob".to_owned()));
}

fn p36_row_security_is_not_switched_off(place: &Place) {
    for who in BOB {
        denied(place, who, "SET LOCAL row_security = off; SELECT count(*) FROM memories");
    }
}

fn p37_copy_is_held(place: &Place) {
    for who in BOB {
        assert_eq!(place.see(who, "COPY (SELECT memory FROM memories) TO STDOUT"), "Bob's own");
        assert_eq!(place.see(who, "COPY memories (memory) TO STDOUT"), "Bob's own");
    }
    let copied = format!("{} COPY memories (memory) FROM STDIN;\npoison\n\\.\n", place.begin(Who::Rest("bob")));
    assert_eq!(place.script(&copied), Err("0A000".to_owned()));
}

fn p38_a_backup_is_whole(place: &Place) {
    let dump = dump(place, &[&format!("--role={}", place.role("backup"))]).unwrap();
    assert!(dump.contains("SECRET of Alice") && dump.contains("Bob's own"));
    assert!(dump.contains("CREATE POLICY locule_user"));
    // A login that row security holds does not make half a backup.
    assert!(dump_as(place, "authenticated").is_err());
}

fn dump_as(place: &Place, role: &str) -> Result<String, String> {
    dump(place, &[&format!("--role={role}"), "--table=public.memories"])
}

fn dump(place: &Place, options: &[&str]) -> Result<String, String> {
    let program = place.database.postgres().programs().join("pg_dump");
    let output = Command::new(program).args(options).arg(place.database.url()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

fn p39_what_is_not_granted_is_denied(place: &Place) {
    let (api, directory) = (Who::Login("api"), Who::Login("directory"));
    for table in TABLES {
        for who in [Who::Anon, api, directory] {
            denied(place, who, &format!("SELECT * FROM {table}"));
        }
    }
    for table in ["space_state", "space_audit", "locule.upgrade_rejects", "locule.migrations"] {
        denied(place, Who::Rest("bob"), &format!("SELECT * FROM {table}"));
    }
    denied(place, Who::Server("bob"), "SELECT * FROM organizations");
    denied(place, Who::Server("bob"), "SELECT * FROM locule.migrations");
    // A chain of what happened is never changed, by nobody.
    denied(place, Who::Server("bob"), "UPDATE space_audit SET act = 'x'");
    denied(place, Who::Service, "UPDATE space_audit SET act = 'x'");
    // A new table of the owner's that somebody forgets to guard.
    place.root(&format!(
        "CREATE TABLE public.forgotten (user_id text, memory text); ALTER TABLE public.forgotten OWNER TO {};
         ALTER TABLE public.forgotten ENABLE ROW LEVEL SECURITY; INSERT INTO public.forgotten VALUES ('alice', 'SECRET');
         GRANT ALL ON public.forgotten TO authenticated",
        place.role("owner")
    ));
    assert_eq!(place.see(Who::Rest("bob"), "SELECT count(*) FROM forgotten"), "0");
    denied(place, Who::Rest("bob"), "INSERT INTO forgotten VALUES ('bob', 'x')");
    place.root("DROP TABLE public.forgotten");
}

fn p40_a_prepared_statement_is_whoever_asks(place: &Place) {
    let once = |subject| {
        let begin = place.begin(Who::Rest(subject));
        let begin = begin.split_once(";\n").unwrap().1.to_owned();
        format!("{begin}\nEXECUTE mine; COMMIT;\n")
    };
    let script = format!(
        "SET SESSION AUTHORIZATION {};
         {} PREPARE mine AS SELECT user_id FROM public.memories; COMMIT;
         {}{}{}",
        place.role("api"),
        place.begin(Who::Rest("alice")).split_once(";\n").unwrap().1,
        once("alice").repeat(7),
        once("bob").repeat(7),
        once("alice"),
    );
    let answers = format!("{}{}alice", "alice\n".repeat(7), "bob\n".repeat(7));
    assert_eq!(place.script(&script), Ok(answers));
}

fn p41_what_one_adds_one_is_shown(place: &Place) {
    let add = "INSERT INTO memories (memory) VALUES ('new') RETURNING user_id, number, hash, length(id::text)";
    assert_eq!(place.see(Who::Rest("bob"), add), "bob|2|22af645d1859cb5ca6da0c484f1f37ea|36");
}

fn p42_what_hangs_on_a_memory_goes_with_it(place: &Place) {
    for who in BOB {
        let gone = place.see(
            who,
            "INSERT INTO memory_relationships (source_memory_id, target_memory_id, relationship_type)
                 SELECT id, id, 'x' FROM memories WHERE false;
             DELETE FROM memories; SELECT count(*) FROM memory_relationships",
        );
        assert_eq!(gone, "0");
    }
    let gone = place.see(
        Who::Rest("bob"),
        "INSERT INTO memories (memory) VALUES ('second');
         INSERT INTO memory_relationships (source_memory_id, target_memory_id, relationship_type)
             SELECT min(id::text)::uuid, max(id::text)::uuid, 'x' FROM memories;
         SELECT count(*) FROM memory_relationships;
         DELETE FROM memories WHERE memory = 'second'; SELECT count(*) FROM memory_relationships",
    );
    assert_eq!(gone, "1\n0");
    // What the triggers take along, nobody else loses.
    place.commit(Who::Rest("carol"), "INSERT INTO memories (memory) VALUES ('SECRET of Alice')");
    place.commit(Who::Rest("carol"), "DELETE FROM memories");
    assert_eq!(place.root("SELECT count(*) FROM memory_vectors WHERE user_id = 'alice'"), "1");
    let left = "SELECT operation, new_value IS NULL FROM memory_history WHERE user_id = 'carol' ORDER BY number";
    assert_eq!(place.root(left), "create|t\ndelete|t");
    assert_eq!(place.root("SELECT memories, size_bytes, revision FROM space_state WHERE user_id = 'carol'"), "0|0|2");
}

fn p43_a_role_in_the_claims_is_only_a_word(place: &Place) {
    let claims = r#"{"sub":"bob","role":"service_role"}"#;
    let user = place.role("user");
    for role in ["authenticated", &user] {
        assert_eq!(place.see(Who::Claims(role, claims), "SELECT count(*) FROM memories"), "1");
    }
    // PostgREST asks for the role that the token names: our login is not let into that one.
    assert_eq!(place.ask(Who::Claims("service_role", claims), "SELECT 1"), Err("42501".to_owned()));
}

fn p44_the_books_are_not_the_users(place: &Place) {
    for column in ["id", "hash", "number", "created_at", "updated_at", "user_id"] {
        denied(place, Who::Rest("bob"), &format!("UPDATE memories SET {column} = DEFAULT"));
        if column != "user_id" {
            denied(place, Who::Rest("bob"), &format!("INSERT INTO memories (memory, {column}) VALUES ('x', DEFAULT)"));
        }
    }
    let changed = place.see(
        Who::Rest("bob"),
        "UPDATE memories SET memory = 'changed'; SELECT hash = md5('changed'), updated_at = now(), number FROM memories",
    );
    assert_eq!(changed, "t|t|1");
}

fn p45_the_past_is_not_the_users(place: &Place) {
    for sql in [
        "DELETE FROM memory_history",
        "UPDATE memory_history SET old_value = NULL",
        "INSERT INTO memory_history (operation) VALUES ('read')",
        "TRUNCATE memory_history",
    ] {
        denied(place, Who::Rest("bob"), sql);
    }
    assert_eq!(place.see(Who::Rest("bob"), "SELECT operation, user_id, actor FROM memory_history"), "create|bob|bob");
}

fn a_foreign_row_is_not_there(place: &Place) {
    for who in BOB {
        for table in ["memories", "memory_history", "memory_vectors"] {
            assert_eq!(place.see(who, &format!("SELECT count(*) FROM {table} WHERE user_id = 'alice'")), "0");
        }
        let memory = "UPDATE memories SET memory = 'x' WHERE user_id = 'alice' RETURNING 1";
        assert_eq!(place.see(who, memory), "");
        assert_eq!(place.see(who, "DELETE FROM memories WHERE user_id = 'alice' RETURNING 1"), "");
    }
    for table in ["memory_vectors", "space_state", "space_audit", "memory_relationships"] {
        let seen = format!("SELECT count(*) FROM {table} WHERE user_id = 'alice'");
        assert_eq!(place.see(Who::Server("bob"), &seen), "0", "{table}");
        assert_eq!(
            place.see(Who::Server("bob"), &format!("DELETE FROM {table} WHERE user_id = 'alice' RETURNING 1")),
            ""
        );
    }
    assert_eq!(place.root("SELECT count(*) FROM memories WHERE user_id = 'alice'"), "1");
}

fn numbers_tell_nothing_of_others(place: &Place) {
    let sequences = "SELECT count(*) FROM pg_class WHERE relkind = 'S' AND relnamespace IN ('public'::regnamespace, 'locule'::regnamespace)";
    assert_eq!(place.root(sequences), "0");
    let add = "INSERT INTO memories (memory) VALUES ('first') RETURNING number";
    assert_eq!(place.see(Who::Rest("newcomer"), add), "1");
}

fn a_denial_outlives_what_was_denied(place: &Place) {
    denied(place, Who::Rest("bob"), "INSERT INTO memories (user_id, memory) VALUES ('alice', 'poison')");
    place.commit(
        Who::Login("directory"),
        r#"INSERT INTO public.memory_history (user_id, operation, metadata, actor)
           VALUES ('bob', 'access_denied', '{"attempted_user_id": "alice"}', 'bob')"#,
    );
    // As the page on isolation has it, for the service.
    let denials = "SELECT timestamp IS NOT NULL, user_id, operation, metadata->>'attempted_user_id' AS attempted_user
         FROM memory_history WHERE operation = 'access_denied' ORDER BY timestamp DESC";
    assert_eq!(place.see(Who::Service, denials), "t|bob|access_denied|alice");
    assert_eq!(place.see(Who::Rest("bob"), denials), "t|bob|access_denied|alice");
    assert_eq!(place.see(Who::Rest("alice"), denials), "");
    for sql in [
        "INSERT INTO public.memory_history (user_id, operation) VALUES ('bob', 'read')",
        "INSERT INTO public.memory_history (user_id, operation, old_value) VALUES ('bob', 'access_denied', '{}')",
        "SELECT user_id FROM public.memory_history",
        "UPDATE public.memory_history SET user_id = 'alice'",
        "UPDATE public.memory_history SET operation = 'read'",
        "DELETE FROM public.memory_history",
    ] {
        denied(place, Who::Login("directory"), sql);
    }
    // Of the history it sees denials, and takes out of them nothing but whom they name.
    let other = "SELECT count(*) FROM public.memory_history WHERE operation <> 'access_denied'";
    assert_eq!(place.see(Who::Login("directory"), other), "0");
    let named = "UPDATE public.memory_history SET metadata = '{}' WHERE metadata->>'attempted_user_id' = 'alice' RETURNING operation";
    assert_eq!(place.see(Who::Login("directory"), named), "access_denied");
    place.commit(Who::Service, "DELETE FROM memory_history WHERE operation = 'access_denied'");
}

fn erased_is_gone(place: &Place) {
    place.commit(
        Who::Rest("dora"),
        "INSERT INTO memories (memory, metadata) VALUES ('MARKER one', '{\"a\": \"MARKER\"}')",
    );
    place.commit(Who::Rest("dora"), "UPDATE memories SET memory = 'MARKER two'");
    place.root("INSERT INTO locule.upgrade_rejects (user_id, relation, reason, content) VALUES ('dora', 'x', 'x', '\"MARKER\"')");
    assert!(dump(place, &[]).unwrap().contains("MARKER"));
    for table in ["memory_relationships", "memory_vectors", "memory_history", "space_audit", "memories", "space_state"]
    {
        place.commit(Who::Server("dora"), &format!("DELETE FROM {table}"));
    }
    place.commit(Who::Server("dora"), "DELETE FROM locule.upgrade_rejects");
    let dump = dump(place, &[]).unwrap();
    assert!(!dump.contains("MARKER") && !dump.contains("dora"));
    assert!(dump.contains("SECRET of Alice"));
}

fn a_minority_finds_all_it_has(place: &Place) {
    place.commit(
        Who::Server("majority"),
        "INSERT INTO space_state (revision) VALUES (0);
         INSERT INTO memories (number, id, memory, hash) SELECT n, locule.new_id(), 'm' || n, md5('m' || n) FROM generate_series(1, 3000) n;
         INSERT INTO memory_vectors (number, embedding) SELECT n, '\\x003c' FROM generate_series(1, 3000) n",
    );
    place.root("ANALYZE");
    assert_eq!(
        place.see(Who::Server("alice"), "SELECT number, embedding FROM memory_vectors ORDER BY number"),
        "1|\\x003c"
    );
    let plan = place
        .see(Who::Server("alice"), "EXPLAIN (COSTS OFF) SELECT number, embedding FROM memory_vectors ORDER BY number");
    assert!(plan.contains("memory_vectors_pkey"), "{plan}");
    let over_all = "SELECT count(*) FROM pg_class JOIN pg_am ON pg_am.oid = relam WHERE amname IN ('hnsw', 'ivfflat')";
    assert_eq!(place.root(over_all), "0");
}
