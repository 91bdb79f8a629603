//! An installation in a temporary directory, with people who use it and a clock that stands still.

use std::sync::Arc;

use locule::clock::{ManualClock, Sources};
use locule::memory::Metadata;
use locule::{
    Act, Config, Embedding, Engine, Job, JobId, JobKind, NewJob, Operator, Read, Request, Scope, Target, Write,
};
use tempfile::TempDir;

pub struct House {
    pub engine: Arc<Engine>,
    pub clock: ManualClock,
    root: TempDir,
}

pub const DIMENSION: usize = 4;

impl House {
    pub fn new() -> House {
        let root = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let clock = ManualClock::at("2026-11-24T12:00:00Z".parse().unwrap());
        let engine = open(&root, &clock);
        House { engine, clock, root }
    }

    /// Another program on the same data.
    pub fn neighbour(&self) -> Arc<Engine> {
        open(&self.root, &self.clock)
    }

    pub fn operator(&self) -> Operator {
        self.engine.trusted_operator("the tests look after the house", &Request::default()).unwrap()
    }

    pub fn reading(&self, name: &str) -> Scope<Read> {
        let principal = self.engine.trusted_user(name, "the tests vouch").unwrap();
        self.engine.gate().read(&principal, Target::Own, Act::ReadMemories, &Request::default()).unwrap()
    }

    pub fn writing(&self, name: &str) -> Scope<Write> {
        let principal = self.engine.trusted_user(name, "the tests vouch").unwrap();
        self.engine.gate().write(&principal, Target::Own, Act::WriteMemories, &Request::default()).unwrap()
    }

    pub fn ask(&self, name: &str, what: &str) -> JobId {
        let mut payload = Metadata::new();
        payload.insert("what".to_owned(), what.into());
        self.engine.add_job(self.writing(name), NewJob::new(JobKind::Extract, payload)).unwrap().id
    }

    pub fn job(&self, name: &str, id: JobId) -> Job {
        self.engine.job(self.reading(name), id).unwrap()
    }
}

fn open(root: &TempDir, clock: &ManualClock) -> Arc<Engine> {
    let mut config = Config::at(root.path().join("data"));
    config.embedding = Embedding::Supplied { dimension: DIMENSION };
    let sources = Sources { clock: Arc::new(clock.clone()), ..Sources::system() };
    Arc::new(Engine::open_with(config, sources).unwrap())
}
