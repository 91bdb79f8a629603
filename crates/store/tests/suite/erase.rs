//! Erasing: what is left of somebody, which is nothing, and what is left of everybody else, which is everything.

use std::sync::atomic::{AtomicBool, Ordering};

use locule_core::auth::{KeyKind, NewKey};
use locule_core::clock::Sources;
use locule_core::context::{EntryQuery, Json, Push};
use locule_core::memory::{Change, NewMemory};
use locule_core::relationship::NewRelationship;
use locule_core::{Code, Erasure};

use crate::context::name;
use crate::house::{
    ENCRYPTED, House, Layout, PLAIN, RLS, RLS_SEALED, User, code, copy, embed, files, model, noon, ready, traces,
};

for_each_layout! {
    an_erasure_may_be_repeated
    what_runs_during_an_erasure_ends_before_it_or_is_refused
    the_trail_stays_whole_and_names_nobody_erased
}

for_each_file_layout! {
    after_an_erasure_nothing_of_the_person_is_left
    an_erasure_cut_short_at_any_step_is_finished_at_the_next_start
    who_comes_back_gets_another_space
    a_second_name_left_by_a_crash_goes_too
    a_first_write_racing_an_erasure_leaves_no_file
}

/// Longer than any other text of these tests, so that no chance makes it.
const NAME: &str = "alice-who-will-be-forgotten";
const SECRET: &str = "the combination is seventeen twentyfour";

/// Does everything that could leave a trace.
fn live_through_everything(user: User) {
    let memory = user.add(SECRET);
    let other = user.canary(&format!("{SECRET} and then some"));
    let row = ready(NewMemory::text(&other)).row;
    let change = Change {
        memory: Some(other),
        metadata: Some(serde_json::json!({"note": SECRET}).as_object().unwrap().clone()),
        categories: Some(vec![SECRET.to_owned()]),
        agent_id: Some(Some(SECRET.to_owned())),
        ..Change::default()
    };
    user.write(|writer| writer.update(&model(), memory.id, &change, Some(row))).unwrap();
    for n in 0..30 {
        user.add(&format!("{SECRET} {n}"));
    }
    let new = NewRelationship {
        metadata: serde_json::json!({"note": SECRET}).as_object().unwrap().clone(),
        ..NewRelationship::new(memory.id, SECRET, user.all()[0].id)
    };
    user.write(|writer| writer.relate(vec![new])).unwrap();
    share_a_secret(user);
    user.search(&embed(SECRET), 5).unwrap();
    assert!(!crate::search::by_words(user, SECRET).is_empty());
    user.suspend(true);
    user.suspend(false);
    let kind = KeyKind::User { identity: user.identity(), read_only: false };
    let key = NewKey::mint(kind, "laptop", None, &Sources::system()).unwrap();
    user.process.store.directory.add_key(&user.process.operator(), key.record).unwrap();
    let meddling = user.process.gate.read(
        &user.principal(),
        locule_core::Target::Named("bob"),
        locule_core::policy::Act::ReadMemories,
        &crate::house::request(),
    );
    assert_eq!(code(meddling), Some(Code::NotYourSpace));
    user.process.store.spaces.publish().unwrap();
}

/// The secret wherever context can have it: in what is there, in what was written over, removed, swept away and ended.
fn share_a_secret(user: User) {
    let secret = || name(SECRET);
    let value = |text: &str| Json::of(&format!("[\"{text}\"]")).unwrap();
    let push = |key: &str| Push {
        topics: vec![secret(), name("topic")],
        sender: Some(secret()),
        include_sender: true,
        metadata: Some(Json::of(&format!("{{\"note\":\"{SECRET}\"}}")).unwrap()),
        ..Push::new(name(key), value(SECRET))
    };
    user.write(|writer| writer.subscribe(&secret(), vec![secret(), name("topic")])).unwrap();
    user.write(|writer| writer.permit(&secret(), vec![secret(), name("topic")])).unwrap();
    for key in [SECRET, "removed", "over", "swept"] {
        user.push(push(key)).unwrap();
    }
    user.write(|writer| writer.append_context(Push { value: value(&SECRET.repeat(200)), ..push(SECRET) })).unwrap();
    user.write(|writer| writer.remove_context(&name("removed"), None)).unwrap();
    user.push(Push::new(name("over"), value("nothing"))).unwrap();
    user.push(Push { ttl_s: Some(-1.0), ..push("swept") }).unwrap();
    user.write(|writer| writer.remove_expired_context()).unwrap();
}

