//! Jobs: work that a space asked for and that is done behind the answer. Who does it is in [`work`](crate::work).

use locule_core::id::JobId;
use locule_core::job::{Job, JobPage, JobQuery, NewJob};
use locule_core::{Read, Result, Scope, Write};

use crate::Engine;

impl Engine {
    /// Adds a job. It is durable when this returns, and done when whoever works comes to it.
    pub fn add_job(&self, scope: Scope<Write>, job: NewJob) -> Result<Job> {
        let space = self.store.spaces.open(scope);
        let mut writer = space.write()?;
        let job = writer.add_job(job)?;
        writer.commit()?;
        Ok(job)
    }

    /// One job.
    pub fn job(&self, scope: Scope<Read>, id: JobId) -> Result<Job> {
        self.store.spaces.open(scope).read()?.job(id)
    }

    /// A page of jobs, newest first.
    pub fn jobs(&self, scope: Scope<Read>, query: &JobQuery) -> Result<JobPage> {
        self.store.spaces.open(scope).read()?.jobs(query)
    }

    /// Has a job that failed be tried again, from the beginning.
    pub fn replay_job(&self, scope: Scope<Write>, id: JobId) -> Result<Job> {
        let space = self.store.spaces.open(scope);
        let mut writer = space.write()?;
        let job = writer.replay_job(id)?;
        writer.commit()?;
        Ok(job)
    }

    /// Removes a job, whatever has become of it. If somebody is at it, nothing comes of that.
    pub fn delete_job(&self, scope: Scope<Write>, id: JobId) -> Result<()> {
        let space = self.store.spaces.open(scope);
        let mut writer = space.write()?;
        writer.delete_job(id)?;
        writer.commit()
    }
}
