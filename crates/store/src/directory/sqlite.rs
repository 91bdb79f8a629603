//! The directory in a small file of its own, encrypted like the spaces.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use locule_core::Result;
use locule_core::clock::Sources;
use locule_core::id::Issuer;

use super::home::{Home, Question};
use super::known::Answers;
use crate::error::corrupt;
use crate::files::Reserve;
use crate::group::{Bearer, Group, Job};
use crate::seal::Secret;
use crate::sqlite::bind::Apart;
use crate::sqlite::create::{self, DIRECTORY};
use crate::sqlite::open::{self, Durability};
use crate::tx::Tx;

/// The file.
pub struct File {
    readers: Mutex<Vec<Apart>>,
    /// The connection that watches, and the answers that hold while nothing changes.
    watch: Mutex<Option<Watch>>,
    writer: Group<Apart>,
    open: Box<dyn Fn() -> Result<Apart> + Send + Sync>,
    reserve: Reserve,
    sources: Sources,
}

struct Watch {
    connection: Apart,
    version: i64,
    answers: Answers,
}

impl File {
    /// Opens the file, made now if there is none and `create` says so.
    pub fn open(path: &Path, key: Option<Secret>, create: bool, sources: Sources) -> Result<Self> {
        if create && !path.exists() {
            create::file(path, key.as_ref(), DIRECTORY, &sources)?;
        }
        let path = path.to_owned();
        let reserve = Reserve::beside(&path);
        let open = Arc::new(move || open::existing(&path, key.as_ref(), Durability::Full).map(Apart));
        create::upgrade(&open()?.0, DIRECTORY)?;
        let writer = Group::new(Box::new({
            let open = open.clone();
            move || open()
        }));
        let file = File {
            readers: Mutex::default(),
            watch: Mutex::default(),
            writer,
            open: Box::new(move || open()),
            reserve,
            sources,
        };
        file.keep_room();
        Ok(file)
    }
}

impl Home for File {
    fn read(&self, work: &mut dyn FnMut(&dyn Tx) -> Result<()>) -> Result<()> {
        let idle = self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => (self.open)()?,
        };
        work(&connection)?;
        self.readers.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        Ok(())
    }

    fn write(&self, job: Job) -> Result<()> {
        self.writer.run(job)
    }

    /// SQLite says whether the file has changed, by us or by any other process, in a third of the time that the question
    /// itself takes.
    fn ask(&self, question: &mut dyn Question) -> Result<()> {
        let mut held = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        // Taken out while in use: after a failure or a panic there is a new one, which knows nothing.
        let mut watch = match held.take() {
            Some(watch) => watch,
            None => Watch { connection: (self.open)()?, version: -1, answers: Answers::default() },
        };
        watch.refresh()?;
        if !question.known(&mut watch.answers) {
            question.find(&watch.connection)?;
            question.keep(&mut watch.answers);
        }
        *held = Some(watch);
        Ok(())
    }

    /// The log still holds a row's old pages until the new ones are moved home and it is emptied.
    fn empty_log(&self) {
        let emptied = self
            .writer
            .between(|connection| connection.tx().first("PRAGMA wal_checkpoint(TRUNCATE)", &[], |row| row.integer(0)));
        if emptied.ok().flatten() != Some(0) {
            tracing::warn!(
                "the directory's log could not be emptied after an erasure; the next one that is empties it"
            );
        }
    }

    fn keep_room(&self) {
        self.reserve.keep(&self.sources);
    }

    fn give_up_room(&self) -> bool {
        self.reserve.release()
    }

    fn default_issuer(&self) -> Option<&Issuer> {
        None
    }
}

impl Watch {
    fn refresh(&mut self) -> Result<()> {
        let version = self.connection.tx().first("PRAGMA data_version", &[], |row| row.integer(0))?;
        let version = version.ok_or_else(|| corrupt("the directory has no version"))?;
        if version != self.version {
            self.answers = Answers::default();
            self.version = version;
        }
        Ok(())
    }
}
