//! Those who work: a fixed number of threads, and one that looks for what there is to do.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use locule_core::id::SpaceId;
use locule_core::job::Job;
use locule_core::{Code, Error, Result, Scope, Write, deadline};
use locule_store::{Claimed, Terms, Writer};

use super::turns::Turns;
use super::{Failure, Runner, Work};
use crate::Engine;

/// How long it may take to claim a job or to end one.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// How often the directory is looked at for what other processes have asked for.
const LOOK: Duration = Duration::from_secs(5);

/// How many spaces one look takes in.
const SPACES: usize = 1_000;

/// How soon a space is looked at again that cannot be worked on just now: suspended, on its way, out of reach.
const CLOSED: SignedDuration = SignedDuration::from_secs(60);

/// The wait before the second attempt; it doubles with each, up to the second of these.
const FIRST_WAIT_MS: u64 = 10_000;
const LONGEST_WAIT_MS: u64 = 60 * 60 * 1000;

/// How long somebody else may have us wait.
const LONGEST_ASKED: Duration = Duration::from_secs(24 * 60 * 60);

/// What does the jobs of an installation. Several, in as many processes, do them beside each other.
pub struct Crew {
    engine: Arc<Engine>,
    runners: Vec<Box<dyn Runner>>,
    turns: Mutex<Turns>,
    /// Spaces whose work waits for room.
    waiting_for_room: Mutex<HashSet<SpaceId>>,
    something: Condvar,
    stopped: AtomicBool,
}

/// What a turn has come to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// An attempt at a job was made, and there may be more.
    Worked,
    /// There was nothing to do.
    Idle,
}

impl Crew {
    /// Those who can do what these runners do. Jobs of other kinds wait for who can.
    pub fn new(engine: Arc<Engine>, runners: Vec<Box<dyn Runner>>) -> Arc<Self> {
        Arc::new(Crew {
            engine,
            runners,
            turns: Mutex::default(),
            waiting_for_room: Mutex::default(),
            something: Condvar::new(),
            stopped: AtomicBool::new(false),
        })
    }

    /// Goes round once on this thread, for a program without workers: one attempt at one job of each space that has some. Says how
    /// many attempts were made; none means that there is nothing to do by now.
    pub fn pass(&self) -> Result<usize> {
        let (rung, _) = self.engine.store.spaces.bell().listen(Duration::ZERO);
        self.take_in(rung);
        self.look()?;
        let mut attempts = 0;
        let spaces = self.lock().waiting();
        for _ in 0..spaces {
            // Given back before the work begins, which takes its own turn with it.
            let next = self.lock().next();
            let Some(space) = next else { break };
            attempts += usize::from(self.take_turn(space) == Turn::Worked);
        }
        Ok(attempts)
    }

    /// Starts so many workers. They end when what this gives is stopped or dropped.
    pub fn start(self: &Arc<Self>, workers: usize) -> Workers {
        let work = |crew: Arc<Self>| std::thread::spawn(move || crew.work());
        let look_out = |crew: Arc<Self>| std::thread::spawn(move || crew.look_out());
        let mut threads: Vec<_> = (0..workers.max(1)).map(|_| work(self.clone())).collect();
        threads.push(look_out(self.clone()));
        Workers { crew: self.clone(), threads }
    }

    /// Takes turns until told to stop.
    fn work(&self) {
        loop {
            let idle = |turns: &mut Turns| turns.waiting() == 0 && !self.stopped.load(Ordering::SeqCst);
            let waited = self.something.wait_while(self.lock(), idle);
            let mut turns = waited.unwrap_or_else(PoisonError::into_inner);
            if self.stopped.load(Ordering::SeqCst) {
                return;
            }
            let space = turns.next();
            drop(turns);
            if let Some(space) = space {
                self.take_turn(space);
            }
        }
    }

