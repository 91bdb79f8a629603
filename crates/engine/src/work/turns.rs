//! Whose turn it is: spaces with work go round, one job each, so that nobody's backlog holds up the others.

use std::collections::{HashSet, VecDeque};

use locule_core::id::SpaceId;

/// The spaces that have, or may have, something to do.
#[derive(Default)]
pub struct Turns {
    waiting: VecDeque<SpaceId>,
    /// The same, to be found.
    queued: HashSet<SpaceId>,
    /// Those that somebody is at.
    busy: HashSet<SpaceId>,
    /// Those of them that were named meanwhile.
    again: HashSet<SpaceId>,
}

impl Turns {
    /// Takes a space in, behind all others. One that somebody is at comes in when they are done.
    pub fn add(&mut self, space: SpaceId) {
        if self.busy.contains(&space) {
            self.again.insert(space);
        } else if self.queued.insert(space) {
            self.waiting.push_back(space);
        }
    }

    /// The space whose turn it is. Nobody else gets it until it is given [`back`](Turns::back).
    pub fn next(&mut self) -> Option<SpaceId> {
        let space = self.waiting.pop_front()?;
        self.queued.remove(&space);
        self.busy.insert(space);
        Some(space)
    }

    /// A turn is over. If there may be more to do, the space comes behind all others.
    pub fn back(&mut self, space: SpaceId, more: bool) {
        self.busy.remove(&space);
        if self.again.remove(&space) || more {
            self.add(space);
        }
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_space_has_one_turn_at_a_time_and_comes_behind_the_others() {
        let [one, other] = [1, 2].map(|number| SpaceId::from_bytes([number; 16]));
        let mut turns = Turns::default();
        [one, other, one].into_iter().for_each(|space| turns.add(space));
        assert_eq!((turns.waiting(), turns.next()), (2, Some(one)));
        turns.add(one);
        assert_eq!(turns.next(), Some(other));
        assert_eq!(turns.next(), None, "somebody is at both");
        turns.back(other, true);
        turns.back(one, false);
        assert_eq!((turns.next(), turns.next(), turns.next()), (Some(other), Some(one), None));
        turns.back(one, false);
        assert_eq!(turns.next(), None);
    }
}
