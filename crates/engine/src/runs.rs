//! Runs: memories that belong to one conversation or task, and may go with it.

use locule_core::filter::{Field, Filter, Scalar, Test};
use locule_core::id::MemoryId;
use locule_core::memory::{self, Change, Memory, RunPage, RunQuery};
use locule_core::{Read, Result, Scope, Write};

use crate::Engine;

impl Engine {
    /// A page of the runs that have memories, those that were added to last first.
    pub fn runs(&self, scope: Scope<Read>, query: &RunQuery) -> Result<RunPage> {
        self.store.spaces.open(scope).read()?.runs(query)
    }

    /// Deletes all memories of a run, in one transaction; says how many, none where there is no such run.
    pub fn end_run(&self, scope: Scope<Write>, run_id: &str) -> Result<u64> {
        memory::check_label(run_id)?;
        let listeners = self.listeners(&scope)?;
        let space = self.store.spaces.open(scope);
        let mut writer = space.write()?;
        let of_it = Filter::Field(Field::RunId, Test::In(vec![Scalar::Text(run_id.to_owned())]));
        let doomed = listeners.doomed(&writer, Some(&of_it))?;
        let count = writer.end_run(run_id)?;
        listeners.deleted(&mut writer, doomed.into_iter())?;
        writer.commit()?;
        Ok(count)
    }

    /// Keeps a memory for good: it is of no run any more, and does not expire. If its text is kept already without a run,
    /// with the same agent and application, that is a conflict, and both stay as they are.
    pub fn promote(&self, scope: Scope<Write>, id: MemoryId) -> Result<Memory> {
        let listeners = self.listeners(&scope)?;
        let space = self.store.spaces.open(scope);
        let mut writer = space.write()?;
        let memory = writer.promote(id)?;
        listeners.changed(&mut writer, std::iter::once((id, &Change::default())))?;
        writer.commit()?;
        Ok(memory)
    }

    /// Removes all that has expired, which nobody sees any more and the next writes would remove bit by bit; says how many
    /// memories. Nobody waits long for it: other writers have their turn in between.
    pub fn clean_up(&self, scope: Scope<Write>) -> Result<u64> {
        let space = self.store.spaces.open(scope);
        let mut count = 0;
        loop {
            let mut writer = space.write()?;
            let swept = writer.sweep()?;
            if swept == 0 {
                return Ok(count);
            }
            writer.commit()?;
            count += swept;
        }
    }
}
