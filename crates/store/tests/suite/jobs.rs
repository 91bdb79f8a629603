//! Jobs: each is done once, whatever ends when; none is forgotten, and none is found by anybody but its space's own.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};

use jiff::SignedDuration;
use locule_core::clock::{Clock, ManualClock};
use locule_core::feedback::{Feedback, Rating};
use locule_core::id::JobId;
use locule_core::job::{Job, JobKind, JobQuery, JobStatus, NewJob};
use locule_core::memory::{ListQuery, Metadata, NewMemory};
use locule_core::{Code, Result, limit};
use locule_store::{Claimed, Terms, Writer};
use serde_json::json;

use crate::house::{
    Dice, House, Layout, PLAIN, Process, RLS, RLS_SEALED, User, child, code, files, model, noon, ready,
};
use crate::moves::{Ground, Where};

for_each_layout! {
    a_job_is_claimed_done_and_scrubbed
    of_each_kind_one_runs_at_a_time_and_the_first_that_is_due_comes_first
    a_claim_that_lapsed_is_somebody_elses_and_only_theirs
    an_attempt_in_vain_leaves_the_job_and_what_it_was_given
    what_is_begun_too_often_is_given_up
    a_mark_is_there_as_long_as_there_is_something_to_do
    a_mark_without_a_job_is_taken_away
    a_job_of_somebody_else_is_not_there
    what_jobs_take_counts_and_is_free_again
    jobs_that_are_done_go_after_a_week
    so_many_jobs_wait_and_no_more
    an_erasure_takes_jobs_and_marks_along
    a_space_that_is_shut_is_not_worked_on
    settings_are_kept_changed_and_taken_away
    feedback_stands_beside_the_memory
    what_is_asked_for_while_marks_are_taken_away_is_found
    two_servers_do_each_job_once
}

/// How jobs are claimed here.
const TERMS: [Terms; 2] = [
    Terms { kind: JobKind::Extract, attempts_max: 3, claim: SignedDuration::from_mins(5) },
    Terms { kind: JobKind::Deliver, attempts_max: 3, claim: SignedDuration::from_mins(5) },
];

pub fn object(json: serde_json::Value) -> Metadata {
    json.as_object().unwrap().clone()
}

/// What a job does: everything about it that a test wants.
impl User<'_> {
    pub fn ask(&self, kind: JobKind, what: &str) -> Job {
        self.try_ask(kind, what).unwrap()
    }

    pub fn try_ask(&self, kind: JobKind, what: &str) -> Result<Job> {
        self.write(|writer| writer.add_job(NewJob::new(kind, object(json!({ "what": what })))))
    }

    /// In a transaction that a job's work has; `None` where there is no such space with work.
    pub fn work<T>(&self, process: &Process, change: impl FnOnce(&mut Writer) -> Result<T>) -> Result<Option<T>> {
        let Some(scope) = process.gate.work(self.space(), "job: test")? else { return Ok(None) };
        let space = process.store.spaces.open(scope);
        let mut writer = space.write()?;
        let made = change(&mut writer)?;
        writer.commit()?;
        Ok(Some(made))
    }

    /// The job that is claimed now, if there is one.
    pub fn claim(&self) -> Option<Job> {
        self.claim_in(self.process)
    }

    pub fn claim_in(&self, process: &Process) -> Option<Job> {
        self.claim_on(&TERMS, process)
    }

    fn claim_on(&self, terms: &[Terms], process: &Process) -> Option<Job> {
        match self.work(process, |writer| writer.claim_job(terms)).unwrap()? {
            Claimed::Job(job) => Some(*job),
            Claimed::GivenUp(_) | Claimed::Nothing(_) => None,
        }
    }

    /// Ends a job with a memory of its own.
    fn complete_in(&self, process: &Process, job: &Job) -> Result<Option<Job>> {
        let text = self.canary(&format!("{} of {}", job.attempts, job.id));
        self.work(process, |writer| {
            writer.add(&model(), vec![ready(NewMemory::text(text))])?;
            writer.complete_job(job, Some(object(json!({ "memories": 1 }))))
        })
    }

    fn complete(&self, job: &Job) -> Job {
        self.complete_in(self.process, job).unwrap().unwrap()
    }

    fn job(&self, id: JobId) -> Job {
        self.read(|reader| reader.job(id)).unwrap()
    }

    fn size_bytes(&self) -> u64 {
        self.read(|reader| reader.state()).unwrap().size_bytes
    }

    fn is_marked(&self) -> bool {
        self.process.store.directory.marked_since(self.space()).is_some()
    }
}

