//! PostgreSQL: spaces as rows behind row security, as schemas, or as databases. Only what binds a connection to a space
//! differs between the three; what is done with it is one.

pub mod address;
pub(crate) mod apart;
mod between;
mod bind;
pub mod catalogue;
pub mod connection;
mod database;
pub mod dialect;
mod keeper;
mod migrate;
pub(crate) mod pgvector;
pub(crate) mod pool;
pub(crate) mod pulse;
mod refuse;
mod rls;
pub(crate) mod said;
mod schema;
pub(crate) mod seals;
pub mod server;
mod spaces;
mod stays;
pub mod trial;
mod turns;
mod value;
mod verifier;

use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use locule_core::id::SpaceId;
use locule_core::{Place, Result};

use self::bind::{Binding, Bound};
use self::connection::Connection;
use self::pool::Pool;
use self::seals::Seals;
use self::stays::Stays;
use self::turns::Turns;
use crate::directory::Directory;
use crate::layout::{Destroyed, Layout};
use crate::sqlite::Nothing;
use crate::tx::Tx;

pub use self::address::{Address, Pooler};
pub use self::between::refuse_wrong_pooler;
pub use self::database::Databases;
pub use self::migrate::{Report, Wanted, filled, migrate, statements};
pub use self::refuse::{refuse_pooled_databases, refuse_what_leaks};
pub use self::rls::Rows;
pub use self::schema::Schemas;
pub use self::server::{Prefix, Server};

/// One way to keep spaces apart in PostgreSQL.
pub trait Keep: Send + Sync + 'static {
    /// What a connection is opened for: anybody, where it is bound by each transaction, or one space.
    type Door: Hash + Eq + Copy + Send + Sync + 'static;

    /// The door to a space.
    fn door(&self, space: SpaceId) -> Self::Door;

    /// Whether a door is one space's, and of no more use without it.
    const OWN_DOOR: bool;

    /// A new connection through a door.
    fn open(&self, door: Self::Door) -> Result<Connection>;

    /// What makes a transaction this space's.
    fn binding(&self, space: SpaceId) -> Result<Binding>;

    /// Makes the space's home, if it has none.
    fn create(&self, space: SpaceId) -> Result<()>;

    /// Destroys the space's home. Says what there was.
    fn destroy(&self, space: SpaceId) -> Result<Destroyed>;

    /// What is left of it.
    fn residue(&self, space: SpaceId) -> Result<Vec<String>>;

    /// What it has here and cannot have in another layout.
    fn only_here(&self, _space: SpaceId) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    /// Where it is, for the operator's eyes.
    fn whereabouts(&self, space: SpaceId) -> String;
}

/// A layout in PostgreSQL.
pub struct Kept<K: Keep> {
    keep: Arc<K>,
    pool: Pool<K::Door>,
    turns: Turns,
    stays: Stays,
    nothing: Nothing,
    directory: Arc<Directory>,
    /// What the directory calls this layout.
    place: Place,
    seals: Arc<Seals>,
}

impl<K: Keep> Kept<K> {
    /// Spaces that `keep` keeps apart, over at most `connections_max` connections.
    pub fn new(keep: K, connections_max: usize, place: Place, directory: Arc<Directory>, seals: Arc<Seals>) -> Self {
        let keep = Arc::new(keep);
        let opening = keep.clone();
        let pool = Pool::new(connections_max, Box::new(move |door| opening.open(door)));
        let (turns, stays, nothing) = (Turns::default(), Stays::default(), Nothing::new());
        Kept { keep, pool, turns, stays, nothing, place, directory, seals }
    }

    /// Whether the space is at another place of this directory, on its way here or away from here: its key is its own there,
    /// and goes along.
    fn is_elsewhere(&self, space: SpaceId) -> Result<bool> {
        Ok(self.directory.place_of(space)?.is_some_and(|place| place != self.place))
    }

    /// What makes a transaction this space's, and its content readable.
    fn binding(&self, space: SpaceId) -> Result<Binding> {
        Ok(Binding { seal: self.seals.of(space)?, ..self.keep.binding(space)? })
    }
}

impl<K: Keep> Layout for Kept<K> {
    fn read(&self, space: SpaceId) -> Result<Box<dyn Tx>> {
        let stay = self.stays.enter(space)?;
        Ok(Box::new(Bound::read(&self.pool, self.keep.door(space), self.binding(space)?, stay)?))
    }

    fn write(&self, space: SpaceId) -> Result<Box<dyn Tx>> {
        let stay = self.stays.enter(space)?;
        let turn = self.turns.take(space)?;
        Ok(Box::new(Bound::write(&self.pool, self.keep.door(space), self.binding(space)?, stay, turn)?))
    }

    fn read_empty(&self) -> Result<Box<dyn Tx>> {
        self.nothing.read()
    }

    fn create(&self, space: SpaceId) -> Result<()> {
        // An erasure waits until what is made here is there to be found.
        let _stay = self.stays.enter(space)?;
        // One that comes from another place of this directory is sealed, or not, as it was.
        if !self.is_elsewhere(space)? {
            self.seals.create(space)?;
        }
        self.keep.create(space)?;
        self.directory.born(space)
    }

    fn shut(&self, space: SpaceId, patience: Duration) {
        let ended = self.stays.shut(space, patience);
        if K::OWN_DOOR {
            self.pool.close(self.keep.door(space));
        }
        if !ended {
            tracing::warn!(space = %space.name(), "work under way in a space did not end in time; destroying it all the same");
        }
    }

    fn leave(&self, space: SpaceId, patience: Duration) {
        self.stays.leave(space, patience);
        if K::OWN_DOOR {
            self.pool.close(self.keep.door(space));
        }
    }

    fn destroy(&self, space: SpaceId) -> Result<Destroyed> {
        let key = !self.is_elsewhere(space)? && self.seals.destroy(space)?;
        Ok(Destroyed { key, ..self.keep.destroy(space)? })
    }

    fn residue(&self, space: SpaceId) -> Vec<String> {
        // Where it cannot be looked, something may be left.
        let mut left = self.keep.residue(space).unwrap_or_else(|_| vec![self.keep.whereabouts(space)]);
        if !self.is_elsewhere(space).unwrap_or(false) {
            left.extend(self.seals.residue(space));
        }
        left
    }

    fn only_here(&self, space: SpaceId) -> Result<Vec<String>> {
        self.keep.only_here(space)
    }

    fn whereabouts(&self, space: SpaceId) -> String {
        self.keep.whereabouts(space)
    }

    fn close(&self) {
        self.pool.close_all();
    }

    fn open_connections(&self) -> usize {
        self.pool.count()
    }
}
