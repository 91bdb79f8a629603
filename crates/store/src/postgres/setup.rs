//! What the layouts `schema` and `database` need once: the group that spaces' roles belong to, a keeper that may make and
//! drop, and a database to copy.

use locule_core::Result;

use super::address::{Address, Pooler};
use super::connection::Connection;
use super::database::SCHEMA;
use super::keeper::{SPACE, grants};
use super::server::Server;
use crate::PostgresLayout;
use crate::tx::Value;

/// Makes it. `admin` is the address of somebody who may. May be repeated.
pub fn prepare(admin: &Address, server: &Server, layout: PostgresLayout) -> Result<()> {
    if layout == PostgresLayout::Rls {
        return Ok(());
    }
    let connection = Connection::open(admin, Pooler::None)?;
    let (owner, keeper, space) = (server.role("owner"), server.role("keeper"), server.role("space"));
    let api = server.role("api");
    role(&connection, &owner, "NOLOGIN NOINHERIT")?;
    role(&connection, &api, &format!("LOGIN NOINHERIT PASSWORD '{}'", server.verifier(&api)))?;
    role(&connection, &keeper, "LOGIN")?;
    role(&connection, &space, "NOLOGIN NOINHERIT")?;
    // Until PostgreSQL 16 the right to make roles is a wide one. The keeper is why requests do not have it: it has a
    // connection of its own, for as long as making or dropping a space takes, and no statement of a request runs on that.
    connection.batch(&format!(
        "ALTER ROLE {keeper} LOGIN INHERIT CREATEROLE CREATEDB NOSUPERUSER NOBYPASSRLS PASSWORD '{}';
         GRANT {owner} TO {keeper};
         GRANT {space} TO {keeper} WITH ADMIN OPTION;",
        server.verifier(&keeper)
    ))?;
    let database = admin.database().unwrap_or("postgres").replace('"', "\"\"");
    connection.batch(&format!("GRANT CREATE ON DATABASE \"{database}\" TO {owner}"))?;
    if layout == PostgresLayout::Database {
        template(&connection, admin, server)?;
    }
    Ok(())
}

/// The database that every space's is a copy of.
fn template(connection: &Connection, admin: &Address, server: &Server) -> Result<()> {
    let (name, owner, space) = (server.role("template"), server.role("owner"), server.role("space"));
    if !finds(connection, "SELECT 1 FROM pg_database WHERE datname = $1", &name)? {
        connection.batch(&format!("CREATE DATABASE {name} OWNER {owner} TEMPLATE template0 ENCODING 'UTF8'"))?;
    }
    let inside = Connection::open(&admin.at(&name), Pooler::None)?;
    if !finds(&inside, "SELECT 1 FROM pg_namespace WHERE nspname = $1", SCHEMA)? {
        inside.batch(&format!(
            "BEGIN;
             SET LOCAL ROLE {owner};
             CREATE SCHEMA {SCHEMA};
             SET LOCAL search_path = {SCHEMA};
             {}
             GRANT USAGE ON SCHEMA {SCHEMA} TO {space};
             {}
             COMMIT;",
            SPACE.join("\n"),
            grants(&space)
        ))?;
    }
    drop(inside);
    connection.batch(&format!("REVOKE ALL ON DATABASE {name} FROM PUBLIC"))?;
    connection.batch(&format!("ALTER DATABASE {name} IS_TEMPLATE true"))
}

fn role(connection: &Connection, name: &str, options: &str) -> Result<()> {
    if finds(connection, "SELECT 1 FROM pg_roles WHERE rolname = $1", name)? {
        return Ok(());
    }
    connection.batch(&format!("CREATE ROLE {name} {options}"))
}

fn finds(connection: &Connection, sql: &str, name: &str) -> Result<bool> {
    let mut found = false;
    connection.query(sql, &[Value::Text(name)], &mut |_| {
        found = true;
        Ok(())
    })?;
    Ok(found)
}
