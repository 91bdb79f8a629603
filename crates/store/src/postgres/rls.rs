//! The layout `rls`: all spaces in the same tables, each row behind a policy that compares its owner with the one whom the
//! transaction is bound to.

use std::sync::Arc;

use locule_core::Result;
use locule_core::id::SpaceId;

use super::Keep;
use super::bind::Binding;
use super::connection::Connection;
use super::server::{Login, Server};
use crate::directory::Directory;
use crate::layout::Destroyed;
use crate::tx::Value;

/// The tables that hold a space's rows, those that refer to others first. What an upgrade has put aside of somebody's is
/// somebody's too.
pub const TABLES: [&str; 11] = [
    "memory_relationships",
    "memory_vectors",
    "memory_history",
    "space_audit",
    "space_jobs",
    "space_settings",
    "context_entries",
    "context_agents",
    "memories",
    "locule.upgrade_rejects",
    "space_state",
];

/// What has no place in another layout. (Refusals that stand in the history are in the installation's trail as well.)
const ONLY_HERE: [(&str, &str); 3] = [
    ("memories shared with organisations", "SELECT count(*) FROM memory_org_shares"),
    ("rows put aside by an upgrade", "SELECT count(*) FROM locule.upgrade_rejects"),
    (
        "lines of the history that an application wrote",
        "SELECT count(*) FROM memory_history WHERE operation IN ('read', 'export', 'erase')",
    ),
];

/// Whose rows they are is set in all the places where anything may look for it; an old one that would be believed first is
/// emptied. What the policies see and what role they apply to comes back.
const BIND: &str = "SELECT set_config('search_path', $1, true), set_config('role', $2, true), \
     set_config('request.jwt.claims', $3, true), set_config('app.current_user_id', $4, true), \
     set_config('request.jwt.claim.sub', '', true), \
     nullif(nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub', ''), current_user::text";

/// The layout.
pub struct Rows {
    server: Server,
    directory: Arc<Directory>,
}

impl Rows {
    /// Rows on this server, owned by whom the directory says.
    pub fn new(server: Server, directory: Arc<Directory>) -> Self {
        Rows { server, directory }
    }

    /// A transaction of its own, in which the space's rows can be changed as a whole.
    fn within<T>(&self, space: SpaceId, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let binding = self.binding(space)?;
        let connection = self.open(())?;
        binding.apply(&connection, "BEGIN")?;
        let made = work(&connection)?;
        connection.batch("COMMIT")?;
        Ok(made)
    }
}

impl Keep for Rows {
    const OWN_DOOR: bool = false;
    type Door = ();

    fn door(&self, _: SpaceId) {}

    fn open(&self, (): ()) -> Result<Connection> {
        self.server.connect(Login::Api)
    }

    fn binding(&self, space: SpaceId) -> Result<Binding> {
        let owner = self.directory.owner(space)?;
        let role = self.server.role("user");
        let claims = serde_json::json!({ "sub": owner, "role": "authenticated" }).to_string();
        Ok(Binding {
            select: BIND,
            values: vec!["public".into(), role.clone(), claims.clone(), owner.clone()],
            expected: vec!["public".into(), role.clone(), claims, owner.clone(), String::new(), owner, role],
            seal: None,
        })
    }

    fn create(&self, space: SpaceId) -> Result<()> {
        let tag = self.directory.current(space)?.map(|(chamber, _)| i64::from(chamber.tag.0));
        self.within(space, |connection| {
            // Where rows were there first, there is a state as well, and it learns whose it is.
            connection.execute(
                "INSERT INTO space_state (space, tag, revision, memories, size_bytes) VALUES ($1, $2, 0, 0, 0)
                 ON CONFLICT (user_id) DO UPDATE SET space = excluded.space, tag = excluded.tag",
                &[Value::Id(space.as_bytes()), Value::integer(tag)],
            )
        })?;
        Ok(())
    }

    fn destroy(&self, space: SpaceId) -> Result<Destroyed> {
        let rows = self.within(space, |connection| {
            // Writers in other processes end first; those that come later find no state and go away.
            connection.query("SELECT 1::bigint FROM space_state FOR UPDATE", &[], &mut |_| Ok(()))?;
            TABLES.iter().map(|table| connection.execute(&format!("DELETE FROM {table}"), &[])).sum::<Result<usize>>()
        })?;
        Ok(Destroyed { key: false, files: usize::from(rows > 0) })
    }

    fn residue(&self, space: SpaceId) -> Result<Vec<String>> {
        self.within(space, |connection| {
            let mut left = Vec::new();
            for table in TABLES {
                connection.query(&format!("SELECT count(*) FROM {table}"), &[], &mut |row| {
                    let rows = row.integer(0)?;
                    if rows > 0 {
                        left.push(format!("{rows} rows in {table}"));
                    }
                    Ok(())
                })?;
            }
            Ok(left)
        })
    }

    fn only_here(&self, space: SpaceId) -> Result<Vec<String>> {
        self.within(space, |connection| {
            let mut found = Vec::new();
            for (what, sql) in ONLY_HERE {
                connection.query(sql, &[], &mut |row| {
                    let rows = row.integer(0)?;
                    if rows > 0 {
                        found.push(format!("{rows} {what}"));
                    }
                    Ok(())
                })?;
            }
            Ok(found)
        })
    }

    fn whereabouts(&self, space: SpaceId) -> String {
        format!("rows of space {} in {}", space.name(), self.server.address().place())
    }
}
