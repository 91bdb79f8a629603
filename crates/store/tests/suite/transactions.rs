//! What a reader sees and a writer leaves.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};

use locule_core::memory::{ListQuery, NewMemory};
use locule_core::{Code, Error};

use crate::house::{House, Layout, Process, User, code, embed, files, model, ready};

for_each_layout! {
    a_dropped_writer_leaves_nothing
    a_panic_leaves_nothing_and_breaks_nothing
    a_reader_sees_one_moment
    two_programs_on_the_same_data_see_each_others_writes
    many_readers_and_a_writer_agree
    an_open_space_is_shut_at_the_next_transaction
    reading_of_somebody_unknown_is_empty_and_makes_no_file
}

fn texts_by_search(user: User) -> Vec<String> {
    let mut texts: Vec<_> =
        user.search(&embed("anything"), 1000).unwrap().into_iter().map(|hit| hit.memory.memory).collect();
    texts.sort();
    texts
}

/// List, search and state tell the same story.
fn assert_whole(user: User, count: usize) {
    let mut listed = user.texts();
    listed.sort();
    assert_eq!(listed.len(), count);
    assert_eq!(texts_by_search(user), listed);
    assert_eq!(user.read(|reader| reader.state()).unwrap().memories as usize, count);
    assert!(user.read(|reader| reader.verify_audit()).unwrap().is_ok());
}

fn a_dropped_writer_leaves_nothing(layout: &Layout) {
    let house = House::new(layout);
    for user in [house.alice(), house.bob()] {
        user.add("one");
        user.add("two");
    }
    let before = (house.alice().all(), crate::audit::acts(house.alice()));
    assert_whole(house.alice(), 2);
    let id = before.0[0].id;
    for step in 0..5 {
        let given_up = house.alice().write(|writer| {
            let text = house.alice().canary("never");
            let add =
                |writer: &mut locule_store::Writer| writer.add(&model(), vec![ready(NewMemory::text(&text))]).map(drop);
            match step {
                0 => {}
                1 => add(writer)?,
                2 => writer.delete(id)?,
                3 => drop(writer.delete_all(None)?),
                _ => {
                    add(writer)?;
                    writer.delete(id)?;
                    writer.delete(id)?;
                }
            }
            Err::<(), _>(Error::invalid("changed my mind"))
        });
        assert!(given_up.is_err());
        assert_eq!((house.alice().all(), crate::audit::acts(house.alice())), before);
        assert_whole(house.alice(), 2);
    }
    assert_whole(house.bob(), 2);
    house.alice().add("three");
    assert_whole(house.alice(), 3);
}

fn a_panic_leaves_nothing_and_breaks_nothing(layout: &Layout) {
    let house = House::new(layout);
    house.alice().add("before");
    house.bob().add("before");
    for _ in 0..20 {
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            house.alice().write(|writer| -> locule_core::Result<()> {
                writer.add(&model(), vec![ready(NewMemory::text(house.alice().canary("never")))])?;
                std::panic::resume_unwind(Box::new("a fault in the middle"));
            })
        }));
        assert!(panicked.is_err());
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            house.alice().read(|reader| -> locule_core::Result<()> {
                reader.export(&mut |_, _| std::panic::resume_unwind(Box::new("a fault in the middle")))
            })
        }));
        assert!(panicked.is_err());
    }
    assert_whole(house.alice(), 1);
    house.alice().add("after");
    assert_whole(house.alice(), 2);
    assert_whole(house.bob(), 1);
    assert!(house.store.spaces.held().0 <= 4);
}

fn a_reader_sees_one_moment(layout: &Layout) {
    let house = House::new(layout);
    house.alice().add("one");
    house.bob().add("one");
    let query = embed("anything");
    let space = house.store.spaces.open(house.alice().reading().unwrap());
    let reader = space.read().unwrap();
    let look = || {
        let find = locule_store::Find {
            model: &model(),
            embedding: Some(&query),
            words: &[],
            limit: 10,
            threshold: None,
            cosine_min: None,
            filter: None,
        };
        (
            reader.list(&ListQuery::default()).unwrap().memories,
            reader.search(&find).unwrap().len(),
            reader.state().unwrap(),
        )
    };
    let first = look();
    house.alice().add("two");
    // Somebody else brings the vectors in memory up to date; this reader's stay as they were.
    assert_eq!(texts_by_search(house.alice()).len(), 2);
    assert_eq!(look(), first);
    house.alice().write(|writer| writer.delete_all(None)).unwrap();
    assert_eq!(texts_by_search(house.alice()).len(), 0);
    assert_eq!(look(), first);
    drop(reader);
    assert_eq!(house.alice().all(), []);
    assert_whole(house.bob(), 1);
}

