//! The layout `schema`: a schema for each space, and a role that may use it and nothing else.

use locule_core::Result;
use locule_core::id::SpaceId;

use super::Keep;
use super::bind::Binding;
use super::connection::Connection;
use super::keeper::Keeper;
use super::server::{Login, Server, schema};
use crate::layout::Destroyed;

/// The role is what keeps spaces apart; the path only says which schema's tables are meant, and holds nothing else.
const BIND: &str = "SELECT set_config('search_path', $1, true), set_config('role', $2, true), \
     current_schema()::text, current_user::text";

/// The layout.
pub struct Schemas {
    server: Server,
}

impl Schemas {
    /// Schemas on this server.
    pub fn new(server: Server) -> Self {
        Schemas { server }
    }
}

impl Keep for Schemas {
    const OWN_DOOR: bool = false;
    type Door = ();

    fn door(&self, _: SpaceId) {}

    fn open(&self, (): ()) -> Result<Connection> {
        self.server.connect(Login::Api)
    }

    fn binding(&self, space: SpaceId) -> Result<Binding> {
        let name = schema(space);
        Ok(Binding { select: BIND, values: vec![name.clone(); 2], expected: vec![name; 4], seal: None })
    }

    fn create(&self, space: SpaceId) -> Result<()> {
        Keeper::new(&self.server)?.create_schema(&schema(space))
    }

    fn destroy(&self, space: SpaceId) -> Result<Destroyed> {
        let dropped = Keeper::new(&self.server)?.drop_schema(&schema(space))?;
        Ok(Destroyed { key: false, files: usize::from(dropped) })
    }

    fn residue(&self, space: SpaceId) -> Result<Vec<String>> {
        let (keeper, name) = (Keeper::new(&self.server)?, schema(space));
        let found = [("schema", keeper.has_schema(&name)?), ("role", keeper.has_role(&name)?)];
        Ok(found.iter().filter(|(_, there)| *there).map(|(what, _)| format!("{what} {name}")).collect())
    }

    fn whereabouts(&self, space: SpaceId) -> String {
        format!("schema {} in {}", schema(space), self.server.address().place())
    }
}
