//! Setting up: from nothing, again and again, by whom it can be done, and when it must not be.

use locule_core::Code;
use locule_core::clock::Sources;
use locule_store::postgres::{Address, Prefix};
use locule_store::{Keeping, Migration, PostgresLayout};
use locule_testbed::{Flavour, Postgres, Setup};

use crate::place::{Place, Who};

rules! { Place::empty;
    the_first_says_what_it_made_and_the_second_made_nothing
    what_was_changed_is_put_right
    what_is_done_already_is_left_alone_if_that_is_asked
    a_newer_one_is_left_alone
    other_roles_are_refused
    a_role_that_may_too_much_stops_it
    a_database_of_another_encoding_is_refused
    two_databases_of_one_cluster_at_once
    somebody_who_is_no_superuser_can
    no_password_comes_into_the_log
    the_other_layouts_get_their_keeper
}

fn fresh(place: &Place) -> Place {
    Place::empty(place.database.postgres().flavour())
}

fn the_first_says_what_it_made_and_the_second_made_nothing(place: &Place) {
    let new = fresh(place);
    let report = new.migrate();
    for word in ["owner", "helper", "writer", "user", "api", "directory", "backup"] {
        assert!(report.made.contains(&format!("role {}", new.role(word))), "{word}: {:?}", report.made);
    }
    assert!(!report.made.iter().any(|made| made.contains("keeper")), "{:?}", report.made);
    assert!(
        report.made.contains(&"table public.memories".to_owned()) && report.made.contains(&"schema auth".to_owned())
    );
    assert_eq!((report.before, report.upgraded.len(), report.owners.len(), report.notes.len()), (None, 0, 0, 0));
    let again = new.migrate();
    assert_eq!((again.before, again.made, again.notes), (Some(2), vec![], vec![]));
}

fn what_was_changed_is_put_right(place: &Place) {
    let new = fresh(place);
    new.migrate();
    let state = "SELECT oid::regclass, relrowsecurity, relforcerowsecurity, relowner::regrole, relacl FROM pg_class
             WHERE relnamespace IN ('public'::regnamespace, 'locule'::regnamespace) AND relkind = 'r' ORDER BY 1";
    let policies = "SELECT * FROM pg_policies ORDER BY 2, 3";
    let functions = "SELECT oid::regprocedure, proowner::regrole, proacl, prosrc FROM pg_proc WHERE pronamespace = 'locule'::regnamespace ORDER BY 1";
    let schemas = "SELECT nspname, nspowner::regrole, nspacl FROM pg_namespace WHERE nspname = 'locule'";
    let look = || [state, policies, functions, schemas].map(|sql| new.root(sql));
    let before = look();
    new.root(&format!(
        "ALTER TABLE memories NO FORCE ROW LEVEL SECURITY; ALTER TABLE memory_history DISABLE ROW LEVEL SECURITY;
         DROP POLICY locule_user ON memories; ALTER POLICY locule_read ON memories USING (true);
         CREATE POLICY locule_more ON memories FOR SELECT TO anon USING (true);
         GRANT ALL ON ALL TABLES IN SCHEMA public TO anon, authenticated, {};
         ALTER TABLE space_state OWNER TO postgres;
         GRANT SELECT ON ALL TABLES IN SCHEMA locule TO anon; GRANT USAGE ON SCHEMA locule TO PUBLIC;
         GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA locule TO PUBLIC;
         ALTER FUNCTION locule.organizations(text[]) RESET ALL;
         DROP TRIGGER locule_record ON memories",
        new.role("api")
    ));
    assert_ne!(look(), before);
    new.migrate();
    assert_eq!(look(), before);
    assert_eq!(
        new.root("SELECT count(*) FROM pg_trigger WHERE tgrelid = 'memories'::regclass AND tgname = 'locule_record'"),
        "1"
    );
}