/// What the directory says of marks.
trait Marks {
    fn marked_since(&self, space: locule_core::id::SpaceId) -> Option<locule_core::id::SpaceId>;
}

impl Marks for locule_store::directory::Directory {
    fn marked_since(&self, space: locule_core::id::SpaceId) -> Option<locule_core::id::SpaceId> {
        self.work_due(jiff::Timestamp::MAX, 100).unwrap().0.into_iter().find(|marked| *marked == space)
    }
}

fn a_job_is_claimed_done_and_scrubbed(layout: &Layout) {
    let house = House::quick(layout, |_| {});
    let alice = house.alice();
    let asked = alice.ask(JobKind::Extract, "what was said");
    assert_eq!((asked.status, asked.attempts, asked.due_at), (JobStatus::Pending, 0, Some(noon())));
    assert_eq!(alice.job(asked.id), asked);

    house.clock.advance_s(1);
    let claimed = alice.claim().unwrap();
    assert_eq!((claimed.status, claimed.attempts), (JobStatus::Running, 1));
    assert_eq!(claimed.payload, object(json!({"what": "what was said"})));
    assert_eq!(alice.claim(), None, "it is claimed");

    house.clock.advance_s(1);
    let done = alice.complete(&claimed);
    assert_eq!((done.status, done.due_at), (JobStatus::Succeeded, None));
    assert_eq!(done.payload, Metadata::new());
    assert_eq!(done.results, Some(object(json!({"memories": 1}))));
    assert_eq!(done.completed_at, Some(done.updated_at));
    assert_eq!(alice.job(asked.id), done);
    assert_eq!(alice.texts(), [format!("1 of {} canary-of-alice", asked.id)]);
    // What the trail says, and by whom.
    let mut acts = Vec::new();
    let mut take = |entry: locule_core::audit::Entry| {
        acts.push((entry.actor_kind, entry.actor, entry.act));
        Ok(())
    };
    alice.read(|reader| reader.audit(&mut take)).unwrap();
    let acts: Vec<(&str, &str, &str)> = acts.iter().map(|(kind, actor, act)| (&**kind, &**actor, &**act)).collect();
    let system = "system";
    assert_eq!(acts[1..], [(system, "job: test", "add_memories"), (system, "job: test", "complete_job")], "{acts:?}");
    assert_eq!(acts[0].2, "add_job");
    assert!(alice.read(|reader| reader.verify_audit()).unwrap().is_ok());
}

fn of_each_kind_one_runs_at_a_time_and_the_first_that_is_due_comes_first(layout: &Layout) {
    let house = House::quick(layout, |_| {});
    let alice = house.alice();
    let [first, second, told] =
        [JobKind::Extract, JobKind::Extract, JobKind::Deliver].map(|kind| alice.ask(kind, "one")).map(|job| job.id);
    let one = alice.claim().unwrap();
    assert_eq!(one.id, first);
    let other = alice.claim().unwrap();
    assert_eq!(other.id, told, "the second of a kind waits for the first");
    assert_eq!(alice.claim(), None);
    alice.complete(&other);
    assert_eq!(alice.claim(), None);
    // Put off, the first does not hold up the second.
    let until = noon() + SignedDuration::from_secs(60);
    alice.work(&house, |writer| writer.put_off_job(&one, "not now", until)).unwrap();
    assert_eq!(alice.claim().unwrap().id, second);
    house.clock.advance_s(61);
    assert_eq!(alice.claim(), None);
    alice.complete(&alice.job(second));
    assert_eq!(alice.claim().map(|job| (job.id, job.attempts)), Some((first, 2)));
}

fn a_claim_that_lapsed_is_somebody_elses_and_only_theirs(layout: &Layout) {
    let house = House::quick(layout, |_| {});
    let neighbour = house.neighbour();
    let alice = house.alice();
    alice.ask(JobKind::Extract, "one");
    let ours = alice.claim().unwrap();
    assert_eq!(alice.claim_in(&neighbour), None);
    house.clock.advance_s(5 * 60);
    let theirs = alice.claim_in(&neighbour).unwrap();
    assert_eq!((theirs.id, theirs.attempts), (ours.id, 2));
    // We come back, too late: nothing of what we did is there.
    assert_eq!(code(alice.complete_in(&house, &ours)), Some(Code::Conflict));
    assert_eq!(code(alice.work(&house, |writer| writer.fail_job(&ours, "late"))), Some(Code::Conflict));
    assert_eq!(alice.texts(), Vec::<String>::new());
    alice.complete_in(&neighbour, &theirs).unwrap().unwrap();
    assert_eq!(alice.texts(), [format!("2 of {} canary-of-alice", ours.id)]);
    assert_eq!(code(alice.complete_in(&house, &ours)), Some(Code::Conflict));
    assert_eq!(code(alice.complete_in(&neighbour, &theirs)), Some(Code::Conflict), "once is enough");
    assert_eq!(alice.texts().len(), 1);
}

