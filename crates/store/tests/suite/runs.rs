//! Runs: what belongs to one conversation, for a while or for good.

use jiff::Timestamp;
use locule_core::memory::{NewMemory, Run, RunQuery};
use locule_core::{Code, Result};

use crate::house::{House, Layout, User, code, embed, noon};

for_each_layout! {
    a_memory_of_a_session_is_over_when_its_time_is
    runs_are_listed_with_their_counts_the_latest_first
    a_run_ends_whole_and_alone
    what_is_promoted_stays_when_its_run_is_gone
    what_is_kept_already_is_not_promoted_a_second_time
    a_stranger_promotes_nothing
    what_is_cleaned_up_is_counted
}

fn of_run(user: User, run: &str, text: &str, ttl_s: Option<u32>) -> NewMemory {
    NewMemory { run_id: Some(run.to_owned()), ttl_s, ..NewMemory::text(user.canary(text)) }
}

fn later(seconds: i64) -> Timestamp {
    Timestamp::from_second(noon().as_second() + seconds).unwrap()
}

fn runs(user: User) -> Vec<Run> {
    let query = RunQuery { limit: 1000, after: None };
    let page = user.read(|reader| reader.runs(&query)).unwrap();
    assert_eq!(page.total as usize, page.runs.len());
    page.runs
}

fn names(user: User) -> Vec<(String, u64)> {
    runs(user).into_iter().map(|run| (run.run_id, run.memories)).collect()
}

fn a_memory_of_a_session_is_over_when_its_time_is(layout: &Layout) {
    let house = House::quick(layout, |_| {});
    for user in [house.alice(), house.bob()] {
        user.try_add(vec![of_run(user, "r", "for an hour", Some(3600)), of_run(user, "r", "for good", None)]).unwrap();
    }
    assert_eq!(house.alice().all()[1].expiration, Some(later(3600)));
    house.clock.advance_s(3599);
    assert_eq!(house.alice().all().len(), 2);
    // Said again it is not begun again.
    let again = house.alice().try_add(vec![of_run(house.alice(), "r", "for an hour", Some(3600))]).unwrap();
    assert_eq!((again[0].existing, again[0].memory.expiration), (true, Some(later(3600))));
    house.clock.advance_s(1);
    assert_eq!(house.alice().texts(), ["for good canary-of-alice"]);
    assert_eq!(house.alice().search(&embed("for an hour"), 10).unwrap().len(), 1);
    assert_eq!(names(house.alice()), [("r".to_owned(), 1)]);
    // Its time over, it may begin again.
    let again = house.alice().try_add(vec![of_run(house.alice(), "r", "for an hour", Some(60))]).unwrap();
    assert_eq!((again[0].existing, again[0].memory.expiration), (false, Some(later(3660))));
    assert_eq!(house.bob().all().len(), 1);
}

