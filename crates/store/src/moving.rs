//! Carrying spaces, whole, from one place to another: between any two layouts, within one PostgreSQL or between it and files.
//!
//! Of one space: shut it to changes, copy it in one transaction to the other, hold the copy against it, hand it over, destroy
//! what is left. At every moment exactly one of the two is the space, which the directory says and which changes at once. What
//! was cut short is finished by doing it again; until it is handed over it can be taken back instead.

use std::time::Duration;

use locule_core::clock::Sources;
use locule_core::id::{Identity, SpaceId};
use locule_core::{Code, Error, Move, Operator, Place, Result};
use serde::Serialize;

use crate::copy::put::Put;
use crate::copy::{self, Piece, Tally};
use crate::directory::{Directory, Leaving, Published, strange};
use crate::layout::Layout;
use crate::tx::Tx;
use crate::{Keeping, Options, Store, clusters, state, trail};

/// How long the destruction of the old copy waits for who still reads it.
const DRAIN: Duration = Duration::from_secs(5);

/// The two ends of moves.
pub struct Mover {
    from: Store,
    to: Store,
    /// Where spaces go, if all go to one place: elsewhere the directory there says where each does.
    place: Option<Place>,
    /// The same for people and for whoever finishes it later.
    target: String,
    /// Whether both ends are of one directory.
    shared: bool,
}

/// How far the move of one space has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It takes no changes any more.
    Closed,
    /// So many rows more have been copied.
    Rows(u64),
    /// All of it is at the other place, durably.
    Copied,
    /// The copy is what it was made from.
    Verified,
    /// It is the other one now.
    HandedOver,
    /// Nothing is left of the old one.
    Destroyed,
    /// The other directory, if there is another, lets people in.
    Welcomed,
}

/// What became of one space.
#[derive(Clone, Debug, Serialize)]
pub struct Receipt {
    /// How many memories it has.
    pub memories: u64,
    /// How many rows it has in all.
    pub rows: u64,
    /// SHA-256 over all that is in it, the same on both sides; empty if there was nothing, or if only the rest was left to do.
    pub digest: String,
    /// Whether a data key was destroyed with the old copy.
    pub key_destroyed: bool,
    /// How many files, schemas or databases of the old copy were destroyed.
    pub files_removed: usize,
}

impl Mover {
    /// From one way of keeping spaces to another, or to a cluster of it. Both are there: a PostgreSQL has been set up for its
    /// layout.
    pub fn open(from: &Options, to: &Options, cluster: Option<&str>, sources: &Sources) -> Result<Self> {
        let shared = match (&from.keeping, &to.keeping) {
            (Keeping::Files, Keeping::Files) => {
                return Err(Error::invalid("The spaces are in files already. To move a data directory, copy it."));
            }
            (Keeping::Postgres(one), Keeping::Postgres(other)) if one.address.place() == other.address.place() => {
                if one.layout == other.layout && cluster.is_none() {
                    return Err(Error::invalid("That is the layout the configuration names already."));
                }
                true
            }
            _ => false,
        };
        let (target, place) = match (&to.keeping, cluster) {
            (Keeping::Files, None) => ("file".to_owned(), None),
            (Keeping::Files, Some(_)) => return Err(Error::invalid("Files are on no cluster.")),
            (Keeping::Postgres(kept), cluster) => {
                let name = cluster.unwrap_or(clusters::MAIN);
                let (word, address) = (kept.layout.word(), kept.address_of(name)?.place());
                let place = (shared || cluster.is_some()).then(|| clusters::place(kept.layout, name)).transpose()?;
                (if shared && cluster.is_none() { word.to_owned() } else { format!("{word} at {address}") }, place)
            }
        };
        let from = crate::open_even_retired(from, sources.clone())?;
        let to = crate::open_even_retired(&Options { create: true, ..to.clone() }, sources.clone())?;
        Ok(Mover { from, to, place, target, shared })
    }