fn an_attempt_in_vain_leaves_the_job_and_what_it_was_given(layout: &Layout) {
    let house = House::quick(layout, |_| {});
    let alice = house.alice();
    let asked = alice.ask(JobKind::Extract, "kept");
    // Dropped half way, as by a kill: the claim stands, and nothing else.
    let claimed = alice.claim().unwrap();
    let dropped = alice.work(&house, |writer| {
        writer.add(&model(), vec![ready(NewMemory::text(alice.canary("lost")))])?;
        writer.complete_job(&claimed, None)?;
        Err::<(), _>(locule_core::Error::internal("a fault"))
    });
    assert!(dropped.is_err());
    assert_eq!((alice.job(asked.id), alice.texts().len()), (claimed.clone(), 0));

    let reason = format!("\u{7}it did not work: {}", "é".repeat(2000));
    let failed = alice.work(&house, |writer| writer.fail_job(&claimed, &reason)).unwrap().unwrap();
    assert_eq!((failed.status, failed.due_at), (JobStatus::Failed, None));
    assert_eq!(failed.payload, asked.payload);
    let error = failed.error.clone().unwrap();
    assert!(error.starts_with("it did not work: é") && error.len() <= limit::JOB_ERROR_BYTES.max, "{error}");
    assert_eq!(alice.job(asked.id), failed);
    assert_eq!(alice.claim(), None);

    let again = alice.write(|writer| writer.replay_job(asked.id)).unwrap();
    assert_eq!((again.status, again.attempts, again.error), (JobStatus::Pending, 0, None));
    assert_eq!(code(alice.write(|writer| writer.replay_job(asked.id))), Some(Code::Conflict));
    let done = alice.complete(&alice.claim().unwrap());
    assert_eq!(code(alice.write(|writer| writer.replay_job(done.id))), Some(Code::Conflict));
    alice.write(|writer| writer.delete_job(done.id)).unwrap();
    assert_eq!(code(alice.read(|reader| reader.job(done.id))), Some(Code::NotFound));
}

fn what_is_begun_too_often_is_given_up(layout: &Layout) {
    let house = House::quick(layout, |_| {});
    let alice = house.alice();
    let asked = alice.ask(JobKind::Extract, "deadly");
    for attempt in 1..=3 {
        assert_eq!(alice.claim().map(|job| job.attempts), Some(attempt));
        house.clock.advance_s(5 * 60);
    }
    assert_eq!(alice.claim(), None);
    let job = alice.job(asked.id);
    assert_eq!((job.status, job.attempts), (JobStatus::Failed, 3));
    assert_eq!(job.payload, asked.payload);
}

fn a_mark_is_there_as_long_as_there_is_something_to_do(layout: &Layout) {
    let house = House::quick(layout, |_| {});
    let alice = house.alice();
    alice.add("nothing to do");
    let due = || house.store.directory.work_due(house.now(), 10).unwrap();
    assert_eq!(due(), (vec![], None));
    alice.ask(JobKind::Extract, "one");
    alice.ask(JobKind::Extract, "two");
    assert_eq!(due(), (vec![alice.space()], None));
    let one = alice.claim().unwrap();
    // One of two runs, and the other waits for it: there is nothing to do before the first is over, or somebody looks again.
    assert_eq!(alice.claim(), None);
    assert_eq!(due().0, []);
    assert!(due().1.unwrap() > house.now());
    alice.complete(&one);
    assert_eq!(due().0, [alice.space()]);
    let two = alice.claim().unwrap();
    let until = noon() + SignedDuration::from_secs(600);
    alice.work(&house, |writer| writer.put_off_job(&two, "later", until)).unwrap();
    assert_eq!(alice.claim(), None);
    assert_eq!(due(), (vec![], Some(until)));
    house.clock.advance_s(600);
    assert_eq!(due(), (vec![alice.space()], None));
    alice.complete(&alice.claim().unwrap());
    assert_eq!(alice.claim(), None);
    assert_eq!(due(), (vec![], None));
    assert!(!alice.is_marked());
    // What is not marked is not worked on.
    assert!(house.gate.work(alice.space(), "job: test").unwrap().is_none());
}

