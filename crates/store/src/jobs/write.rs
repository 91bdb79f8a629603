//! Changing jobs. Everything here is undone unless the writer is committed; only marks in the directory stay, of which one too
//! many does no harm.

use jiff::{SignedDuration, Timestamp};
use locule_core::id::JobId;
use locule_core::job::{Job, JobKind, JobStatus, NewJob, shortened};
use locule_core::memory::Metadata;
use locule_core::{Code, Error, Result, limit};

use super::row::{self, COLUMNS, job};
use crate::space::Writer;
use crate::tick;
use crate::tx::Value;

/// How long a job that is done can still be looked at.
const KEPT: SignedDuration = SignedDuration::from_hours(7 * 24);

/// How many of them go at a time.
const SWEEP: i64 = 100;

/// How jobs of a kind are claimed.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// Of which kind.
    pub kind: JobKind,
    /// How often one is begun before it is given up.
    pub attempts_max: u32,
    /// How long a claim holds: whoever claimed is done with it by then, or is gone.
    pub claim: SignedDuration,
}

/// What there was to claim.
#[derive(Clone, Debug)]
pub enum Claimed {
    /// A job, which is ours now.
    Job(Box<Job>),
    /// One that had been begun too often and is given up.
    GivenUp(JobId),
    /// Nothing by now; from then on there may be.
    Nothing(Option<Timestamp>),
}

