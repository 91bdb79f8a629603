//! What a layout must do: hand out transactions that see one space, make a space's home, and destroy it.

use std::time::Duration;

use locule_core::Result;
use locule_core::id::SpaceId;

use crate::tx::Tx;

/// One way to keep spaces apart. Each method belongs to one space and can reach no other.
pub trait Layout: Send + Sync {
    /// A transaction that reads the space.
    fn read(&self, space: SpaceId) -> Result<Box<dyn Tx>>;

    /// A transaction that writes the space; the only one at a time.
    fn write(&self, space: SpaceId) -> Result<Box<dyn Tx>>;

    /// A transaction over a space without anything in it.
    fn read_empty(&self) -> Result<Box<dyn Tx>>;

    /// Makes the space's home, if it has none.
    fn create(&self, space: SpaceId) -> Result<()>;

    /// Ends all use of the space, waiting up to `patience` for what is under way.
    fn shut(&self, space: SpaceId, patience: Duration);

    /// Waits up to `patience` for what is under way in the space here, and closes what is open of it. Unlike after
    /// [`Layout::shut`], it may come back.
    fn leave(&self, space: SpaceId, patience: Duration);

    /// Destroys the space: its key first, for then the rest is noise. Says what there was. May be repeated.
    fn destroy(&self, space: SpaceId) -> Result<Destroyed>;

    /// Removes what work under way, in this process, may have put back in the place of a space that another has erased.
    fn tidy(&self, _space: SpaceId) {}

    /// What is left of the space; nothing, after an erasure.
    fn residue(&self, space: SpaceId) -> Vec<String>;

    /// What the space has here and cannot have in another layout, in words; mostly nothing.
    fn only_here(&self, _space: SpaceId) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    /// Where the space lives, for the operator's eyes.
    fn whereabouts(&self, space: SpaceId) -> String;

    /// Gives back what is held open and idle, writing logs home.
    fn close(&self);

    /// How many connections are open.
    fn open_connections(&self) -> usize;
}

/// What an erasure found to destroy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Destroyed {
    /// Whether there was a data key.
    pub key: bool,
    /// How many files (or schemas, or databases) there were.
    pub files: usize,
}
