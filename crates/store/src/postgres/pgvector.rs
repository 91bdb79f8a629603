//! The vectors once more, in a column of pgvector's type, where a database has that extension: for those who search with SQL.
//! Nothing of ours reads it, and a trigger keeps it, so that no statement of ours knows of it.

use locule_core::Result;

use super::connection::Connection;
use super::keeper::Keeper;
use super::migrate::named;
use super::server::Server;
use crate::tx::{Tx, Value};

const FUNCTIONS: &str = include_str!("../migrations/postgres/vectors-functions.sql");
const COLUMN: &str = include_str!("../migrations/postgres/vectors-column.sql");

/// Where Supabase has its extensions. Beside everybody's tables their functions would be in the way.
const CREATE: &str = "CREATE SCHEMA IF NOT EXISTS extensions; CREATE EXTENSION IF NOT EXISTS vector SCHEMA extensions";

/// How many vectors are filled in at a time: a transaction of a tenth of a second.
const BATCH: i64 = 500;

/// What is kept as the version of `rls vectors` in `locule.migrations`.
pub const UNFILLED: i64 = 0;
pub const FILLED: i64 = 1;

/// Makes the extension, if it is to be made, and the functions, which stand in the schema `home` of this database. Says whether
/// there is such an extension now.
pub fn prepare(connection: &Connection, prefix: &str, home: &str, make: bool) -> Result<bool> {
    if make {
        connection.batch(CREATE)?;
    }
    connection.batch(&named(FUNCTIONS, prefix).replace("{home}", home))?;
    finds(
        connection,
        "SELECT 1 FROM pg_catalog.pg_type JOIN pg_catalog.pg_extension ON extnamespace = typnamespace
         WHERE extname = 'vector' AND typname = 'halfvec'",
    )
}

/// The SQL that gives a table of vectors its second column, in a database that [`prepare`] has been through.
pub fn column(home: &str, tables: &str) -> String {
    COLUMN.replace("{home}", home).replace("{tables}", tables)
}

/// Gives the column to a table that has none. Says whether it had none.
pub fn add_column(connection: &Connection, home: &str, tables: &str) -> Result<bool> {
    let added = !has_column(connection, tables)?;
    connection.batch(&column(home, tables))?;
    Ok(added)
}

fn has_column(connection: &Connection, tables: &str) -> Result<bool> {
    finds(
        connection,
        &format!(
            "SELECT 1 FROM pg_catalog.pg_attribute WHERE attrelid = to_regclass('{tables}.memory_vectors')
                 AND attname = 'vector' AND NOT attisdropped"
        ),
    )
}

/// The schemas of spaces that were made before the extension was there, each by itself: together they would hold more locks
/// than a server has.
pub fn add_to_schemas(server: &Server) -> Result<()> {
    let keeper = Keeper::new(server)?;
    keeper.schemas_without_vectors()?.iter().try_for_each(|schema| keeper.add_vectors(schema))
}

/// Fills in, from here to there, what was written before the column was there. Gives back the last number it has been to, or
/// none if that was all.
pub fn fill(tx: &dyn Tx, after: i64) -> Result<Option<i64>> {
    // Of what is sealed there is nothing to fill in.
    if tx.seal().is_some() || !has_own_column(tx)? {
        return Ok(None);
    }
    let last = tx.first(
        "SELECT max(number) FROM (SELECT number FROM memory_vectors WHERE number > $1 AND vector IS NULL
                                  ORDER BY number LIMIT $2) AS next",
        &[Value::Integer(after), Value::Integer(BATCH)],
        |row| row.maybe_integer(0),
    )?;
    let Some(last) = last.flatten() else { return Ok(None) };
    tx.execute(
        "UPDATE memory_vectors SET embedding = embedding WHERE number > $1 AND number <= $2 AND vector IS NULL",
        &[Value::Integer(after), Value::Integer(last)],
    )?;
    Ok(Some(last))
}

fn has_own_column(tx: &dyn Tx) -> Result<bool> {
    let found = tx.first(
        "SELECT 1 FROM pg_catalog.pg_attribute WHERE attrelid = to_regclass('memory_vectors') AND attname = 'vector'
             AND NOT attisdropped",
        &[],
        |row| row.integer(0),
    )?;
    Ok(found.is_some())
}

fn finds(connection: &Connection, sql: &str) -> Result<bool> {
    let mut found = false;
    connection.query(sql, &[], &mut |_| {
        found = true;
        Ok(())
    })?;
    Ok(found)
}
