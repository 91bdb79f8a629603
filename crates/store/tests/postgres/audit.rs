//! What `locule audit report`, `test-rls` and `validate` say: of ours nothing, of the template each of its faults, and of ours
//! with any one thing changed, that.

use std::collections::BTreeSet;

use locule_core::clock::Sources;
use locule_store::postgres::catalogue::{Finding, Level, POLICIES};
use locule_store::postgres::trial::{Line, Outcome};
use locule_store::postgres::{Address, Prefix};
use locule_store::{Keeping, audit_report, test_rls, validate};

use crate::place::Place;
use crate::upgrade;

rules! { Place::new;
    of_ours_the_catalogue_says_nothing
    of_the_template_the_catalogue_says_everything
    of_the_template_made_ours_nothing_is_left_to_say
    ours_passes_and_nothing_is_left_of_the_trial
    every_policy_is_missed
    row_security_is_missed_wherever_it_is_off
    each_fault_is_found
    a_login_that_is_not_held_is_refused
    what_an_application_does_beside_is_its_own
    a_user_is_looked_at
    a_database_that_is_not_set_up_is_not_valid
}

fn findings(place: &Place) -> Vec<Finding> {
    let address = Address::parse(&place.database.url()).unwrap();
    audit_report(&address, &Prefix::parse(&place.prefix).unwrap()).unwrap()
}

fn codes(place: &Place) -> BTreeSet<&'static str> {
    findings(place).into_iter().map(|finding| finding.code).collect()
}

fn trial(place: &Place) -> Vec<Line> {
    let privileged = Address::parse(&place.database.url()).unwrap();
    test_rls(&place.options, Some(&privileged), None, &Sources::system()).unwrap()
}

fn failures(lines: &[Line]) -> Vec<String> {
    lines.iter().filter(|line| line.outcome == Outcome::Fail).map(ToString::to_string).collect()
}

fn of_ours_the_catalogue_says_nothing(place: &Place) {
    assert_eq!(findings(place), []);
}

fn of_the_template_the_catalogue_says_everything(place: &Place) {
    let old = upgrade::template(place, upgrade::ALL);
    let found = codes(&old);
    let expected = [
        ("P1", "not_forced"),
        ("P3", "owner_logs_in"),
        ("P8 P9 U4", "unique_over_all"),
        ("P10 U5", "reference_by_id"),
        ("P26", "policy_without_condition"),
        ("P26 U6", "writing_for_others"),
        ("P27", "several_policies"),
        ("P32", "more_than_rows"),
        ("P32", "granted_to_nobody_in_particular"),
        ("P44", "books_are_writable"),
        ("P45", "past_is_writable"),
        ("P25", "policy_without_check"),
        ("P5", "objects_of_ones_own"),
        ("U1", "history_refuses"),
        ("U2", "no_knowledge_of_agents"),
        ("U3", "no_denials"),
        ("U7 U18", "metadata_decides"),
        ("U8", "organisation_by_id_only"),
        ("U9", "one_of_many"),
        ("U11", "history_keeps_the_deleted"),
        ("U12", "list_in_an_index"),
        ("U14", "identity_is_a_uuid"),
        ("", "function_without_search_path"),
    ];
    for (faults, code) in expected {
        assert!(found.contains(code), "{faults}: {code} is not among {found:?}");
    }
    if old.database.postgres().has_extension("vector") {
        assert!(found.contains("vectors_of_all_in_one_index"), "U13: {found:?}");
    }
    let unguarded: Vec<_> = findings(&old).into_iter().filter(|finding| finding.code == "no_row_security").collect();
    assert_eq!(unguarded.len(), 1);
    assert_eq!(unguarded[0].object, "public.organizations");
}

fn of_the_template_made_ours_nothing_is_left_to_say(place: &Place) {
    let old = upgrade::template(place, upgrade::ALL);
    old.migrate();
    let mut left = codes(&old);
    // It is the application's, which may have its reasons.
    left.remove("extension_in_public");
    assert_eq!(left, BTreeSet::new());
    assert_eq!(failures(&trial(&old)), [""; 0]);
}

