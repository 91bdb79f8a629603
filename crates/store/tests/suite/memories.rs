//! Memories, one by one and in lists.

use jiff::Timestamp;
use locule_core::Code;
use locule_core::id::MemoryId;
use locule_core::memory::{Change, EventKind, ListQuery, Memory, NewMemory, Statistics, hash};
use locule_store::Quota;
use serde_json::json;

use crate::house::{House, Layout, User, code, embed, filter, model, noon, ready};

for_each_layout! {
    what_is_added_is_there_and_only_for_its_owner
    a_batch_is_added_whole_or_not_at_all
    the_same_text_is_kept_once_for_each_agent_run_and_app
    a_list_is_newest_first_in_pages_without_gap_or_overlap
    a_change_merges_metadata_as_the_standard_says
    a_change_cannot_make_two_memories_one
    a_change_replaces_its_words_and_vector
    a_deleted_memory_is_gone_and_its_history_keeps_no_text
    everything_or_what_matches_can_be_deleted
    a_history_begins_with_the_adding
    statistics_are_of_what_is_seen
    what_has_expired_is_not_seen_and_the_next_write_sweeps_it
    what_has_expired_stands_in_nobodys_way
    an_id_of_another_version_tells_no_time
    what_is_exported_comes_back_exactly
    a_damaged_export_is_refused
    a_quota_holds_to_the_last_memory_and_byte
    a_quota_holds_however_many_race_for_it
    what_has_expired_does_not_count_against_the_quota
    ids_rise_though_the_clock_goes_back_and_the_last_is_deleted
}

fn what_is_added_is_there_and_only_for_its_owner(layout: &Layout) {
    let house = House::new(layout);
    let memory = NewMemory {
        agent_id: Some("chef".into()),
        run_id: Some("r1".into()),
        app_id: Some("app".into()),
        categories: vec!["food".into(), "ünï".into()],
        metadata: json!({"a": {"b": [1, 2.5, null, "x"]}}).as_object().unwrap().clone(),
        ..NewMemory::text(house.alice().canary("eats no peanuts"))
    };
    let added = house.alice().try_add(vec![memory.clone()]).unwrap().remove(0);
    house.bob().add("eats everything");

    assert!(!added.existing);
    assert_eq!((added.memory.created_at, added.memory.updated_at), (noon(), noon()));
    assert_eq!(house.alice().get(added.memory.id).unwrap(), added.memory);
    assert_eq!((&added.memory.memory, &added.memory.metadata), (&memory.memory, &memory.metadata));
    assert_eq!((&added.memory.categories, &added.memory.agent_id), (&memory.categories, &memory.agent_id));
    for stranger in [house.bob(), house.user("nobody-yet")] {
        let strange = stranger.get(added.memory.id).unwrap_err();
        let unknown = stranger.get("0195a8e0-0000-7000-8000-000000000000".parse().unwrap()).unwrap_err();
        assert_eq!((strange.code(), strange.detail()), (unknown.code(), unknown.detail()));
        assert_eq!(strange.code(), Code::NotFound);
        assert_eq!(code(stranger.read(|reader| reader.history(added.memory.id))), Some(Code::NotFound));
    }
    assert_eq!(code(house.bob().write(|writer| writer.delete(added.memory.id))), Some(Code::NotFound));
    assert_eq!(house.alice().texts().len(), 1);
    assert_eq!(house.bob().texts(), ["eats everything canary-of-bob"]);
}

fn a_batch_is_added_whole_or_not_at_all(layout: &Layout) {
    let house = House::new(layout);
    house.bob().add("is here first");
    let texts: Vec<String> = (0..100).map(|n| house.alice().canary(&format!("number {n}"))).collect();
    let added = house.alice().try_add(texts.iter().map(NewMemory::text).collect()).unwrap();
    assert!(added.windows(2).all(|pair| pair[0].memory.id < pair[1].memory.id));

    // The last of the next batch has a vector of another length.
    let mut batch: Vec<_> =
        (100..110).map(|n| ready(NewMemory::text(house.alice().canary(&format!("number {n}"))))).collect();
    batch[9].row.truncate(6);
    assert_eq!(code(house.alice().write(|writer| writer.add(&model(), batch))), Some(Code::ModelMismatch));
    let mut seen = house.alice().texts();
    seen.reverse();
    assert_eq!(seen, texts);
    assert_eq!(house.bob().texts().len(), 1);
}

