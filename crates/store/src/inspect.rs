//! Looking into a PostgreSQL for its operator: whether row security holds, and what in the catalogue says otherwise. Nothing
//! here serves anybody.

use locule_core::clock::Sources;
use locule_core::{Code, Error, Result};

use crate::paths::Paths;
use crate::postgres::catalogue::{self, Finding};
use crate::postgres::connection::Connection;
use crate::postgres::server::Login;
use crate::postgres::trial::{self, Line};
use crate::postgres::{Address, Pooler, Server};
use crate::{Keeping, Options, Postgres, PostgresLayout, master_key};

/// Tries row security out as the server is subject to it, in a transaction that is rolled back. `privileged` is somebody whom
/// it does not hold, if there is one to make an organisation with; `user` is looked at as well, if given.
pub fn test_rls(
    options: &Options,
    privileged: Option<&Address>,
    user: Option<&str>,
    sources: &Sources,
) -> Result<Vec<Line>> {
    let (kept, server) = rows(options, sources)?;
    let api = server.connect(Login::Api)?;
    let privileged = privileged.map(|address| Connection::open(address, Pooler::None)).transpose()?;
    trial::test_rls(&api, privileged.as_ref(), kept.prefix.as_str(), user)
}

/// What somebody sees of a user's rows whom row security does not hold.
pub fn bypassing(privileged: &Address, user: &str) -> Result<Vec<String>> {
    trial::bypassing(&Connection::open(privileged, Pooler::None)?, user)
}

/// What the catalogue of any database shows to be wrong, and who was denied something how often, where that is known.
pub fn report(address: &Address, prefix: &crate::postgres::Prefix) -> Result<(Vec<Finding>, Vec<(String, i64)>)> {
    let connection = Connection::open(address, Pooler::None)?;
    let findings = catalogue::audit(&connection, prefix.as_str())?;
    // A database that is not ours may have no such table, or keep it from us.
    let denials = trial::denials(&connection).unwrap_or_default();
    Ok((findings, denials))
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

fn rows<'a>(options: &'a Options, sources: &Sources) -> Result<(&'a Postgres, Server)> {
    let Keeping::Postgres(kept) = &options.keeping else {
        return Err(Error::invalid("Row security is what the layout `rls` relies on: set `storage.layout` to it."));
    };
    let master = master_key(&Paths::new(options.data.clone()), options, sources)?;
    Ok((kept, kept.server(&master)))
}