impl Writer<'_> {
    /// Adds a job, to be done as soon as may be.
    pub fn add_job(&mut self, new: NewJob) -> Result<Job> {
        new.check()?;
        self.sweep_jobs()?;
        let (waiting, earliest) = self.waiting()?;
        if waiting as usize >= limit::JOBS.max {
            return Err(Error::new(
                Code::RateLimited,
                format!("This space has {waiting} jobs waiting, and no more are taken until some are done."),
            ));
        }
        let now = self.reader.now;
        let job = Job {
            id: JobId::mint(self.job_tick()?, self.chamber.tag, &self.reader.spaces.sources),
            kind: new.kind,
            status: JobStatus::Pending,
            payload: new.payload,
            results: None,
            error: None,
            attempts: 0,
            due_at: Some(now),
            created_at: now,
            updated_at: now,
            started_at: None,
            completed_at: None,
        };
        self.mark_unless(earliest, now)?;
        row::insert(&*self.reader.tx, &job)?;
        self.state.size_bytes += row::size(&job);
        self.check_quota()?;
        self.note("add_job", Some(job.id.to_string()))?;
        self.rings = true;
        Ok(job)
    }

    /// Claims the first job that is due, of the kinds that are named. Of each kind one runs at a time.
    pub fn claim_job(&mut self, terms: &[Terms]) -> Result<Claimed> {
        self.sweep_jobs()?;
        let now = self.reader.now;
        let Some((mut job, terms)) = self.first_due(terms)? else { return self.settle().map(Claimed::Nothing) };
        if job.attempts >= terms.attempts_max {
            // Whoever was at it went away without a word, more than once.
            let reason = format!("The work was begun {} times and cut short each time.", job.attempts);
            self.give_up(&mut job, &reason)?;
            return Ok(Claimed::GivenUp(job.id));
        }
        job.status = JobStatus::Running;
        job.attempts += 1;
        job.due_at = Some(later(now, terms.claim));
        (job.started_at, job.updated_at) = (Some(now), now);
        row::update(&*self.reader.tx, &job)?;
        Ok(Claimed::Job(Box::new(job)))
    }

    /// Ends a job that was claimed, with what came of it: what it was given is scrubbed. If the claim has lapsed and somebody
    /// else has the job, that is a conflict, and whatever was written beside must not be committed.
    pub fn complete_job(&mut self, claim: &Job, results: Option<Metadata>) -> Result<Job> {
        let mut job = self.claimed(claim)?;
        self.change_job(&mut job, |job, now| {
            job.status = JobStatus::Succeeded;
            job.payload = Metadata::new();
            (job.results, job.error, job.due_at, job.completed_at) = (results, None, None, Some(now));
        })?;
        self.note("complete_job", Some(job.id.to_string()))?;
        self.mark_next()?;
        Ok(job)
    }

    /// Puts a job that was claimed off: it is tried again at a moment to come.
    pub fn put_off_job(&mut self, claim: &Job, reason: &str, until: Timestamp) -> Result<Job> {
        let mut job = self.claimed(claim)?;
        self.change_job(&mut job, |job, _| {
            job.status = JobStatus::Pending;
            (job.error, job.due_at) = (Some(shortened(reason)), Some(until));
        })?;
        self.mark_next()?;
        Ok(job)
    }

    /// Gives a job up that was claimed. What it was given stays.
    pub fn fail_job(&mut self, claim: &Job, reason: &str) -> Result<Job> {
        let mut job = self.claimed(claim)?;
        self.give_up(&mut job, reason)?;
        Ok(job)
    }

    /// Has a job that failed be tried again, from the beginning.
    pub fn replay_job(&mut self, id: JobId) -> Result<Job> {
        let mut job = self.job(id)?;
        if job.status != JobStatus::Failed {
            return Err(Error::new(
                Code::Conflict,
                format!("Only a job that failed is replayed, and this one is {}.", job.status.as_str()),
            ));
        }
        let (waiting, earliest) = self.waiting()?;
        if waiting as usize >= limit::JOBS.max {
            return Err(Error::new(Code::RateLimited, "Too many jobs of this space are waiting. Try again later."));
        }
        let now = self.reader.now;
        self.mark_unless(earliest, now)?;
        self.change_job(&mut job, |job, now| {
            job.status = JobStatus::Pending;
            job.attempts = 0;
            (job.error, job.due_at, job.started_at, job.completed_at) = (None, Some(now), None, None);
        })?;
        self.note("replay_job", Some(id.to_string()))?;
        self.rings = true;
        Ok(job)
    }

    /// Removes a job, whatever has become of it. One that somebody is at leaves nothing behind.
    pub fn delete_job(&mut self, id: JobId) -> Result<()> {
        let job = self.job(id)?;
        self.remove_job(&job)?;
        self.note("delete_job", Some(id.to_string()))
    }

    /// The first job that is due, of a kind of which none is running.
    fn first_due<'t>(&self, terms: &'t [Terms]) -> Result<Option<(Job, &'t Terms)>> {
        let now = Value::Moment(self.reader.now);
        let running = self.tx.all(
            "SELECT DISTINCT kind FROM space_jobs WHERE status = 'running' AND due_at > $1",
            &[now],
            |row| row.text(0).map(str::to_owned),
        )?;
        let mut first: Option<(Job, &Terms)> = None;
        for terms in terms.iter().filter(|terms| !running.iter().any(|kind| kind == terms.kind.as_str())) {
            let sql = format!("SELECT {COLUMNS} FROM space_jobs WHERE due_at <= $1 AND kind = $2 ORDER BY id LIMIT 1");
            let found = self.tx.first(&sql, &[now, Value::Text(terms.kind.as_str())], job)?;
            if let Some(found) = found.filter(|found| first.as_ref().is_none_or(|(first, _)| found.id < first.id)) {
                first = Some((found, terms));
            }
        }
        Ok(first)
    }

    /// Has the mark in the directory say when the first job is due. Nobody adds one meanwhile: this is the only writer, and
    /// what it sees is committed.
    fn settle(&mut self) -> Result<Option<Timestamp>> {
        let (_, earliest) = self.waiting()?;
        // What is due and cannot be done here and now may be elsewhere, or later.
        let now = self.reader.now;
        let next = earliest.map(|earliest| if earliest > now { earliest } else { later(now, LOOK_AGAIN) });
        self.reader.spaces.directory.settle_work(self.chamber.id, next)?;
        Ok(next)
    }

    /// Passes if a job is still claimed as `claim` says; a conflict if it is somebody else's by now, or gone.
    pub fn check_claim(&self, claim: &Job) -> Result<()> {
        self.claimed(claim).map(drop)
    }

    /// The job as it is, if it is still claimed as `claim` says.
    fn claimed(&self, claim: &Job) -> Result<Job> {
        let lost = || Error::new(Code::Conflict, "Somebody else has taken this job over, or it was deleted.");
        let job = self.job(claim.id).map_err(|error| if error.code() == Code::NotFound { lost() } else { error })?;
        let is_ours = job.status == JobStatus::Running && job.attempts == claim.attempts;
        if is_ours { Ok(job) } else { Err(lost()) }
    }

    fn give_up(&mut self, job: &mut Job, reason: &str) -> Result<()> {
        self.change_job(job, |job, now| {
            job.status = JobStatus::Failed;
            (job.error, job.due_at, job.completed_at) = (Some(shortened(reason)), None, Some(now));
        })?;
        self.note("fail_job", Some(job.id.to_string()))?;
        self.mark_next()
    }

    fn change_job(&mut self, job: &mut Job, change: impl FnOnce(&mut Job, Timestamp)) -> Result<()> {
        let before = row::size(job);
        change(job, self.reader.now);
        job.updated_at = self.reader.now;
        row::update(&*self.reader.tx, job)?;
        self.state.size_bytes = self.state.size_bytes.saturating_sub(before) + row::size(job);
        Ok(())
    }

    fn remove_job(&mut self, job: &Job) -> Result<()> {
        self.tx.run("DELETE FROM space_jobs WHERE id = $1", &[Value::Id(job.id.as_bytes())])?;
        self.state.size_bytes = self.state.size_bytes.saturating_sub(row::size(job));
        Ok(())
    }

    /// Removes what has been done for long, some at a time.
    fn sweep_jobs(&mut self) -> Result<()> {
        let old = later(self.reader.now, -KEPT);
        let done = self.tx.all(
            &format!("SELECT {COLUMNS} FROM space_jobs WHERE completed_at <= $1 ORDER BY id LIMIT $2"),
            &[Value::Moment(old), Value::Integer(SWEEP)],
            job,
        )?;
        done.iter().try_for_each(|job| self.remove_job(job))
    }

    /// How many jobs are to be done, and when the first of them is.
    fn waiting(&self) -> Result<(u64, Option<Timestamp>)> {
        let sql = "SELECT count(*), min(due_at) FROM space_jobs WHERE due_at IS NOT NULL";
        let waiting = self.tx.first(sql, &[], |row| Ok((row.integer(0)? as u64, row.maybe_moment(1)?)))?;
        Ok(waiting.unwrap_or_default())
    }

    /// Marks the space as one with work at `due`, before that is there to be found. Where something is due as early, the space
    /// is marked already.
    fn mark_unless(&self, earliest: Option<Timestamp>, due: Timestamp) -> Result<()> {
        if earliest.is_some_and(|earliest| earliest <= due) {
            return Ok(());
        }
        self.reader.spaces.directory.mark_work(self.chamber.id, due)
    }

    /// The mark is no later than what is due next, once this is committed.
    fn mark_next(&mut self) -> Result<()> {
        let (_, earliest) = self.waiting()?;
        match earliest {
            Some(earliest) => self.reader.spaces.directory.mark_work(self.chamber.id, earliest),
            None => Ok(()),
        }
    }

    fn job_tick(&self) -> Result<locule_core::id::Tick> {
        tick::next(&*self.tx, self.reader.now, &["SELECT id FROM space_jobs WHERE id < $1 ORDER BY id DESC LIMIT 1"])
    }
}

/// How soon somebody looks again at a space with work that was not to be done here and now.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_secs(30);

fn later(moment: Timestamp, duration: SignedDuration) -> Timestamp {
    moment.saturating_add(duration).unwrap_or(if duration.is_negative() { Timestamp::MIN } else { Timestamp::MAX })
}
