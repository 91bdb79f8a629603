//! Killed at any moment: what was acknowledged is there, and nothing by halves.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;

use locule_core::id::MemoryId;
use locule_core::memory::NewMemory;

use crate::house::{Dice, ENCRYPTED, House, child, embed, given_data};

const CYCLES: usize = 40;

#[test]
fn what_was_acknowledged_survives_a_kill_at_any_moment() {
    let root = tempfile::tempdir().unwrap();
    let data: PathBuf = root.path().join("data");
    let seed = u64::from(std::process::id());
    let mut dice = Dice::new(seed);
    let mut expected: [BTreeSet<MemoryId>; 2] = Default::default();
    for cycle in 0..CYCLES {
        let mut child = child("kill::the_one_to_be_killed", &data);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        // So many acknowledgements, and then in the midst of whatever comes next.
        let acknowledgements = 1 + dice.below(60);
        let mut apply = |line: String| {
            let mut words = line.split(' ');
            let (Some("ack"), Some(act), Some(user)) = (words.next(), words.next(), words.next()) else { return false };
            let user: usize = user.parse().unwrap();
            for id in words {
                let id = id.parse().unwrap();
                assert!(if act == "add" { expected[user].insert(id) } else { expected[user].remove(&id) });
            }
            true
        };
        let mut seen = 0;
        while seen < acknowledgements {
            let line = lines.next().unwrap_or_else(|| panic!("seed {seed} cycle {cycle}: the child ended by itself"));
            seen += usize::from(apply(line));
        }
        (0..dice.below(2000)).for_each(|_| std::thread::yield_now());
        child.kill().unwrap();
        child.wait().unwrap();
        for line in lines {
            // The last line may be cut off.
            if line.ends_with('.') || line.split(' ').next_back().is_some_and(|word| word.len() == 36) {
                apply(line);
            }
        }
        check(&data, &mut expected, &format!("seed {seed} cycle {cycle}"));
    }
}

/// Everything acknowledged is there; at most the one act under way beside it; and rows, words, vectors and counts agree.
fn check(data: &std::path::Path, expected: &mut [BTreeSet<MemoryId>; 2], when: &str) {
    let house = House::at(data.to_owned(), &ENCRYPTED, |_| {});
    for (place, user) in [house.alice(), house.bob()].into_iter().enumerate() {
        let all = user.all();
        let there: BTreeSet<MemoryId> = all.iter().map(|memory| memory.id).collect();
        let lost: Vec<_> = expected[place].difference(&there).collect();
        let extra: Vec<_> = there.difference(&expected[place]).collect();
        assert!(lost.is_empty() || (lost.len() == 1 && extra.is_empty()), "{when}: lost {lost:?}, extra {extra:?}");
        assert!(extra.is_empty() || extra.len() == 3, "{when}: a batch by halves: {extra:?}");
        if let Some(lost) = lost.first() {
            // Only a deletion under way may take one, and it leaves its mark.
            assert!(user.read(|reader| reader.history(**lost)).unwrap().len() >= 2, "{when}");
        }
        let words = user
            .read(|reader| {
                let words = ["step".to_owned()];
                let find = locule_store::Find {
                    model: &crate::house::model(),
                    embedding: None,
                    words: &words,
                    limit: 100_000,
                    threshold: None,
                    cosine_min: None,
                    filter: None,
                };
                Ok(reader.search(&find)?.len())
            })
            .unwrap();
        let state = user.read(|reader| reader.state()).unwrap();
        let mut exported = 0;
        let mut bytes = 0;
        user.read(|reader| {
            reader.export(&mut |memory, vector| {
                exported += 1;
                bytes += (memory.memory.len() + 2 * vector.len()) as u64;
                Ok(())
            })
        })
        .unwrap();
        let found = user.search(&embed("step"), 1000).unwrap().len();
        assert_eq!(
            (words, exported, state.memories as usize, state.size_bytes),
            (all.len(), all.len(), all.len(), bytes),
            "{when}"
        );
        assert_eq!(found, all.len().min(1000), "{when}");
        assert!(user.read(|reader| reader.verify_audit()).unwrap().is_ok(), "{when}");
        expected[place] = there;
    }
    assert!(house.store.directory.verify_trail(&house.operator()).unwrap().is_ok(), "{when}");
}

#[test]
#[ignore = "writes until it is killed: run by `what_was_acknowledged_survives_a_kill_at_any_moment`"]
fn the_one_to_be_killed() {
    let Some(data) = given_data() else { return };
    let house = House::at(data, &ENCRYPTED, |_| {});
    // The test harness has begun a line.
    println!();
    let say = |act: &str, user: usize, ids: &[MemoryId]| {
        let ids: Vec<String> = ids.iter().map(MemoryId::to_string).collect();
        let mut out = std::io::stdout().lock();
        writeln!(out, "ack {act} {user} {}", ids.join(" ")).unwrap();
        out.flush().unwrap();
    };
    let mut dice = Dice::new(u64::from(std::process::id()));
    let users = [house.alice(), house.bob()];
    for step in 0.. {
        let place = dice.below(2);
        let user = users[place];
        let all = user.all();
        if all.len() > 150 || (all.len() > 3 && dice.one_in(3)) {
            let id = dice.pick(&all).id;
            user.write(|writer| writer.delete(id)).unwrap();
            say("delete", place, &[id]);
        } else {
            let batch = (0..3).map(|n| NewMemory::text(user.canary(&format!("step {step} {n} {}", dice.next()))));
            let added = user.try_add(batch.collect()).unwrap();
            say("add", place, &added.iter().map(|added| added.memory.id).collect::<Vec<_>>());
        }
    }
}