fn a_mark_without_a_job_is_taken_away(layout: &Layout) {
    let house = House::quick(layout, |_| {});
    let alice = house.alice();
    alice.add("something");
    // The server is killed after the mark, before the job is there.
    let dropped = alice.write(|writer| {
        writer.add_job(NewJob::new(JobKind::Extract, Metadata::new()))?;
        Err::<(), _>(locule_core::Error::internal("killed"))
    });
    assert!(dropped.is_err() && alice.is_marked());
    assert_eq!(alice.read(|reader| reader.jobs(&JobQuery::default())).unwrap().total, 0);
    assert_eq!(alice.claim(), None);
    assert!(!alice.is_marked());
}

fn a_job_of_somebody_else_is_not_there(layout: &Layout) {
    let house = House::quick(layout, |_| {});
    let (alice, bob) = (house.alice(), house.bob());
    let hers = alice.ask(JobKind::Extract, "alice's");
    let his = bob.ask(JobKind::Extract, "bob's");
    for (user, own, other) in [(alice, &hers, &his), (bob, &his, &hers)] {
        let jobs = user.read(|reader| reader.jobs(&JobQuery::default())).unwrap();
        assert_eq!((jobs.jobs.as_slice(), jobs.total), (std::slice::from_ref(own), 1));
        let unknown = "0199b1c2-7f3e-7abc-8def-0123456789ab".parse().unwrap();
        for id in [other.id, unknown] {
            assert_eq!(code(user.read(|reader| reader.job(id))), Some(Code::NotFound));
            assert_eq!(code(user.write(|writer| writer.delete_job(id))), Some(Code::NotFound));
            assert_eq!(code(user.write(|writer| writer.replay_job(id))), Some(Code::NotFound));
        }
    }
    assert_eq!(alice.claim().unwrap().payload, hers.payload);
    assert_eq!(bob.claim().unwrap().payload, his.payload);
}

fn what_jobs_take_counts_and_is_free_again(layout: &Layout) {
    let house = House::quick(layout, |options| options.quota.bytes_max = 10_000);
    let alice = house.alice();
    alice.add("something");
    let before = alice.size_bytes();
    let asked = alice.ask(JobKind::Extract, &"x".repeat(1000));
    assert_eq!(alice.size_bytes(), before + 1011);
    assert_eq!(code(alice.try_ask(JobKind::Extract, &"x".repeat(9_000))), Some(Code::QuotaExceeded));
    assert_eq!(alice.size_bytes(), before + 1011);
    let claimed = alice.claim().unwrap();
    let done = alice.work(&house, |writer| writer.complete_job(&claimed, None)).unwrap().unwrap();
    assert_eq!((done.id, alice.size_bytes()), (asked.id, before));

    alice.ask(JobKind::Extract, &"x".repeat(1000));
    alice.write(|writer| writer.delete_all(None)).unwrap();
    assert_eq!(alice.size_bytes(), 1011, "memories go, and jobs stay");
    let second = alice.read(|reader| reader.jobs(&JobQuery::default())).unwrap().jobs[0].id;
    alice.write(|writer| writer.delete_job(second)).unwrap();
    assert_eq!(alice.size_bytes(), 0);
    let large = NewJob::new(JobKind::Extract, object(json!({"what": "x".repeat(limit::JOB_BYTES.max)})));
    assert_eq!(code(alice.write(|writer| writer.add_job(large))), Some(Code::TooLarge));
}

fn jobs_that_are_done_go_after_a_week(layout: &Layout) {
    let house = House::quick(layout, |_| {});
    let alice = house.alice();
    let done = alice.ask(JobKind::Extract, "done");
    alice.complete(&alice.claim().unwrap());
    let failed = alice.ask(JobKind::Extract, "failed");
    let claimed = alice.claim().unwrap();
    alice.work(&house, |writer| writer.fail_job(&claimed, "no")).unwrap();
    let memories = alice.all();
    house.clock.advance_s(7 * 24 * 60 * 60 - 1);
    let waits = alice.ask(JobKind::Deliver, "waits");
    assert_eq!(alice.job(done.id).status, JobStatus::Succeeded);
    house.clock.advance_s(1);
    alice.ask(JobKind::Deliver, "new");
    for gone in [done.id, failed.id] {
        assert_eq!(code(alice.read(|reader| reader.job(gone))), Some(Code::NotFound));
    }
    assert_eq!(alice.job(waits.id), waits);
    assert_eq!(alice.all(), memories, "what came of them stays");
}

