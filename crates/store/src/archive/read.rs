//! Reading an archive: once through, to see that it is whole and what is in it, before anything is done with it; and then
//! again, part by part.

use std::collections::HashMap;
use std::io::{BufReader, Read as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use locule_core::{Code, Error, Result};
use serde::de::DeserializeOwned;

use super::frames::{Reader, damaged};
use super::keys::{Keys, Lock};
use super::rows;
use super::write::{About, Chapter, Whole, kind};
use crate::copy::tables::{KEYS, PROJECTS, SPACE, TOMBSTONES, TRAIL, Table, WEBHOOKS};
use crate::copy::{Cell, Cells, Head};
use crate::error::of_disk;
use crate::files;
use crate::key::MasterKey;
use crate::state::{Model, State};

/// An archive that is whole.
pub struct Archive {
    path: PathBuf,
    keys: Keys,
    pub about: About,
    /// Whose spaces are in it, with how many memories.
    pub chapters: Vec<(Chapter, u64)>,
    /// Who had been erased by its end.
    pub erased: HashMap<Vec<u8>, Timestamp>,
}

/// A part of an archive.
pub enum Part {
    /// A user's space begins.
    Space(Chapter),
    /// The space as a whole.
    Head(Head),
    /// Rows of it.
    Rows(&'static Table, Vec<Cells>),
    /// It ends.
    End,
    /// Rows of the directory.
    Directory(&'static Table, Vec<Cells>),
}

impl Archive {
    /// Reads an archive through. One that is not whole, or whose keys are others, is refused.
    pub fn open(path: &Path, keys: &Path, lock: &Lock, master: Option<&MasterKey>) -> Result<Self> {
        let mut bytes = Vec::new();
        files::reading(keys).and_then(|mut file| file.read_to_end(&mut bytes)).map_err(|error| missing(keys, error))?;
        let keys = Keys::unwrap(&bytes, lock, master)?;
        let about = About { taken_at: Timestamp::UNIX_EPOCH, whole: false, master: String::new() };
        let mut archive = Archive { path: path.to_owned(), keys, about, chapters: Vec::new(), erased: HashMap::new() };
        let (mut about, mut chapters, mut erased) = (None, Vec::new(), HashMap::new());
        archive.through(&mut |kind, plain| {
            match kind {
                kind::ABOUT => about = Some(read::<About>(plain)?),
                kind::SPACE => chapters.push((read::<Chapter>(plain)?, 0)),
                kind::END => {
                    let memories = read::<u64>(plain)?;
                    chapters.last_mut().ok_or_else(|| damaged("a space ends that did not begin"))?.1 = memories;
                }
                kind::HEAD => drop(read::<Whole>(plain)?),
                kind::ROWS => drop(rows::decode(plain, SPACE)?),
                kind::DIRECTORY => {
                    let (table, rows) = directory_rows(plain)?;
                    if *table == TOMBSTONES {
                        erased.extend(rows.into_iter().filter_map(tombstone));
                    }
                }
                _ => return Err(damaged("it has parts that this program does not know")),
            }
            Ok(())
        })?;
        archive.about = about.ok_or_else(|| damaged("it does not say what it is"))?;
        (archive.chapters, archive.erased) = (chapters, erased);
        Ok(archive)
    }

    /// The master key that came with it, as its file has it.
    pub fn master(&self) -> Option<&str> {
        self.keys.master.as_deref()
    }

    /// Shows every part.
    pub fn each(&self, visit: &mut dyn FnMut(Part) -> Result<()>) -> Result<()> {
        self.through(&mut |kind, plain| match kind {
            kind::SPACE => visit(Part::Space(read(plain)?)),
            kind::HEAD => visit(Part::Head(head(read(plain)?))),
            kind::ROWS => {
                let (table, rows) = rows::decode(plain, SPACE)?;
                visit(Part::Rows(table, rows))
            }
            kind::END => visit(Part::End),
            kind::DIRECTORY => {
                let (table, rows) = directory_rows(plain)?;
                visit(Part::Directory(table, rows))
            }
            _ => Ok(()),
        })
    }

    fn through(&self, visit: &mut dyn FnMut(u8, &[u8]) -> Result<()>) -> Result<()> {
        let file = files::reading(&self.path).map_err(|error| missing(&self.path, error))?;
        let mut reader = Reader::begin(BufReader::with_capacity(1 << 18, file))?;
        if !self.keys.are_of(reader.id()) {
            return Err(Error::new(Code::KeyUnavailable, "These are the keys of another backup. Nothing was changed."));
        }
        while let Some(frame) = reader.next()? {
            let plain = reader.open(&frame, &self.keys.of(frame.section)?)?;
            visit(frame.kind, &plain)?;
        }
        Ok(())
    }
}

fn directory_rows(plain: &[u8]) -> Result<(&'static Table, Vec<Cells>)> {
    rows::decode(plain, &[&KEYS, &TOMBSTONES, &TRAIL, &PROJECTS, &WEBHOOKS])
}

fn tombstone(row: Cells) -> Option<(Vec<u8>, Timestamp)> {
    match &row[..] {
        [Cell::Blob(who), Cell::Moment(at)] => Some((who.clone(), *at)),
        _ => None,
    }
}

fn head(whole: Whole) -> Head {
    let Whole { revision, memories, size_bytes, model, dimension, creations_left_out } = whole;
    let model = model.zip(dimension).map(|(id, dimension)| Model { id, dimension });
    Head { state: State { revision, memories, size_bytes, model }, creations_left_out }
}

fn read<T: DeserializeOwned>(plain: &[u8]) -> Result<T> {
    serde_json::from_slice(plain).map_err(|error| damaged("a part of it does not read").because(error))
}

fn missing(path: &Path, error: std::io::Error) -> Error {
    match error.kind() {
        std::io::ErrorKind::NotFound => Error::invalid(format!("There is no {}.", path.display())),
        _ => Error::new(of_disk(error).code(), format!("The file {} cannot be read.", path.display())),
    }
}
