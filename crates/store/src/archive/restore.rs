//! Putting a backup back: after it was read through, each space in one transaction, and never who was erased since.

use std::collections::HashMap;
use std::path::Path;

use locule_core::audit;
use locule_core::clock::Sources;
use locule_core::directory::State as Standing;
use locule_core::id::Identity;
use locule_core::{Chamber, Code, Error, Move, Operator, Result};
use serde::Serialize;

use super::keys::Lock;
use super::read::{Archive, Part};
use super::write::{About, Chapter};
use crate::copy::put::{self, Put};
use crate::copy::tables::{AUDIT, KEYS, PROJECTS, TOMBSTONES, TRAIL, Table, WEBHOOKS};
use crate::copy::{self, Cells, Counter, Head, Piece};
use crate::directory::{Leaving, Published, Rest, strange};
use crate::key::MasterKey;
use crate::paths::Paths;
use crate::state::{self, State};
use crate::tx::Tx;
use crate::{Options, Store, trail};

/// An archive that is whole, and the installation it goes into.
pub struct Restore {
    store: Store,
    archive: Archive,
    sources: Sources,
}

/// A space being put.
struct Putting {
    chapter: Chapter,
    right: Move,
    outcome: Outcome,
    /// From its head on.
    open: Option<Open>,
}

/// The transaction it is put in.
struct Open {
    tx: Box<dyn Tx>,
    put: Put,
    chamber: Chamber,
    /// Whether it is let in only when it is whole, since there was none before.
    arriving: bool,
    before: State,
    /// Whether its trail goes on, since there was something in it before.
    goes_on: bool,
    counter: Counter,
}

impl Open {
    fn rows(&mut self, table: &'static Table, rows: &[Cells]) -> Result<()> {
        self.counter.rows(table, rows)?;
        self.put.piece(&*self.tx, &Piece::Rows(table, rows))
    }
}

/// What of a space is not replaced.
static KEPT: &[&Table] = &[&AUDIT];

/// What becomes, or has become, of one user's space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is put where there was none.
    Restored,
    /// It is put in the place of what there is.
    Replaced,
    /// Its owner was erased after the backup was taken: it stays erased.
    Erased,
    /// There is one, and it was not said to replace it.
    Kept,
}

impl Restore {
    /// Reads the archive through, and opens the installation, which is made if the backup brings what that takes.
    pub fn open(options: &Options, archive: &Path, keys: &Path, lock: &Lock, sources: &Sources) -> Result<Self> {
        let paths = Paths::new(options.data.clone());
        let master = MasterKey::read(&paths.master_key())?;
        let archive = Archive::open(archive, keys, lock, master.as_ref())?;
        match (&master, archive.master()) {
            (Some(master), _) if archive.about.whole && master.fingerprint() != archive.about.master => {
                return Err(Error::new(
                    Code::Conflict,
                    "The data directory has another master key than the installation that was backed up. Restore into an \
                     empty one, or one user at a time.",
                ));
            }
            (None, Some(text)) if archive.about.whole => {
                crate::files::create_directory(paths.root()).map_err(crate::error::of_disk)?;
                MasterKey::put(&paths.master_key(), text, sources)?;
            }
            _ => {}
        }
        let create = master.is_some() || archive.master().is_some();
        let store = crate::open(&Options { create, ..options.clone() }, sources.clone())?;
        Ok(Restore { store, archive, sources: sources.clone() })
    }

    /// What the archive is.
    pub fn about(&self) -> &About {
        &self.archive.about
    }

    /// The directory that spaces are put into.
    pub fn directory(&self) -> &std::sync::Arc<crate::directory::Directory> {
        &self.store.directory
    }

    /// What would become of each user's space, with the number of its memories in the archive.
    pub fn plan(
        &self,
        _operator: &Operator,
        only: Option<&Identity>,
        force: bool,
    ) -> Result<Vec<(Identity, u64, Outcome)>> {
        let mut plan = Vec::new();
        for (chapter, memories) in &self.archive.chapters {
            let identity = chapter.record.identity()?;
            if only.is_none_or(|only| *only == identity) {
                plan.push((identity.clone(), *memories, self.fate(&identity, chapter, force)?));
            }
        }
        Ok(plan)
    }

