//! What stands between us and the database: whether it is what the configuration says.

use locule_core::{Error, Result};

use super::address::Pooler;
use super::connection::Connection;
use super::server::{Login, Server};

/// How often two connections are compared. Behind a pooler that others use too, one look may miss.
const LOOKS: usize = 5;

/// Refuses to go on where a pooler gives each transaction another connection and we were told that there is none: statements
/// that were prepared on one connection would be missing on the next, now and then.
///
/// The other way round nothing goes wrong: statements are then prepared anew each time, which is slower and no less right.
pub fn refuse_wrong_pooler(server: &Server) -> Result<()> {
    if server.pooler() == Pooler::Transaction || !shares_connections(server)? {
        return Ok(());
    }
    Err(Error::invalid(
        "Before this database is a pooler that gives each transaction another connection, and the setting `postgres.pooler` says \
         `none`. Set it to `transaction`, or give the address of the database itself, or of a pooler in session mode.",
    ))
}

/// Whether two connections that are both open are one to the database, or one is two: neither can be without a pooler that
/// does not keep them apart.
fn shares_connections(server: &Server) -> Result<bool> {
    // As if there were such a pooler, for there may be.
    let connect = || server.connect_through(Login::Api, Pooler::Transaction);
    let (one, other) = (connect()?, connect()?);
    for _ in 0..LOOKS {
        let before = process(&one)?;
        other.batch("BEGIN")?;
        let meanwhile = process(&other)?;
        // Given up before anything else is asked: there may be only one.
        other.batch("ROLLBACK")?;
        if meanwhile == before || process(&one)? != before {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The process of the database that answers.
fn process(connection: &Connection) -> Result<i64> {
    let mut number = None;
    connection.query("SELECT pg_catalog.pg_backend_pid()::bigint", &[], &mut |row| {
        number = Some(row.integer(0)?);
        Ok(())
    })?;
    number.ok_or_else(|| Error::internal("the database has no process"))
}