fn the_same_text_is_kept_once_for_each_agent_run_and_app(layout: &Layout) {
    let house = House::new(layout);
    let labelled = |user: User, agent: Option<&str>, run: Option<&str>, app: Option<&str>| NewMemory {
        agent_id: agent.map(Into::into),
        run_id: run.map(Into::into),
        app_id: app.map(Into::into),
        ..NewMemory::text(user.canary("likes tea"))
    };
    let of_bob = house.bob().try_add(vec![NewMemory::text("likes tea canary-of-alice canary-of-bob")]).unwrap();
    let variants = [(None, None, None), (Some("a"), None, None), (None, Some("a"), None), (None, None, Some("a"))];
    let batch = || variants.map(|(agent, run, app)| labelled(house.alice(), agent, run, app)).to_vec();
    let first = house.alice().try_add(batch()).unwrap();
    let second = house.alice().try_add([batch(), batch()].concat()).unwrap();

    assert!(!of_bob[0].existing && first.iter().all(|added| !added.existing));
    assert!(second.iter().all(|added| added.existing));
    for (place, added) in second.iter().enumerate() {
        assert_eq!(added.memory, first[place % 4].memory);
    }
    assert_eq!((house.alice().all().len(), house.bob().all().len()), (4, 1));
}

fn a_list_is_newest_first_in_pages_without_gap_or_overlap(layout: &Layout) {
    let house = House::new(layout);
    for user in [house.alice(), house.bob()] {
        let batch = (0..53).map(|n| NewMemory {
            agent_id: (n % 3 == 0).then(|| "third".to_owned()),
            ..NewMemory::text(user.canary(&format!("number {n}")))
        });
        user.try_add(batch.collect()).unwrap();
    }
    for (only, total) in [(None, 53), (Some(filter(json!({"agent_id": "third"}))), 18)] {
        for limit in [1, 7, 18, 53, 1000] {
            let mut query = ListQuery { filter: only.clone(), limit, before: None, offset: 0 };
            let mut seen: Vec<MemoryId> = Vec::new();
            loop {
                let page = house.alice().read(|reader| reader.list(&query)).unwrap();
                assert_eq!(page.total, total);
                assert!(page.memories.len() == limit || page.next.is_none());
                seen.extend(page.memories.iter().map(|memory| memory.id));
                let Some(next) = page.next else { break };
                query.before = Some(next);
            }
            assert_eq!(seen.len() as u64, total);
            assert!(seen.windows(2).all(|pair| pair[0] > pair[1]));
        }
    }
    for limit in [0, 1001] {
        assert!(house.alice().read(|reader| reader.list(&ListQuery { limit, ..ListQuery::default() })).is_err());
    }
}

fn change(user: User, id: MemoryId, change: Change) -> locule_core::Result<Memory> {
    let row = change.memory.as_ref().map(|text| ready(NewMemory::text(text.clone())).row);
    user.write(|writer| writer.update(&model(), id, &change, row))
}

fn a_change_merges_metadata_as_the_standard_says(layout: &Layout) {
    let house = House::new(layout);
    let object = |json: serde_json::Value| json.as_object().unwrap().clone();
    let memory = NewMemory {
        metadata: object(
            json!({"title": "Goodbye!", "author": {"given": "John", "family": "Doe"}, "tags": ["a"], "content": "x"}),
        ),
        ..NewMemory::text(house.alice().canary("the example of RFC 7396"))
    };
    let id = house.alice().try_add(vec![memory]).unwrap()[0].memory.id;
    let other = house.bob().add("untouched");
    house.clock.advance_s(60);
    let patch = json!({"title": "Hello!", "phone": "+01", "author": {"family": null}, "tags": ["b"]});
    let changed = change(house.alice(), id, Change { metadata: Some(object(patch)), ..Change::default() }).unwrap();

    let merged = json!({"title": "Hello!", "author": {"given": "John"}, "tags": ["b"], "content": "x", "phone": "+01"});
    assert_eq!(changed.metadata, object(merged));
    assert_eq!((changed.created_at, changed.updated_at.as_second()), (noon(), noon().as_second() + 60));
    assert_eq!(house.alice().get(id).unwrap(), changed);
    assert_eq!(house.bob().get(other.id).unwrap(), other);
    assert_eq!(
        code(change(house.bob(), id, Change { agent_id: Some(None), ..Change::default() })),
        Some(Code::NotFound)
    );
}