fn all_traces(house: &House) -> Vec<String> {
    [NAME, SECRET].iter().flat_map(|text| traces(house.data(), text)).collect()
}

fn after_an_erasure_nothing_of_the_person_is_left(layout: &Layout) {
    let mut house = House::new(layout);
    house.bob().add("stays");
    live_through_everything(house.user(NAME));
    let (file, key, space) = (house.user(NAME).file(), house.user(NAME).key_file(), house.user(NAME).space().name());
    assert!(file.exists() && key.exists());
    // Encrypted, nothing is to be read even while it is there; plain, this shows that the search would find it.
    assert_eq!(all_traces(&house).is_empty(), layout.encrypted, "{:?}", all_traces(&house));

    house.user(NAME).erase().unwrap();
    for _ in 0..2 {
        assert_eq!(all_traces(&house), Vec::<String>::new());
        assert_eq!(traces(house.data(), &space), Vec::<String>::new());
        assert!(!file.exists() && !key.exists());
        let operator = house.operator();
        assert_eq!(code(house.store.directory.user(&operator, &house.user(NAME).identity())), Some(Code::NotFound));
        assert_eq!(house.store.directory.keys(&operator).unwrap().len(), 0);
        assert_eq!(house.user(NAME).all(), []);
        assert_eq!(house.bob().texts(), ["stays canary-of-bob"]);
        house.reopen();
    }
}

fn close_the_door(user: User) -> (Erasure, locule_store::directory::Closed) {
    let erasure = user.erasing().unwrap();
    let closed = user.process.store.directory.close_door(&erasure).unwrap();
    (erasure, closed)
}

fn an_erasure_cut_short_at_any_step_is_finished_at_the_next_start(layout: &Layout) {
    for step in 0..5 {
        let house = House::new(layout);
        house.bob().add("stays");
        live_through_everything(house.user(NAME));
        let (file, key) = (house.user(NAME).file(), house.user(NAME).key_file());
        let (erasure, closed) = close_the_door(house.user(NAME));
        match step {
            0 => {}
            1 => std::fs::remove_file(&key).unwrap(),
            2 => {
                std::fs::write(&key, vec![0; std::fs::metadata(&key).unwrap().len() as usize]).unwrap();
                std::fs::remove_file(&file).unwrap();
            }
            3 => drop(house.store.spaces.destroy(&erasure, &closed).unwrap()),
            _ => {
                house.store.spaces.destroy(&erasure, &closed).unwrap();
                house.store.directory.forget(&closed, locule_core::audit::Actor::Nobody, String::new()).unwrap();
            }
        }
        // What the disk holds at this moment is what a crash leaves.
        let elsewhere = tempfile::tempdir().unwrap();
        copy(house.data(), elsewhere.path());
        drop(house);
        let after = House::at(elsewhere.path().to_owned(), layout, |_| {});
        assert_eq!(all_traces(&after), Vec::<String>::new(), "step {step}");
        assert_eq!(after.store.directory.unfinished().unwrap().len(), 0);
        let standing = after.user(NAME).standing();
        assert_eq!((standing.space, standing.not_before), (None, Some(noon())));
        assert_eq!(after.user(NAME).all(), []);
        assert_eq!(after.bob().texts(), ["stays canary-of-bob"]);
        assert_eq!(
            files(after.data()).iter().filter(|(path, _)| path.extension().is_some_and(|end| end == "key")).count(),
            2
        );
    }
}

