//! Setting up a PostgreSQL, with a login that may.

use locule_core::Result;

use super::address::{Address, Pooler};
use super::connection::Connection;
use super::server::{Login, Server};
use crate::directory;

/// Sets up the directory in the database at `privileged`, for the logins of `server`.
pub fn migrate(privileged: &Address, server: &Server) -> Result<()> {
    let connection = Connection::open(privileged, Pooler::Transaction)?;
    let (owner, login) = (server.role("owner"), server.role(Login::Directory.word()));
    connection.batch(&format!(
        "BEGIN; SELECT pg_advisory_xact_lock(7311, 0);
         DO $$ BEGIN
             IF to_regrole('{owner}') IS NULL THEN CREATE ROLE {owner} NOLOGIN NOINHERIT; END IF;
             IF to_regrole('{login}') IS NULL THEN CREATE ROLE {login} LOGIN NOINHERIT; END IF;
         END $$;
         ALTER ROLE {login} PASSWORD '{}';
         CREATE SCHEMA IF NOT EXISTS locule AUTHORIZATION {owner};
         CREATE TABLE IF NOT EXISTS locule.migrations (name text PRIMARY KEY, version integer NOT NULL,
             prefix text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now());",
        server.verifier(&login),
    ))?;
    directory::postgres::migrate::apply(&connection, server.prefix())?;
    connection.batch("COMMIT")
}
