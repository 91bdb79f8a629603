//! Making the directory's tables, and bringing them up to date.

use locule_core::{Code, Error, Result};

use crate::postgres::connection::Connection;
use crate::postgres::server::Prefix;
use crate::tx::Value;

/// The tables, step by step: a directory at version n has the first n.
pub const STEPS: &[&str] = &[
    include_str!("../../migrations/postgres/directory-1.sql"),
    include_str!("../../migrations/postgres/directory-2.sql"),
    include_str!("../../migrations/postgres/directory-3.sql"),
    include_str!("../../migrations/postgres/directory-4.sql"),
];

/// Does what is missing, in a transaction under way that nobody else migrates in at the same time, as somebody who may hand
/// tables over to the owner. The roles of this prefix, the schema `locule` and its table `migrations` are there by now.
pub fn apply(connection: &Connection, prefix: &Prefix) -> Result<()> {
    let (mut version, mut roles) = (0, prefix.as_str().to_owned());
    connection.query("SELECT version, prefix FROM locule.migrations WHERE name = 'directory'", &[], &mut |row| {
        version = row.integer(0)?;
        row.text(1)?.clone_into(&mut roles);
        Ok(())
    })?;
    if roles != prefix.as_str() {
        return Err(Error::invalid(format!(
            "This database was set up with roles that begin with {roles}, and now they are to begin with {}. Configure the \
             one it has.",
            prefix.as_str()
        )));
    }
    let Some(missing) = STEPS.get(version.max(0) as usize..) else {
        return Err(Error::new(
            Code::SchemaTooNew,
            "This database was set up by a newer version of Locule. Run that version, or a later one.",
        ));
    };
    for step in missing {
        connection.batch(&step.replace("{prefix}", prefix.as_str()))?;
    }
    connection.execute(
        "INSERT INTO locule.migrations (name, version, prefix) VALUES ('directory', $1, $2)
         ON CONFLICT (name) DO UPDATE SET version = excluded.version, applied_at = now()
         WHERE migrations.version <> excluded.version",
        &[Value::Integer(STEPS.len() as i64), Value::Text(prefix.as_str())],
    )?;
    Ok(())
}
