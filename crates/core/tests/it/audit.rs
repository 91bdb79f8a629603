//! An entry changed, removed or moved is found by recomputing the chain.

use locule_core::audit::{BEGINNING, Entry, link};
use proptest::prelude::*;

use crate::support::{noon, noon_and};

fn entry() -> Entry {
    Entry {
        sequence: 7,
        time: noon(),
        actor_kind: "key".to_owned(),
        actor: "00112233".to_owned(),
        on_behalf_of: Some("alice".to_owned()),
        act: "write_memories".to_owned(),
        object: Some("2 memories".to_owned()),
        outcome: "ok".to_owned(),
        request_id: "r-1".to_owned(),
    }
}

#[test]
fn a_link_changes_with_every_field() {
    let changed = |change: fn(&mut Entry)| {
        let mut entry = entry();
        change(&mut entry);
        entry
    };
    let all = [
        entry(),
        changed(|entry| entry.sequence += 1),
        changed(|entry| entry.time = noon_and(1)),
        changed(|entry| entry.time = "2026-11-24T12:00:00.000001Z".parse().unwrap()),
        changed(|entry| entry.actor_kind = "user".to_owned()),
        changed(|entry| entry.actor.push('4')),
        changed(|entry| entry.on_behalf_of = Some("bob".to_owned())),
        changed(|entry| entry.on_behalf_of = Some(String::new())),
        changed(|entry| entry.on_behalf_of = None),
        changed(|entry| entry.act = "erase".to_owned()),
        changed(|entry| entry.object = Some("3 memories".to_owned())),
        changed(|entry| entry.object = Some(String::new())),
        changed(|entry| entry.object = None),
        changed(|entry| entry.outcome = "not_allowed".to_owned()),
        changed(|entry| entry.request_id.clear()),
        // What leaves one field and enters the next.
        changed(|entry| (entry.actor_kind, entry.actor) = ("key0".to_owned(), "0112233".to_owned())),
        changed(|entry| (entry.on_behalf_of, entry.object) = (None, Some("alice".to_owned()))),
    ];
    let links: std::collections::BTreeSet<_> = all.iter().map(|entry| entry.link(&BEGINNING)).collect();
    assert_eq!(links.len(), all.len());
}

#[test]
fn a_link_hangs_on_everything_before_it() {
    let chain = |entries: &[Entry]| entries.iter().fold(BEGINNING, |previous, entry| entry.link(&previous));
    let [first, second] = [entry(), Entry { sequence: 8, ..entry() }];
    let whole = chain(&[first.clone(), second.clone()]);
    assert_ne!(whole, chain(&[second.clone(), first.clone()]), "moved");
    assert_ne!(whole, chain(std::slice::from_ref(&second)), "removed");
    assert_ne!(whole, chain(&[first.clone(), first, second]), "doubled");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn fields_never_run_together(
        one in prop::collection::vec("[ab]{0,3}", 0..4), other in prop::collection::vec("[ab]{0,3}", 0..4),
    ) {
        let of = |fields: &[String]| link(&BEGINNING, &fields.iter().map(|field| field.as_bytes()).collect::<Vec<_>>());
        prop_assert_eq!(one == other, of(&one) == of(&other));
    }
}