fn ours_passes_and_nothing_is_left_of_the_trial(place: &Place) {
    let before = upgrade::dump(place);
    let lines = trial(place);
    assert_eq!(failures(&lines), [""; 0]);
    assert!(lines.iter().all(|line| line.outcome == Outcome::Pass), "{lines:#?}");
    assert!(lines.len() > 50, "{}", lines.len());
    let own = test_rls(&place.options, None, None, &Sources::system()).unwrap();
    assert_eq!(own.iter().filter(|line| line.outcome == Outcome::Skip).count(), 1);
    let valid = validate(&place.options, &Sources::system()).unwrap();
    assert!(valid.iter().all(|line| line.outcome == Outcome::Pass), "{valid:#?}");
    assert_eq!(upgrade::dump(place), before);
}

/// That one is gone, also by what is tried, were the list of their names to be forgotten; and that one lets all through.
fn every_policy_is_missed(place: &Place) {
    for (table, policies) in POLICIES {
        for policy in *policies {
            let definition = format!(
                "SELECT format('CREATE POLICY %I ON %s AS %s FOR %s TO %s%s%s', policyname, '{table}', permissive, cmd, roles[1],
                     ' USING (' || qual || ')', ' WITH CHECK (' || with_check || ')')
                 FROM pg_policies WHERE format('%s.%s', schemaname, tablename) = '{table}' AND policyname = '{policy}'"
            );
            let definition = place.root(&definition);
            let clauses = match (definition.contains(" USING ("), definition.contains(" WITH CHECK (")) {
                (true, false) => "USING (true)",
                (false, _) => "WITH CHECK (true)",
                _ => "USING (true) WITH CHECK (true)",
            };
            place.root(&format!("ALTER POLICY {policy} ON {table} {clauses}"));
            assert!(!failures(&trial(place)).is_empty(), "{policy} on {table} lets all through");

            place.root(&format!("DROP POLICY {policy} ON {table}"));
            let failed = failures(&trial(place));
            assert!(!failed.is_empty(), "{policy} on {table} is gone");
            // What has to do with an upgrade, an erasure or a denial only is not tried; and beside the restrictive ones the
            // permissive ones ask for an owner too.
            let quiet = *table == "locule.upgrade_rejects"
                || (*table, *policy) == ("public.memory_org_shares", "locule_user")
                || policy.starts_with("locule_denials")
                || *policy == "locule_tenant_update";
            assert!(quiet || failed.iter().any(|line| line.contains("It answered")), "{policy} on {table}: {failed:?}");
            place.root(&definition);
        }
    }
    assert_eq!(failures(&trial(place)), [""; 0]);
}

fn row_security_is_missed_wherever_it_is_off(place: &Place) {
    for (table, _) in POLICIES {
        for change in ["NO FORCE ROW LEVEL SECURITY", "DISABLE ROW LEVEL SECURITY"] {
            place.root(&format!("ALTER TABLE {table} {change}"));
            let tried = test_rls(&place.options, None, None, &Sources::system()).unwrap();
            assert!(!failures(&tried).is_empty(), "{table} {change}");
            let found = codes(place);
            assert!(found.contains("not_forced") || found.contains("no_row_security"), "{table} {change}: {found:?}");
            place.root(&format!("ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY"));
        }
    }
    assert_eq!(failures(&trial(place)), [""; 0]);
}

