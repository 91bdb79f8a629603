use locule_testbed::{Flavour, Postgres};

#[test]
fn a_cluster_starts_and_answers() {
    for flavour in Flavour::ALL {
        let postgres = Postgres::start(flavour);
        assert_eq!(postgres.psql("SELECT 1; SELECT 2"), "1\n2");
    }
}

#[test]
fn the_newest_has_vectors_and_debians_has_none() {
    let newest = Postgres::shared(Flavour::Eighteen).fresh_database();
    newest.psql("CREATE EXTENSION vector");
    assert_eq!(newest.psql("SELECT '[1,2]'::vector <-> '[1,3]'"), "1");
    assert!(newest.postgres().has_extension("vector"));
    assert!(!Postgres::shared(Flavour::Debian15).has_extension("vector"));
}

#[test]
fn a_fresh_database_knows_nothing_of_another() {
    let postgres = Postgres::shared(Flavour::Debian15);
    let (one, other) = (postgres.fresh_database(), postgres.fresh_database());
    one.psql("CREATE TABLE thing ()");
    assert!(other.try_psql("SELECT FROM thing").unwrap_err().contains("does not exist"));
}

#[test]
fn the_password_of_a_login_is_checked() {
    let postgres = Postgres::start(Flavour::Debian15);
    postgres.psql("CREATE ROLE bob LOGIN PASSWORD 'right'");
    let who =
        |user, password| postgres.try_psql_at(&postgres.url_for(user, password, "postgres"), "SELECT current_user");
    assert_eq!(who("bob", "right").unwrap(), "bob");
    assert!(who("bob", "wrong").unwrap_err().contains("password authentication failed"));
    assert!(who("postgres", "wrong").unwrap_err().contains("password authentication failed"));
    assert_eq!(postgres.try_psql_at(&postgres.url(), "SELECT current_user").unwrap(), "postgres");
}