    fn fate(&self, identity: &Identity, chapter: &Chapter, force: bool) -> Result<Outcome> {
        let erased = self.store.directory.erased_at(identity, &self.archive.erased)?;
        if erased.is_some_and(|at| at >= chapter.taken_at) {
            return Ok(Outcome::Erased);
        }
        let there = match self.store.directory.record_of(identity)? {
            Some(record) => self.store.directory.current(record.space())?,
            None => None,
        };
        match there {
            None => Ok(Outcome::Restored),
            // Of a restore that was cut short.
            Some((chamber, Standing::Arriving)) if chamber.id == chapter.record.space() => Ok(Outcome::Restored),
            Some((chamber, _)) if !chamber.born => Ok(Outcome::Restored),
            Some(_) => Ok(if force { Outcome::Replaced } else { Outcome::Kept }),
        }
    }

    /// Puts back what a plan says. `right` is asked for the right to each space, `done` told of it.
    pub fn run(
        &self,
        plan: &[(Identity, u64, Outcome)],
        right: &mut dyn FnMut(Identity) -> Result<Move>,
        done: &mut dyn FnMut(&Identity, Outcome),
    ) -> Result<()> {
        let fates: HashMap<&Identity, Outcome> =
            plan.iter().map(|(identity, _, outcome)| (identity, *outcome)).collect();
        if self.archive.about.whole {
            self.take_over()?;
        }
        let mut current: Option<Putting> = None;
        self.archive.each(&mut |part| {
            match part {
                Part::Space(chapter) => {
                    let identity = chapter.record.identity()?;
                    current = match fates.get(&identity) {
                        Some(outcome @ (Outcome::Restored | Outcome::Replaced)) => {
                            let right = right(identity)?;
                            Some(Putting { chapter, right, outcome: *outcome, open: None })
                        }
                        _ => None,
                    };
                }
                Part::Head(head) => {
                    if let Some(putting) = &mut current {
                        putting.open = Some(self.begin(putting, head)?);
                    }
                }
                Part::Rows(table, rows) => {
                    if let Some(open) = current.as_mut().and_then(|putting| putting.open.as_mut()) {
                        open.rows(table, &rows)?;
                    }
                }
                Part::End => {
                    if let Some(putting) = current.take() {
                        let (identity, outcome) = (putting.right.identity().clone(), putting.outcome);
                        self.end(putting)?;
                        done(&identity, outcome);
                    }
                }
                Part::Directory(..) => {}
            }
            Ok(())
        })?;
        if self.archive.about.whole {
            self.store.directory.end_restore()?;
        }
        self.store.spaces.close()
    }

    /// Takes over what is of no user, before anybody is let in: who was erased, and into a new installation keys and trail.
    /// In one that is in use, a key that is not there was revoked since, and the trail is its own.
    fn take_over(&self) -> Result<()> {
        let fresh = self.store.directory.begin_restore(&self.mark())?;
        let mut rest = Rest::default();
        self.archive.each(&mut |part| {
            match part {
                Part::Directory(table, rows) if *table == TOMBSTONES => rest.tombstones.extend(rows),
                Part::Directory(table, rows) if fresh && *table == KEYS => rest.keys.extend(rows),
                Part::Directory(table, rows) if fresh && *table == PROJECTS => rest.projects.extend(rows),
                Part::Directory(table, rows) if fresh && *table == WEBHOOKS => rest.webhooks.extend(rows),
                Part::Directory(table, rows) if fresh && *table == TRAIL => rest.trail.extend(rows),
                _ => {}
            }
            Ok(())
        })?;
        self.store.directory.take_over(rest).map(drop)
    }

    /// What a restore that was cut short is known by.
    fn mark(&self) -> String {
        format!("{} {}", self.archive.about.taken_at, self.archive.about.master)
    }