/// Each with what takes it back.
fn each_fault_is_found(place: &Place) {
    let faults = [
        ("view_of_its_owner", "CREATE VIEW public.leak AS SELECT * FROM memories", "DROP VIEW public.leak"),
        ("materialized_view", "CREATE MATERIALIZED VIEW public.leak AS SELECT * FROM memories", "DROP MATERIALIZED VIEW public.leak"),
        ("no_row_security", "CREATE TABLE public.open (user_id text)", "DROP TABLE public.open"),
        ("no_policy", "CREATE TABLE public.shut (user_id text); ALTER TABLE public.shut ENABLE ROW LEVEL SECURITY", "DROP TABLE public.shut"),
        (
            "open_partition",
            "CREATE TABLE public.parts (user_id text) PARTITION BY LIST (user_id); CREATE TABLE public.part PARTITION OF public.parts DEFAULT;
             ALTER TABLE public.parts ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY",
            "DROP TABLE public.parts",
        ),
        ("policy_for_everybody", "CREATE POLICY p ON memories FOR SELECT USING (user_id = (SELECT locule.caller()))", "DROP POLICY p ON memories"),
        ("setting_decides", "CREATE POLICY p ON memories FOR SELECT TO authenticated USING (user_id = current_setting('app.user'))", "DROP POLICY p ON memories"),
        ("null_owner_seen", "CREATE POLICY p ON memories FOR SELECT TO authenticated USING (user_id IS NOT DISTINCT FROM (SELECT locule.caller()))", "DROP POLICY p ON memories"),
        ("owner_column_converted", "CREATE POLICY p ON memories FOR SELECT TO authenticated USING (user_id::varchar(9) = (SELECT locule.caller()))", "DROP POLICY p ON memories"),
        ("identity_for_each_row", "CREATE POLICY p ON memories FOR SELECT TO authenticated USING (user_id = locule.caller())", "DROP POLICY p ON memories"),
        ("asks_itself", "CREATE POLICY p ON org_members FOR SELECT TO authenticated USING (org_id IN (SELECT o.org_id FROM org_members o))", "DROP POLICY p ON org_members"),
        ("unique_over_all", "CREATE UNIQUE INDEX u ON memories (hash)", "DROP INDEX u"),
        ("owner_not_indexed", "CREATE TABLE public.slow (user_id text); ALTER TABLE public.slow ENABLE ROW LEVEL SECURITY", "DROP TABLE public.slow"),
        ("list_in_an_index", "CREATE INDEX i ON memories (user_id, categories)", "DROP INDEX i"),
        ("anybody_without_owner", "ALTER TABLE memories DROP CONSTRAINT memories_ownerless", "ALTER TABLE memories ADD CONSTRAINT memories_ownerless CHECK (user_id IS NOT NULL OR agent_id IS NOT NULL)"),
        ("leakproof", "CREATE FUNCTION public.l(text) RETURNS boolean LANGUAGE sql LEAKPROOF SET search_path = '' AS 'SELECT true'", "DROP FUNCTION public.l"),
        ("function_finds_the_callers_tables", "CREATE FUNCTION public.d() RETURNS integer LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'", "DROP FUNCTION public.d"),
        ("function_for_everybody", "CREATE FUNCTION public.d() RETURNS integer LANGUAGE sql SECURITY DEFINER SET search_path = '' AS 'SELECT 1'", "DROP FUNCTION public.d"),
        ("function_of_somebody_unheld", "CREATE FUNCTION public.d() RETURNS integer LANGUAGE sql SECURITY DEFINER SET search_path = '' AS 'SELECT 1'", "DROP FUNCTION public.d"),
        ("more_than_rows", "GRANT TRUNCATE ON memories TO authenticated", "REVOKE TRUNCATE ON memories FROM authenticated"),
        ("granted_to_nobody_in_particular", "GRANT SELECT ON organizations TO anon", "REVOKE SELECT ON organizations FROM anon"),
        ("books_are_writable", "GRANT UPDATE (hash) ON memories TO authenticated", "REVOKE UPDATE (hash) ON memories FROM authenticated"),
        ("past_is_writable", "GRANT INSERT (operation) ON memory_history TO authenticated", "REVOKE INSERT (operation) ON memory_history FROM authenticated"),
        ("objects_of_ones_own", "GRANT CREATE ON SCHEMA public TO PUBLIC", "REVOKE CREATE ON SCHEMA public FROM PUBLIC"),
        ("owner_logs_in", "ALTER ROLE {owner} LOGIN", "ALTER ROLE {owner} NOLOGIN"),
        ("login_gets_around", "ALTER ROLE {directory} BYPASSRLS", "ALTER ROLE {directory} NOBYPASSRLS"),
        ("login_leads_on", "GRANT {owner} TO {api}", "REVOKE {owner} FROM {api}"),
        ("login_leads_on", "GRANT service_role TO {api}", "REVOKE service_role FROM {api}"),
    ];
    for (code, fault, back) in faults {
        let named = |sql: &str| {
            ["owner", "api", "directory"]
                .iter()
                .fold(sql.to_owned(), |sql, word| sql.replace(&format!("{{{word}}}"), &place.role(word)))
        };
        place.root(&named(fault));
        let found = findings(place);
        place.root(&named(back));
        let this = found.iter().find(|finding| finding.code == code);
        let this = this.unwrap_or_else(|| panic!("{code} is not among {found:?}"));
        assert!(!this.object.is_empty() && !this.detail.is_empty());
        assert_eq!(findings(place), [], "after {back}");
    }
    assert!(Level::Error < Level::Warning);
}