fn runs_are_listed_with_their_counts_the_latest_first(layout: &Layout) {
    let house = House::quick(layout, |_| {});
    assert_eq!(runs(house.alice()), []);
    let (alice, bob) = (house.alice(), house.bob());
    bob.try_add(vec![of_run(bob, "shared name", "his", None)]).unwrap();
    alice.add("of no run");
    for n in 0..7 {
        house.clock.advance_s(1);
        let (first, second) = (format!("first of {n}"), format!("second of {n}"));
        let run = format!("run {n}");
        alice.try_add(vec![of_run(alice, &run, &first, Some(60)), of_run(alice, &run, &second, Some(61))]).unwrap();
    }
    house.clock.advance_s(1);
    alice.try_add(vec![of_run(alice, "run 3", "third", None), of_run(alice, "shared name", "hers", None)]).unwrap();

    let listed = runs(alice);
    let order: Vec<_> = listed.iter().map(|run| (&*run.run_id, run.memories)).collect();
    let expected = [
        ("shared name", 1),
        ("run 3", 3),
        ("run 6", 2),
        ("run 5", 2),
        ("run 4", 2),
        ("run 2", 2),
        ("run 1", 2),
        ("run 0", 2),
    ];
    assert_eq!(order, expected);
    let run = |run_id: &str, memories, first, latest, expiration: Option<i64>| Run {
        run_id: run_id.to_owned(),
        memories,
        first_memory: later(first),
        latest_memory: later(latest),
        expiration: expiration.map(later),
    };
    assert_eq!(listed[1..3], [run("run 3", 3, 4, 8, None), run("run 6", 2, 7, 7, Some(68))]);
    assert_eq!(runs(bob), [run("shared name", 1, 0, 0, None)]);
    for limit in [1, 3, 8, 1000] {
        let mut query = RunQuery { limit, after: None };
        let mut seen = Vec::new();
        loop {
            let page = alice.read(|reader| reader.runs(&query)).unwrap();
            assert_eq!(page.total, 8);
            assert!(page.runs.len() == limit || page.next.is_none());
            seen.extend(page.runs);
            let Some(next) = page.next else { break };
            query.after = Some(next);
        }
        assert_eq!(seen, listed);
    }
    for limit in [0, 1001] {
        assert!(alice.read(|reader| reader.runs(&RunQuery { limit, after: None })).is_err());
    }
    // At 61 s the first of run 0 is over, and a second later all of it.
    house.clock.advance_s(53);
    assert_eq!(runs(alice).last().unwrap(), &run("run 0", 1, 1, 1, Some(62)));
    house.clock.advance_s(1);
    assert_eq!(runs(alice).last().unwrap(), &run("run 1", 1, 2, 2, Some(63)));
}

fn a_run_ends_whole_and_alone(layout: &Layout) {
    let house = House::quick(layout, |_| {});
    for user in [house.alice(), house.bob()] {
        let mut batch: Vec<_> = (0..5).map(|n| of_run(user, "one", &format!("{n}"), (n < 2).then_some(10))).collect();
        batch.push(of_run(user, "One", "of another", None));
        batch.push(NewMemory::text(user.canary("of none")));
        user.try_add(batch).unwrap();
    }
    house.clock.advance_s(10);
    // Two of the five have expired: nobody saw them, so nobody is told that they were deleted.
    assert_eq!(house.alice().write(|writer| writer.end_run("one")).unwrap(), 3);
    assert_eq!(house.alice().write(|writer| writer.end_run("one")).unwrap(), 0);
    assert_eq!(house.alice().write(|writer| writer.end_run("")).unwrap(), 0);
    assert_eq!(house.alice().texts(), ["of none canary-of-alice", "of another canary-of-alice"]);
    assert_eq!(house.alice().read(|reader| reader.state()).unwrap().memories, 2);
    assert_eq!(house.bob().all().len(), 5);
    let acts = crate::audit::acts(house.alice());
    assert_eq!(acts[1..3], ["3 memories", "0 memories"].map(|count| ("end_run".to_owned(), count.to_owned())));
}

fn what_is_promoted_stays_when_its_run_is_gone(layout: &Layout) {
    let house = House::quick(layout, |_| {});
    let alice = house.alice();
    let hers = alice.try_add(vec![
        NewMemory {
            agent_id: Some("chef".into()),
            app_id: Some("a".into()),
            ..of_run(alice, "r", "is kept", Some(60))
        },
        of_run(alice, "r", "goes", Some(60)),
    ]);
    let old = hers.unwrap().remove(0).memory;
    house.bob().try_add(vec![of_run(house.bob(), "r", "is kept", Some(60))]).unwrap();
    house.clock.advance_s(1);
    let kept = alice.write(|writer| writer.promote(old.id)).unwrap();
    assert_eq!((&kept.run_id, kept.expiration, kept.updated_at), (&None, None, later(1)));
    assert_eq!((kept.id, &kept.agent_id, &kept.app_id), (old.id, &old.agent_id, &old.app_id));
    assert_eq!(alice.get(old.id).unwrap(), kept);
    // Again, it is as it is.
    house.clock.advance_s(1);
    assert_eq!(alice.write(|writer| writer.promote(old.id)).unwrap(), kept);
    assert_eq!(alice.write(|writer| writer.end_run("r")).unwrap(), 1);
    house.clock.advance_s(100);
    assert_eq!(alice.all(), [kept]);
    assert_eq!(house.bob().all(), []);
    let acts = crate::audit::acts(alice);
    assert_eq!(acts[1], ("promote_memory".to_owned(), old.id.to_string()));
    assert_eq!(acts[2], acts[1]);
}

