//! Remembering a conversation: word for word, or behind the answer, by a model that finds out what is worth it.

use locule_core::id::{JobId, MemoryId};
use locule_core::job::{Job, JobKind, JobQuery, NewJob};
use locule_core::memory::{Added, ListQuery, Memory};
use locule_core::settings::Settings;
use locule_core::{Code, Error, Read, Result, Scope, Write, limit};
use locule_store::{Reader, Writer};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Engine;
use crate::infer::{self, Conversation, Selection};

/// What has become of a conversation.
#[derive(Debug)]
pub enum Remembered {
    /// There is no model: it is kept word for word.
    Now(Vec<Added>),
    /// A model is asked, and this tells how it goes.
    Later(Job),
}

/// A memory that a job made, or found there already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Which.
    pub id: MemoryId,
    /// What it says, if it is still there.
    pub memory: Option<String>,
    /// Whether it was there before.
    pub existing: bool,
}

/// What tells how something went that was asked for.
#[derive(Debug)]
pub enum Told {
    /// A job, and what came of it.
    Job(Job, Vec<Found>),
    /// A memory that was there when its add was answered.
    Memory(Memory),
}

/// A memory as a job's results name it: without its text, which is the memory's to keep or to lose.
#[derive(Serialize, Deserialize)]
pub(crate) struct Named {
    id: MemoryId,
    existing: bool,
}

/// Where in a job's results the memories stand.
const MEMORIES: &str = "memories";

/// What a job that made memories leaves.
pub(crate) fn results(added: &[Added]) -> Result<locule_core::memory::Metadata> {
    let named: Vec<Named> = added.iter().map(|added| Named { id: added.memory.id, existing: added.existing }).collect();
    let named = serde_json::to_value(named).map_err(Error::internal)?;
    Ok([(MEMORIES.to_owned(), named)].into_iter().collect())
}

impl Engine {
    /// Has a model find out what of a conversation is worth remembering. The conversation is durable when this returns, and the
    /// work is done behind it; without a model it is kept word for word, at once.
    pub fn remember(&self, scope: Scope<Write>, conversation: Conversation) -> Result<Remembered> {
        conversation.check()?;
        if self.chat.is_none() {
            return self.add(scope, conversation.verbatim()).map(Remembered::Now);
        }
        if !self.embedder().embeds() {
            return Err(Error::invalid(
                "What a model finds cannot be given vectors here, since callers bring their own: leave `infer` off and give an \
                 `embedding`.",
            ));
        }
        let payload = infer::written(&conversation)?;
        self.add_job(scope, NewJob::new(JobKind::Extract, payload)).map(Remembered::Later)
    }

    /// Has an export or a summary made of a selection, behind the answer.
    pub fn select(&self, scope: Scope<Write>, kind: JobKind, selection: &Selection) -> Result<Job> {
        self.add_job(scope, NewJob::new(kind, infer::written(selection)?))
    }

    /// A job, with the memories that came of it as they are now.
    pub fn job_with_memories(&self, scope: Scope<Read>, id: JobId) -> Result<(Job, Vec<Found>)> {
        let space = self.store.spaces.open(scope);
        let reader = space.read()?;
        let job = reader.job(id)?;
        let found = found(&reader, &job)?;
        Ok((job, found))
    }

    /// What tells how something went that was asked for: a job of this id, or else a memory.
    pub fn told(&self, scope: Scope<Read>, id: MemoryId) -> Result<Told> {
        let space = self.store.spaces.open(scope);
        let reader = space.read()?;
        match reader.job(JobId::from_bytes(*id.as_bytes())) {
            Ok(job) => {
                let found = found(&reader, &job)?;
                Ok(Told::Job(job, found))
            }
            Err(error) if error.code() == Code::NotFound => reader.memory(id).map(Told::Memory),
            Err(error) => Err(error),
        }
    }

    /// A page of what tells how things went: conversations that a model was asked about, newest first, and after them the
    /// memories. The number says how many there are of both.
    pub fn events(&self, scope: Scope<Read>, limit: usize, offset: usize) -> Result<(Vec<Job>, Vec<Memory>, u64)> {
        let space = self.store.spaces.open(scope);
        let reader = space.read()?;
        let jobs = reader.jobs(&JobQuery { kind: Some(JobKind::Extract), limit, offset, ..JobQuery::default() })?;
        let (rest, skipped) = (limit - jobs.jobs.len(), offset.saturating_sub(jobs.total as usize));
        let memories = reader.list(&ListQuery { filter: None, limit: rest.max(1), before: None, offset: skipped })?;
        let listed = memories.memories.into_iter().take(rest).collect();
        Ok((jobs.jobs, listed, jobs.total + memories.total))
    }

    /// The settings that count in a space: its user's own, and where they say nothing, its project's.
    pub(crate) fn settings_in_force(&self, scope: Scope<Read>) -> Result<Settings> {
        let project = match scope.origin().owner() {
            Some(owner) => self.application(&owner.issuer)?.project.settings.clone(),
            None => Settings::default(),
        };
        Ok(self.settings(scope)?.over(&project))
    }

    /// The latest job of a kind, if there is one.
    pub fn latest_job(&self, scope: Scope<Read>, kind: JobKind) -> Result<Option<Job>> {
        let space = self.store.spaces.open(scope);
        let page = space.read()?.jobs(&JobQuery { kind: Some(kind), limit: 1, ..JobQuery::default() })?;
        Ok(page.jobs.into_iter().next())
    }
}

/// Removes the jobs that have, or would have, anything to do with what memories say. What tells of their deletion stays.
pub(crate) fn forget(writer: &mut Writer) -> Result<()> {
    for kind in [JobKind::Extract, JobKind::Export, JobKind::Summarize] {
        let query = JobQuery { kind: Some(kind), limit: limit::PAGE.max, ..JobQuery::default() };
        loop {
            let jobs = writer.jobs(&query)?.jobs;
            if jobs.is_empty() {
                break;
            }
            jobs.iter().try_for_each(|job| writer.delete_job(job.id))?;
        }
    }
    Ok(())
}

/// The memories that came of a job.
fn found(reader: &Reader, job: &Job) -> Result<Vec<Found>> {
    let named = job.results.as_ref().and_then(|results| results.get(MEMORIES)).cloned().unwrap_or(Value::Null);
    // An export has memories too, whole ones.
    let Ok(named) = serde_json::from_value::<Vec<Named>>(named) else { return Ok(Vec::new()) };
    let look = |Named { id, existing }| match reader.memory(id) {
        Ok(memory) => Ok(Found { id, memory: Some(memory.memory), existing }),
        Err(error) if error.code() == Code::NotFound => Ok(Found { id, memory: None, existing }),
        Err(error) => Err(error),
    };
    named.into_iter().map(look).collect()
}