fn two_programs_on_the_same_data_see_each_others_writes(layout: &Layout) {
    let house = House::new(layout);
    let other = house.neighbour();
    let here: &Process = &house;
    for round in 0..10 {
        let (writes, reads) = if round % 2 == 0 { (here, &other) } else { (&other, here) };
        let texts: Vec<_> = (0..3).map(|n| writes.alice().add(&format!("round {round} {n}"))).collect();
        assert_whole(reads.alice(), 2 * round + 3);
        reads.alice().write(|writer| writer.delete(texts[1].id)).unwrap();
        assert_whole(writes.alice(), 2 * round + 2);
        reads.bob().add(&format!("round {round}"));
        assert_whole(writes.bob(), round + 1);
    }
    here.alice().write(|writer| writer.delete_all(None)).unwrap();
    assert_whole(other.alice(), 0);
    other.alice().erase().unwrap();
    assert_eq!(here.alice().all(), []);
    here.alice().add("a new space");
    assert_whole(other.alice(), 1);
    assert_whole(other.bob(), 10);
}

fn many_readers_and_a_writer_agree(layout: &Layout) {
    let house = House::quick(layout, |_| {});
    let other = house.neighbour();
    let done = AtomicBool::new(false);
    let here: &Process = &house;
    here.alice().add("first");
    here.bob().add("first");
    std::thread::scope(|scope| {
        let (done, other) = (&done, &other);
        let readers: Vec<_> = (0..8)
            .map(|place| {
                scope.spawn(move || {
                    let process = if place % 4 == 0 { other } else { here };
                    let mut rounds = 0;
                    while !done.load(Ordering::Relaxed) || rounds < 10 {
                        let query = embed("anything");
                        let (found, count) = process
                            .alice()
                            .read(|reader| {
                                let find = locule_store::Find {
                                    model: &model(),
                                    embedding: Some(&query),
                                    words: &[],
                                    limit: 1000,
                                    threshold: None,
                                    cosine_min: None,
                                    filter: None,
                                };
                                // In this order the cache may bring the reader forward; what follows sees the same.
                                let found = reader.search(&find)?;
                                Ok((found, reader.state()?.memories))
                            })
                            .unwrap();
                        assert_eq!(found.len() as u64, count);
                        assert!(found.iter().all(|hit| hit.memory.memory.ends_with("canary-of-alice")));
                        assert_eq!(process.bob().texts(), ["first canary-of-bob"]);
                        rounds += 1;
                    }
                })
            })
            .collect();
        for step in 0..150 {
            let writes = if step % 5 == 0 { other } else { here };
            let memory = writes.alice().add(&format!("step {step}"));
            if step % 3 == 0 {
                writes.alice().write(|writer| writer.delete(memory.id)).unwrap();
            }
        }
        done.store(true, Ordering::Relaxed);
        readers.into_iter().for_each(|reader| reader.join().unwrap());
    });
    assert_whole(here.alice(), 101);
    assert_whole(other.alice(), 101);
}

fn an_open_space_is_shut_at_the_next_transaction(layout: &Layout) {
    let house = House::new(layout);
    house.alice().add("stays");
    house.bob().add("stays");
    let other = house.neighbour();
    let reading = house.store.spaces.open(house.alice().reading().unwrap());
    let writing = house.store.spaces.open(house.alice().writing().unwrap());
    let beside = other.store.spaces.open(other.alice().reading().unwrap());
    let codes = || (code(reading.read()), code(writing.write()), code(beside.read()));
    assert_eq!(codes(), (None, None, None));

    house.alice().suspend(true);
    let suspended = Some(Code::SpaceSuspended);
    assert_eq!(codes(), (suspended, suspended, suspended));
    assert_eq!(code(house.alice().try_all()), suspended);
    assert_eq!(house.bob().texts().len(), 1);
    // Opened again, it asks for a new scope; the data is all there.
    house.alice().suspend(false);
    let busy = Some(Code::Busy);
    assert_eq!(codes(), (busy, busy, busy));
    assert_eq!(house.alice().texts(), ["stays canary-of-alice"]);

    other.alice().erase().unwrap();
    let erased = Some(Code::SpaceErased);
    assert_eq!(codes(), (erased, erased, erased));
    house.alice().add("anew");
    assert_eq!(codes(), (erased, erased, erased));
    assert_eq!(house.bob().texts().len(), 1);
}

fn reading_of_somebody_unknown_is_empty_and_makes_no_file(layout: &Layout) {
    let house = House::new(layout);
    house.bob().add("is known");
    let names = || -> Vec<_> { files(house.data()).into_iter().map(|(path, _)| path).collect() };
    let before = names();
    for _ in 0..3 {
        assert_eq!(house.alice().all(), []);
        assert_eq!(texts_by_search(house.alice()), Vec::<String>::new());
        assert_eq!(house.alice().read(|reader| reader.verify_audit()).unwrap(), Ok(0));
        assert_eq!(house.alice().read(|reader| reader.statistics()).unwrap().memory_count, 0);
    }
    // An operator makes a row; a scope to write may; neither makes a file.
    house.store.directory.create_user(&house.operator(), &house.alice().identity()).unwrap();
    let _ = house.alice().writing().unwrap();
    assert_eq!(house.alice().all(), []);
    let mut after = names();
    after.retain(|path| !before.contains(path));
    assert_eq!(after, Vec::<std::path::PathBuf>::new());
    house.alice().add("now");
    assert_eq!(house.alice().texts().len(), 1);
}
