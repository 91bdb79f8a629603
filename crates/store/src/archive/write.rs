//! Taking a backup: beside a server that runs, each space as it is at one moment, into two files that appear when they are
//! whole.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use locule_core::directory::State as Standing;
use locule_core::id::Identity;
use locule_core::{Code, Error, Move, Operator, Result};
use serde::{Deserialize, Serialize};

use super::frames::Writer;
use super::keys::{Keys, Lock};
use super::rows;
use crate::copy::tables::{KEYS, PROJECTS, TOMBSTONES, TRAIL, WEBHOOKS};
use crate::copy::{self, Piece};
use crate::directory::Record;
use crate::error::of_disk;
use crate::state::Model;
use crate::{Store, files};

/// What kinds of frames there are.
pub mod kind {
    /// What the archive is: [`super::About`].
    pub const ABOUT: u8 = b'A';
    /// Whose space follows: [`super::Chapter`].
    pub const SPACE: u8 = b'S';
    /// The space as a whole: [`super::Whole`].
    pub const HEAD: u8 = b'H';
    /// Rows of a space.
    pub const ROWS: u8 = b'R';
    /// How many rows there were: a list of numbers.
    pub const END: u8 = b'E';
    /// Rows of the directory.
    pub const DIRECTORY: u8 = b'D';
}

/// What an archive is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct About {
    /// When it was begun.
    pub taken_at: Timestamp,
    /// Whether it is of a whole installation.
    pub whole: bool,
    /// What tells master keys apart without telling anything of them.
    pub master: String,
}

/// Whose space a section holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Chapter {
    /// As the directory has it.
    pub record: Record,
    /// At which moment.
    pub taken_at: Timestamp,
}

/// A space as a whole.
#[derive(Serialize, Deserialize)]
pub struct Whole {
    pub revision: u64,
    pub memories: u64,
    pub size_bytes: u64,
    pub model: Option<String>,
    pub dimension: Option<usize>,
    pub creations_left_out: u64,
}

/// What a backup came to.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Taken {
    /// How many spaces are in it.
    pub users: u64,
    /// How many memories.
    pub memories: u64,
    /// Whose spaces were erased or not yet there as their turn came.
    pub skipped: u64,
    /// How long the archive is.
    pub size_bytes: u64,
}

/// A backup being taken. Dropped before its end, nothing of it is left.
pub struct Backup<'a> {
    store: &'a Store,
    writer: Writer<BufWriter<File>>,
    keys: Keys,
    lock: Lock,
    paths: [PathBuf; 2],
    temporary: Temporary,
    taken: Taken,
}

/// The unfinished archive.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = files::remove(&self.0);
    }
}

impl<'a> Backup<'a> {
    /// Begins one, to be at `archive` with its keys at `keys`. Neither is there.
    pub fn begin(store: &'a Store, archive: &Path, keys: &Path, whole: bool, lock: Lock) -> Result<Self> {
        let absolute = |path: &Path| std::path::absolute(path).map_err(|error| unwritable(path, error));
        let (archive, keys) = (&*absolute(archive)?, &*absolute(keys)?);
        for path in [archive, keys] {
            if path.exists() {
                return Err(taken_name(path));
            }
        }
        let sources = store.spaces.sources.clone();
        let temporary =
            Temporary(files::create_temporary(archive, &sources).map_err(|error| unwritable(archive, error))?);
        let file = files::append(&temporary.0).map_err(of_disk)?;
        let writer = Writer::begin(BufWriter::with_capacity(1 << 18, file), sources.clone())?;
        let master = match (&lock, whole) {
            (Lock::Passphrase(_), true) => Some(store.master.text()),
            _ => None,
        };
        let keys_of = Keys::new(writer.id(), master);
        let paths = [archive.to_owned(), keys.to_owned()];
        let mut backup = Backup { store, writer, keys: keys_of, lock, paths, temporary, taken: Taken::default() };
        let about = About { taken_at: sources.now(), whole, master: store.master.fingerprint() };
        let (section, key) = backup.keys.add(&sources)?;
        backup.writer.frame(&key, section, kind::ABOUT, &json(&about)?)?;
        Ok(backup)
    }

    /// Takes in one user's space, as it is now. Says how many memories it has; `None` if there is none to take.
    pub fn space(&mut self, right: &Move) -> Result<Option<u64>> {
        let taken = self.space_of(right.identity())?;
        match taken {
            Some(memories) => {
                self.taken.users += 1;
                self.taken.memories += memories;
            }
            None => self.taken.skipped += 1,
        }
        Ok(taken)
    }