fn so_many_jobs_wait_and_no_more(layout: &Layout) {
    let house = House::quick(layout, |_| {});
    let alice = house.alice();
    let new = || NewJob::new(JobKind::Deliver, Metadata::new());
    alice.write(|writer| (0..limit::JOBS.max).try_for_each(|_| writer.add_job(new()).map(drop))).unwrap();
    assert_eq!(code(alice.write(|writer| writer.add_job(new()))), Some(Code::RateLimited));
    assert_eq!(house.bob().ask(JobKind::Deliver, "bob's").attempts, 0);
    alice.complete(&alice.claim().unwrap());
    alice.write(|writer| writer.add_job(new())).unwrap();

    // Pages of them, newest first, without a gap.
    let mut query = JobQuery { limit: 400, ..JobQuery::default() };
    let mut seen: Vec<JobId> = Vec::new();
    loop {
        let page = alice.read(|reader| reader.jobs(&query)).unwrap();
        assert_eq!(page.total as usize, limit::JOBS.max + 1);
        seen.extend(page.jobs.iter().map(|job| job.id));
        query.before = page.next;
        if page.next.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), limit::JOBS.max + 1);
    assert!(seen.is_sorted_by(|one, other| one > other));
    let done = JobQuery { status: Some(JobStatus::Succeeded), kind: Some(JobKind::Deliver), ..JobQuery::default() };
    assert_eq!(alice.read(|reader| reader.jobs(&done)).unwrap().total, 1);
}

fn an_erasure_takes_jobs_and_marks_along(layout: &Layout) {
    let house = House::quick(layout, |_| {});
    let (alice, bob) = (house.alice(), house.bob());
    alice.ask(JobKind::Extract, "waits");
    let running = alice.claim().unwrap();
    alice.ask(JobKind::Extract, "waits too");
    bob.ask(JobKind::Extract, "bob's");
    let space = alice.space();
    alice.erase().unwrap();
    assert_eq!(house.store.directory.work_due(house.now(), 10).unwrap().0, [bob.space()]);
    // Whoever is at her job finds nobody to do it for.
    assert!(house.gate.work(space, "job: test").unwrap().is_none());
    alice.add("she is back");
    assert_eq!(alice.read(|reader| reader.jobs(&JobQuery::default())).unwrap().total, 0);
    assert_ne!(alice.space(), space);
    assert_eq!(code(alice.read(|reader| reader.job(running.id))), Some(Code::NotFound));
    assert!(bob.claim().is_some());
}

fn a_space_that_is_shut_is_not_worked_on(layout: &Layout) {
    let house = House::quick(layout, |_| {});
    let alice = house.alice();
    alice.ask(JobKind::Extract, "waits");
    let claimed = alice.claim().unwrap();
    alice.suspend(true);
    assert_eq!(code(alice.complete_in(&house, &claimed)), Some(Code::SpaceSuspended));
    assert_eq!(code(house.gate.work(alice.space(), "job: test")), Some(Code::SpaceSuspended));
    let until = house.now() + SignedDuration::from_secs(60);
    house.store.directory.put_work_off(alice.space(), until).unwrap();
    assert_eq!(house.store.directory.work_due(house.now(), 10).unwrap(), (vec![], Some(until)));
    alice.suspend(false);
    house.clock.advance_s(5 * 60);
    assert_eq!(house.store.directory.work_due(house.now(), 10).unwrap().0, [alice.space()]);
    alice.complete(&alice.claim().unwrap());
    assert_eq!(alice.texts().len(), 1);
}

