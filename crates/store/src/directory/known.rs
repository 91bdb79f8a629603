//! What the directory said last, for as long as nobody has changed it.
//!
//! Every request asks the same few questions. Before an answer is used again, SQLite is asked whether the database has
//! changed since, by us or by any other process; that costs a third of asking the question itself, and a change counts from
//! the moment it is committed.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use locule_core::auth::{KeyId, KeyRecord};
use locule_core::directory::{Standing, State};
use locule_core::id::{Identity, SpaceId};
use locule_core::{Chamber, Result};
use rusqlite::Connection;

use super::Directory;
use crate::error::of_sqlite;

/// How many answers of a kind are kept.
const ANSWERS: usize = 16_384;

/// The connection that watches, and the answers that hold while nothing changes.
#[derive(Default)]
pub(super) struct Known(Mutex<Option<Watch>>);

struct Watch {
    connection: Connection,
    version: i64,
    answers: Answers,
}

/// The answers.
#[derive(Default)]
pub(super) struct Answers {
    pub standings: HashMap<Identity, Standing>,
    pub chambers: HashMap<SpaceId, Option<(Chamber, State)>>,
    pub keys: HashMap<KeyId, Option<KeyRecord>>,
}

impl Directory {
    /// Answers from what is known, or asks and keeps the answer: `ask` does either.
    pub(super) fn ask<T>(&self, ask: impl FnOnce(&Connection, &mut Answers) -> rusqlite::Result<T>) -> Result<T> {
        let mut held = self.known.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Taken out while in use: after a failure or a panic there is a new one, which knows nothing.
        let mut watch = match held.take() {
            Some(watch) => watch,
            None => Watch { connection: (self.open)()?, version: -1, answers: Answers::default() },
        };
        watch.refresh().map_err(of_sqlite)?;
        let answer = ask(&watch.connection, &mut watch.answers).map_err(of_sqlite)?;
        *held = Some(watch);
        Ok(answer)
    }
}

impl Watch {
    fn refresh(&mut self) -> rusqlite::Result<()> {
        let version = self.connection.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?;
        if version != self.version {
            self.answers = Answers::default();
            self.version = version;
        }
        Ok(())
    }
}

/// Keeps an answer, among a bounded number.
pub(super) fn keep<K: std::hash::Hash + Eq, V>(answers: &mut HashMap<K, V>, key: K, answer: V) {
    if answers.len() >= ANSWERS {
        answers.clear();
    }
    answers.insert(key, answer);
}
