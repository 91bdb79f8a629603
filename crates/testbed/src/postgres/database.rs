//! A database of one's own in a cluster that is shared.

use super::Postgres;

/// A new, empty database, dropped with this value.
///
/// It is apart from the cluster's other databases, but **roles are not**: they belong to the cluster, and so do settings
/// made with `ALTER ROLE` or `ALTER SYSTEM`, replication slots and the log. A test that makes roles under fixed names, or
/// stops the server, needs a cluster of its own: [`Postgres::start`], which costs half a second if it is careless.
pub struct Database<'a> {
    postgres: &'a Postgres,
    name: String,
}

impl<'a> Database<'a> {
    pub(super) fn new(postgres: &'a Postgres, name: String) -> Database<'a> {
        // Copying files takes two thirds of the time of logging each page, if nobody has to wait for the disk.
        let strategy = if postgres.setup.on_disk { "wal_log" } else { "file_copy" };
        postgres.psql(&format!("CREATE DATABASE {name} TEMPLATE template0 STRATEGY {strategy}"));
        Database { postgres, name }
    }

    /// The cluster it lies in.
    pub fn postgres(&self) -> &'a Postgres {
        self.postgres
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where the superuser finds it.
    pub fn url(&self) -> String {
        self.postgres.url_to(&self.name)
    }

    /// Where somebody else finds it.
    pub fn url_for(&self, user: &str, password: &str) -> String {
        self.postgres.url_for(user, password, &self.name)
    }

    /// Runs statements as the superuser.
    #[track_caller]
    pub fn psql(&self, sql: &str) -> String {
        self.postgres.psql_in(&self.name, sql)
    }

    /// Runs statements as the superuser, which may fail.
    pub fn try_psql(&self, sql: &str) -> Result<String, String> {
        self.postgres.try_psql_in(&self.name, sql)
    }
}

impl Drop for Database<'_> {
    fn drop(&mut self) {
        // The server may have been stopped; then its directory goes, and the database with it.
        if self.postgres.is_running() {
            let _ = self.postgres.try_psql(&format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name));
        }
    }
}