    /// Begins to put a space where it goes.
    fn begin(&self, putting: &Putting, head: Head) -> Result<Open> {
        let record = &putting.chapter.record;
        let identity = putting.right.identity();
        let directory = &self.store.directory;
        let there = match directory.record_of(identity)? {
            Some(record) => directory.current(record.space())?,
            None => None,
        };
        let (chamber, arriving) = match there {
            Some((chamber, Standing::Arriving)) => (chamber, true),
            Some((chamber, Standing::Open | Standing::Suspended)) => (chamber, false),
            Some(_) => {
                return Err(Error::new(Code::Busy, "A space is being moved or erased. Try again when it is done."));
            }
            None => {
                directory.expect(record, directory.place_for(record.space()))?;
                let arrived = directory.current(record.space())?;
                (
                    arrived
                        .map(|(chamber, _)| chamber)
                        .ok_or_else(|| Error::internal("a row that was made is gone"))?,
                    true,
                )
            }
        };
        let layout = self.store.spaces.places.of(chamber.place)?;
        if arriving && chamber.born {
            // Of a restore that was cut short.
            layout.destroy(chamber.id)?;
        }
        if arriving || !chamber.born {
            layout.create(chamber.id)?;
        }
        let tx = layout.write(chamber.id)?;
        let before = state::read(&*tx)?;
        // The trail of a space that is there goes on: that it was restored is one entry more.
        let goes_on = before.revision > 0;
        if goes_on {
            put::clear(&*tx, KEPT)?;
        }
        let mut open = Open {
            put: if goes_on { Put::except(KEPT) } else { Put::default() },
            tx,
            chamber,
            arriving,
            before,
            goes_on,
            counter: Counter::default(),
        };
        open.counter.head(&head.state);
        open.put.piece(&*open.tx, &Piece::Head(head))?;
        Ok(open)
    }

    /// Holds what was put against what was read, and makes it durable and open.
    fn end(&self, putting: Putting) -> Result<()> {
        let Putting { chapter, right, open, .. } = putting;
        let Some(open) = open else {
            // Nothing was ever kept in it: its row is all there is.
            if self.store.directory.record_of(right.identity())?.is_none() {
                let directory = &self.store.directory;
                directory.expect(&chapter.record, directory.place_for(chapter.record.space()))?;
            }
            return self.welcome(&chapter, Published::default());
        };
        let Open { tx, put, chamber, arriving, before, goes_on, counter } = open;
        let written = put.finish(&*tx)?;
        let (read, found) = (counter.tally(), copy::tally(&*tx)?);
        // The trail of a space that goes on is its own.
        let trail = read.rows.len() - 1;
        if read.rows[..trail] != found.rows[..trail] || !(goes_on || read == found) {
            return Err(Error::internal(format!("what was put differs from the backup: {found:?} and {read:?}")));
        }
        if let Err(entry) = trail::verify(&*tx)? {
            return Err(crate::error::corrupt(format!("the space's own trail breaks at entry {entry}")));
        }
        trail::append(
            &*tx,
            trail::end(&*tx)?,
            right.origin(),
            "restore_space",
            Some(format!("{} memories", written.memories)),
            audit::Outcome::Done,
            self.sources.now(),
        )?;
        let state = State { revision: written.revision.max(before.revision) + 1, ..written };
        state::write(&*tx, &state)?;
        // The jobs that come with it are found by the mark. Of one that is arriving it is made when it is let in.
        if !arriving {
            self.store.directory.mark_work(chamber.id, jiff::Timestamp::UNIX_EPOCH)?;
        }
        self.store.directory.lead(chamber.id, strange(&*tx, chamber.tag)?)?;
        tx.commit()?;
        drop(tx);
        self.store.spaces.forget(chamber.id);
        let published = Published { memories: state.memories, size_bytes: state.size_bytes, revision: state.revision };
        if arriving {
            self.welcome(&chapter, published)
        } else {
            self.store.directory.publish(vec![(chamber.id, published)])
        }
    }

    fn welcome(&self, chapter: &Chapter, published: Published) -> Result<()> {
        let arrived = Leaving {
            identity: chapter.record.identity()?,
            space: chapter.record.space(),
            from: "file".try_into()?,
            target: String::new(),
            suspended: chapter.record.suspended,
            handed_over: true,
            resumed: false,
        };
        self.store.directory.welcome(&arrived, published, Vec::new())
    }
}
