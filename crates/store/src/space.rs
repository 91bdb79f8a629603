//! Opening a space: from a scope to transactions that see that space and nothing else.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use locule_core::audit::{Actor, Outcome};
use locule_core::clock::Sources;
use locule_core::directory::State as Standing;
use locule_core::id::{SpaceId, Tick};
use locule_core::{Chamber, Code, Erasure, Error, Operator, Place, Read, Result, Right, Scope, Write};

use crate::bell::Bell;
use crate::directory::{Closed, Directory, Published};
use crate::layout::{Destroyed, Layout};
use crate::places::Places;
use crate::postgres::pgvector;
use crate::state::{self, State};
use crate::trail;
use crate::tx::Tx;
use crate::warm::{Delta, Warm};
use crate::watch::{Wake, Watch, Watchers};

/// How much one space may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// How many memories.
    pub memories_max: u64,
    /// How many bytes of texts, metadata, vectors and relationships, and of context.
    pub bytes_max: u64,
    /// How many entries of context.
    pub entries_max: u64,
    /// How many agents that have written, follow a topic or were told where they may post.
    pub agents_max: u64,
}

impl Default for Quota {
    fn default() -> Self {
        Quota { memories_max: 1_000_000, bytes_max: 4 << 30, entries_max: 1_000_000, agents_max: 10_000 }
    }
}

/// All spaces of one installation. Nothing in here names a user: what opens a space is a [`Scope`].
pub struct Spaces {
    pub(crate) places: Places,
    pub(crate) directory: Arc<Directory>,
    warm: Warm,
    /// Rung when a space has got something to do.
    bell: Bell,
    watchers: Arc<Watchers>,
    quota: Quota,
    /// Whether trails tell which agent did what to which key.
    pub(crate) context_trail: bool,
    pub(crate) sources: Sources,
    /// What spaces have to say of themselves and have not yet said to the directory.
    unpublished: Mutex<HashMap<SpaceId, Published>>,
    /// Whether an erasure that an earlier run began waits for a cluster.
    erasures_wait: AtomicBool,
}

/// How long an erasure waits for work that began before it.
const DRAIN: Duration = Duration::from_secs(5);

impl Spaces {
    /// Spaces kept at `places`, with `warm_bytes` of vectors in memory.
    pub(crate) fn new(
        places: Places,
        directory: Arc<Directory>,
        warm_bytes: usize,
        quota: Quota,
        context_trail: bool,
        sources: Sources,
    ) -> Self {
        Spaces {
            places,
            directory,
            warm: Warm::new(warm_bytes),
            bell: Bell::default(),
            watchers: Arc::default(),
            quota,
            context_trail,
            sources,
            unpublished: Mutex::default(),
            erasures_wait: AtomicBool::new(false),
        }
    }