fn a_login_that_is_not_held_is_refused(place: &Place) {
    let mut options = place.options.clone();
    let Keeping::Postgres(kept) = &mut options.keeping else { unreachable!() };
    // The address names a login of its own.
    kept.address = Address::parse(&place.database.url()).unwrap();
    let lines = test_rls(&options, None, None, &Sources::system()).unwrap();
    assert_eq!(lines[0].outcome, Outcome::Fail);
    assert!(lines[0].detail.contains("postgres: The login is a superuser."), "{}", lines[0].detail);

    let (api, owner) = (place.role("api"), place.role("owner"));
    place.root(&format!("GRANT {owner} TO {api}"));
    let lines = trial(place);
    place.root(&format!("REVOKE {owner} FROM {api}"));
    assert!(lines[0].detail.contains("owns tables"), "{}", lines[0].detail);
}

/// It is reported, and forbids nothing until it reaches into ours.
fn what_an_application_does_beside_is_its_own(place: &Place) {
    place.root(
        "CREATE TABLE public.notes (user_id text); GRANT ALL ON public.notes TO anon; CREATE VIEW public.all_notes AS SELECT * FROM notes;
         CREATE FUNCTION public.d() RETURNS integer LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'",
    );
    assert!(codes(place).contains("no_row_security") && codes(place).contains("view_of_its_owner"));
    assert_eq!(failures(&trial(place)), [""; 0]);
    place.root("CREATE VIEW public.leak AS SELECT notes.user_id, memory FROM notes JOIN memories USING (user_id)");
    let failed = failures(&trial(place));
    assert!(failed.len() == 1 && failed[0].contains("public.leak"), "{failed:?}");
    place.root("DROP VIEW public.leak, public.all_notes; DROP TABLE public.notes; DROP FUNCTION public.d");
}

fn a_user_is_looked_at(place: &Place) {
    place.commit(crate::place::Who::Rest("alice-123"), "INSERT INTO memories (memory) VALUES ('one'), ('two')");
    let lines = test_rls(&place.options, None, Some("alice-123"), &Sources::system()).unwrap();
    assert!(lines.iter().any(|line| line.rule == "This user has 2 memories."), "{lines:#?}");
    place.root("DELETE FROM memories; DELETE FROM memory_history");
}

fn a_database_that_is_not_set_up_is_not_valid(place: &Place) {
    place.root("COMMENT ON SCHEMA locule IS NULL");
    let lines = validate(&place.options, &Sources::system()).unwrap();
    assert_eq!(failures(&lines).len(), 1, "{lines:#?}");
    place.migrate();
    place.root("ALTER TABLE memories DISABLE TRIGGER locule_record");
    let failed = failures(&validate(&place.options, &Sources::system()).unwrap());
    assert!(failed.iter().any(|line| line.contains("keeps the books")), "{failed:?}");
    assert!(failed.iter().any(|line| line.contains("in the history")), "{failed:?}");
    place.root("ALTER TABLE memories ENABLE TRIGGER locule_record");
}
