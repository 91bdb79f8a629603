//! Which spaces are sealed, and with what: those that have a key in the directory. A space gets one when it is made, if the
//! installation seals, and is sealed or not for as long as it is there.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use locule_core::Result;
use locule_core::clock::Sources;
use locule_core::id::SpaceId;
use lru::LruCache;

use crate::content::Seal;
use crate::key::KeyRing;

/// How many spaces' seals are remembered: a hundred bytes each.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(100_000).unwrap();

/// The seals of spaces.
pub struct Seals {
    keys: KeyRing,
    /// Whether spaces made from now on are sealed.
    seals: bool,
    known: Mutex<LruCache<SpaceId, Option<Arc<Seal>>>>,
    sources: Sources,
}

impl Seals {
    /// With the keys of an installation.
    pub fn new(keys: KeyRing, seals: bool, sources: Sources) -> Self {
        Seals { keys, seals, known: Mutex::new(LruCache::new(REMEMBERED)), sources }
    }

    /// The seal of a space that has been made; none if it is not sealed.
    pub fn of(&self, space: SpaceId) -> Result<Option<Arc<Seal>>> {
        if let Some(known) = self.known().get(&space) {
            return Ok(known.clone());
        }
        let seal = self.keys.find(space)?.map(|key| Arc::new(Seal::new(&key, self.sources.clone())));
        self.known().put(space, seal.clone());
        Ok(seal)
    }

    /// Before a space is made: its key is there before its first row.
    pub fn create(&self, space: SpaceId) -> Result<()> {
        if self.seals {
            self.keys.create(space)?;
        }
        self.known().pop(&space);
        Ok(())
    }

    /// Destroys the key: what is sealed with it is noise from then on. Says whether there was one.
    pub fn destroy(&self, space: SpaceId) -> Result<bool> {
        let destroyed = self.keys.destroy(space)?;
        self.known().pop(&space);
        Ok(destroyed)
    }

    /// What is left of the key.
    pub fn residue(&self, space: SpaceId) -> Vec<String> {
        self.keys.residue(space)
    }

    fn known(&self) -> MutexGuard<'_, LruCache<SpaceId, Option<Arc<Seal>>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
