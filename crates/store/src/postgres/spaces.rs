//! Bringing the tables of spaces up to date that have a schema or a database each: what was made by an earlier version lacks what
//! later steps of [`keeper::SPACE`] make. Called by `locule migrate`.

use locule_core::Result;

use super::address::{Address, Pooler};
use super::connection::Connection;
use super::server::{Login, Server};
use super::{database, keeper};
use crate::PostgresLayout;
use crate::tx::Value;

/// What each step after the first has made, in their order: where that is not, the step is missing.
const MADE: [&str; keeper::SPACE.len() - 1] = ["space_jobs", "context_entries"];

/// Does what is missing in each space, some of which may be in use: each in one transaction. New ones are copies of what is whole
/// by then.
pub fn upgrade(server: &Server, layout: PostgresLayout) -> Result<()> {
    let keeper = server.connect_through(Login::Keeper, Pooler::None)?;
    let (of_schema, of_database) = ("^s_[a-z2-7]{26}$", "^d_[a-z2-7]{26}$");
    match layout {
        PostgresLayout::Rls => Ok(()),
        PostgresLayout::Schema => {
            let sql = "SELECT nspname::text FROM pg_catalog.pg_namespace
                       WHERE nspname ~ $1 AND nspowner = to_regrole($2) ORDER BY nspname";
            let schemas = names(&keeper, sql, of_schema, server)?;
            schemas.iter().try_for_each(|schema| add_missing(&keeper, server, schema, schema))
        }
        PostgresLayout::Database => {
            let sql = "SELECT datname::text FROM pg_catalog.pg_database
                       WHERE datname ~ $1 AND datdba = to_regrole($2) ORDER BY datname";
            let mut databases = vec![server.role("template")];
            databases.extend(names(&keeper, sql, of_database, server)?);
            let role = server.role(Login::Keeper.word());
            let login: Address = server.address().login(&role, &server.password(&role));
            databases.iter().try_for_each(|name| {
                let inside = Connection::open(&login.at(name), Pooler::None)?;
                add_missing(&inside, server, database::SCHEMA, &server.role("space"))
            })
        }
    }
}

fn names(keeper: &Connection, sql: &str, pattern: &str, server: &Server) -> Result<Vec<String>> {
    let mut names = Vec::new();
    keeper.query(sql, &[Value::Text(pattern), Value::Text(&server.role("owner"))], &mut |row| {
        names.push(row.text(0)?.to_owned());
        Ok(())
    })?;
    Ok(names)
}

/// The steps that the tables of a schema lack, and what `role` may do with what they make.
fn add_missing(connection: &Connection, server: &Server, schema: &str, role: &str) -> Result<()> {
    let mut whole = 0;
    for table in MADE {
        connection.query(
            "SELECT (to_regclass($1) IS NOT NULL)::int::bigint",
            &[Value::Text(&format!("{schema}.{table}"))],
            &mut |row| {
                whole += row.integer(0)?;
                Ok(())
            },
        )?;
    }
    let missing = keeper::SPACE.get(1 + whole as usize..).unwrap_or_default();
    if missing.is_empty() {
        return Ok(());
    }
    let upgraded = connection.batch(&format!(
        "BEGIN; SET LOCAL ROLE {}; SET LOCAL search_path = {schema}; {} {} COMMIT;",
        server.role("owner"),
        missing.join("\n"),
        keeper::grants(role)
    ));
    upgraded.or_else(|error| {
        connection.batch("ROLLBACK")?;
        Err(error)
    })
}