    fn space_of(&mut self, identity: &Identity) -> Result<Option<u64>> {
        let (directory, sources) = (&self.store.directory, &self.store.spaces.sources);
        let Some(record) = directory.record_of(identity)? else { return Ok(None) };
        let current = || directory.current(record.space());
        let Some((chamber, state)) = current()? else { return Ok(None) };
        if matches!(state, Standing::Erasing | Standing::Arriving) {
            return Ok(None);
        }
        let taken_at = sources.now();
        let begun =
            if chamber.born { Some(self.store.spaces.places.of(chamber.place)?.read(chamber.id)) } else { None };
        // As every transaction does: after it has begun. What was erased or moved away by now is not read from here.
        match current()? {
            Some((now, state)) if state != Standing::Erasing && now.place == chamber.place => {}
            Some((_, Standing::Erasing)) | None => return Ok(None),
            Some(_) => return Err(Error::new(Code::Busy, "A space was moved while it was backed up. Try again.")),
        }
        let (section, key) = self.keys.add(sources)?;
        let writer = &mut self.writer;
        writer.frame(&key, section, kind::SPACE, &json(&Chapter { record, taken_at })?)?;
        let mut memories = 0;
        if let Some(tx) = begun.transpose()? {
            let tally = copy::read(&*tx, &mut |piece| match piece {
                Piece::Head(head) => {
                    let (model, dimension) = head.state.model.map(|Model { id, dimension }| (id, dimension)).unzip();
                    let whole = Whole {
                        revision: head.state.revision,
                        memories: head.state.memories,
                        size_bytes: head.state.size_bytes,
                        model,
                        dimension,
                        creations_left_out: head.creations_left_out,
                    };
                    writer.frame(&key, section, kind::HEAD, &json(&whole)?)
                }
                Piece::Rows(table, some) => writer.frame(&key, section, kind::ROWS, &rows::encode(table, some)),
            })?;
            memories = tally.memories();
        }
        self.writer.frame(&key, section, kind::END, &json(&memories)?)?;
        Ok(Some(memories))
    }

    /// Takes in what is of no user.
    pub fn rest(&mut self, _operator: &Operator) -> Result<()> {
        let rest = self.store.directory.rest()?;
        let (section, key) = self.keys.add(&self.store.spaces.sources)?;
        let tables = [
            (&KEYS, rest.keys),
            (&TOMBSTONES, rest.tombstones),
            (&TRAIL, rest.trail),
            (&PROJECTS, rest.projects),
            (&WEBHOOKS, rest.webhooks),
        ];
        for (table, all) in tables {
            for some in all.chunks(500) {
                self.writer.frame(&key, section, kind::DIRECTORY, &rows::encode(table, some))?;
            }
        }
        Ok(())
    }

    /// Ends it: both files are there, whole and durable, or neither is.
    pub fn end(mut self) -> Result<Taken> {
        let sources = &self.store.spaces.sources;
        let file = self.writer.end()?.into_inner().map_err(|error| of_disk(error.into_error()))?;
        file.sync_all().map_err(of_disk)?;
        self.taken.size_bytes = file.metadata().map_err(of_disk)?.len();
        let [archive, keys] = &self.paths;
        let wrapped = self.keys.wrap(&self.lock, &self.store.master, sources)?;
        // The keys first: an archive without them would pass for one.
        if !files::create_new(keys, &wrapped, sources).map_err(|error| unwritable(keys, error))? {
            return Err(taken_name(keys));
        }
        let published = files::publish(&self.temporary.0, archive).map_err(|error| unwritable(archive, error));
        match published {
            Ok(true) => Ok(self.taken),
            other => {
                let _ = files::remove(keys);
                other.and(Err(taken_name(archive)))
            }
        }
    }
}

fn json(value: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(Error::internal)
}

fn taken_name(path: &Path) -> Error {
    Error::new(
        Code::Conflict,
        format!("There is a {} already. It was left as it is: name another file.", path.display()),
    )
}

fn unwritable(path: &Path, error: std::io::Error) -> Error {
    let kind = of_disk(error);
    Error::new(kind.code(), format!("The backup cannot be written to {}.", path.display())).because(kind)
}
