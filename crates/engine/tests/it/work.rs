//! Doing jobs: fairly, once, again after a failure, and in as many programs as there are.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::time::{Duration, Instant};

use locule::memory::Metadata;
use locule::work::{Crew, Done, Failure, Runner, Work};
use locule::{JobKind, JobStatus, Writer};

use crate::house::House;

type Way = dyn Fn(&Work) -> Result<Done, Failure> + Send + Sync;

/// Does what a test says.
struct Doing(Box<Way>);

impl Runner for Doing {
    fn kind(&self) -> JobKind {
        JobKind::Extract
    }

    fn run(&self, work: &Work) -> Result<Done, Failure> {
        (self.0)(work)
    }

    fn attempts_max(&self) -> u32 {
        3
    }
}

fn doing(way: impl Fn(&Work) -> Result<Done, Failure> + Send + Sync + 'static) -> Vec<Box<dyn Runner>> {
    vec![Box::new(Doing(Box::new(way)))]
}

/// Ends the job, and changes a setting in the same transaction, so that what was done can be seen.
fn note(work: &Work) -> Result<Done, Failure> {
    let what = work.job().payload["what"].clone();
    work.complete(|writer: &mut Writer| {
        let mut change = Metadata::new();
        change.insert("custom_instructions".to_owned(), what.clone());
        writer.change_settings(&change)?;
        Ok(Some(change))
    })
}

#[test]
fn nobodys_backlog_holds_up_the_others() {
    let house = House::new();
    for number in 0..200 {
        house.ask("alice", &number.to_string());
    }
    let his = house.ask("bob", "bob's");
    let seen = Arc::new(Mutex::new(Vec::new()));
    let crew = {
        let seen = seen.clone();
        Crew::new(
            house.engine.clone(),
            doing(move |work| {
                seen.lock().unwrap().push(work.job().id);
                note(work)
            }),
        )
    };
    assert_eq!(crew.pass().unwrap(), 2, "one of each");
    assert_eq!(house.job("bob", his).status, JobStatus::Succeeded);
    assert!(seen.lock().unwrap().contains(&his));
    let mut passes = 1;
    while crew.pass().unwrap() > 0 {
        passes += 1;
    }
    assert_eq!((passes, seen.lock().unwrap().len()), (200, 201));
    let hers: Vec<_> = seen.lock().unwrap().iter().copied().filter(|id| *id != his).collect();
    assert!(hers.is_sorted(), "in the order of asking");
}

#[test]
fn what_a_job_does_and_that_it_is_done_are_one() {
    let house = House::new();
    let first = house.ask("alice", "one");
    let crew = Crew::new(house.engine.clone(), doing(note));
    assert_eq!((crew.pass().unwrap(), crew.pass().unwrap()), (1, 0));
    let job = house.job("alice", first);
    assert_eq!((job.status, job.payload.len()), (JobStatus::Succeeded, 0));
    assert_eq!(job.results.unwrap()["custom_instructions"], "one");
    let settings = || house.engine.settings(house.reading("alice")).unwrap().custom_instructions;
    assert_eq!(settings().as_deref(), Some("one"));

    // What fails while it is written leaves neither.
    let second = house.ask("alice", "two");
    let crew = Crew::new(
        house.engine.clone(),
        doing(|work| {
            work.complete(|writer| {
                let mut change = Metadata::new();
                change.insert("custom_instructions".to_owned(), "half".into());
                writer.change_settings(&change)?;
                Err(locule::Error::invalid("It cannot be written."))
            })
        }),
    );
    assert_eq!(crew.pass().unwrap(), 1);
    let job = house.job("alice", second);
    assert_eq!((job.status, job.error.as_deref()), (JobStatus::Failed, Some("It cannot be written.")));
    assert_eq!(job.payload["what"], "two");
    assert_eq!(settings().as_deref(), Some("one"));
}

#[test]
fn what_fails_is_tried_again_later_and_later_and_then_given_up() {
    let house = House::new();
    let id = house.ask("alice", "hard");
    let attempts = Arc::new(AtomicUsize::new(0));
    let crew = {
        let attempts = attempts.clone();
        Crew::new(
            house.engine.clone(),
            doing(move |_| {
                attempts.fetch_add(1, Ordering::SeqCst);
                Err(Failure::Again { reason: "not now".to_owned(), after: Some(Duration::from_secs(120)) })
            }),
        )
    };
    for attempt in 1..=3 {
        assert_eq!(crew.pass().unwrap(), 1);
        assert_eq!((crew.pass().unwrap(), attempts.load(Ordering::SeqCst)), (0, attempt), "it waits");
        // Whoever asked us to wait is heard.
        house.clock.advance_s(119);
        assert_eq!(crew.pass().unwrap(), 0);
        house.clock.advance_s(1);
    }
    let job = house.job("alice", id);
    assert_eq!((job.status, job.attempts, job.error.as_deref()), (JobStatus::Failed, 3, Some("not now")));
    assert_eq!(job.payload["what"], "hard");
    assert_eq!(crew.pass().unwrap(), 0);
    house.engine.replay_job(house.writing("alice"), id).unwrap();
    let better = Crew::new(house.engine.clone(), doing(note));
    assert_eq!(better.pass().unwrap(), 1);
    assert_eq!(house.job("alice", id).status, JobStatus::Succeeded);
}