    /// The space that a scope is for, as far as its right goes.
    pub fn open<R: Right>(&self, scope: Scope<R>) -> Space<'_, R> {
        Space { spaces: self, scope }
    }

    /// Destroys a space whose door is closed. May be repeated until it is done.
    pub fn destroy(&self, _erasure: &Erasure, closed: &Closed) -> Result<Destroyed> {
        self.destroy_closed(closed)
    }

    /// Finishes the erasures that an earlier run began. Says how many. What is where nobody answers just now is left for the
    /// next time: the door is closed, and stays so.
    pub fn finish_erasures(&self) -> Result<usize> {
        let (mut finished, mut waits) = (0, false);
        for closed in &self.directory.unfinished()? {
            match self.destroy_closed(closed) {
                Ok(_) => {}
                Err(error) if error.code() == Code::BackendUnavailable => {
                    tracing::warn!("an erasure that was cut short waits for a cluster that does not answer");
                    waits = true;
                    continue;
                }
                Err(error) => return Err(error),
            }
            let actor = Actor::System("finishing an erasure that was cut short".to_owned());
            self.directory.forget(closed, actor, String::new())?;
            finished += 1;
        }
        self.erasures_wait.store(waits, Ordering::Release);
        Ok(finished)
    }

    /// Finishes those that had to wait then, if there are any.
    pub fn finish_waiting_erasures(&self) -> Result<usize> {
        if self.erasures_wait.load(Ordering::Acquire) { self.finish_erasures() } else { Ok(0) }
    }

    fn destroy_closed(&self, closed: &Closed) -> Result<Destroyed> {
        let (Some(space), Some(place)) = (closed.space, closed.place) else { return Ok(Destroyed::default()) };
        let layout = self.places.of(place)?;
        layout.shut(space, DRAIN);
        self.warm.drop(space);
        let destroyed = layout.destroy(space)?;
        self.unpublished.lock().unwrap_or_else(PoisonError::into_inner).remove(&space);
        Ok(destroyed)
    }

    /// Makes a home for a space whose rows were there before it.
    pub(crate) fn adopt(&self, chamber: &Chamber) -> Result<()> {
        self.places.of(chamber.place)?.create(chamber.id)
    }

    /// Gives the vectors of a space that were written before there was a column of pgvector's type their place in it.
    pub(crate) fn fill_vectors(&self, space: SpaceId, place: Place) -> Result<()> {
        let layout = self.places.of(place)?;
        let mut after = Some(0);
        while let Some(last) = after {
            let tx = layout.write(space)?;
            after = pgvector::fill(&*tx, last)?;
            tx.commit()?;
        }
        Ok(())
    }

    /// Drops what is in memory of a space that was changed past its writers.
    pub(crate) fn forget(&self, space: SpaceId) {
        self.warm.drop(space);
    }

    /// What is left of a destroyed space: nothing, or the erasure has failed.
    pub fn residue(&self, closed: &Closed) -> Vec<String> {
        let (Some(space), Some(place)) = (closed.space, closed.place) else { return Vec::new() };
        // Where it cannot be looked, something may be left.
        self.places.of(place).map_or_else(|_| vec![format!("{place:?}")], |layout| layout.residue(space))
    }

    /// Where a space lives.
    pub fn whereabouts(&self, _operator: &Operator, chamber: &Chamber) -> Result<String> {
        Ok(self.places.of(chamber.place)?.whereabouts(chamber.id))
    }

    /// Tells the directory what spaces have become since the last time.
    pub fn publish(&self) -> Result<()> {
        let published: Vec<_> = self.unpublished.lock().unwrap_or_else(PoisonError::into_inner).drain().collect();
        if published.is_empty() {
            return Ok(());
        }
        self.directory.publish(published.clone()).inspect_err(|_| {
            // Not said yet: it is said the next time, unless there is something newer to say by then.
            let mut unpublished = self.unpublished.lock().unwrap_or_else(PoisonError::into_inner);
            for (space, figures) in published {
                unpublished.entry(space).or_insert(figures);
            }
        })
    }

    /// Closes what is idle and writes logs home, before the process ends.
    pub fn close(&self) -> Result<()> {
        self.places.all().for_each(Layout::close);
        self.publish()
    }

    /// How many connections are open, and how many bytes of vectors are in memory.
    pub fn held(&self) -> (usize, usize) {
        (self.places.all().map(Layout::open_connections).sum(), self.warm.bytes())
    }

    /// What rings when a space has got something to do.
    pub fn bell(&self) -> &Bell {
        &self.bell
    }

    /// Calls `wake` when this process has changed the context of a space, until what is given back is dropped. `None` for a
    /// user of whom nothing was ever kept: there is nothing yet to be told of.
    pub fn watch<R: Right>(&self, scope: &Scope<R>, wake: Wake) -> Option<Watch> {
        scope.space().map(|chamber| self.watchers.add(chamber.id, wake))
    }

    /// The chamber as it is now, if a right of this kind that was given for it still holds.
    fn recheck<R: Right>(&self, given: &Chamber) -> Result<Chamber> {
        match self.directory.current(given.id)? {
            Some((now, Standing::Open)) if now.epoch == given.epoch => Ok(now),
            Some((now, Standing::Moving)) if now.epoch == given.epoch && !R::CHANGES => Ok(now),
            Some((_, Standing::Moving | Standing::Arriving)) => Err(Error::moving()),
            Some((_, Standing::Suspended)) => {
                Err(Error::new(Code::SpaceSuspended, "An operator has suspended this space. Its data is kept."))
            }
            // Suspended and opened again since the scope was given: asking again gives a new one.
            Some((_, Standing::Open)) => Err(Error::new(Code::Busy, "This space has just changed hands. Try again.")),
            None if self.directory.has_left(given.id)? => Err(Error::moved()),
            Some((_, Standing::Moved)) => Err(Error::moved()),
            Some((_, Standing::Erasing)) | None => Err(Error::new(Code::SpaceErased, "This space has been erased.")),
        }
    }
}

