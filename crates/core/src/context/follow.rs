//! Following what changes: from one look after another to what somebody is told, in an order in which they can break off
//! anywhere and go on later.

use std::collections::BTreeSet;

use serde::Serialize;

use super::{Changes, Entry, Name};

/// Somebody who follows the changes of a context.
#[derive(Debug, Default)]
pub struct Follower {
    after: u64,
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
    pub fn after(after: u64) -> Self {
        Follower { after, known: None }
    }

    /// The revision up to which they were told.
    pub fn revision(&self) -> u64 {
        self.after
    }

    /// What to tell them of the changes since [`revision`](Follower::revision).
    pub fn tell(&mut self, changes: Changes) -> Vec<Told> {
        let Changes { revision, entries, keys, .. } = changes;
        // A space that was put back to what it once was is told from its beginning.
        let mut after = if self.after > revision { 0 } else { self.after };
        let mut told = Vec::with_capacity(entries.len() + 1);
        if self.known.is_none() {
            told.push(Told { after, news: News::Keys { keys: keys.clone() } });
        }
        let mut entries = entries.into_iter().peekable();
        while let Some(entry) = entries.next() {
            // Entries of one transaction have one revision: it is reached with the last of them.
            if entries.peek().is_none_or(|next| next.revision != entry.revision) {
                after = entry.revision;
            }
            told.push(Told { after, news: News::Entry(entry) });
        }
        let keys: BTreeSet<Name> = keys.into_iter().collect();
        let gone = self.known.iter().flatten().filter(|key| !keys.contains(key));
        told.extend(gone.map(|key| Told { after: revision, news: News::Removed { key: key.clone() } }));
        self.known = Some(keys);
        self.after = revision;
        told
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::super::Json;
    use super::*;

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
        Changes { revision, entries, keys: keys.iter().map(|key| Name::of(key)).collect(), more: false }
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
        assert_eq!(follower.revision(), 7);
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
