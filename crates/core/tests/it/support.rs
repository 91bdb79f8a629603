//! What the tests share: a clock that stands still, chance that repeats, and a directory in memory.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use locule_core::audit::SystemEntry;
use locule_core::auth::{KeyId, KeyRecord};
use locule_core::clock::{Entropy, ManualClock, Sources};
use locule_core::directory::{Directory, Known, Standing, State};
use locule_core::id::{Identity, Issuer, SpaceId, Subject, Tag};
use locule_core::{Chamber, Result};

/// When the tests take place.
pub fn noon() -> Timestamp {
    "2026-11-24T12:00:00Z".parse().unwrap()
}

/// So many seconds after noon.
pub fn noon_and(seconds: i64) -> Timestamp {
    Timestamp::from_second(noon().as_second() + seconds).unwrap()
}

/// Somebody of the default issuer.
pub fn identity(subject: &str) -> Identity {
    Identity { issuer: Issuer::default(), subject: Subject::try_from(subject).unwrap() }
}

/// A clock at noon, and chance that gives other bytes each time and the same ones in each run.
pub fn sources() -> (Sources, ManualClock) {
    let clock = ManualClock::at(noon());
    (Sources { clock: Arc::new(clock.clone()), entropy: Arc::new(Counting(AtomicU64::new(1))) }, clock)
}

struct Counting(AtomicU64);

impl Entropy for Counting {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let count = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
            chunk.copy_from_slice(&count.to_le_bytes()[..chunk.len()]);
        }
    }
}

/// A directory that is nothing but a few maps, and counts what it is asked.
#[derive(Default)]
pub struct TestDirectory(Mutex<Books>);

#[derive(Default)]
struct Books {
    standings: HashMap<Identity, Standing>,
    keys: HashMap<String, KeyRecord>,
    entries: Vec<SystemEntry>,
    found: usize,
    provisioned: usize,
}

impl TestDirectory {
    pub fn put(&self, identity: Identity, state: State, not_before: Option<Timestamp>) -> Chamber {
        let mut books = self.0.lock().unwrap();
        let chamber = chamber(books.standings.len() as u8 + 1);
        books.standings.insert(identity, Standing { space: Some(chamber), state, not_before });
        chamber
    }

    pub fn erase(&self, identity: Identity, not_before: Timestamp) {
        let standing = Standing { space: None, state: State::Open, not_before: Some(not_before) };
        self.0.lock().unwrap().standings.insert(identity, standing);
    }

    pub fn put_key(&self, record: KeyRecord) {
        self.0.lock().unwrap().keys.insert(record.id.as_str().to_owned(), record);
    }

    /// What was recorded since the last call.
    pub fn take_entries(&self) -> Vec<SystemEntry> {
        std::mem::take(&mut self.0.lock().unwrap().entries)
    }

    /// How often somebody was looked up.
    pub fn found(&self) -> usize {
        self.0.lock().unwrap().found
    }

    /// How often somebody was given a space.
    pub fn provisioned(&self) -> usize {
        self.0.lock().unwrap().provisioned
    }
}

pub fn chamber(number: u8) -> Chamber {
    Chamber {
        id: SpaceId::from_bytes([number; 16]),
        tag: Tag(number.into()),
        epoch: 1,
        born: true,
        place: "file".try_into().unwrap(),
    }
}

const STRANGER: Standing = Standing { space: None, state: State::Open, not_before: None };

impl Directory for TestDirectory {
    fn find(&self, identity: &Identity) -> Result<Standing> {
        let mut books = self.0.lock().unwrap();
        books.found += 1;
        Ok(books.standings.get(identity).copied().unwrap_or(STRANGER))
    }

    fn provision(&self, identity: &Identity) -> Result<Chamber> {
        let mut books = self.0.lock().unwrap();
        books.provisioned += 1;
        let fresh = chamber(100 + books.provisioned as u8);
        let standing = books.standings.entry(identity.clone()).or_insert(STRANGER);
        Ok(*standing.space.get_or_insert(fresh))
    }

    fn tagged(&self, tag: Tag) -> Result<Vec<Identity>> {
        let books = self.0.lock().unwrap();
        let has = |standing: &Standing| standing.space.is_some_and(|space| space.tag == tag);
        Ok(books.standings.iter().filter(|(_, standing)| has(standing)).map(|(identity, _)| identity.clone()).collect())
    }

    fn known(&self, issuer: &Issuer, is_asked_for: &(dyn Fn(&Subject) -> bool + Send + Sync)) -> Result<Vec<Known>> {
        let books = self.0.lock().unwrap();
        let theirs = books.standings.keys().filter(|identity| identity.issuer == *issuer);
        let known = |subject: Subject| Known {
            subject,
            created_at: jiff::Timestamp::UNIX_EPOCH,
            memories: 0,
            published_at: None,
        };
        let theirs = theirs.map(|identity| identity.subject.clone()).filter(|subject| is_asked_for(subject));
        Ok(theirs.map(known).collect())
    }

    /// Every space is marked here.
    fn marked(&self, space: SpaceId) -> Result<Option<(Identity, Standing)>> {
        let books = self.0.lock().unwrap();
        let is_it = |standing: &Standing| standing.space.is_some_and(|chamber| chamber.id == space);
        let found = books.standings.iter().find(|(_, standing)| is_it(standing));
        Ok(found.map(|(identity, standing)| (identity.clone(), *standing)))
    }

    fn key(&self, id: &KeyId) -> Result<Option<KeyRecord>> {
        Ok(self.0.lock().unwrap().keys.get(id.as_str()).cloned())
    }

    fn keys_of(&self, _: &Identity) -> Result<Vec<KeyRecord>> {
        Ok(Vec::new())
    }

    fn record(&self, entry: SystemEntry) -> Result<()> {
        self.0.lock().unwrap().entries.push(entry);
        Ok(())
    }
}
