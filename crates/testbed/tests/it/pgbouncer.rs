use locule_testbed::{Flavour, PgBouncer, Postgres, Setup};

const ALICE: (&str, &str) = ("alice", "a secret");

#[test]
fn a_login_goes_through_and_its_password_is_checked() {
    let postgres = Postgres::start(Setup::new(Flavour::Debian15).careless());
    postgres.psql("CREATE ROLE alice LOGIN PASSWORD 'a secret'");
    let pool = PgBouncer::start(&postgres, 3, &[ALICE]);
    let who = |password| postgres.try_psql_at(&pool.url_for("alice", password, "postgres"), "SELECT current_user");

    assert_eq!(who(ALICE.1).unwrap(), "alice");
    assert!(who("another").unwrap_err().contains("SASL authentication failed"));
    let pools = pool.admin("SHOW POOLS");
    assert!(pools.lines().any(|line| line.starts_with("postgres|alice|") && line.ends_with("|transaction")), "{pools}");
    assert_eq!(
        pool.admin("SHOW CONFIG")
            .lines()
            .find(|line| line.starts_with("default_pool_size|"))
            .unwrap()
            .split('|')
            .nth(1),
        Some("3")
    );

    pool.kill();
    assert!(who(ALICE.1).is_err());
    pool.start_again();
    assert_eq!(who(ALICE.1).unwrap(), "alice");
}

#[test]
fn connections_to_the_server_are_few_and_shared() {
    let postgres = Postgres::start(Setup::new(Flavour::Debian15).careless());
    postgres.psql("CREATE ROLE alice LOGIN PASSWORD 'a secret'");
    let pool = PgBouncer::start(&postgres, 1, &[ALICE]);
    let url = pool.url_for(ALICE.0, ALICE.1, "postgres");
    let backend = || postgres.try_psql_at(&url, "SELECT pg_backend_pid()").unwrap();
    assert_eq!(backend(), backend());
}
