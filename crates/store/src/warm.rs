//! The vectors of spaces, kept in memory between requests: a cache that may be dropped at any time.
//!
//! Each set belongs to one space and stands at one revision of it. A reader takes it only at the revision that its own
//! transaction sees, so that what another process has written is never missed and what is not yet committed never seen.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use locule_core::Result;
use locule_core::id::SpaceId;
use lru::LruCache;

use crate::content::Place;
use crate::lexicon::Lexicon;
use crate::memories::form;
use crate::state::{self, State};
use crate::tx::Tx;
use crate::vector::Vectors;

/// All vectors in memory, up to a number of bytes.
pub struct Warm {
    sets: Mutex<LruCache<SpaceId, Arc<Set>>>,
    bytes: Arc<AtomicUsize>,
    budget: usize,
}

/// One space's vectors.
pub struct Set {
    at: RwLock<Option<At>>,
    /// What all sets take together. A set that was evicted while somebody held it gives its share back when it goes.
    bytes: Arc<AtomicUsize>,
    /// The vectors of the latest searches in words. They are this space's own: whether somebody else has asked the same
    /// cannot be told from how long an answer takes.
    queries: Mutex<VecDeque<(String, Arc<[f32]>)>>,
    /// How many local writers are between their commit and telling us of it.
    committing: AtomicUsize,
}

/// What is held of a space, at a revision.
struct At {
    revision: u64,
    held: Held,
}

/// What is held of a space.
pub struct Held {
    /// Its vectors.
    pub vectors: Vectors,
    /// Its words, where the database has no index of them.
    pub lexicon: Option<Lexicon>,
}

/// What a commit did to the vectors.
#[derive(Default)]
pub struct Delta {
    changes: Vec<Change>,
}

enum Change {
    Put(i64, Vec<u8>),
    Words(i64, String),
    Remove(i64),
    Clear,
}

/// How often, and how long each time, a reader waits for a local writer to tell of its commit.
const WAITS: usize = 100;
const WAIT: Duration = Duration::from_micros(50);

/// How many searches' vectors a space keeps: 1.5 KiB each with the built-in model.
const QUERIES: usize = 8;

/// What a set costs beyond its vectors.
const SET_BYTES: usize = 256;

impl Warm {
    /// At most `budget` bytes.
    pub fn new(budget: usize) -> Self {
        Warm { sets: Mutex::new(LruCache::unbounded()), bytes: Arc::default(), budget }
    }

    /// A space's vectors as `tx` sees them, shown to `look` with the state they belong to.
    ///
    /// If the cache is ahead of `tx`, a transaction in which nothing was asked yet is renewed: it then sees what the cache
    /// has. Any other must go on seeing what it saw, and reads its vectors for itself.
    pub fn with<T>(&self, space: SpaceId, tx: &dyn Tx, look: impl FnOnce(&Held, &State) -> Result<T>) -> Result<T> {
        let set = self.set(space);
        let (at, state) = self.current(&set, tx)?;
        match at.as_ref().and_then(|at| at.as_ref()) {
            Some(at) => look(&at.held, &state),
            None => look(&read(tx, &state)?, &state),
        }
    }

    /// Holds readers back while `commit` runs and the set is brought up to what it did.
    pub fn commit(
        &self,
        space: SpaceId,
        revision: u64,
        delta: Delta,
        commit: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        let Some(set) = self.sets.lock().unwrap_or_else(PoisonError::into_inner).peek(&space).cloned() else {
            return commit();
        };
        set.committing.fetch_add(1, Ordering::SeqCst);
        let committed = commit();
        if committed.is_ok() {
            self.apply(&set, revision, delta);
        }
        set.committing.fetch_sub(1, Ordering::SeqCst);
        committed
    }

