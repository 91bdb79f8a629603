//! Making and dropping schemas and databases: the only work done with the right to do it.

use locule_core::{Code, Error, Result};

use super::connection::Connection;
use super::pgvector;
use super::server::{Login, Server};
use crate::tx::Value;

/// The tables of one space.
pub const SPACE: &[&str] = &[
    include_str!("../migrations/postgres/space-1.sql"),
    include_str!("../migrations/postgres/space-2.sql"),
    include_str!("../migrations/postgres/space-3.sql"),
];

/// One connection with the right to make and drop.
pub struct Keeper<'a> {
    server: &'a Server,
    connection: Connection,
}

impl<'a> Keeper<'a> {
    /// Connects.
    pub fn new(server: &'a Server) -> Result<Self> {
        Ok(Keeper { server, connection: server.connect(Login::Keeper)? })
    }

    /// Whether a query finds something.
    pub fn finds(&self, sql: &str, values: &[Value]) -> Result<bool> {
        let mut found = false;
        self.connection.query(sql, values, &mut |_| {
            found = true;
            Ok(())
        })?;
        Ok(found)
    }

    /// Whether there is a schema of this name.
    pub fn has_schema(&self, name: &str) -> Result<bool> {
        self.finds("SELECT 1 FROM pg_namespace WHERE nspname = $1", &[Value::Text(name)])
    }

    /// Whether there is a database of this name.
    pub fn has_database(&self, name: &str) -> Result<bool> {
        self.finds("SELECT 1 FROM pg_database WHERE datname = $1", &[Value::Text(name)])
    }

    /// Whether there is a role of this name.
    pub fn has_role(&self, name: &str) -> Result<bool> {
        self.finds("SELECT 1 FROM pg_roles WHERE rolname = $1", &[Value::Text(name)])
    }

    /// Makes a schema with a space's tables and the one role that may use it, all at once.
    pub fn create_schema(&self, name: &str) -> Result<()> {
        if self.has_schema(name)? {
            return Ok(());
        }
        let (owner, api) = (self.server.role("owner"), self.server.role("api"));
        let tables = SPACE.join("\n");
        let made = self.connection.batch(&format!(
            "BEGIN;
             CREATE ROLE {name} NOLOGIN NOINHERIT;
             GRANT {name} TO {api};
             SET LOCAL ROLE {owner};
             CREATE SCHEMA {name};
             SET LOCAL search_path = {name};
             {tables}
             GRANT USAGE ON SCHEMA {name} TO {name};
             {}
             {}
             COMMIT;",
            grants(name),
            pgvector::column("locule", name),
        ));
        self.unless_made(made, || self.has_schema(name))
    }

    /// The schemas of spaces whose vectors stand in no column of pgvector's type.
    pub fn schemas_without_vectors(&self) -> Result<Vec<String>> {
        let mut schemas = Vec::new();
        self.connection.query(
            "SELECT nspname::text FROM pg_namespace WHERE nspname ~ '^s_[a-z2-7]{26}$' AND nspowner = to_regrole($1)
                 AND NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass(nspname || '.memory_vectors')
                                 AND attname = 'vector' AND NOT attisdropped)",
            &[Value::Text(&self.server.role("owner"))],
            &mut |row| {
                schemas.push(row.text(0)?.to_owned());
                Ok(())
            },
        )?;
        Ok(schemas)
    }

    /// Gives such a schema that column. One that was dropped meanwhile needs none.
    pub fn add_vectors(&self, schema: &str) -> Result<()> {
        let owner = self.server.role("owner");
        let column = pgvector::column("locule", schema);
        let added = self.connection.batch(&format!("BEGIN; SET LOCAL ROLE {owner}; {column} COMMIT;"));
        self.unless_made(added, || Ok(!self.has_schema(schema)?))
    }

    /// Drops a schema and its role. Says whether there was one.
    pub fn drop_schema(&self, name: &str) -> Result<bool> {
        let there = self.has_schema(name)?;
        let owner = self.server.role("owner");
        self.connection.batch(&format!(
            "BEGIN; SET LOCAL ROLE {owner}; DROP SCHEMA IF EXISTS {name} CASCADE; RESET ROLE; DROP ROLE IF EXISTS {name}; COMMIT;"
        ))?;
        Ok(there)
    }

    /// Makes a database with a space's tables and the one login that gets into it. May be repeated after a crash.
    pub fn create_database(&self, name: &str) -> Result<()> {
        if !self.has_role(name)? {
            let made = self.connection.batch(&format!(
                "BEGIN; CREATE ROLE {name} LOGIN INHERIT PASSWORD '{}'; GRANT {} TO {name}; GRANT {name} TO {}; COMMIT;",
                self.server.verifier(name),
                self.server.role("space"),
                self.server.role("keeper"),
            ));
            self.unless_made(made, || self.has_role(name))?;
        }
        if !self.has_database(name)? {
            let (template, owner) = (self.server.role("template"), self.server.role("owner"));
            let made = self.connection.batch(&format!("CREATE DATABASE {name} TEMPLATE {template} OWNER {owner}"));
            self.unless_made(made, || self.has_database(name))?;
        }
        let allow = || {
            self.connection.batch(&format!(
            "BEGIN; SET LOCAL ROLE {}; REVOKE ALL ON DATABASE {name} FROM PUBLIC; GRANT CONNECT ON DATABASE {name} TO {name}; COMMIT;",
            self.server.role("owner"),
        ))
        };
        // Another server that makes the same at this moment may be changing the same row of the catalogue.
        allow().or_else(|_| self.connection.batch("ROLLBACK").and_then(|()| allow()))
    }

    /// Drops a database and its login, ending what still uses it. Says whether there was one.
    pub fn drop_database(&self, name: &str) -> Result<bool> {
        let there = self.has_database(name)?;
        if there {
            self.connection.batch(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"))?;
        }
        self.connection.batch(&format!("DROP ROLE IF EXISTS {name}"))?;
        Ok(there)
    }

    /// Where two make the same at once, one of them fails and both have it.
    fn unless_made(&self, made: Result<()>, there: impl FnOnce() -> Result<bool>) -> Result<()> {
        let Err(error) = made else { return Ok(()) };
        if error.code() == Code::BackendUnavailable {
            return Err(error);
        }
        self.connection.batch("ROLLBACK")?;
        if there()? { Ok(()) } else { Err(Error::internal(error)) }
    }
}

/// What the role of a space may do with its tables: read and write rows, and nothing else.
pub fn grants(role: &str) -> String {
    format!("GRANT SELECT, INSERT, UPDATE, DELETE ON memories, memory_vectors, memory_history, memory_relationships, space_jobs,
                 space_settings, context_entries, context_agents TO {role};
             GRANT SELECT, INSERT ON space_audit TO {role};
             GRANT SELECT, UPDATE ON space_state TO {role};")
}