    /// The directory that knows the spaces now.
    pub fn directory(&self) -> &std::sync::Arc<Directory> {
        &self.from.directory
    }

    /// Where spaces go, in words.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Whether both ends are of one directory: then servers find each space where it is, and nothing has to be configured
    /// before they do.
    pub fn is_within_one_directory(&self) -> bool {
        self.shared
    }

    /// Moves that were begun on the way to this target.
    pub fn begun(&self, _operator: &Operator) -> Result<Vec<Identity>> {
        let begun = self.from.directory.moves()?.into_iter().filter(|leaving| leaving.target == self.target);
        Ok(begun.map(|leaving| leaving.identity).collect())
    }

    /// Whether a user's space is to be moved, or is there already.
    pub fn is_there(&self, space: SpaceId) -> Result<bool> {
        Ok(self.shared && self.from.directory.place_of(space)? == self.place)
    }

    /// What a user has where the space is now that it cannot have at the other place.
    pub fn only_here(&self, _operator: &Operator, identity: &Identity) -> Result<Vec<String>> {
        let Some(record) = self.from.directory.record_of(identity)? else { return Ok(Vec::new()) };
        let current = self.from.directory.current(record.space())?;
        let Some((chamber, _)) = current.filter(|(chamber, _)| chamber.born) else { return Ok(Vec::new()) };
        self.from.spaces.places.of(chamber.place)?.only_here(chamber.id)
    }

    /// Carries one space, or finishes carrying it.
    pub fn carry(&self, right: &Move, watch: &mut dyn FnMut(Step)) -> Result<Receipt> {
        self.refuse_in_place(right)?;
        let leaving = self.from.directory.begin_move(right, &self.target)?;
        watch(Step::Closed);
        let mut tally = None;
        if !leaving.handed_over {
            let mut wrote = leaving.resumed;
            tally = self.bring(&leaving, &mut wrote, watch).inspect_err(|error| {
                // What could not be copied stays what it was. If even that fails, doing it again finishes or takes it back.
                if let Err(further) = self.take_back(&leaving, wrote) {
                    tracing::warn!(%error, %further, "a move that failed could not be taken back yet");
                }
            })?;
            watch(Step::HandedOver);
        }
        self.finish(&leaving, tally, watch)
    }

    /// A space that is there already would be copied over itself.
    fn refuse_in_place(&self, right: &Move) -> Result<()> {
        let Some(record) = self.from.directory.record_of(right.identity())? else { return Ok(()) };
        let begun = self.from.directory.moves()?.iter().any(|leaving| leaving.space == record.space());
        if !begun && self.is_there(record.space())? {
            return Err(Error::new(Code::Conflict, "This space is there already."));
        }
        Ok(())
    }

    /// Takes back the move of one space that is not handed over yet. Says whether there was one.
    pub fn abandon(&self, right: &Move) -> Result<bool> {
        let mut begun = self.from.directory.moves()?.into_iter();
        let Some(leaving) = begun.find(|leaving| leaving.identity == *right.identity()) else { return Ok(false) };
        if leaving.handed_over {
            return Err(Error::new(
                Code::Conflict,
                "This space is at its new place already. Finish the move, then move it back.",
            ));
        }
        if leaving.target != self.target {
            return Err(Error::new(
                Code::Conflict,
                format!("This space is on its way to {}: say so to take that back.", leaving.target),
            ));
        }
        self.take_back(&leaving, true).map(|()| true)
    }

