//! Backups: a whole installation or one user in one file, sealed, with its keys in another; the same whatever the layout, so
//! that what was taken from one can be put back into another.

mod frames;
mod keys;
mod read;
mod restore;
mod rows;
mod write;

pub use keys::Lock;
pub use restore::{Outcome, Restore};
pub use write::{About, Backup, Taken};