fn a_change_cannot_make_two_memories_one(layout: &Layout) {
    let house = House::new(layout);
    let (one, two) = (house.alice().add("one"), house.alice().add("two"));
    house.bob().add("three");
    let to = |text: &str| Change { memory: Some(text.to_owned()), ..Change::default() };
    assert_eq!(code(change(house.alice(), two.id, to(&one.memory))), Some(Code::Conflict));
    assert_eq!(house.alice().all(), [two.clone(), one.clone()]);
    // To what it is already, and to what only somebody else has, are no conflicts.
    assert!(change(house.alice(), two.id, to(&two.memory)).is_ok());
    assert!(change(house.alice(), two.id, to("three canary-of-bob canary-of-alice")).is_ok());
}

fn a_change_replaces_its_words_and_vector(layout: &Layout) {
    let house = House::new(layout);
    let memory = house.alice().add("drinks tea");
    house.bob().add("drinks tea");
    let coffee = house.alice().canary("prefers coffee");
    change(house.alice(), memory.id, Change { memory: Some(coffee.clone()), ..Change::default() }).unwrap();
    assert_eq!(crate::search::by_words(house.alice(), "tea"), Vec::<String>::new());
    assert_eq!(crate::search::by_words(house.alice(), "coffee"), std::slice::from_ref(&coffee));
    assert!(house.alice().search(&embed(&coffee), 1).unwrap()[0].parts.cosine > 0.99);
    assert_eq!(crate::search::by_words(house.bob(), "tea").len(), 1);
}

fn a_deleted_memory_is_gone_and_its_history_keeps_no_text(layout: &Layout) {
    let house = House::new(layout);
    let (memory, other) = (house.alice().add("a secret"), house.bob().add("another"));
    let to = Change { memory: Some(house.alice().canary("a later secret")), ..Change::default() };
    change(house.alice(), memory.id, to).unwrap();
    house.clock.advance_s(5);
    house.alice().write(|writer| writer.delete(memory.id)).unwrap();

    assert_eq!(code(house.alice().get(memory.id)), Some(Code::NotFound));
    assert_eq!(code(house.alice().write(|writer| writer.delete(memory.id))), Some(Code::NotFound));
    let history = house.alice().read(|reader| reader.history(memory.id)).unwrap();
    let kinds: Vec<_> = history.iter().map(|event| event.event).collect();
    assert_eq!(kinds, [EventKind::Add, EventKind::Update, EventKind::Delete]);
    assert!(history.iter().all(|event| event.old_memory.is_none() && event.new_memory.is_none()));
    assert_eq!(history[2].at.as_second(), noon().as_second() + 5);
    assert_eq!(house.alice().search(&embed("a secret"), 10).unwrap().len(), 0);
    assert_eq!(house.bob().all(), [other]);
}

fn everything_or_what_matches_can_be_deleted(layout: &Layout) {
    let house = House::new(layout);
    for user in [house.alice(), house.bob()] {
        let batch = (0..20).map(|n| NewMemory {
            run_id: Some(format!("run {}", n % 4)),
            expiration: (n == 0 || n == 1).then(|| Timestamp::from_second(noon().as_second() + 10).unwrap()),
            ..NewMemory::text(user.canary(&format!("number {n}")))
        });
        user.try_add(batch.collect()).unwrap();
    }
    house.clock.advance_s(11);
    let first_run = filter(json!({"run_id": "run 0"}));
    // Five have it, and one of them has expired: nobody sees it, so nobody is told that it was deleted.
    assert_eq!(house.alice().write(|writer| writer.delete_all(Some(&first_run))).unwrap(), 4);
    assert_eq!(house.alice().all().len(), 14);
    assert_eq!(house.alice().write(|writer| writer.delete_all(None)).unwrap(), 14);
    assert_eq!(house.alice().all(), []);
    let state = house.alice().read(|reader| reader.state()).unwrap();
    assert_eq!((state.memories, state.size_bytes), (0, 0));
    assert_eq!(house.bob().all().len(), 18);
    house.alice().add("a new beginning");
    assert_eq!(crate::search::by_words(house.alice(), "beginning").len(), 1);
}