fn settings_are_kept_changed_and_taken_away(layout: &Layout) {
    let house = House::quick(layout, |_| {});
    let (alice, bob) = (house.alice(), house.bob());
    let change = |user: User, json: serde_json::Value| user.write(|writer| writer.change_settings(&object(json)));
    let settings = change(alice, json!({"custom_instructions": "canary", "decay": true})).unwrap();
    assert_eq!(alice.read(|reader| reader.settings()).unwrap(), settings);
    assert_eq!(settings.custom_instructions.as_deref(), Some("canary"));
    assert_eq!(bob.read(|reader| reader.settings()).unwrap(), locule_core::settings::Settings::default());
    let settings = change(alice, json!({"decay": null, "custom_categories": [{"name": "food"}]})).unwrap();
    assert_eq!(alice.read(|reader| reader.settings()).unwrap(), settings);
    assert!(settings.others.is_empty() && settings.custom_instructions.is_some());
    for wrong in [
        json!({"custom_instructions": 7}),
        json!({"custom_categories": [{"name": ""}]}),
        json!({"Not a name": 1}),
        json!({"custom_instructions": "x".repeat(limit::INSTRUCTIONS_BYTES.max + 1)}),
        json!({"usecase_setting": "x".repeat(limit::SETTINGS_BYTES.max)}),
    ] {
        assert!(change(alice, wrong).is_err());
        assert_eq!(alice.read(|reader| reader.settings()).unwrap(), settings);
    }
}

fn feedback_stands_beside_the_memory(layout: &Layout) {
    let house = House::quick(layout, |_| {});
    let (alice, bob) = (house.alice(), house.bob());
    let memory = alice.add("something");
    let feedback = Feedback { feedback: Some(Rating::Negative), feedback_reason: Some("no more".to_owned()) };
    house.clock.advance_s(1);
    alice.write(|writer| writer.give_feedback(memory.id, &feedback)).unwrap();
    assert_eq!(alice.read(|reader| reader.feedback(memory.id)).unwrap(), feedback);
    assert_eq!(alice.get(memory.id).unwrap(), memory, "the memory is as it was");
    assert_eq!(code(bob.write(|writer| writer.give_feedback(memory.id, &feedback))), Some(Code::NotFound));
    assert_eq!(code(bob.read(|reader| reader.feedback(memory.id))), Some(Code::NotFound));
    alice.write(|writer| writer.give_feedback(memory.id, &Feedback::default())).unwrap();
    assert_eq!(alice.read(|reader| reader.feedback(memory.id)).unwrap(), Feedback::default());
    assert_eq!(alice.read(|reader| reader.list(&ListQuery::default())).unwrap().memories, [memory]);
}

/// What was given to a job is in no byte of the data once that has succeeded.
#[test]
fn what_a_job_was_given_is_scrubbed_from_the_file() {
    let mut house = House::quick(&PLAIN, |_| {});
    let words = "the-words-that-go-with-success";
    let holds = |house: &House| {
        files(house.data()).iter().any(|(_, bytes)| bytes.windows(words.len()).any(|some| some == words.as_bytes()))
    };
    // On one page, and on many.
    house.alice().ask(JobKind::Extract, words);
    house.alice().ask(JobKind::Extract, &words.repeat(2000));
    house.reopen();
    assert!(holds(&house));
    for _ in 0..2 {
        let claimed = house.alice().claim().unwrap();
        house.alice().complete(&claimed);
    }
    house.close();
    assert!(!holds(&house));
}

/// A space that an earlier version made gets what it lacks from the migration, and is used as before.
#[test]
fn a_space_of_an_earlier_version_gets_its_tables() {
    for (layout, name) in [(crate::house::SCHEMA, "s"), (crate::house::DATABASE, "d")] {
        let mut house = House::quick(&layout, |_| {});
        let memory = house.alice().add("from before");
        let space = format!("{name}_{}", house.alice().space().name());
        let older = |schema: &str| {
            format!(
                "DROP TABLE {schema}.space_jobs, {schema}.space_settings, {schema}.context_entries, \
                 {schema}.context_agents; \
                 ALTER TABLE {schema}.memories DROP feedback, DROP feedback_reason"
            )
        };
        house.close();
        match name {
            "s" => house.psql(&older(&space)),
            _ => house.psql_in(&space, &older("space")),
        };
        house.migrate();
        house.migrate();
        house.reopen();
        let alice = house.alice();
        assert_eq!(alice.get(memory.id).unwrap(), memory);
        alice.ask(JobKind::Extract, "new");
        alice.complete(&alice.claim().unwrap());
        alice.write(|writer| writer.give_feedback(memory.id, &Feedback::default())).unwrap();
        house.bob().ask(JobKind::Extract, "his");
    }
}