fn an_erasure_may_be_repeated(layout: &Layout) {
    let house = House::new(layout);
    house.bob().add("stays");
    // Of nobody, of somebody without files, of somebody with.
    house.alice().erase().unwrap();
    house.alice().erase().unwrap();
    let _ = house.alice().writing().unwrap();
    house.alice().erase().unwrap();
    house.alice().add("for a while");
    let (erasure, closed) = close_the_door(house.alice());
    let first = house.store.spaces.destroy(&erasure, &closed).unwrap();
    let second = house.store.spaces.destroy(&erasure, &closed).unwrap();
    assert_eq!(first.key, layout.postgres.is_none() || layout.sealed);
    assert!(first.files >= 1);
    assert_eq!((second.key, second.files), (false, 0));
    assert_eq!(code(house.alice().reading()), Some(Code::Busy));
    house.alice().erase().unwrap();
    house.alice().erase().unwrap();
    assert_eq!(house.alice().all(), []);
    assert_eq!(house.bob().texts().len(), 1);
    assert!(house.store.directory.verify_trail(&house.operator()).unwrap().is_ok());
}

fn who_comes_back_gets_another_space(layout: &Layout) {
    let house = House::new(layout);
    house.bob().add("stays");
    house.alice().add("the first time");
    let before = house.alice().standing().space.unwrap();
    let key = std::fs::read(house.alice().key_file()).unwrap();
    house.clock.advance_s(60);
    house.alice().erase().unwrap();
    house.alice().add("the second time");
    let after = house.alice().standing();
    assert_ne!(after.space.unwrap().id, before.id);
    assert_ne!(after.space.unwrap().tag, before.tag);
    assert_ne!(std::fs::read(house.alice().key_file()).unwrap(), key);
    // Tokens from before the erasure stay void, although there is a space again.
    assert_eq!(after.not_before.unwrap().as_second(), noon().as_second() + 60);
    assert_eq!(house.alice().texts(), ["the second time canary-of-alice"]);
    assert_eq!(house.alice().read(|reader| reader.verify_audit()).unwrap(), Ok(1));
    assert_eq!(house.bob().standing().not_before, None);
    assert_eq!(house.bob().texts().len(), 1);
}

fn what_runs_during_an_erasure_ends_before_it_or_is_refused(layout: &Layout) {
    let house = House::quick(layout, |_| {});
    let other = house.neighbour();
    for round in 0..5 {
        house.alice().add("for a while");
        house.bob().add(&format!("round {round}"));
        let space = house.alice().space();
        let erased = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let (house, other, erased) = (&*house, &other, &erased);
            let workers: Vec<_> = (0..6)
                .map(|worker| {
                    let process = if worker < 4 { house } else { other };
                    // One right, given before, used over and over.
                    let reading = process.store.spaces.open(process.alice().reading().unwrap());
                    let writing = process.store.spaces.open(process.alice().writing().unwrap());
                    scope.spawn(move || {
                        for step in 0.. {
                            let too_late = erased.load(Ordering::SeqCst);
                            let outcome = if worker % 2 == 0 {
                                reading.read().and_then(|reader| reader.list(&Default::default()).map(drop))
                            } else {
                                writing.write().and_then(|mut writer| {
                                    let text = process.alice().canary(&format!("{worker} {step}"));
                                    writer.add(&model(), vec![ready(NewMemory::text(text))])?;
                                    writer.commit()
                                })
                            };
                            match outcome {
                                Ok(()) => assert!(!too_late, "something was done after the erasure"),
                                Err(error) if error.code() == Code::SpaceErased => return,
                                // In another program a file may vanish under a transaction that has begun.
                                Err(_) if worker >= 4 && !too_late => {}
                                Err(error) => panic!("{error:?}"),
                            }
                        }
                    })
                })
                .collect();
            while house.store.spaces.held().0 < 2 {
                std::thread::yield_now();
            }
            house.alice().erase().unwrap();
            erased.store(true, Ordering::SeqCst);
            workers.into_iter().for_each(|worker| worker.join().unwrap());
        });
        assert_eq!(traces(house.data(), &space.name()), Vec::<String>::new());
        assert_eq!(house.alice().all(), []);
        assert_eq!(house.bob().texts().len(), round + 1);
    }
}

