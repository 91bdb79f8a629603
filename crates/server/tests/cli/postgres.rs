//! Setting up a PostgreSQL, trying out what holds users apart in it, and what is said of one that somebody else has set up.

use locule_testbed::{Flavour, Postgres};

use crate::home::{Home, Run};

#[test]
fn what_holds_users_apart_is_tried_and_missed() {
    let database = Postgres::shared(Flavour::Debian15).fresh_database();
    let home = Home::bare();
    let run = |arguments: &[&str]| -> Run {
        let layout = ["--set", "storage.layout=rls", "--set", "postgres.prefix=trial"];
        home.run_with(&[arguments, &layout].concat(), &[("DATABASE_URL", &database.url())])
    };
    database.psql("CREATE TABLE notes (user_id text); CREATE VIEW all_notes AS SELECT * FROM notes");
    let report = run(&["audit", "report"]);
    assert_eq!(report.code, 1, "{report:?}");
    assert!(report.out.contains("ERROR    no_row_security  public.notes"), "{report:?}");
    database.psql("DROP VIEW all_notes; DROP TABLE notes");

    run(&["migrate"]).done();
    assert_eq!(run(&["audit", "report"]).done().trim(), "0 findings");
    let tried = run(&["test-rls", "--user-id", "alice", "--bypass-rls"]).done();
    assert!(
        tried.contains("PASS  Another's rows are not there.") && tried.contains("This user has 0 memories."),
        "{tried}"
    );
    assert!(tried.contains("SEEN  memories: 0 rows, 0 of them this user's"), "{tried}");
    assert!(!tried.contains("FAIL") && !tried.contains("SKIP"), "{tried}");
    assert!(run(&["validate"]).done().contains("PASS  The database is set up for this version."));

    database.psql("ALTER TABLE memories NO FORCE ROW LEVEL SECURITY; DROP POLICY locule_user ON memory_vectors");
    let tried = run(&["test-rls", "--json"]);
    assert_eq!(tried.code, 1, "{tried:?}");
    let lines: serde_json::Value = serde_json::from_str(&tried.out).unwrap();
    let failed = lines["lines"].as_array().unwrap().iter().filter(|line| line["outcome"] == "FAIL").count();
    assert!(failed >= 2, "{lines}");
    assert_eq!(run(&["validate"]).code, 1);
    let report = run(&["audit", "report", "--report", "findings.txt"]);
    assert_eq!((report.code, report.out.as_str()), (1, ""));
    assert!(home.read("findings.txt").contains("not_forced  public.memories"));

    run(&["migrate"]).done();
    run(&["test-rls"]).done();
}

#[test]
fn without_a_database_it_is_said_what_is_missing() {
    let home = Home::bare();
    assert_eq!(home.run(&["audit", "report"]).code, 2);
    assert_eq!(home.run(&["test-rls"]).code, 2);
    assert_eq!(home.run(&["validate"]).code, 2);
}