    /// Copies a space to where it goes and hands it over. `wrote` tells whether there may be something of it by now.
    fn bring(&self, leaving: &Leaving, wrote: &mut bool, watch: &mut dyn FnMut(Step)) -> Result<Option<Tally>> {
        let chamber = self.from.directory.current(leaving.space)?.map(|(chamber, _)| chamber).ok_or_else(gone)?;
        if !self.shared {
            let record = self.from.directory.record_of(&leaving.identity)?.ok_or_else(gone)?;
            self.to.directory.expect(&record, self.destination(leaving.space)?)?;
        }
        if !chamber.born {
            self.hand_over(leaving)?;
            return Ok(None);
        }
        let source = self.from.spaces.places.of(leaving.from)?;
        // Whoever began to write before the door was shut is done once we have had the turn.
        drop(source.write(leaving.space)?);

        let tx = self.room(leaving, wrote)?;
        let (tally, revision) = copy_all(source, leaving, &*tx, watch)?;
        if !self.shared {
            self.to.directory.lead(leaving.space, strange(&*tx, chamber.tag)?)?;
        }
        tx.commit()?;
        drop(tx);
        watch(Step::Copied);

        self.check(leaving, &tally)?;
        watch(Step::Verified);

        // Those who write past the server, where a layout lets them, wait from here on.
        let held = source.write(leaving.space)?;
        if state::read(&*held)?.revision != revision {
            return Err(Error::new(Code::Busy, "Somebody wrote to this space past the server. Run it again."));
        }
        self.hand_over(leaving)?;
        Ok(Some(tally))
    }

    fn hand_over(&self, leaving: &Leaving) -> Result<()> {
        if self.shared {
            self.from.directory.switch(leaving, self.destination(leaving.space)?)
        } else {
            self.from.directory.let_go(leaving)
        }
    }

    /// A transaction over an empty space at the target.
    fn room(&self, leaving: &Leaving, wrote: &mut bool) -> Result<Box<dyn Tx>> {
        let target = self.layout(leaving.space)?;
        target.create(leaving.space)?;
        let tx = target.write(leaving.space)?;
        if is_empty(&*tx)? {
            *wrote = true;
            return Ok(tx);
        }
        if !leaving.resumed {
            return Err(Error::new(
                Code::Conflict,
                "There are rows of this user at the target that are not of this space. They were left as they are: put them \
                 aside first.",
            ));
        }
        // Of an earlier run, which did not get to hand it over.
        drop(tx);
        target.leave(leaving.space, DRAIN);
        target.destroy(leaving.space)?;
        target.create(leaving.space)?;
        target.write(leaving.space)
    }

    /// Reads the copy back and holds it against what it was made from.
    fn check(&self, leaving: &Leaving, tally: &Tally) -> Result<()> {
        let back = self.layout(leaving.space)?.read(leaving.space)?;
        let found = copy::tally(&*back)?;
        if found != *tally {
            return Err(Error::internal(format!("a copy differs from its origin: {found:?} and {tally:?}")));
        }
        match trail::verify(&*back)? {
            Ok(_) => Ok(()),
            Err(entry) => Err(crate::error::corrupt(format!("the space's own trail breaks at entry {entry}"))),
        }
    }

    /// What there is to do once the space is the other one. May be repeated until it is done.
    fn finish(&self, leaving: &Leaving, tally: Option<Tally>, watch: &mut dyn FnMut(Step)) -> Result<Receipt> {
        // Before the new one is opened: an erasure there would not reach what is left here.
        let source = self.from.spaces.places.of(leaving.from)?;
        source.leave(leaving.space, DRAIN);
        let destroyed = source.destroy(leaving.space)?;
        let residue = source.residue(leaving.space);
        if !residue.is_empty() {
            return Err(Error::new(
                Code::StorageError,
                "The space is at its new place, and something of the old copy could not be removed. Run it again.",
            )
            .because(residue.join(", ")));
        }
        watch(Step::Destroyed);
        if !self.shared {
            let keys = self.from.directory.keys_of(&leaving.identity)?;
            let published = self.published(leaving)?;
            self.to.directory.welcome(leaving, published, keys)?;
            watch(Step::Welcomed);
        }
        self.from.directory.end_move(leaving)?;
        Ok(Receipt {
            memories: tally.as_ref().map_or(0, Tally::memories),
            rows: tally.as_ref().map_or(0, |tally| tally.rows.iter().sum()),
            digest: tally.map(|tally| data_encoding::HEXLOWER.encode(&tally.digest)).unwrap_or_default(),
            key_destroyed: destroyed.key,
            files_removed: destroyed.files,
        })
    }