/// One space, opened by a scope.
pub struct Space<'a, R: Right> {
    spaces: &'a Spaces,
    scope: Scope<R>,
}

impl<'a, R: Right> Space<'a, R> {
    /// Begins to read: what is seen stays as it is until the reader is dropped.
    pub fn read(&self) -> Result<Reader<'_>> {
        let spaces = self.spaces;
        let now = spaces.sources.now();
        match self.born()? {
            Some(chamber) => {
                let tx = self.begin(&chamber, |layout| layout.read(chamber.id))?;
                Ok(Reader { tx, space: Some(chamber.id), spaces, writes: false, now })
            }
            None => Ok(Reader { tx: spaces.places.usual()?.read_empty()?, space: None, spaces, writes: false, now }),
        }
    }

    /// The vector of a text that is searched for here, made by `make` unless it was asked lately.
    pub fn query(&self, text: &str, make: impl FnOnce() -> Result<Vec<f32>>) -> Result<Arc<[f32]>> {
        match self.scope.space() {
            Some(chamber) => self.spaces.warm.query(chamber.id, text, make),
            // Nothing to find: the vector would be for nothing, but a bad text or a model that is down shows all the same.
            None => make().map(Arc::from),
        }
    }

    /// Passes if the right still holds. For work that goes on for as long as somebody else likes: every transaction looks
    /// when it begins, and one that lasts looks again.
    pub fn recheck(&self) -> Result<()> {
        self.spaces.directory.look_again();
        self.scope.space().map_or(Ok(()), |given| self.spaces.recheck::<R>(given).map(drop))
    }

    /// The chamber, if anything was ever written to it: by now, which may be later than the scope was given.
    fn born(&self) -> Result<Option<Chamber>> {
        match self.scope.space() {
            Some(given) if given.born => Ok(Some(*given)),
            Some(given) => Ok(Some(self.spaces.recheck::<R>(given)?).filter(|chamber| chamber.born)),
            None => Ok(None),
        }
    }

    /// Begins a transaction, and then looks whether the right still holds: an erasure waits for what passes here, and
    /// what comes later does not pass.
    fn begin(&self, given: &Chamber, begin: impl FnOnce(&dyn Layout) -> Result<Box<dyn Tx>>) -> Result<Box<dyn Tx>> {
        let layout = self.spaces.places.of(given.place)?;
        let begun = begin(layout);
        // A writer may have waited for its turn while the space went elsewhere: what it writes here would be lost. And if it
        // cannot be opened because it is just being erased, that is what to say. A reader sees what was there when the request
        // came, or something later.
        if R::CHANGES || begun.is_err() {
            self.spaces.directory.look_again();
        }
        if let Err(refusal) = self.spaces.recheck::<R>(given) {
            drop(begun);
            if refusal.code() == Code::SpaceErased {
                layout.tidy(given.id);
            }
            return Err(refusal);
        }
        begun
    }
}

impl Space<'_, Write> {
    fn create(&self, given: &Chamber) -> Result<()> {
        let spaces = self.spaces;
        let layout = spaces.places.of(given.place)?;
        layout.create(given.id).or_else(|error| {
            // If it is erased while it is made, the erasure may have come by before there was anything to find.
            spaces.recheck::<Write>(given).inspect_err(|refusal| {
                if refusal.code() == Code::SpaceErased {
                    let _ = layout.destroy(given.id);
                }
            })?;
            Err(error)
        })
    }

    /// Begins to write: the only writer of this space until committed or dropped.
    pub fn write(&self) -> Result<Writer<'_>> {
        let spaces = self.spaces;
        let chamber = match (self.born()?, self.scope.space()) {
            (Some(chamber), _) => chamber,
            (None, Some(given)) => {
                self.create(given)?;
                *given
            }
            (None, None) => return Err(Error::internal("a scope to write without a space")),
        };
        let tx = self.begin(&chamber, |layout| layout.write(chamber.id))?;
        let (state, trail) = (state::read(&*tx)?, Cell::new(trail::end(&*tx)?));
        let reader = Reader { tx, space: Some(chamber.id), spaces, writes: true, now: spaces.sources.now() };
        let delta = Delta::default();
        Ok(Writer {
            reader,
            chamber,
            scope: &self.scope,
            state,
            trail,
            delta,
            last_number: None,
            entry_tick: None,
            rings: false,
            context_changed: false,
        })
    }
}

