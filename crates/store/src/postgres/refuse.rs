//! What must be so before anything is served from a PostgreSQL.

use locule_core::{Code, Error, Result};

use super::address::Pooler;
use super::catalogue;
use super::server::{Login, Server};
use crate::{Postgres, PostgresLayout};

/// Refuses a database for each space behind a pooler that shares connections: it would have to know the login of every space,
/// and keep connections to each.
pub fn refuse_pooled_databases(kept: &Postgres) -> Result<()> {
    if kept.layout == PostgresLayout::Database && kept.pooler == Pooler::Transaction {
        return Err(Error::invalid(
            "The layout `database` has a login for every user, which a pooler does not know: the setting `postgres.pooler` is to \
             be `none`, and `postgres.url` the address of the database itself.",
        ));
    }
    Ok(())
}

/// Refuses to serve where a request could reach more than its caller's rows, whoever has changed what since it was set up.
pub fn refuse_what_leaks(kept: &Postgres, server: &Server) -> Result<()> {
    let api = server.connect(Login::Api)?;
    let findings = match kept.layout {
        PostgresLayout::Rls => catalogue::obstacles(&api, kept.prefix.as_str())?,
        PostgresLayout::Schema | PostgresLayout::Database => catalogue::login(&api, kept.prefix.as_str())?,
    };
    let Some(first) = findings.first() else { return Ok(()) };
    let more = match findings.len() - 1 {
        0 => String::new(),
        more => format!(" And {more} more of this kind: `locule audit report` lists them."),
    };
    Err(Error::new(
        Code::NotAllowed,
        format!(
            "This database does not hold its users apart, and nothing is served from it. {}: {}{more} Leave the user out of \
             the URL to serve with the logins that `locule migrate` makes; it also puts right what was changed since.",
            first.object, first.detail
        ),
    ))
}
