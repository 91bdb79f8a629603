//! Making a space's file: whole under another name, then in place all at once; and bringing old files up to date.

use std::path::Path;

use locule_core::clock::Sources;
use locule_core::{Code, Error, Result};
use rusqlite::Connection;

use super::bind::batch;
use super::open::{self, Durability};
use crate::error::{corrupt, of_disk, of_sqlite};
use crate::files;
use crate::seal::Secret;

/// The schema, step by step: a file at version n has the first n.
pub const SPACE: &[&str] = &[
    include_str!("../migrations/space-1.sql"),
    include_str!("../migrations/space-2.sql"),
    include_str!("../migrations/space-3.sql"),
    include_str!("../migrations/space-4.sql"),
    include_str!("../migrations/space-5.sql"),
];

/// The directory's, likewise.
pub const DIRECTORY: &[&str] = &[
    include_str!("../migrations/directory-1.sql"),
    include_str!("../migrations/directory-2.sql"),
    include_str!("../migrations/directory-3.sql"),
    include_str!("../migrations/directory-4.sql"),
];

/// Makes the file unless there is one. Afterwards there is one, complete and durable.
pub fn file(path: &Path, key: Option<&Secret>, steps: &[&str], sources: &Sources) -> Result<()> {
    path.parent().map_or(Ok(()), files::create_directory).map_err(of_disk)?;
    let temporary = files::create_temporary(path, sources).map_err(of_disk)?;
    let made = build(&temporary, key, steps);
    if let Err(error) = made {
        let _ = files::remove(&temporary);
        return Err(error);
    }
    files::sync(&temporary).map_err(of_disk)?;
    files::publish(&temporary, path).map_err(of_disk)?;
    Ok(())
}

fn build(path: &Path, key: Option<&Secret>, steps: &[&str]) -> Result<()> {
    let connection = open::existing(path, key, Durability::Normal)?;
    // Nobody knows the file yet: it is synced once, when it is finished.
    batch(&connection, "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;")?;
    migrate(&connection, steps)?;
    batch(&connection, "PRAGMA journal_mode = WAL;")?;
    connection.close().map_err(|(_, error)| of_sqlite(error))
}

/// Brings a file that was once finished up to date. One that says it has nothing in it is damaged, and is not begun anew.
pub fn upgrade(connection: &Connection, steps: &[&str]) -> Result<()> {
    if version(connection)? == 0 { Err(corrupt("there is nothing in the file")) } else { migrate(connection, steps) }
}

/// Brings a database up to the newest version of its schema. One that is newer than this program is refused.
pub fn migrate(connection: &Connection, steps: &[&str]) -> Result<()> {
    let version = version(connection)?;
    if version > steps.len() {
        return Err(Error::new(
            Code::SchemaTooNew,
            "This data was written by a newer version of Locule. Run that version, or a later one.",
        ));
    }
    if version == steps.len() {
        return Ok(());
    }
    batch(connection, "BEGIN IMMEDIATE")?;
    // Another process may have been first while we waited.
    let version = self::version(connection)?;
    let migrated = steps[version.min(steps.len())..].iter().try_for_each(|step| batch(connection, step));
    let migrated = migrated.and_then(|()| batch(connection, &format!("PRAGMA user_version = {}", steps.len())));
    match migrated {
        Ok(()) => batch(connection, "COMMIT"),
        Err(error) => {
            let _ = batch(connection, "ROLLBACK");
            Err(error)
        }
    }
}

fn version(connection: &Connection) -> Result<usize> {
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(of_sqlite)?;
    Ok(version.max(0) as usize)
}
