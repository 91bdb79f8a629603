use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use locule_testbed::{Flavour, Postgres, Setup};

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
    let postgres = Postgres::start(Setup::new(Flavour::Debian15).careless());
    postgres.psql("CREATE ROLE bob LOGIN PASSWORD 'right'");
    let who =
        |user, password| postgres.try_psql_at(&postgres.url_for(user, password, "postgres"), "SELECT current_user");
    assert_eq!(who("bob", "right").unwrap(), "bob");
    assert!(who("bob", "wrong").unwrap_err().contains("password authentication failed"));
    assert!(who("postgres", "wrong").unwrap_err().contains("password authentication failed"));
    assert_eq!(postgres.try_psql_at(&postgres.url(), "SELECT current_user").unwrap(), "postgres");
}

#[test]
fn what_was_committed_survives_a_kill() {
    for flavour in Flavour::ALL {
        let postgres = Postgres::start(Setup::new(flavour).careless());
        let port = postgres.port();
        postgres.psql("CREATE TABLE thing AS SELECT 42 AS number");

        postgres.kill();
        assert_eq!(postgres.processes(), []);
        assert!(!postgres.is_running());
        assert!(postgres.try_psql("SELECT 1").is_err());

        postgres.start_again();
        assert_eq!(postgres.port(), port);
        assert_eq!(postgres.psql("SELECT number FROM thing"), "42");
        assert!(postgres.log().contains("database system was not properly shut down"));

        for stop in [Postgres::stop_hard, Postgres::stop_fast] {
            stop(&postgres);
            assert!(!postgres.is_running());
            postgres.start_again();
            assert_eq!(postgres.psql("SELECT number FROM thing"), "42");
        }
    }
}

#[test]
fn a_frozen_server_neither_answers_nor_goes_away() {
    let postgres = Postgres::start(Setup::new(Flavour::Debian15).careless());
    postgres.freeze();
    // The kernel still accepts; an answer to the request for encryption ('N') would come from the server.
    let mut stream = TcpStream::connect(("127.0.0.1", postgres.port())).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    stream.write_all(&[0, 0, 0, 8, 4, 210, 22, 47]).unwrap();
    let mut answer = [0];
    assert_eq!(stream.read(&mut answer).unwrap_err().kind(), ErrorKind::WouldBlock);
    assert!(postgres.is_running());

    postgres.thaw();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"N");
    assert_eq!(postgres.psql("SELECT 1"), "1");
}

#[test]
fn settings_reach_the_server_and_its_log_can_be_searched() {
    let setup =
        Setup::new(Flavour::Eighteen).max_connections(33).set("log_statement", "all").set("application_name", "o'b");
    let postgres = Postgres::start(setup);
    assert_eq!(postgres.psql("SHOW max_connections"), "33");
    assert_eq!(postgres.psql("SHOW fsync"), "on");
    postgres.psql("SELECT 'a canary'");
    assert!(postgres.log().contains("a canary"));
    assert!(!postgres.log().contains("a magpie"));
}