    /// What the space at the target has to say of itself.
    fn published(&self, leaving: &Leaving) -> Result<Published> {
        match self.to.directory.current(leaving.space)? {
            Some((chamber, _)) if chamber.born => {
                let state = state::read(&*self.layout(leaving.space)?.read(leaving.space)?)?;
                Ok(Published { memories: state.memories, size_bytes: state.size_bytes, revision: state.revision })
            }
            _ => Ok(Published::default()),
        }
    }

    fn take_back(&self, leaving: &Leaving, wrote: bool) -> Result<()> {
        // A directory of its own has to know whose rows they are, for as long as there may be any.
        let known = self.shared || self.to.directory.expects(leaving.space)?;
        if wrote && known {
            let target = self.layout(leaving.space)?;
            target.leave(leaving.space, DRAIN);
            target.destroy(leaving.space)?;
        }
        if !self.shared {
            self.to.directory.expect_no_more(leaving.space)?;
        }
        self.from.directory.take_back(leaving)
    }

    /// Where a space goes: from the beginning of its move to the end the same place.
    fn destination(&self, space: SpaceId) -> Result<Place> {
        match (self.place, self.shared) {
            (Some(place), true) => Ok(place),
            (place, _) => {
                let expected = self.to.directory.place_of(space)?;
                Ok(expected.or(place).unwrap_or_else(|| self.to.directory.place_for(space)))
            }
        }
    }

    fn layout(&self, space: SpaceId) -> Result<&dyn Layout> {
        self.to.spaces.places.of(self.destination(space)?)
    }
}

/// All users, and what is of none.
impl Mover {
    /// Takes no new users at the old place from now on, where the new one has a directory of its own.
    pub fn begin_all(&self, _operator: &Operator) -> Result<()> {
        if self.shared || self.from.directory.moved_to()?.is_some() {
            return Ok(());
        }
        self.from.directory.close_to_new(&self.target)
    }

    /// Ends the old directory, and takes over what it has beside spaces: keys, who was erased, the installation's trail. Says
    /// whether the trail goes on at the new place; where that has one of its own, the old one stays where it is.
    pub fn end_all(&self, _operator: &Operator) -> Result<bool> {
        if self.shared {
            return Ok(true);
        }
        self.from.directory.retire(&self.target)?;
        let trail = self.to.directory.take_over(self.from.directory.rest()?)?;
        self.to.directory.reopen()?;
        Ok(trail)
    }

    /// Takes new users at the old place again, if it is still the place.
    pub fn abandon_all(&self, _operator: &Operator) -> Result<()> {
        self.from.directory.open_to_new()
    }

    /// Writes home what is in logs.
    pub fn close(&self) -> Result<()> {
        self.from.spaces.close()?;
        self.to.spaces.close()
    }
}

fn copy_all(
    source: &dyn Layout,
    leaving: &Leaving,
    target: &dyn Tx,
    watch: &mut dyn FnMut(Step),
) -> Result<(Tally, u64)> {
    let origin = source.read(leaving.space)?;
    let mut put = Put::default();
    let tally = copy::read(&*origin, &mut |piece| {
        put.piece(target, &piece)?;
        if let Piece::Rows(_, rows) = piece {
            watch(Step::Rows(rows.len() as u64));
        }
        Ok(())
    })?;
    let revision = put.finish(target)?.revision;
    Ok((tally, revision))
}

fn is_empty(tx: &dyn Tx) -> Result<bool> {
    let memories = tx.first("SELECT count(*) FROM memories", &[], |row| row.integer(0))?;
    Ok(memories == Some(0) && state::read(tx)?.revision == 0)
}

fn gone() -> Error {
    Error::new(Code::SpaceErased, "This space has been erased.")
}