fn a_history_begins_with_the_adding(layout: &Layout) {
    let house = House::new(layout);
    let memory = house.alice().add("first");
    house.bob().add("first");
    let history = || house.alice().read(|reader| reader.history(memory.id)).unwrap();
    assert_eq!(history().len(), 1);
    assert_eq!((history()[0].event, history()[0].new_memory.as_ref()), (EventKind::Add, Some(&memory.memory)));
    house.clock.advance_s(1);
    let second = house.alice().canary("second");
    change(house.alice(), memory.id, Change { memory: Some(second.clone()), ..Change::default() }).unwrap();
    let history = history();
    assert_eq!((history[0].at, history[0].new_memory.as_ref()), (memory.created_at, Some(&memory.memory)));
    assert_eq!((history[1].old_memory.as_ref(), history[1].new_memory.as_ref()), (Some(&memory.memory), Some(&second)));
    assert_eq!(history.len(), 2);
}

fn statistics_are_of_what_is_seen(layout: &Layout) {
    let house = House::new(layout);
    let statistics = |user: User| user.read(|reader| reader.statistics()).unwrap();
    assert_eq!(statistics(house.alice()), Statistics::default());
    house.bob().add("one of Bob's");
    let first = house.alice().add("é");
    house.clock.advance_s(60);
    let soon = Timestamp::from_second(noon().as_second() + 61).unwrap();
    let brief = NewMemory { expiration: Some(soon), ..NewMemory::text(house.alice().canary("brief")) };
    house.alice().try_add(vec![brief]).unwrap();
    assert_eq!(statistics(house.alice()).memory_count, 2);
    house.clock.advance_s(1);
    assert_eq!(
        statistics(house.alice()),
        Statistics {
            memory_count: 1,
            avg_memory_length: first.memory.chars().count() as f64,
            first_memory: Some(noon()),
            latest_memory: Some(noon()),
        }
    );
    assert_eq!(statistics(house.bob()).memory_count, 1);
}

fn brief(user: User, text: &str, seconds: i64) -> NewMemory {
    let expiration = Timestamp::from_second(noon().as_second() + seconds).unwrap();
    NewMemory { expiration: Some(expiration), ..NewMemory::text(user.canary(text)) }
}

fn what_has_expired_is_not_seen_and_the_next_write_sweeps_it(layout: &Layout) {
    let house = House::new(layout);
    for user in [house.alice(), house.bob()] {
        let batch =
            (0..5).map(|n| brief(user, &format!("brief {n}"), 10)).chain([NewMemory::text(user.canary("lasting"))]);
        user.try_add(batch.collect()).unwrap();
    }
    let brief = house.alice().all().last().unwrap().clone();
    change(house.alice(), brief.id, Change { categories: Some(vec!["c".into()]), ..Change::default() }).unwrap();
    house.clock.advance_s(9);
    assert_eq!(house.alice().all().len(), 6);
    house.clock.advance_s(1);
    // At its very moment it is over.
    assert_eq!(house.alice().texts(), ["lasting canary-of-alice"]);
    assert_eq!(code(house.alice().get(brief.id)), Some(Code::NotFound));
    assert_eq!(code(house.alice().read(|reader| reader.history(brief.id))), Some(Code::NotFound));
    assert_eq!(crate::search::by_words(house.alice(), "brief").len(), 0);
    assert_eq!(house.alice().search(&embed("brief"), 10).unwrap().len(), 1);
    assert_eq!(house.alice().read(|reader| reader.state()).unwrap().memories, 6);

    house.alice().add("the next write");
    assert_eq!(house.alice().read(|reader| reader.state()).unwrap().memories, 2);
    assert_eq!(house.bob().read(|reader| reader.state()).unwrap().memories, 6);
    let acts = crate::audit::acts(house.alice());
    assert!(acts.contains(&("expire_memories".into(), "5 memories".into())), "{acts:?}");
}

fn what_has_expired_stands_in_nobodys_way(layout: &Layout) {
    let house = House::new(layout);
    // More than one write sweeps.
    let batch = (0..300).map(|n| brief(house.alice(), &format!("brief {n}"), 10));
    let added = house.alice().try_add(batch.collect()).unwrap();
    house.bob().add("lasting");
    house.clock.advance_s(10);
    let again = house.alice().try_add(vec![NewMemory::text(house.alice().canary("brief 299"))]).unwrap();
    assert!(!again[0].existing && again[0].memory.id > added[299].memory.id);
    let to = Change { memory: Some(house.alice().canary("brief 298")), ..Change::default() };
    assert!(change(house.alice(), again[0].memory.id, to).is_ok());
    // An export taken before, in which it does not expire, brings it back.
    let back = Memory { expiration: None, ..added[297].memory.clone() };
    let row = ready(NewMemory::text(&back.memory)).row;
    assert!(house.alice().write(|writer| writer.import(&model(), &back, row)).unwrap());
    assert_eq!(house.alice().all().len(), 2);
    assert_eq!(house.bob().all().len(), 1);
}