fn a_second_name_left_by_a_crash_goes_too(layout: &Layout) {
    let house = House::new(layout);
    house.bob().add("stays");
    house.alice().add(SECRET);
    // A crash between giving a file its name and taking away its first one leaves both.
    for path in [house.alice().file(), house.alice().key_file()] {
        std::fs::hard_link(&path, path.with_extension("00112233aabbccdd.new")).unwrap();
    }
    let space = house.alice().space().name();
    house.alice().erase().unwrap();
    assert_eq!(traces(house.data(), &space), Vec::<String>::new());
    assert_eq!(traces(house.data(), SECRET), Vec::<String>::new());
    assert_eq!(house.bob().texts().len(), 1);
}

fn the_trail_stays_whole_and_names_nobody_erased(layout: &Layout) {
    let house = House::new(layout);
    live_through_everything(house.user(NAME));
    house.bob().suspend_and_back();
    let trail = || house.store.directory.trail(&house.operator(), 1000).unwrap();
    let named = |name: &str| {
        trail()
            .iter()
            .filter(|record| record.actor.as_deref() == Some(name) || record.target.as_deref() == Some(name))
            .count()
    };
    let (count, before) = (trail().len(), (named(NAME), named("bob")));
    assert!(before.0 >= 3 && before.1 >= 2, "{before:?}");
    assert_eq!(house.store.directory.verify_trail(&house.operator()).unwrap(), Ok(count as u64));
    house.user(NAME).erase().unwrap();
    assert_eq!(trail().len(), count + 1);
    assert_eq!((trail()[0].act.as_str(), trail()[0].outcome.as_str()), ("erase", "ok"));
    assert_eq!(house.store.directory.verify_trail(&house.operator()).unwrap(), Ok(count as u64 + 1));
    assert_eq!(named(NAME), 0);
    assert!(named("bob") >= 2);
    // Nor does the next of that name bring the old entries back.
    house.user(NAME).add("again");
    assert_eq!(named(NAME), 0);
}

impl User<'_> {
    fn suspend_and_back(&self) {
        self.add("something");
        self.suspend(true);
        self.suspend(false);
    }
}

fn a_first_write_racing_an_erasure_leaves_no_file(layout: &Layout) {
    let house = House::quick(layout, |_| {});
    house.bob().add("stays");
    for _ in 0..20 {
        let writing = house.alice().writing().unwrap();
        let space = writing.space().unwrap().id.name();
        std::thread::scope(|scope| {
            let house = &*house;
            let writer = scope.spawn(move || {
                let space = house.store.spaces.open(writing);
                let mut writer = space.write()?;
                writer.add(&model(), vec![ready(NewMemory::text(house.alice().canary("first")))])?;
                writer.commit()
            });
            house.alice().erase().unwrap();
            let written = writer.join().unwrap();
            let in_time = written.is_ok();
            assert!(in_time || code(written) == Some(Code::SpaceErased));
        });
        assert_eq!(traces(house.data(), &space), Vec::<String>::new());
        assert_eq!(house.alice().all(), []);
    }
    assert_eq!(house.bob().texts().len(), 1);
}

