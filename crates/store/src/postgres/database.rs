//! The layout `database`: a database for each space, and the only login that gets into it.

use locule_core::Result;
use locule_core::id::SpaceId;

use super::Keep;
use super::bind::Binding;
use super::connection::Connection;
use super::keeper::Keeper;
use super::server::{Server, database};
use crate::layout::Destroyed;

/// The tables' schema in every database.
pub const SCHEMA: &str = "space";

/// The connection cannot be anybody else's. That it is this one's, and what it means by a table's name, is asked all the same.
const BIND: &str = "SELECT set_config('search_path', $1, true), current_database()::text, current_user::text";

/// The layout.
pub struct Databases {
    server: Server,
}

impl Databases {
    /// Databases on this server.
    pub fn new(server: Server) -> Self {
        Databases { server }
    }
}

impl Keep for Databases {
    const OWN_DOOR: bool = true;
    type Door = SpaceId;

    fn door(&self, space: SpaceId) -> SpaceId {
        space
    }

    fn open(&self, space: SpaceId) -> Result<Connection> {
        self.server.connect_to(space)
    }

    fn binding(&self, space: SpaceId) -> Result<Binding> {
        let name = database(space);
        Ok(Binding {
            select: BIND,
            values: vec![SCHEMA.to_owned()],
            expected: vec![SCHEMA.to_owned(), name.clone(), name],
            seal: None,
        })
    }

    fn create(&self, space: SpaceId) -> Result<()> {
        Keeper::new(&self.server)?.create_database(&database(space))
    }

    fn destroy(&self, space: SpaceId) -> Result<Destroyed> {
        let dropped = Keeper::new(&self.server)?.drop_database(&database(space))?;
        Ok(Destroyed { key: false, files: usize::from(dropped) })
    }

    fn residue(&self, space: SpaceId) -> Result<Vec<String>> {
        let (keeper, name) = (Keeper::new(&self.server)?, database(space));
        let found = [("database", keeper.has_database(&name)?), ("login", keeper.has_role(&name)?)];
        Ok(found.iter().filter(|(_, there)| *there).map(|(what, _)| format!("{what} {name}")).collect())
    }

    fn whereabouts(&self, space: SpaceId) -> String {
        format!("database {} at {}", database(space), self.server.address().place())
    }
}