#[test]
fn a_panic_is_an_attempt_in_vain_and_takes_nobody_along() {
    let house = House::new();
    let bad = house.ask("alice", "bad");
    let good = house.ask("bob", "good");
    let crew = Crew::new(
        house.engine.clone(),
        doing(|work| {
            if work.job().payload["what"] == "bad" {
                std::panic::resume_unwind(Box::new("a fault"));
            }
            note(work)
        }),
    );
    assert_eq!(crew.pass().unwrap(), 2);
    assert_eq!(house.job("bob", good).status, JobStatus::Succeeded);
    assert_eq!((house.job("alice", bad).status, house.job("alice", bad).attempts), (JobStatus::Pending, 1));
}

#[test]
fn what_is_deleted_or_lapses_while_it_is_done_leaves_nothing() {
    let house = Arc::new(House::new());
    let id = house.ask("alice", "deleted");
    let lost = Arc::new(AtomicUsize::new(0));
    let crew = {
        let (own, lost) = (house.clone(), lost.clone());
        Crew::new(
            house.engine.clone(),
            doing(move |work| {
                if work.job().payload["what"] == "deleted" {
                    own.engine.delete_job(own.writing("alice"), id).unwrap();
                } else {
                    // The other program takes it over, and is done before us.
                    own.clock.advance_s(301);
                    let other = Crew::new(own.neighbour(), doing(note));
                    assert_eq!(other.pass().unwrap(), 1);
                }
                let ended = work.complete(|writer| {
                    let mut change = Metadata::new();
                    change.insert("custom_instructions".to_owned(), "too late".into());
                    writer.change_settings(&change)?;
                    Ok(None)
                });
                lost.fetch_add(usize::from(matches!(ended, Err(Failure::Lost))), Ordering::SeqCst);
                ended
            }),
        )
    };
    assert_eq!(crew.pass().unwrap(), 1);
    let settings = || house.engine.settings(house.reading("alice")).unwrap().custom_instructions;
    assert_eq!((lost.load(Ordering::SeqCst), settings()), (1, None));
    let second = house.ask("alice", "lapses");
    assert_eq!(crew.pass().unwrap(), 1);
    assert_eq!((lost.load(Ordering::SeqCst), settings().as_deref()), (2, Some("lapses")));
    assert_eq!((house.job("alice", second).status, house.job("alice", second).attempts), (JobStatus::Succeeded, 2));
}

#[test]
fn a_space_that_is_shut_waits_until_it_is_open() {
    let house = House::new();
    let identity = house.engine.identity("alice").unwrap();
    let id = house.ask("alice", "waits");
    house.engine.suspend(&house.operator(), &identity, true).unwrap();
    let crew = Crew::new(house.engine.clone(), doing(note));
    assert_eq!(crew.pass().unwrap(), 0);
    house.engine.suspend(&house.operator(), &identity, false).unwrap();
    house.clock.advance_s(61);
    assert_eq!(crew.pass().unwrap(), 1);
    assert_eq!(house.job("alice", id).status, JobStatus::Succeeded);
}

/// Jobs of kinds that nobody here does wait for who can.
#[test]
fn whoever_can_do_a_job_does_it() {
    let house = House::new();
    let id = house.ask("alice", "one");
    let idle = Crew::new(house.engine.clone(), Vec::new());
    assert_eq!(idle.pass().unwrap(), 0);
    assert_eq!(house.job("alice", id).status, JobStatus::Pending);
    house.clock.advance_s(31);
    let able = Crew::new(house.neighbour(), doing(note));
    assert_eq!(able.pass().unwrap(), 1);
    assert_eq!(house.job("alice", id).status, JobStatus::Succeeded);
}

/// Threads: what is asked for here wakes them, no job is done twice, several spaces are worked on at once, and they stop when
/// told, with the job they are at.
#[test]
fn workers_wake_work_beside_each_other_and_stop() {
    let house = Arc::new(House::new());
    let both = Arc::new(Barrier::new(2));
    let count = Arc::new(AtomicUsize::new(0));
    let met = Arc::new(AtomicBool::new(false));
    let crew = {
        let (both, count, met) = (both.clone(), count.clone(), met.clone());
        Crew::new(
            house.engine.clone(),
            doing(move |work| {
                if !met.load(Ordering::SeqCst) {
                    // Two are at work at one time, or this never ends.
                    both.wait();
                    met.store(true, Ordering::SeqCst);
                }
                count.fetch_add(1, Ordering::SeqCst);
                note(work)
            }),
        )
    };
    let workers = crew.start(2);
    let jobs: Vec<_> = ["alice", "bob"].iter().map(|name| (*name, house.ask(name, "first"))).collect();
    wait_for(|| jobs.iter().all(|(name, id)| house.job(name, *id).status == JobStatus::Succeeded));
    let more: Vec<_> = (0..20).map(|number| house.ask("alice", &number.to_string())).collect();
    wait_for(|| more.iter().all(|id| house.job("alice", *id).status == JobStatus::Succeeded));
    assert_eq!(count.load(Ordering::SeqCst), 22);
    workers.stop();
    let last = house.ask("alice", "nobody is there");
    assert_eq!(house.job("alice", last).status, JobStatus::Pending);
}

fn wait_for(there: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !there() {
        assert!(Instant::now() < end, "it takes too long");
        std::thread::yield_now();
    }
}