#[test]
fn a_deleted_memory_is_in_no_file_even_without_encryption() {
    let mut house = House::new(&PLAIN);
    live_through_everything(house.user(NAME));
    house.user(NAME).write(|writer| writer.clear_context()).unwrap();
    let kept = house.bob().add("stays");
    let other = house.user(NAME).add("a lasting note");
    let doomed: Vec<_> = house.user(NAME).all().into_iter().filter(|memory| memory.id != other.id).collect();
    let (last, rest) = doomed.split_last().unwrap();
    for memory in &rest[..10] {
        house.user(NAME).write(|writer| writer.delete(memory.id)).unwrap();
    }
    house
        .user(NAME)
        .write(|writer| {
            for memory in &rest[10..] {
                writer.delete(memory.id)?;
            }
            writer.delete(last.id)
        })
        .unwrap();
    house.store.spaces.close().unwrap();
    assert_eq!(traces(house.data(), SECRET), Vec::<String>::new());
    house.user(NAME).write(|writer| writer.delete_all(None)).unwrap();
    house.reopen();
    assert_eq!(traces(house.data(), "a lasting note"), Vec::<String>::new());
    assert_eq!(house.bob().all(), [kept]);
}

#[test]
fn context_that_is_gone_is_in_no_file_even_without_encryption() {
    let mut house = House::new(&PLAIN);
    let user = house.user(NAME);
    share_a_secret(user);
    user.push(Push::new(name("stays"), Json::of("1").unwrap())).unwrap();
    assert!(!traces(house.data(), SECRET).is_empty(), "the search would find it");
    user.write(|writer| writer.remove_context(&name(SECRET), None)).unwrap();
    user.write(|writer| writer.delete_topic(&name(SECRET))).unwrap();
    assert_eq!(user.entries(&EntryQuery::default()).len(), 2);
    // The agent is still known by its name. With it goes the last of it.
    house.store.spaces.close().unwrap();
    assert!(!traces(house.data(), SECRET).is_empty());
    house.user(NAME).write(|writer| writer.clear_context()).unwrap();
    house.reopen();
    assert_eq!(traces(house.data(), SECRET), Vec::<String>::new());
}

/// What a sealed space has said is in no file of the database, neither while it is there nor when it is gone; and its rows go.
#[test]
fn sealed_context_is_in_no_file_of_the_database() {
    for (layout, sealed) in [(RLS_SEALED, true), (RLS, false)] {
        let house = House::new(&layout);
        house.bob().push(Push::new(name("stays"), Json::of("1").unwrap())).unwrap();
        // No other test's words: they share the database's files.
        let secret = format!("a {layout:?}-only secret of nineteen sparrows", layout = sealed);
        let value = Json::of(&format!("\"{secret}\"")).unwrap();
        let push = Push { topics: vec![name(&secret)], sender: Some(name(&secret)), ..Push::new(name(&secret), value) };
        house.alice().push(push).unwrap();
        house.alice().write(|writer| writer.subscribe(&name(&secret), vec![name(&secret)])).unwrap();
        let there = || {
            house.psql("CHECKPOINT");
            files(&house.cluster_data()).iter().any(|(_, bytes)| crate::house::holds(bytes, secret.as_bytes()))
        };
        assert_eq!(there(), !sealed, "sealed: {sealed}");
        house.alice().erase().unwrap();
        for table in ["context_entries", "context_agents"] {
            let count = house.psql(&format!("SELECT count(*) FROM {table}"));
            assert_eq!(count.trim(), if table == "context_entries" { "1" } else { "0" });
        }
        assert!(!sealed || !there());
        assert_eq!(house.bob().entries(&EntryQuery::default()).len(), 1);
    }
}

#[test]
fn an_old_copy_of_the_files_cannot_be_read_after_an_erasure() {
    let house = House::new(&ENCRYPTED);
    house.bob().add("stays");
    house.alice().add(SECRET);
    house.store.spaces.close().unwrap();
    let (file, key) = (house.alice().file(), house.alice().key_file());
    let copy = std::fs::read(&file).unwrap();
    house.alice().erase().unwrap();
    house.alice().add("anew");
    house.store.spaces.close().unwrap();
    // Neither where it was, nor in the place of the new one.
    std::fs::write(&file, &copy).unwrap();
    assert!(!key.exists());
    std::fs::write(house.alice().file(), &copy).unwrap();
    assert_eq!(code(house.alice().try_all()), Some(Code::SpaceCorrupt));
    assert_eq!(house.bob().texts().len(), 1);
}