    /// Finds what there is to do: what rings here, and what the directory knows of.
    fn look_out(&self) {
        let mut patience = Duration::ZERO;
        let mut looked = Instant::now();
        while !self.stopped.load(Ordering::SeqCst) {
            let (rung, all) = self.engine.store.spaces.bell().listen(patience.saturating_sub(looked.elapsed()));
            self.take_in(rung);
            if !all && looked.elapsed() < patience {
                continue;
            }
            looked = Instant::now();
            patience = match self.look() {
                Ok(Some(next)) => until(self.engine.now(), next).min(LOOK),
                Ok(None) => LOOK,
                Err(error) => {
                    tracing::warn!(?error, "the directory cannot be asked for work just now");
                    LOOK
                }
            };
        }
    }

    /// Asks the directory. Says when there will be more.
    fn look(&self) -> Result<Option<Timestamp>> {
        let (due, next) = deadline::within(Instant::now() + PATIENCE, || {
            self.engine.store.directory.work_due(self.engine.now(), SPACES)
        })?;
        self.take_in(due);
        Ok(next)
    }

    fn take_in(&self, spaces: Vec<SpaceId>) {
        let mut turns = self.lock();
        spaces.into_iter().for_each(|space| turns.add(space));
        drop(turns);
        self.something.notify_all();
    }

    fn take_turn(&self, space: SpaceId) -> Turn {
        let turn = self.visit(space).unwrap_or_else(|error| {
            // Shut, or on its way: that is as it should be, and said where it was done.
            let is_shut =
                matches!(error.code(), Code::SpaceSuspended | Code::SpaceMoving | Code::SpaceMoved | Code::Busy);
            if is_shut {
                tracing::debug!(space = %space.name(), ?error, "the work of a space is put off");
            } else {
                tracing::warn!(space = %space.name(), ?error, "the work of a space is put off");
            }
            self.put_off(space);
            Turn::Idle
        });
        self.lock().back(space, turn == Turn::Worked);
        self.something.notify_one();
        turn
    }

    /// One attempt at one job.
    fn visit(&self, space: SpaceId) -> Result<Turn> {
        let terms = self.terms();
        let Some(claimed) = self.within(space, CLAIMING, |writer| writer.claim_job(&terms), keeps_claim)? else {
            self.put_off(space);
            return Ok(Turn::Idle);
        };
        let job = match claimed {
            Claimed::Job(job) => job,
            Claimed::GivenUp(_) => return Ok(Turn::Worked),
            Claimed::Nothing(_) => {
                if terms.len() < self.runners.len() {
                    self.waiting_for_room().insert(space);
                }
                return Ok(Turn::Idle);
            }
        };
        let Some(runner) = self.runners.iter().find(|runner| runner.kind() == job.kind) else {
            return Err(Error::internal("a job was claimed that nobody does"));
        };
        let work = Work { engine: &self.engine, space, job: &job };
        let attempt = catch_unwind(AssertUnwindSafe(|| runner.run(&work)));
        match attempt.unwrap_or_else(|_| Err(Failure::again("Something went wrong on our side."))) {
            Ok(done) => tracing::debug!(space = %space.name(), kind = done.job.kind.as_str(), "a job is done"),
            Err(Failure::Lost) => {}
            Err(failure) => self.end_in_vain(space, &job, failure, runner.attempts_max())?,
        }
        // There is room again, perhaps for what these have.
        let waiting = std::mem::take(&mut *self.waiting_for_room());
        self.take_in(waiting.into_iter().collect());
        Ok(Turn::Worked)
    }

