//! The layout `file`: one SQLite database for each space, encrypted under a key of its own.

pub mod bind;
pub mod create;
pub mod dialect;
pub mod open;
pub mod pool;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use locule_core::clock::Sources;
use locule_core::id::SpaceId;
use locule_core::{Code, Result};
use rusqlite::Connection;

use self::bind::Bound;
use self::open::Durability;
use self::pool::{Opener, Pool};
use crate::directory::Directory;
use crate::error::{corrupt, of_disk, of_sqlite};
use crate::files;
use crate::key::KeyRing;
use crate::layout::{Destroyed, Layout};
use crate::paths::Paths;
use crate::tx::Tx;

/// The layout.
pub struct FileLayout {
    home: Arc<Home>,
    pool: Pool,
    nothing: Nothing,
}

/// A space that nothing was ever kept in, for whoever looks into one.
pub struct Nothing(Pool);

impl Nothing {
    /// In memory, made when it is first looked into.
    pub fn new() -> Self {
        Nothing(Pool::new(
            usize::MAX,
            Box::new(|_| {
                let connection = open::in_memory()?;
                create::migrate(&connection, create::SPACE)?;
                Ok(connection)
            }),
        ))
    }

    /// A transaction over it.
    pub fn read(&self) -> Result<Box<dyn Tx>> {
        Ok(Box::new(Bound::read(self.0.lend(SpaceId::from_bytes([0; 16]))?)?))
    }
}

/// Where the files and keys of spaces are, and how they are opened.
struct Home {
    paths: Paths,
    keys: KeyRing,
    encrypted: bool,
    durability: Durability,
    directory: Arc<Directory>,
    sources: Sources,
}

impl FileLayout {
    /// Spaces below `paths`, with at most `connections_max` of them open at a time.
    pub fn new(
        paths: Paths,
        keys: KeyRing,
        encrypted: bool,
        durability: Durability,
        connections_max: usize,
        directory: Arc<Directory>,
        sources: Sources,
    ) -> Self {
        let home = Arc::new(Home { paths, keys, encrypted, durability, directory, sources });
        let opener: Opener = {
            let home = home.clone();
            Box::new(move |space| home.open(space))
        };
        FileLayout { home, pool: Pool::new(connections_max, opener), nothing: Nothing::new() }
    }
}

impl Home {
    fn open(&self, space: SpaceId) -> Result<Connection> {
        let path = self.paths.space(space);
        let key = self.keys.find(space)?.ok_or_else(|| corrupt("its key file is missing"))?;
        let opened = open::existing(&path, self.encrypted.then_some(&key), self.durability);
        let connection = match opened {
            Err(error) if error.code() == Code::StorageError && !path.exists() => {
                return Err(corrupt("its data file is missing"));
            }
            opened => opened?,
        };
        create::upgrade(&connection, create::SPACE)?;
        self.check_revision(space, &connection)?;
        Ok(connection)
    }

    /// A file that is older than what it once published was put back from elsewhere: nobody gets the past as the present.
    fn check_revision(&self, space: SpaceId, connection: &Connection) -> Result<()> {
        let revision: i64 =
            connection.query_row("SELECT revision FROM space_state", [], |row| row.get(0)).map_err(of_sqlite)?;
        let high_water = self.directory.high_water(space)?;
        if (revision as u64) < high_water {
            return Err(corrupt(format!(
                "its revision is {revision} and was {high_water}: an older file was put back"
            )));
        }
        Ok(())
    }

    /// The files of a space: the database, what SQLite keeps beside it, and what a crash may have left while it was made.
    fn files(&self, space: SpaceId) -> io::Result<Vec<PathBuf>> {
        files::of_one_name(&self.paths.space(space))
    }
}

impl Layout for FileLayout {
    fn read(&self, space: SpaceId) -> Result<Box<dyn Tx>> {
        Ok(Box::new(Bound::read(self.pool.lend(space)?)?))
    }

    fn write(&self, space: SpaceId) -> Result<Box<dyn Tx>> {
        let turn = self.pool.turn(space)?;
        Ok(Box::new(Bound::write(self.pool.lend(space)?, turn)?))
    }

    fn read_empty(&self) -> Result<Box<dyn Tx>> {
        self.nothing.read()
    }

    fn create(&self, space: SpaceId) -> Result<()> {
        let home = &self.home;
        // An erasure waits until what is made here is there to be found.
        let _making = self.pool.enter(space)?;
        // The key first: a file whose key is not yet durable could never be read again.
        let key = home.keys.create(space)?;
        let path = home.paths.space(space);
        if !path.exists() {
            create::file(&path, home.encrypted.then_some(&key), create::SPACE, &home.sources)?;
        }
        home.directory.born(space)
    }

    fn shut(&self, space: SpaceId, patience: Duration) {
        if !self.pool.shut(space, patience) {
            tracing::warn!(space = %space.name(), "work under way in a space did not end in time; destroying it all the same");
        }
    }

    fn leave(&self, space: SpaceId, patience: Duration) {
        self.pool.leave(space, patience);
    }

    fn destroy(&self, space: SpaceId) -> Result<Destroyed> {
        let key = self.home.keys.destroy(space)?;
        let mut files = 0;
        for path in self.home.files(space).map_err(of_disk)? {
            files += usize::from(files::remove(&path).map_err(of_disk)?);
        }
        if files > 0 {
            files::sync_parent(&self.home.paths.space(space)).map_err(of_disk)?;
        }
        Ok(Destroyed { key, files })
    }

    /// SQLite makes the index of a log anew for whoever had the file open already when it was removed.
    fn tidy(&self, space: SpaceId) {
        self.pool.shut(space, Duration::ZERO);
        if let Err(error) = self.destroy(space) {
            tracing::warn!(space = %space.name(), "what was left of an erased space could not be removed: {error}");
        }
    }

    fn residue(&self, space: SpaceId) -> Vec<String> {
        // Where it cannot be looked, something may be left.
        let files = self.home.files(space).unwrap_or_else(|_| vec![self.home.paths.space(space)]);
        let mut places: Vec<_> = files.iter().map(|path| path.display().to_string()).collect();
        places.extend(self.home.keys.residue(space));
        places
    }

    fn whereabouts(&self, space: SpaceId) -> String {
        self.home.paths.space(space).display().to_string()
    }

    fn close(&self) {
        self.pool.close();
    }

    fn open_connections(&self) -> usize {
        self.pool.open()
    }
}

/// How many connections this machine bears: each takes three files, five memory maps and some 150 KiB.
pub fn connections_max(memory_bytes: usize) -> usize {
    const FILES_EACH: u64 = 3;
    const FILES_KEPT_FREE: u64 = 256;
    const BYTES_EACH: usize = 256 * 1024;
    let files = rlimit::increase_nofile_limit(u64::MAX).unwrap_or(1024);
    let by_files = (files.saturating_sub(FILES_KEPT_FREE) / FILES_EACH) as usize;
    by_files.min(memory_bytes / BYTES_EACH).max(8)
}