    /// The vector of a text that is searched for in this space, made by `make` unless it was asked lately.
    pub fn query(&self, space: SpaceId, text: &str, make: impl FnOnce() -> Result<Vec<f32>>) -> Result<Arc<[f32]>> {
        let set = self.set(space);
        let lock = || set.queries.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, vector)) = lock().iter().find(|(asked, _)| asked == text) {
            return Ok(vector.clone());
        }
        let vector: Arc<[f32]> = make()?.into();
        let mut queries = lock();
        queries.truncate(QUERIES - 1);
        queries.push_front((text.to_owned(), vector.clone()));
        Ok(vector)
    }

    /// Forgets a space.
    pub fn drop(&self, space: SpaceId) {
        let set = self.sets.lock().unwrap_or_else(PoisonError::into_inner).pop(&space);
        if let Some(set) = set {
            set.forget();
        }
    }

    /// How many bytes are held.
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    fn set(&self, space: SpaceId) -> Arc<Set> {
        let mut sets = self.sets.lock().unwrap_or_else(PoisonError::into_inner);
        sets.get_or_insert(space, || Arc::new(Set::new(self.bytes.clone()))).clone()
    }

    /// The set at the revision of `tx`, read from the database if need be; `None` if that revision is past.
    fn current<'a>(&self, set: &'a Set, tx: &dyn Tx) -> Result<(Option<RwLockReadGuard<'a, Option<At>>>, State)> {
        let renewable = tx.untouched();
        let mut waits = 0;
        loop {
            let state = state::read(tx)?;
            let revision = state.revision;
            let at = set.at.read().unwrap_or_else(PoisonError::into_inner);
            match at.as_ref().map(|at| at.revision) {
                Some(warm) if warm == revision => return Ok((Some(at), state)),
                Some(warm) if warm > revision && !renewable => return Ok((None, state)),
                Some(warm) if warm > revision => {
                    drop(at);
                    tx.renew()?;
                }
                Some(_) if set.committing.load(Ordering::SeqCst) > 0 && waits < WAITS => {
                    drop(at);
                    waits += 1;
                    std::thread::sleep(WAIT);
                }
                _ => {
                    drop(at);
                    self.load(set, &state, tx)?;
                }
            }
        }
    }

    fn load(&self, set: &Set, state: &State, tx: &dyn Tx) -> Result<()> {
        let revision = state.revision;
        let mut slot = set.at.write().unwrap_or_else(PoisonError::into_inner);
        if slot.as_ref().is_some_and(|at| at.revision >= revision) {
            return Ok(());
        }
        let held = read(tx, state)?;
        let before = slot.as_ref().map_or(0, At::bytes);
        *slot = Some(At { revision, held });
        set.account(before, slot.as_ref().map_or(0, At::bytes));
        drop(slot);
        self.evict();
        Ok(())
    }

    fn apply(&self, set: &Set, revision: u64, delta: Delta) {
        let mut slot = set.at.write().unwrap_or_else(PoisonError::into_inner);
        let Some(at) = slot.as_mut() else { return };
        if at.revision + 1 != revision {
            // Another process has written in between: the next reader reads it all.
            return;
        }
        let before = at.bytes();
        if delta
            .changes
            .iter()
            .any(|change| matches!(change, Change::Put(_, row) if row.len() != 2 * at.held.vectors.dimension()))
        {
            // The first vectors of a space that was empty when it was read: their length is only now known.
            *slot = None;
            set.account(before, 0);
            return;
        }
        delta.changes.into_iter().for_each(|change| at.held.apply(change));
        at.revision = revision;
        set.account(before, at.bytes());
    }

    fn evict(&self) {
        while self.bytes() > self.budget {
            let mut sets = self.sets.lock().unwrap_or_else(PoisonError::into_inner);
            // The newest stays, however large it is: it is the one being asked.
            if sets.len() <= 1 {
                return;
            }
            let Some((_, set)) = sets.pop_lru() else { return };
            drop(sets);
            set.forget();
        }
    }
}

impl Set {
    fn new(bytes: Arc<AtomicUsize>) -> Self {
        Set { at: RwLock::default(), bytes, queries: Mutex::default(), committing: AtomicUsize::new(0) }
    }

    fn forget(&self) {
        let mut at = self.at.write().unwrap_or_else(PoisonError::into_inner);
        self.account(at.as_ref().map_or(0, At::bytes), 0);
        *at = None;
    }

    fn account(&self, before: usize, after: usize) {
        self.bytes.fetch_add(after, Ordering::Relaxed);
        self.bytes.fetch_sub(before, Ordering::Relaxed);
    }
}

impl Drop for Set {
    fn drop(&mut self) {
        self.forget();
    }
}

impl At {
    fn bytes(&self) -> usize {
        SET_BYTES + self.held.vectors.bytes() + self.held.lexicon.as_ref().map_or(0, Lexicon::bytes)
    }
}

impl Held {
    fn apply(&mut self, change: Change) {
        match change {
            Change::Put(number, row) => self.vectors.put(number, &row),
            Change::Words(number, text) => self.words(|lexicon| lexicon.put(number, &text)),
            Change::Remove(number) => {
                self.vectors.remove(number);
                self.words(|lexicon| lexicon.remove(number));
            }
            Change::Clear => {
                self.vectors.clear();
                self.words(Lexicon::clear);
            }
        }
    }

    fn words(&mut self, change: impl FnOnce(&mut Lexicon)) {
        if let Some(lexicon) = &mut self.lexicon {
            change(lexicon);
        }
    }
}

impl Delta {
    /// A vector was added or replaced.
    pub fn put(&mut self, number: i64, row: Vec<u8>) {
        self.changes.push(Change::Put(number, row));
    }

    /// A text was added or replaced.
    pub fn put_words(&mut self, number: i64, text: String) {
        self.changes.push(Change::Words(number, text));
    }

    /// A memory was removed.
    pub fn remove(&mut self, number: i64) {
        self.changes.push(Change::Remove(number));
    }

    /// All memories were removed.
    pub fn clear(&mut self) {
        self.changes.push(Change::Clear);
    }
}

/// All of a space's vectors as `tx` sees them, in one sweep of their table; and its words, where they are not indexed.
pub fn read(tx: &dyn Tx, state: &State) -> Result<Held> {
    let dimension = state.model.as_ref().map_or(1, |model| model.dimension);
    let mut vectors = Vectors::new(dimension);
    vectors.reserve(state.memories as usize);
    tx.query("SELECT number, embedding FROM memory_vectors ORDER BY number", &[], &mut |row| {
        let number = row.integer(0)?;
        let embedding = row.bytes_of(1, Place(form::EMBEDDING, &number.to_be_bytes()))?;
        if embedding.len() != 2 * dimension {
            return Err(crate::error::corrupt("a vector of another length"));
        }
        vectors.put(number, &embedding);
        Ok(())
    })?;
    let mut lexicon = (!tx.dialect().keeps_words()).then(Lexicon::default);
    if let Some(lexicon) = &mut lexicon {
        tx.query("SELECT number, memory, id FROM memories", &[], &mut |row| {
            lexicon.put(row.integer(0)?, &row.text_of(1, Place(form::MEMORY, row.memory_id(2)?.as_bytes()))?);
            Ok(())
        })?;
    }
    Ok(Held { vectors, lexicon })
}