/// A transaction that looks.
pub struct Reader<'a> {
    pub(crate) tx: Box<dyn Tx>,
    pub(crate) space: Option<SpaceId>,
    pub(crate) spaces: &'a Spaces,
    /// Whether it sees changes that nobody else sees yet.
    pub(crate) writes: bool,
    /// The moment that decides what has expired.
    pub(crate) now: Timestamp,
}

impl Reader<'_> {
    /// The space as a whole.
    pub fn state(&self) -> Result<State> {
        state::read(&*self.tx)
    }

    /// How much it may hold.
    pub fn quota(&self) -> Quota {
        self.spaces.quota
    }

    pub(crate) fn warm(&self) -> &Warm {
        &self.spaces.warm
    }

    /// Checks the space's audit chain. Says how many entries there are, or at which one it breaks.
    pub fn verify_audit(&self) -> Result<Result<u64, i64>> {
        trail::verify(&*self.tx)
    }

    /// Shows every entry of the audit chain, oldest first.
    pub fn audit(&self, each: &mut dyn FnMut(locule_core::audit::Entry) -> Result<()>) -> Result<()> {
        trail::read(&*self.tx, each)
    }
}

/// A transaction that changes. Dropped without [`Writer::commit`], it leaves nothing behind.
pub struct Writer<'a> {
    pub(crate) reader: Reader<'a>,
    pub(crate) chamber: Chamber,
    pub(crate) scope: &'a Scope<Write>,
    pub(crate) state: State,
    /// Where the audit chain ends.
    trail: Cell<trail::End>,
    pub(crate) delta: Delta,
    /// The highest number given to a memory, once one was given here.
    pub(crate) last_number: Option<i64>,
    /// The tick of the latest entry of context, once one was written here.
    pub(crate) entry_tick: Option<Tick>,
    /// Whether there is something to do once this is committed.
    pub(crate) rings: bool,
    /// Whether the context is changed.
    pub(crate) context_changed: bool,
}

impl<'a> std::ops::Deref for Writer<'a> {
    type Target = Reader<'a>;

    fn deref(&self) -> &Reader<'a> {
        &self.reader
    }
}

impl Writer<'_> {
    /// Makes everything durable at once, with its audit entries.
    pub fn commit(mut self) -> Result<()> {
        self.state.revision += 1;
        let tx = &*self.reader.tx;
        state::write(tx, &self.state)?;
        let spaces = self.reader.spaces;
        spaces.warm.commit(self.chamber.id, self.state.revision, self.delta, || tx.commit())?;
        let published = Published {
            memories: self.state.memories,
            size_bytes: self.state.size_bytes,
            revision: self.state.revision,
        };
        spaces.unpublished.lock().unwrap_or_else(PoisonError::into_inner).insert(self.chamber.id, published);
        if self.rings {
            spaces.bell.ring(self.chamber.id);
        }
        if self.context_changed {
            spaces.watchers.call(self.chamber.id);
        }
        Ok(())
    }

    pub(crate) fn note(&self, act: &str, object: Option<String>) -> Result<()> {
        self.note_outcome(act, object, Outcome::Done)
    }

    pub(crate) fn note_outcome(&self, act: &str, object: Option<String>, outcome: Outcome) -> Result<()> {
        let (tx, origin) = (&*self.reader.tx, self.scope.origin());
        self.trail.set(trail::append(tx, self.trail.get(), origin, act, object, outcome, self.reader.now)?);
        Ok(())
    }
}

/// Reading needs no more than the right to read.
const _: fn(&Spaces, Scope<Read>) = |spaces, scope| drop(spaces.open(scope));