/// What other products have made has ids of other versions, some of which look like the year 10000.
fn an_id_of_another_version_tells_no_time(layout: &Layout) {
    let house = House::new(layout);
    let first = house.alice().try_add(vec![NewMemory::text(house.alice().canary("ours"))]).unwrap().remove(0).memory;
    let foreign = [
        "ffffffff-ffff-4fff-bfff-ffffffffffff",
        "01a7ffff-ffff-4fff-bfff-ffffffffffff",
        "00000000-0000-4000-8000-000000000000",
    ];
    for (number, id) in foreign.iter().enumerate() {
        let text = house.alice().canary(&format!("theirs {number}"));
        let theirs = Memory { id: id.parse().unwrap(), hash: hash(&text), memory: text, ..first.clone() };
        let row = ready(NewMemory::text(&theirs.memory)).row;
        assert!(house.alice().write(|writer| writer.import(&model(), &theirs, row)).unwrap());
    }
    let next = house.alice().try_add(vec![NewMemory::text(house.alice().canary("next"))]).unwrap().remove(0).memory;
    assert!(next.id > first.id && next.id < foreign[1].parse().unwrap(), "{}", next.id);
    // One of ours that is ahead of the clock is followed all the same, also when it is gone.
    house.clock.advance_s(-3600);
    house.alice().write(|writer| writer.delete(next.id)).unwrap();
    let last = house.alice().try_add(vec![NewMemory::text(house.alice().canary("last"))]).unwrap().remove(0).memory;
    assert!(last.id > next.id && last.id < foreign[1].parse().unwrap(), "{}", last.id);
}

fn what_is_exported_comes_back_exactly(layout: &Layout) {
    let house = House::new(layout);
    let mut batch: Vec<_> = (0..40).map(|n| NewMemory::text(house.alice().canary(&format!("number {n}")))).collect();
    batch[3].metadata = json!({"z": 1, "a": {"deep": [true, null]}}).as_object().unwrap().clone();
    batch[4].categories = vec!["b".into(), "a".into()];
    batch[5].expiration = Some(Timestamp::from_microsecond(noon().as_microsecond() + 5_000_001).unwrap());
    house.alice().try_add(batch).unwrap();
    house.bob().add("stays as it is");
    let export = |user: User| {
        let mut all = Vec::new();
        user.read(|reader| {
            reader.export(&mut |memory, vector| {
                all.push((memory, vector));
                Ok(())
            })
        })
        .unwrap();
        all
    };
    let exported = export(house.alice());
    assert_eq!(exported.len(), 40);
    let import = |user: User| {
        user.write(|writer| {
            let mut count = 0;
            for (memory, vector) in &exported {
                count += u64::from(writer.import(&model(), memory, locule_store::vector::encode(vector).unwrap())?);
            }
            writer.note_import(count)?;
            Ok(count)
        })
        .unwrap()
    };
    house.clock.advance_s(1);
    assert_eq!((import(house.user("carol")), import(house.user("carol"))), (40, 0));
    assert_eq!(export(house.user("carol")), exported);
    assert_eq!(import(house.alice()), 0);
    assert_eq!(house.bob().all().len(), 1);
    let query = embed("anything");
    let found = |user: User| -> Vec<_> {
        user.search(&query, 10).unwrap().into_iter().map(|hit| (hit.memory.id, hit.score)).collect()
    };
    assert_eq!(found(house.user("carol")), found(house.alice()));
}

fn a_damaged_export_is_refused(layout: &Layout) {
    let house = House::new(layout);
    let memory = house.alice().add("as it was");
    let other = Memory { memory: "changed on the way canary-of-bob".into(), ..memory };
    let row = ready(NewMemory::text(&other.memory)).row;
    assert_eq!(code(house.bob().write(|writer| writer.import(&model(), &other, row))), Some(Code::Invalid));
    assert_eq!(house.bob().all(), []);
}