fn what_is_kept_already_is_not_promoted_a_second_time(layout: &Layout) {
    let house = House::quick(layout, |_| {});
    let alice = house.alice();
    let kept = alice.add("likes tea");
    let of_agent = NewMemory { agent_id: Some("chef".into()), ..of_run(alice, "r", "likes tea", Some(60)) };
    let added = alice.try_add(vec![of_run(alice, "r", "likes tea", Some(60)), of_agent]).unwrap();
    house.bob().add("likes tea");
    let refused = alice.write(|writer| writer.promote(added[0].memory.id)).unwrap_err();
    assert_eq!(refused.code(), Code::Conflict);
    assert!(refused.detail().contains(&kept.id.to_string()), "{refused}");
    assert_eq!(alice.get(added[0].memory.id).unwrap(), added[0].memory);
    // Of another agent it is another memory; and what stands in the way and has expired does not.
    alice.write(|writer| writer.promote(added[1].memory.id)).unwrap();
    alice.write(|writer| writer.delete(kept.id)).unwrap();
    let brief = NewMemory { expiration: Some(later(5)), ..NewMemory::text(alice.canary("likes tea")) };
    alice.try_add(vec![brief]).unwrap();
    house.clock.advance_s(5);
    alice.write(|writer| writer.promote(added[0].memory.id)).unwrap();
    assert_eq!(alice.all().len(), 2);
    assert_eq!(house.bob().all().len(), 1);
}

fn a_stranger_promotes_nothing(layout: &Layout) {
    let house = House::quick(layout, |_| {});
    let hers = house.alice().try_add(vec![of_run(house.alice(), "r", "hers", Some(60))]).unwrap().remove(0).memory;
    house.bob().add("his");
    let promote = |id| -> Result<_> { house.bob().write(|writer| writer.promote(id)) };
    let strange = promote(hers.id).unwrap_err();
    let unknown = promote("0195a8e0-0000-7000-8000-000000000000".parse().unwrap()).unwrap_err();
    assert_eq!((strange.code(), strange.detail()), (unknown.code(), unknown.detail()));
    assert_eq!(strange.code(), Code::NotFound);
    assert_eq!(house.bob().write(|writer| writer.end_run("r")).unwrap(), 0);
    assert_eq!(house.alice().all(), std::slice::from_ref(&hers));
    house.clock.advance_s(60);
    assert_eq!(code(house.alice().write(|writer| writer.promote(hers.id))), Some(Code::NotFound));
}

fn what_is_cleaned_up_is_counted(layout: &Layout) {
    let house = House::quick(layout, |_| {});
    for user in [house.alice(), house.bob()] {
        let batch = (0..150).map(|n| of_run(user, "r", &format!("{n}"), Some(10)));
        user.try_add(batch.chain([NewMemory::text(user.canary("lasting"))]).collect()).unwrap();
    }
    house.clock.advance_s(10);
    let swept = || house.alice().write(|writer| writer.sweep()).unwrap();
    // Some at a time, so that nobody waits long.
    assert_eq!([swept(), swept(), swept()], [100, 50, 0]);
    assert_eq!(house.alice().read(|reader| reader.state()).unwrap().memories, 1);
    assert_eq!(house.bob().read(|reader| reader.state()).unwrap().memories, 151);
}