#[test]
fn whoever_runs_the_database_reads_nothing_of_jobs() {
    for (layout, sealed) in [(RLS_SEALED, true), (RLS, false)] {
        let house = House::quick(&layout, |_| {});
        let alice = house.alice();
        alice.ask(JobKind::Extract, "canary in what was given");
        let claimed = alice.claim().unwrap();
        let results = object(json!({"canary": "in what came of it"}));
        alice.work(&house, |writer| writer.complete_job(&claimed, Some(results.clone()))).unwrap();
        alice.ask(JobKind::Extract, "canary in what failed");
        let claimed = alice.claim().unwrap();
        alice.work(&house, |writer| writer.fail_job(&claimed, "canary in the reason")).unwrap();
        let settings = object(json!({"custom_instructions": "canary in the instructions"}));
        alice.write(|writer| writer.change_settings(&settings)).unwrap();
        let memory = alice.add("text").id;
        let said = Feedback { feedback: Some(Rating::VeryNegative), feedback_reason: Some("canary, why".to_owned()) };
        alice.write(|writer| writer.give_feedback(memory, &said)).unwrap();
        let dump = crate::sealed::dump(&house);
        assert!(dump.contains("space_jobs ") && dump.contains("space_settings "), "{dump}");
        for content in ["canary", "VERY_NEGATIVE"] {
            assert_eq!(dump.contains(content), !sealed, "{content}: {dump}");
        }
        assert_eq!(alice.read(|reader| reader.feedback(memory)).unwrap(), said);
        let jobs = alice.read(|reader| reader.jobs(&JobQuery::default())).unwrap().jobs;
        assert_eq!(jobs[0].error.as_deref(), Some("canary in the reason"));
        assert_eq!(jobs[1].results.as_ref(), Some(&results));
    }
}

/// Somebody asks again and again while somebody else, in another server, does the work and takes the mark away as soon as there is
/// none: what was asked for last is marked in the end, or done.
fn what_is_asked_for_while_marks_are_taken_away_is_found(layout: &Layout) {
    let house = House::quick(layout, |_| {});
    let neighbour = house.neighbour();
    let alice = house.alice();
    alice.add("something");
    let asks = 40;
    let ended = std::sync::atomic::AtomicBool::new(false);
    let find = || !house.store.directory.work_due(house.now(), 10).unwrap().0.is_empty();
    let mut done = 0;
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            (0..asks).for_each(|number| drop(alice.ask(JobKind::Extract, &number.to_string())));
            ended.store(true, std::sync::atomic::Ordering::SeqCst);
        });
        while !ended.load(std::sync::atomic::Ordering::SeqCst) && !asking.is_finished() {
            if find() {
                done += usize::from(do_one(alice, &neighbour));
            }
        }
    });
    // From here on nobody asks: whatever is left is found by its mark alone.
    while find() {
        done += usize::from(do_one(alice, &neighbour));
    }
    assert_eq!(done, asks);
    assert!(!alice.is_marked());
}

/// Does a job of somebody in this server, as workers do: only where there is a mark. Says whether there was one.
fn do_one(user: User, process: &Process) -> bool {
    // However often it was begun before.
    let terms = TERMS.map(|terms| Terms { attempts_max: 1_000, ..terms });
    let Some(job) = user.claim_on(&terms, process) else { return false };
    user.complete_in(process, &job).unwrap().unwrap();
    true
}

fn two_servers_do_each_job_once(layout: &Layout) {
    let house = House::quick(layout, |_| {});
    let neighbour = house.neighbour();
    let alice = house.alice();
    let asks = 24;
    (0..asks).for_each(|number| drop(alice.ask(JobKind::Extract, &number.to_string())));
    std::thread::scope(|scope| {
        for process in [&*house, &neighbour] {
            scope.spawn(move || {
                let waiting = || {
                    let query = JobQuery { status: Some(JobStatus::Pending), ..JobQuery::default() };
                    alice.read(|reader| reader.jobs(&query)).unwrap().total
                };
                while waiting() > 0 {
                    do_one(alice, process);
                }
            });
        }
    });
    // Each left one memory, which tells which job's it is.
    let mut texts = alice.texts();
    texts.sort();
    texts.dedup();
    assert_eq!(texts.len(), asks);
    assert!(texts.iter().all(|text| text.starts_with("1 of ")), "{texts:?}");
    assert!(alice.read(|reader| reader.verify_audit()).unwrap().is_ok());
}