fn what_is_done_already_is_left_alone_if_that_is_asked(place: &Place) {
    let new = fresh(place);
    let privileged = Address::parse(&new.database.url()).unwrap();
    let unless_done = || {
        let migration = Migration { unless_done: true, ..Migration::default() };
        locule_store::migrate(&new.options, &privileged, &migration, &Sources::system()).unwrap()
    };
    let policies = "SELECT count(*) FROM pg_policies WHERE tablename = 'memories' AND policyname = 'locule_user'";
    assert!(!unless_done().made.is_empty());
    new.root("DROP POLICY locule_user ON memories");
    assert_eq!((unless_done().made, new.root(policies)), (vec![], "0".to_owned()));
    // Another program has done it: this one does it its way.
    new.root("COMMENT ON TABLE locule.migrations IS 'something else'");
    unless_done();
    assert_eq!(new.root(policies), "1");
}

fn a_newer_one_is_left_alone(place: &Place) {
    let new = fresh(place);
    new.migrate();
    new.root("UPDATE locule.migrations SET version = 99 WHERE name = 'rls'; DROP POLICY locule_user ON memories");
    assert_eq!(new.try_migrate(None).unwrap_err().code(), Code::SchemaTooNew);
    assert_eq!(
        new.root("SELECT count(*) FROM pg_policies WHERE tablename = 'memories' AND policyname = 'locule_user'"),
        "0"
    );
}

fn other_roles_are_refused(place: &Place) {
    let mut new = fresh(place);
    new.migrate();
    let Keeping::Postgres(kept) = &mut new.options.keeping else { unreachable!() };
    kept.prefix = Prefix::parse("other").unwrap();
    let refused = new.try_migrate(None).unwrap_err();
    assert_eq!(refused.code(), Code::Invalid);
    assert!(refused.to_string().contains(&new.prefix), "{refused}");
    assert_eq!(new.root("SELECT count(*) FROM pg_roles WHERE rolname = 'other_owner'"), "0");
}

fn a_role_that_may_too_much_stops_it(place: &Place) {
    for (word, options) in [
        ("api", "LOGIN SUPERUSER"),
        ("user", "NOLOGIN BYPASSRLS"),
        ("owner", "LOGIN"),
        ("directory", "LOGIN CREATEROLE"),
    ] {
        let new = fresh(place);
        new.root(&format!("CREATE ROLE {} {options}", new.role(word)));
        let refused = new.try_migrate(None).unwrap_err();
        assert_eq!(refused.code(), Code::NotAllowed, "{refused}");
        assert!(refused.to_string().contains(&new.role(word)), "{refused}");
        assert_eq!(new.root("SELECT to_regclass('public.memories') IS NULL"), "t");
    }
}