fn a_quota_holds_to_the_last_memory_and_byte(layout: &Layout) {
    let house =
        House::with(layout, |options| options.quota = Quota { memories_max: 10, bytes_max: 1000, ..Quota::default() });
    let numbers = |user: User, range: std::ops::Range<i32>| -> Vec<NewMemory> {
        range.map(|n| NewMemory::text(user.canary(&format!("{n}")))).collect()
    };
    house.alice().try_add(numbers(house.alice(), 0..9)).unwrap();
    assert_eq!(code(house.alice().try_add(numbers(house.alice(), 9..11))), Some(Code::QuotaExceeded));
    house.alice().try_add(numbers(house.alice(), 9..10)).unwrap();
    assert_eq!(code(house.alice().try_add(numbers(house.alice(), 10..11))), Some(Code::QuotaExceeded));
    // What is there already takes no room; what is deleted gives it back; what is Bob's is Bob's.
    house.alice().try_add(numbers(house.alice(), 0..10)).unwrap();
    house.alice().write(|writer| writer.delete_all(None)).unwrap();
    house.alice().try_add(numbers(house.alice(), 0..10)).unwrap();

    let size = 1000 - 2 * crate::house::DIMENSION;
    let exactly = NewMemory::text(format!("canary-of-bob {}", "x".repeat(size - 14)));
    let one_more = NewMemory::text(format!("{}x", exactly.memory));
    assert_eq!(code(house.bob().try_add(vec![one_more.clone()])), Some(Code::QuotaExceeded));
    let id = house.bob().try_add(vec![exactly]).unwrap()[0].memory.id;
    assert_eq!(house.bob().read(|reader| reader.state()).unwrap().size_bytes, 1000);
    let longer = Change { memory: Some(one_more.memory), ..Change::default() };
    assert_eq!(code(change(house.bob(), id, longer)), Some(Code::QuotaExceeded));
    assert_eq!(house.bob().read(|reader| reader.state()).unwrap().size_bytes, 1000);
}

fn a_quota_holds_however_many_race_for_it(layout: &Layout) {
    let house = House::with(layout, |options| options.quota.memories_max = 40);
    house.bob().add("is not in the race");
    let taken: usize = std::thread::scope(|scope| {
        let house = &*house;
        let racers: Vec<_> = (0..16)
            .map(|racer| {
                scope.spawn(move || {
                    (0..4)
                        .filter(|n| {
                            let text = house.alice().canary(&format!("racer {racer} lap {n}"));
                            match house.alice().try_add(vec![NewMemory::text(text)]) {
                                Ok(_) => true,
                                Err(error) if error.code() == Code::QuotaExceeded => false,
                                Err(error) => panic!("{error:?}"),
                            }
                        })
                        .count()
                })
            })
            .collect();
        racers.into_iter().map(|racer| racer.join().unwrap()).sum()
    });
    assert_eq!((taken, house.alice().all().len(), house.bob().all().len()), (40, 40, 1));
}

fn what_has_expired_does_not_count_against_the_quota(layout: &Layout) {
    let house = House::with(layout, |options| options.quota.memories_max = 250);
    let batch = |from: usize| (from..from + 250).map(|n| brief(house.alice(), &format!("brief {n}"), 10)).collect();
    house.alice().try_add(batch(0)).unwrap();
    house.bob().add("lasting");
    house.clock.advance_s(10);
    let lasting = (0..250).map(|n| NewMemory::text(house.alice().canary(&format!("lasting {n}"))));
    house.alice().try_add(lasting.collect()).unwrap();
    assert_eq!(house.alice().all().len(), 250);
    assert_eq!(house.bob().all().len(), 1);
}

fn ids_rise_though_the_clock_goes_back_and_the_last_is_deleted(layout: &Layout) {
    let mut house = House::new(layout);
    house.bob().add("stands by");
    let mut latest = house.alice().add("first").id;
    for step in 0..30 {
        house.clock.advance_s(if step % 3 == 0 { -3600 } else { 1 });
        match step % 5 {
            1 => house.alice().write(|writer| writer.delete(latest)).unwrap(),
            2 => drop(house.alice().write(|writer| writer.delete_all(None)).unwrap()),
            3 => house.reopen(),
            _ => {}
        }
        let added = house.alice().add(&format!("step {step}"));
        assert!(added.id > latest, "step {step}");
        assert_eq!(added.id.tag(), house.alice().standing().space.unwrap().tag);
        latest = added.id;
    }
    assert_ne!(house.bob().all()[0].id.tag(), latest.tag());
}