/// Killed at any moment, over and over: whatever was asked for is done once in the end, and nothing is done that was not asked for.
fn each_job_is_done_once_whatever_is_killed_when(place: Where, cycles: usize) {
    let ground = Ground::new();
    let seed = u64::from(std::process::id());
    let mut dice = Dice::new(seed);
    let plan = json!({ "url": ground.url(), "place": crate::moves::word(place) });
    std::fs::write(ground.path("plan"), plan.to_string()).unwrap();
    let mut asked = BTreeSet::new();
    for cycle in 0..cycles {
        let mut child = child("jobs::the_one_to_be_killed", &ground.path(""));
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut take = |line: &str| match line.split_once(' ') {
            Some(("asked", id)) if id.len() == 36 => asked.insert(id.to_owned()),
            _ => false,
        };
        let acknowledgements = 1 + dice.below(20);
        let mut seen = 0;
        while seen < acknowledgements {
            let line = lines.next().unwrap_or_else(|| panic!("seed {seed} cycle {cycle}: the child ended by itself"));
            seen += usize::from(take(&line));
        }
        (0..dice.below(3000)).for_each(|_| std::thread::yield_now());
        child.kill().unwrap();
        child.wait().unwrap();
        lines.for_each(|line| {
            take(&line);
        });
    }
    // Whoever comes next finds all of it by the marks alone, claims that the dead have left included.
    let process = ground.open(place);
    let alice = process.alice();
    let now = || Clock::now(&ground.clock);
    for _ in 0..3 {
        ground.clock.advance_s(24 * 60 * 60);
        while !process.store.directory.work_due(now(), 10).unwrap().0.is_empty() {
            do_one(alice, &process);
        }
    }
    assert!(!alice.is_marked(), "seed {seed}");
    let jobs = alice.read(|reader| reader.jobs(&JobQuery { limit: 1000, ..JobQuery::default() })).unwrap().jobs;
    assert!(jobs.iter().all(|job| job.status == JobStatus::Succeeded), "seed {seed}: {jobs:?}");
    let done: BTreeSet<_> = jobs.iter().map(|job| job.id.to_string()).collect();
    assert!(asked.is_subset(&done), "seed {seed}: something that was asked for is gone");
    assert!(done.len() <= asked.len() + cycles, "seed {seed}: at most one was under way at each kill");
    // One memory of each, and none of anything else.
    let mut memories: Vec<_> = alice.texts().iter().map(|text| text.split(' ').nth(2).unwrap().to_owned()).collect();
    memories.sort();
    assert_eq!(memories, done.into_iter().collect::<Vec<_>>(), "seed {seed}");
    assert!(alice.read(|reader| reader.verify_audit()).unwrap().is_ok());
}

#[test]
fn in_files_each_job_is_done_once_whatever_is_killed_when() {
    each_job_is_done_once_whatever_is_killed_when(crate::moves::FILE, 25);
}

#[test]
fn in_rows_each_job_is_done_once_whatever_is_killed_when() {
    each_job_is_done_once_whatever_is_killed_when(crate::moves::RLS, 12);
}

#[test]
#[ignore = "works until it is killed: run by `each_job_is_done_once_whatever_is_killed_when`"]
fn the_one_to_be_killed() {
    let Some(place) = crate::house::given_data() else { return };
    let plan: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(place.join("plan")).unwrap()).unwrap();
    let text = |key: &str| plan[key].as_str().unwrap().to_owned();
    let options = crate::moves::options(&place.join("data"), &text("url"), crate::moves::of_word(&text("place")));
    let clock = ManualClock::at(noon());
    let process = Process::open(&options, &clock).unwrap();
    // The test harness has begun a line.
    println!();
    let alice = process.alice();
    // The claims of those who were killed before have lapsed.
    let running = JobQuery { status: Some(JobStatus::Running), ..JobQuery::default() };
    let claims = alice.read(|reader| reader.jobs(&running)).unwrap().jobs;
    let lapsed = claims.iter().filter_map(|job| job.due_at).max().unwrap_or_else(noon);
    clock.advance_s(lapsed.as_second() - noon().as_second());
    std::thread::scope(|scope| {
        // One asks, another works: the mark is made and taken away all the time.
        scope.spawn(|| {
            for number in 0.. {
                let job = alice.ask(JobKind::Extract, &number.to_string());
                let mut out = std::io::stdout().lock();
                writeln!(out, "asked {}", job.id).unwrap();
                out.flush().unwrap();
            }
        });
        while alice.standing().space.is_none() {
            std::thread::yield_now();
        }
        loop {
            do_one(alice, &process);
        }
    });
}