fn a_database_of_another_encoding_is_refused(place: &Place) {
    let new = fresh(place);
    let name = format!("ascii_{}", new.prefix);
    new.root(&format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'"));
    let privileged = Address::parse(&new.database.postgres().url_to(&name)).unwrap();
    let refused =
        locule_store::migrate(&new.options, &privileged, &Migration::default(), &Sources::system()).unwrap_err();
    assert_eq!(refused.code(), Code::Invalid);
    assert!(refused.to_string().contains("UTF8"), "{refused}");
    new.root(&format!("DROP DATABASE {name}"));
}

fn two_databases_of_one_cluster_at_once(place: &Place) {
    let places: Vec<Place> = (0..4)
        .map(|_| {
            let mut new = fresh(place);
            new.prefix = "shared".to_owned();
            let Keeping::Postgres(kept) = &mut new.options.keeping else { unreachable!() };
            kept.prefix = Prefix::parse("shared").unwrap();
            new
        })
        .collect();
    std::thread::scope(|scope| {
        for new in &places {
            scope.spawn(|| new.migrate());
        }
    });
    for new in &places {
        assert!(new.ask(Who::Rest("alice"), "INSERT INTO memories (memory) VALUES ('x')").is_ok());
    }
}

fn somebody_who_is_no_superuser_can(place: &Place) {
    for template in [false, true] {
        let new = fresh(place);
        // The roles that only a superuser can give the right to get around, Supabase has.
        new.root(include_str!("upstream/supabase.sql"));
        let (dba, database) = (format!("dba_{}", new.prefix), new.database.name().to_owned());
        new.root(&format!(
            "CREATE ROLE {dba} LOGIN CREATEROLE PASSWORD 'secret'; ALTER DATABASE {database} OWNER TO {dba};
             GRANT anon, authenticated, service_role TO {dba} WITH ADMIN OPTION"
        ));
        if template {
            new.root(&format!(
                "SET SESSION AUTHORIZATION {dba}; {}",
                include_str!("upstream/basic.sql").replace("{embedding}", "real[]")
            ));
            new.root(&format!("SET SESSION AUTHORIZATION {dba}; {}", include_str!("upstream/data.sql")));
        }
        let privileged = Address::parse(&new.database.url_for(&dba, "secret")).unwrap();
        let migrate = || locule_store::migrate(&new.options, &privileged, &Migration::default(), &Sources::system());
        let report = migrate().unwrap();
        assert_eq!(report.notes.len(), 1, "{:?}", report.notes);
        assert!(report.notes[0].contains("_backup cannot get around row security"), "{:?}", report.notes);
        let owners: &[&str] = if template { &["alice-123", "bob-456", "quo'te \\ \"Ünï\" 🫖"] } else { &[] };
        assert_eq!(report.owners, owners);
        assert!(new.ask(Who::Rest("alice"), "INSERT INTO memories (memory) VALUES ('x')").is_ok());
        assert!(new.ask(Who::Server("alice"), "INSERT INTO space_state (revision) VALUES (1)").is_ok());
        // It sees nothing of what it has set up, and does not stay among the owners.
        let asked = format!("SET SESSION AUTHORIZATION {dba}; SELECT count(*) FROM memories");
        assert_eq!(new.script(&asked), Ok("0".to_owned()));
        for owner in ["owner", "helper", "writer"] {
            let is = format!("SELECT pg_has_role('{dba}', '{}', 'USAGE')", new.role(owner));
            assert_eq!(new.root(&is), "f", "{owner}");
        }
        assert_eq!(migrate().unwrap().before, Some(2));
    }
}

fn no_password_comes_into_the_log(place: &Place) {
    let flavour = place.database.postgres().flavour();
    let loud = Setup::new(flavour).careless().set("log_statement", "all").set("log_min_duration_statement", "0");
    let postgres: &'static Postgres = Box::leak(Box::new(Postgres::start(loud)));
    let database = postgres.fresh_database();
    let mut new = fresh(place);
    new.database = database;
    new.migrate();
    let stored = new.root(&format!("SELECT rolpassword FROM pg_authid WHERE rolname = '{}'", new.role("api")));
    assert!(stored.starts_with("SCRAM-SHA-256$"), "{stored}");
    let log = postgres.log();
    assert!(log.contains("CREATE POLICY") && !log.contains("SCRAM-SHA-256$"), "a verifier is in the log");
    postgres.stop_fast();
}

fn the_other_layouts_get_their_keeper(place: &Place) {
    for layout in [PostgresLayout::Schema, PostgresLayout::Database] {
        let mut new = fresh(place);
        let Keeping::Postgres(kept) = &mut new.options.keeping else { unreachable!() };
        kept.layout = layout;
        let report = new.migrate();
        assert!(report.made.contains(&format!("role {}", new.role("keeper"))), "{:?}", report.made);
        assert_eq!(new.root("SELECT to_regclass('public.memories') IS NULL"), "t");
        let template =
            new.root(&format!("SELECT count(*) FROM pg_database WHERE datname = '{}'", new.role("template")));
        assert_eq!(template, if layout == PostgresLayout::Database { "1" } else { "0" });
        new.migrate();
        if layout == PostgresLayout::Database {
            let tables = new
                .database
                .postgres()
                .psql_in(&new.role("template"), "SELECT count(*) FROM pg_tables WHERE schemaname = 'space'");
            assert_eq!(tables, "10");
            new.root(&format!("DROP DATABASE {}", new.role("template")));
        }
        let _ = Flavour::ALL;
    }
}