    /// Puts a job off that could not be done, or gives it up.
    fn end_in_vain(&self, space: SpaceId, job: &Job, failure: Failure, attempts_max: u32) -> Result<()> {
        let (reason, until) = match failure {
            Failure::Again { reason, after } if job.attempts < attempts_max => (
                reason,
                Some(self.engine.now().saturating_add(self.wait(job.attempts, after)).unwrap_or(Timestamp::MAX)),
            ),
            Failure::Again { reason, .. } | Failure::Final { reason } => (reason, None),
            Failure::Lost => return Ok(()),
        };
        let ended = self.within(
            space,
            job.kind.actor(),
            |writer| match until {
                Some(until) => writer.put_off_job(job, &reason, until),
                None => writer.fail_job(job, &reason),
            },
            |_| true,
        );
        match ended {
            // It is somebody else's by now, or nobody's.
            Err(error) if error.code() == Code::Conflict => Ok(()),
            ended => ended.map(drop),
        }
    }

    /// A transaction of the space, committed if `keeps` says so; `None` if there is no such space with work.
    fn within<T>(
        &self,
        space: SpaceId,
        actor: &'static str,
        change: impl FnOnce(&mut Writer) -> Result<T>,
        keeps: impl FnOnce(&T) -> bool,
    ) -> Result<Option<T>> {
        deadline::within(Instant::now() + PATIENCE, || {
            let Some(scope): Option<Scope<Write>> = self.engine.gate().work(space, actor)? else { return Ok(None) };
            let opened = self.engine.store.spaces.open(scope);
            let mut writer = opened.write()?;
            let made = change(&mut writer)?;
            if keeps(&made) {
                writer.commit()?;
            }
            Ok(Some(made))
        })
    }

    /// The wait before the next attempt: longer each time, and not the same for all who failed together.
    fn wait(&self, attempts: u32, after: Option<Duration>) -> SignedDuration {
        let full = FIRST_WAIT_MS.saturating_mul(1 << attempts.saturating_sub(1).min(20)).min(LONGEST_WAIT_MS);
        let random = u64::from_le_bytes(self.engine.sources.bytes());
        let ours = Duration::from_millis(full / 2 + random % (full / 2 + 1));
        let wait = ours.max(after.unwrap_or_default().min(LONGEST_ASKED));
        SignedDuration::try_from(wait).unwrap_or(SignedDuration::MAX)
    }

    fn put_off(&self, space: SpaceId) {
        let until = self.engine.now().saturating_add(CLOSED).unwrap_or(Timestamp::MAX);
        if let Err(error) = self.engine.store.directory.put_work_off(space, until) {
            // The next look finds it again, and tries again.
            tracing::warn!(space = %space.name(), ?error, "the work of a space could not be put off");
        }
    }

    fn terms(&self) -> Vec<Terms> {
        let terms = |runner: &dyn Runner| Terms {
            kind: runner.kind(),
            attempts_max: runner.attempts_max(),
            claim: SignedDuration::try_from(runner.claim()).unwrap_or(SignedDuration::MAX),
        };
        self.runners.iter().filter(|runner| runner.has_room()).map(|runner| terms(&**runner)).collect()
    }

    fn waiting_for_room(&self) -> MutexGuard<'_, HashSet<SpaceId>> {
        self.waiting_for_room.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Turns> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whose the entry in a space's trail is that says that a job was given up before it was begun again.
const CLAIMING: &str = "job: claim";

/// Where there was nothing to claim, nothing has changed.
fn keeps_claim(claimed: &Claimed) -> bool {
    !matches!(claimed, Claimed::Nothing(_))
}

fn until(now: Timestamp, moment: Timestamp) -> Duration {
    Duration::try_from(moment.duration_since(now)).unwrap_or_default()
}

/// Workers under way. Dropped, they are stopped.
pub struct Workers {
    crew: Arc<Crew>,
    threads: Vec<JoinHandle<()>>,
}

impl Workers {
    /// Has everybody finish the job they are at, and nobody begin another.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.crew.stopped.store(true, Ordering::SeqCst);
        // Whoever is about to wait holds this, and sees it before.
        drop(self.crew.lock());
        self.crew.something.notify_all();
        self.crew.engine.store.spaces.bell().wake();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.end();
    }
}
