//! Many threads of two programs on one context, all at once: every look finds it whole and within its bounds, whoever is refused
//! is refused for a reason of theirs, and whoever follows hears of everything once and in order.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use locule_core::context::{EntryQuery, Json, Name, Push};
use locule_core::{Code, Result};

use crate::context::{name, push};
use crate::house::{Dice, House, Layout, Process, User};
use crate::machine::context::plain;
use crate::machine::mesh::Mesh;

for_each_layout! {
    many_who_do_everything_at_once_stay_within_bounds
    a_thousand_appends_are_a_thousand
}

const THREADS: usize = 16;
const ENTRIES_MAX: usize = 12;
const AGENTS_MAX: usize = 6;
const BYTES_MAX: u64 = 6_000;

/// What somebody may be refused who asks for too much, for what an agent may not, or for what cannot be.
const REASONS: [Code; 3] = [Code::QuotaExceeded, Code::NotAllowed, Code::Conflict];

fn many_who_do_everything_at_once_stay_within_bounds(layout: &Layout) {
    let house = House::quick(layout, |options| {
        let quota = &mut options.quota;
        (quota.entries_max, quota.agents_max, quota.bytes_max) = (ENTRIES_MAX as u64, AGENTS_MAX as u64, BYTES_MAX);
    });
    let other = house.neighbour();
    let processes: [&Process; 2] = [&house, &other];
    house.alice().push(push("first", "[]")).unwrap();
    let (over, refused, looks) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|threads| {
        let watching = processes.map(|process| threads.spawn(|| follow(process.alice(), &over, &looks)));
        let writing: Vec<_> = (0..2 * THREADS)
            .map(|thread| {
                let refused = &refused;
                threads.spawn(move || {
                    let mut dice = Dice::new(thread as u64);
                    for _ in 0..12 {
                        match anything(processes[thread % 2].alice(), &mut dice) {
                            Ok(()) => {}
                            Err(error) if REASONS.contains(&error.code()) => {
                                refused.fetch_add(1, Ordering::Relaxed);
                            }
                            Err(error) => panic!("{error:?}"),
                        }
                    }
                })
            })
            .collect();
        let failed = writing.into_iter().filter_map(|thread| thread.join().err()).next();
        over.store(true, Ordering::SeqCst);
        let heard: Vec<_> = watching.into_iter().map(|thread| thread.join().unwrap()).collect();
        if let Some(failed) = failed {
            std::panic::resume_unwind(failed);
        }
        // What they have heard is what there is.
        let there: HashMap<Name, (u64, String)> = house
            .alice()
            .entries(&EntryQuery::default())
            .into_iter()
            .map(|entry| (entry.key, (entry.revision, entry.value.text().to_owned())))
            .collect();
        for heard in heard {
            assert_eq!(heard, there);
        }
    });
    let (refused, looks) = (refused.into_inner(), looks.into_inner());
    println!("{refused} of {} were refused, {looks} looks", 2 * THREADS * 12);
    assert!(refused > 0, "nobody came to a bound");
    assert!(house.alice().read(|reader| reader.verify_audit()).unwrap().is_ok());
}

/// One thing that somebody may do.
fn anything(user: User, dice: &mut Dice) -> Result<()> {
    let mut one_of = |kind: &str, count: usize| name(&format!("{kind}{}", dice.below(count)));
    let (key, agent, topic) = (one_of("key", 20), one_of("agent", 10), one_of("topic", 3));
    let value = Json::of(&format!("[\"{}\"]", "x".repeat(dice.below(700)))).unwrap();
    let push = Push {
        topics: if dice.one_in(2) { vec![topic.clone(), name("all")] } else { Vec::new() },
        sender: dice.one_in(3).then(|| agent.clone()),
        ttl_s: dice.one_in(4).then_some(-1.0),
        ..Push::new(key.clone(), value)
    };
    user.write(|writer| match dice.below(16) {
        0..=5 => writer.push_context(push).map(drop),
        6..=8 => writer.append_context(push).map(drop),
        9 => {
            let Some(there) = writer.context_entry(&key)? else { return Ok(()) };
            writer.put_context(there).map(drop)
        }
        10 | 11 => writer.remove_context(&key, dice.one_in(2).then_some(&agent)).map(drop),
        12 => writer.subscribe(&agent, vec![topic]).map(drop),
        13 => writer.unsubscribe(&agent, &[topic]).map(drop),
        14 => writer.permit(&agent, if dice.one_in(2) { vec![topic] } else { Vec::new() }).map(drop),
        _ if dice.one_in(3) => writer.remove_expired_context().map(drop),
        _ => writer.delete_topic(&topic).map(drop),
    })
}

/// Looks until nothing more is done: what there is is within bounds and counts for what it is. Gives back what was heard of.
fn follow(user: User, over: &AtomicBool, looks: &AtomicUsize) -> HashMap<Name, (u64, String)> {
    let mut after: u64 = 0;
    let mut known: HashMap<Name, (u64, String)> = HashMap::new();
    loop {
        // Before the look, so that the last one sees everything.
        let last = over.load(Ordering::SeqCst);
        let seen = user.read(|reader| {
            let mut all = Vec::new();
            reader.context_entries(&EntryQuery { expired: true, ..EntryQuery::default() }, &mut |entry| {
                all.push(entry);
                Ok(())
            })?;
            let agents = reader.context_agents()?.into_iter().map(plain).collect();
            let mesh = Mesh { entries: all, agents };
            Ok((mesh, reader.state()?, reader.context_changes(after, None)?))
        });
        let (mesh, state, changes) = seen.unwrap();
        looks.fetch_add(1, Ordering::Relaxed);
        assert!(mesh.entries.len() <= ENTRIES_MAX && mesh.agents.len() <= AGENTS_MAX);
        assert_eq!(mesh.size() as u64, state.size_bytes);
        assert!(state.size_bytes <= BYTES_MAX);
        let mut keys: Vec<_> = mesh.entries.iter().map(|entry| &entry.key).collect();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), mesh.entries.len(), "a key twice");
        if let Some(changes) = changes {
            let mut reached = after;
            for entry in changes.entries {
                assert!(entry.revision > after && entry.revision >= reached, "out of order");
                reached = entry.revision;
                let said = (entry.revision, entry.value.text().to_owned());
                let before = known.insert(entry.key, said);
                assert!(before.is_none_or(|(before, _)| before < entry.revision), "told twice");
            }
            assert!(reached <= changes.revision && changes.revision <= state.revision);
            known.retain(|key, _| changes.keys.contains(key));
            assert_eq!(known.len(), changes.keys.len(), "a key without its entry");
            after = changes.revision;
        }
        if last {
            return known;
        }
    }
}

fn a_thousand_appends_are_a_thousand(layout: &Layout) {
    let house = House::quick(layout, |_| {});
    let other = house.neighbour();
    let processes: [&Process; 2] = [&house, &other];
    std::thread::scope(|threads| {
        for writer in 0..10_usize {
            let process = processes[writer % 2];
            threads.spawn(move || {
                for number in 0..100 {
                    let item = push("list", &(100 * writer + number).to_string());
                    process.alice().write(|writer| writer.append_context(item)).unwrap();
                }
            });
        }
    });
    let entries = other.alice().entries(&EntryQuery::default());
    let list: Vec<usize> = serde_json::from_str(entries[0].value.text()).unwrap();
    assert_eq!((entries.len(), list.len()), (1, 1000));
    for writer in 0..10 {
        let own: Vec<_> = list.iter().filter(|number| **number / 100 == writer).collect();
        assert!(own.len() == 100 && own.is_sorted(), "{writer}: {own:?}");
    }
}
