//! Following what changes: from one look after another to what somebody is told, in an order in which they can break off
//! anywhere and go on later.

use std::collections::BTreeSet;

use serde::Serialize;

use super::{Changes, Entry, Heard, Name};

/// Somebody who follows the changes of a context.
#[derive(Debug, Default)]
pub struct Follower {
    heard: Heard,
    /// The revision of the entry they were told of last, where it may have more entries.
    begun: Option<u64>,
    /// The keys that they know of, once they were told.
    known: Option<BTreeSet<Name>>,
}

/// What they are told, and from where to go on once they have heard it.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// Whoever asks for what is after this revision is told what they have not heard yet.
    pub after: u64,
    /// What.
    pub news: News,
}

/// A piece of news.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum News {
    /// Once, at the beginning.
    Keys {
        /// All the keys there are.
        keys: Vec<Name>,
    },
    /// An entry that was written.
    Entry(Entry),
    /// An entry is gone.
    Removed {
        /// Its key.
        key: Name,
    },
}

impl News {
    /// What kind of news it is, in a word.
    pub fn event(&self) -> &'static str {
        match self {
            News::Keys { .. } => "keys",
            News::Entry(_) => "entry",
            News::Removed { .. } => "removed",
        }
    }
}

impl Follower {
    /// Somebody who has heard of everything up to this revision.
    pub fn after(revision: u64) -> Self {
        Follower { heard: revision.into(), ..Follower::default() }
    }

    /// Up to where they were told.
    pub fn heard(&self) -> Heard {
        self.heard
    }

    /// What to tell them of the changes since [`heard`](Follower::heard).
    pub fn tell(&mut self, changes: Changes) -> Vec<Told> {
        let Changes { revision, entries, keys, more } = changes;
        // A space that was put back to what it once was is told from its beginning.
        let mut after = if self.heard.revision > revision { 0 } else { self.heard.revision };
        let mut told = Vec::with_capacity(entries.len() + 1);
        if self.known.is_none() {
            told.push(Told { after, news: News::Keys { keys: keys.clone() } });
        }
        let mut entries = entries.into_iter().peekable();
        while let Some(entry) = entries.next() {
            if let Some(begun) = self.begun.replace(entry.revision).filter(|begun| *begun != entry.revision) {
                after = begun;
            }
            // Entries of one transaction have one revision: it is reached with the last of them.
            if entries.peek().map_or(more.is_none(), |next| next.revision != entry.revision) {
                after = entry.revision;
            }
            told.push(Told { after, news: News::Entry(entry) });
        }
        let keys: BTreeSet<Name> = keys.into_iter().collect();
        let gone = self.known.iter().flatten().filter(|key| !keys.contains(key));
        // Whoever breaks off is told again which there are.
        let end = if more.is_some() { after } else { revision };
        told.extend(gone.map(|key| Told { after: end, news: News::Removed { key: key.clone() } }));
        self.known = Some(keys);
        self.begun = self.begun.filter(|_| more.is_some());
        self.heard = Heard { revision: end, entry: more };
        told
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::super::Json;
    use super::*;
    use crate::id::EntryId;

    fn entry(key: &str, revision: u64) -> Entry {
        Entry {
            key: Name::of(key),
            value: Json::of("1").unwrap(),
            audience: None,
            topics: Vec::new(),
            writer: None,
            metadata: None,
            ttl_s: None,
            created_at: Timestamp::UNIX_EPOCH,
            revision,
        }
    }

    fn changes(revision: u64, entries: Vec<Entry>, keys: &[&str]) -> Changes {
        Changes { revision, entries, keys: keys.iter().map(|key| Name::of(key)).collect(), more: None }
    }

    fn said(told: &[Told]) -> Vec<(u64, String)> {
        let words = |told: &Told| match &told.news {
            News::Keys { keys } => keys.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
            News::Entry(entry) => format!("+{}", entry.key),
            News::Removed { key } => format!("-{key}"),
        };
        told.iter().map(|told| (told.after, words(told))).collect()
    }

    #[test]
    fn whoever_breaks_off_anywhere_goes_on_without_a_gap() {
        let mut follower = Follower::after(2);
        let written = vec![entry("a", 3), entry("b", 5), entry("c", 5), entry("d", 6)];
        let told = follower.tell(changes(7, written.clone(), &["a", "b", "c", "d"]));
        let expected = [(2, "a,b,c,d"), (3, "+a"), (3, "+b"), (5, "+c"), (6, "+d")];
        assert_eq!(said(&told), expected.map(|(after, said)| (after, said.to_owned())));
        // Whatever they heard last, what is written after it holds all that they have not heard.
        for heard in 0..told.len() {
            let left = &told[heard + 1..];
            let after = told[heard].after;
            for missed in
                left.iter().filter_map(|told| if let News::Entry(entry) = &told.news { Some(entry) } else { None })
            {
                assert!(missed.revision > after, "{missed:?} after {after}");
            }
        }
        assert_eq!(follower.heard(), 7.into());
    }

    #[test]
    fn what_comes_in_several_answers_is_told_as_in_one() {
        let written = [entry("a", 3), entry("b", 5), entry("c", 5), entry("d", 5), entry("e", 6)];
        let keys = ["a", "b", "c", "d", "e"];
        let id = EntryId::from_bytes([7; 16]);
        let mut follower = Follower::after(2);
        let (mut told, mut answers) = (Vec::new(), written.chunks(2).peekable());
        while let Some(answer) = answers.next() {
            let more = answers.peek().map(|_| id);
            told.extend(follower.tell(Changes { more, ..changes(7, answer.to_vec(), &keys) }));
            assert_eq!(follower.heard().entry, more);
        }
        // That nothing more is of a revision is not known at the end of an answer, but with the next.
        let expected = [(2, "a,b,c,d,e"), (3, "+a"), (3, "+b"), (3, "+c"), (3, "+d"), (6, "+e")];
        assert_eq!(said(&told), expected.map(|(after, said)| (after, said.to_owned())));
        assert_eq!(follower.heard(), 7.into());
    }

    #[test]
    fn what_is_gone_is_told_to_those_who_knew_it() {
        let mut follower = Follower::default();
        follower.tell(changes(2, vec![entry("a", 1), entry("b", 2)], &["a", "b"]));
        assert_eq!(said(&follower.tell(changes(3, Vec::new(), &["b"]))), [(3, "-a".to_owned())]);
        assert_eq!(said(&follower.tell(changes(4, Vec::new(), &["b"]))), []);
    }

    #[test]
    fn a_space_that_was_put_back_is_told_from_its_beginning() {
        let mut follower = Follower::after(9);
        let told = follower.tell(changes(2, vec![entry("a", 1), entry("b", 2)], &["a", "b"]));
        let expected = [(0, "a,b"), (1, "+a"), (2, "+b")];
        assert_eq!(said(&told), expected.map(|(after, said)| (after, said.to_owned())));
    }
}
