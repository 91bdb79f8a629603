//! Memories: what one does with them.

use locule_core::filter::Filter;
use locule_core::id::MemoryId;
use locule_core::memory::{Added, Change, Entity, Event, ListQuery, Memory, NewMemory, Page, Statistics};
use locule_core::{Code, Error, Read, Result, Scope, Write, limit};
use locule_store::vector::{self, NotAVector};
use locule_store::{Reader, Ready};

use crate::model::Purpose;
use crate::{Engine, remember};

impl Engine {
    /// Adds memories, all or none; they are durable when this returns. A text that is there already, with the same agent,
    /// run and app, is returned as it is and not added again.
    pub fn add(&self, scope: Scope<Write>, memories: Vec<NewMemory>) -> Result<Vec<Added>> {
        if memories.is_empty() {
            return Err(Error::invalid("There is nothing to add: give at least one memory."));
        }
        limit::BATCH.check(memories.len())?;
        memories.iter().try_for_each(NewMemory::check)?;
        // Embedding takes milliseconds: nobody's space is held meanwhile.
        let ready = self.ready(memories)?;
        let listeners = self.listeners(&scope)?;
        let space = self.store.spaces.open(scope);
        let mut writer = space.write()?;
        let added = writer.add(self.embedder().model(), ready)?;
        listeners.added(&mut writer, &added)?;
        writer.commit()?;
        Ok(added)
    }

    /// One memory.
    pub fn get(&self, scope: Scope<Read>, id: MemoryId) -> Result<Memory> {
        self.store.spaces.open(scope).read()?.memory(id)
    }

    /// A page of memories, newest first.
    pub fn list(&self, scope: Scope<Read>, query: &ListQuery) -> Result<Page> {
        self.store.spaces.open(scope).read()?.list(query)
    }

    /// What happened to a memory, oldest first.
    pub fn history(&self, scope: Scope<Read>, id: MemoryId) -> Result<Vec<Event>> {
        self.store.spaces.open(scope).read()?.history(id)
    }

    /// Figures over a space.
    pub fn statistics(&self, scope: Scope<Read>) -> Result<Statistics> {
        self.store.spaces.open(scope).read()?.statistics()
    }

    /// Changes a memory; a new text gets a new vector.
    pub fn update(&self, scope: Scope<Write>, id: MemoryId, change: &Change) -> Result<Memory> {
        change.check()?;
        let row = self.row_of(change)?;
        let listeners = self.listeners(&scope)?;
        let space = self.store.spaces.open(scope);
        let mut writer = space.write()?;
        let memory = writer.update(self.embedder().model(), id, change, row)?;
        listeners.changed(&mut writer, std::iter::once((id, change)))?;
        writer.commit()?;
        Ok(memory)
    }

    /// Deletes a memory, and its texts from its history.
    pub fn delete(&self, scope: Scope<Write>, id: MemoryId) -> Result<()> {
        let listeners = self.listeners(&scope)?;
        let space = self.store.spaces.open(scope);
        let mut writer = space.write()?;
        writer.delete(id)?;
        listeners.deleted(&mut writer, std::iter::once(id))?;
        writer.commit()
    }

    /// Deletes all memories that match, all of them without a filter, in one transaction; says how many. With all of them goes
    /// what was to become memories or was made of them: conversations that wait for a model, or were kept when it failed, exports
    /// and summaries.
    pub fn delete_all(&self, scope: Scope<Write>, filter: Option<&Filter>) -> Result<u64> {
        let listeners = self.listeners(&scope)?;
        let space = self.store.spaces.open(scope);
        let mut writer = space.write()?;
        let doomed = listeners.doomed(&writer, filter)?;
        let count = writer.delete_all(filter)?;
        if filter.is_none() {
            remember::forget(&mut writer)?;
        }
        listeners.deleted(&mut writer, doomed.into_iter())?;
        writer.commit()?;
        Ok(count)
    }

    /// Changes memories, all or none; each as it is after.
    pub fn update_many(&self, scope: Scope<Write>, changes: Vec<(MemoryId, Change)>) -> Result<Vec<Memory>> {
        limit::BATCH.check(changes.len())?;
        changes.iter().try_for_each(|(_, change)| change.check())?;
        let rows = changes.iter().map(|(_, change)| self.row_of(change)).collect::<Result<Vec<_>>>()?;
        let listeners = self.listeners(&scope)?;
        let space = self.store.spaces.open(scope);
        let mut writer = space.write()?;
        check_all_here(&writer, changes.iter().map(|(id, _)| *id))?;
        let mut changed = Vec::with_capacity(changes.len());
        for ((id, change), row) in changes.iter().zip(rows) {
            changed.push(writer.update(self.embedder().model(), *id, change, row)?);
        }
        listeners.changed(&mut writer, changes.iter().map(|(id, change)| (*id, change)))?;
        writer.commit()?;
        Ok(changed)
    }

    /// Deletes memories, all or none.
    pub fn delete_many(&self, scope: Scope<Write>, ids: &[MemoryId]) -> Result<()> {
        limit::BATCH.check(ids.len())?;
        let mut ids = ids.to_vec();
        let listeners = self.listeners(&scope)?;
        let space = self.store.spaces.open(scope);
        let mut writer = space.write()?;
        check_all_here(&writer, ids.iter().copied())?;
        // One that is named twice is deleted once.
        ids.sort_unstable();
        ids.dedup();
        ids.iter().try_for_each(|id| writer.delete(*id))?;
        listeners.deleted(&mut writer, ids.into_iter())?;
        writer.commit()
    }

    /// Every agent, application and run that has memories.
    pub fn entities(&self, scope: Scope<Read>) -> Result<Vec<Entity>> {
        self.store.spaces.open(scope).read()?.entities()
    }

    /// Figures over a space, and every agent, application and run that has memories, both of one moment.
    pub fn census(&self, scope: Scope<Read>) -> Result<(Statistics, Vec<Entity>)> {
        let space = self.store.spaces.open(scope);
        let reader = space.read()?;
        Ok((reader.statistics()?, reader.entities()?))
    }

    /// The vector of what a change makes of a memory, if it changes that.
    fn row_of(&self, change: &Change) -> Result<Option<Vec<u8>>> {
        match (&change.embedding, &change.memory) {
            (Some(embedding), _) => self.encode(embedding).map(Some),
            (None, Some(text)) => self.encode(&self.embed_one(text, Purpose::Document)?).map(Some),
            (None, None) => Ok(None),
        }
    }

    /// Every memory with its vector as it is stored: the caller's, or made now for all that have none.
    pub(crate) fn ready(&self, mut memories: Vec<NewMemory>) -> Result<Vec<Ready>> {
        let bare: Vec<usize> = (0..memories.len()).filter(|&index| memories[index].embedding.is_none()).collect();
        if !bare.is_empty() {
            let texts: Vec<&str> = bare.iter().map(|&index| &*memories[index].memory).collect();
            let embeddings = self.embedder().embed(&texts, Purpose::Document)?;
            for (index, embedding) in bare.into_iter().zip(embeddings) {
                memories[index].embedding = Some(embedding);
            }
        }
        memories
            .into_iter()
            .map(|mut memory| {
                let embedding = memory.embedding.take().unwrap_or_default();
                Ok(Ready { row: self.encode(&embedding)?, memory })
            })
            .collect()
    }

    pub(crate) fn embed_one(&self, text: &str, purpose: Purpose) -> Result<Vec<f32>> {
        let mut embeddings = self.embedder().embed(&[text], purpose)?;
        embeddings.pop().ok_or_else(|| Error::internal("a text without a vector"))
    }

    /// A vector as it is stored, or what is wrong with it.
    pub(crate) fn encode(&self, embedding: &[f32]) -> Result<Vec<u8>> {
        self.check_dimension(embedding)?;
        vector::encode(embedding).map_err(|error: NotAVector| Error::invalid(format!("`embedding`: {error}.")))
    }

    pub(crate) fn check_dimension(&self, embedding: &[f32]) -> Result<()> {
        let dimension = self.embedder().model().dimension;
        if embedding.len() == dimension {
            return Ok(());
        }
        Err(Error::invalid(format!("`embedding` has {} numbers, and vectors here have {dimension}.", embedding.len())))
    }
}

/// Passes if this space has all of these; says at which places it has not. Foreign and unknown read alike.
fn check_all_here(reader: &Reader, ids: impl Iterator<Item = MemoryId>) -> Result<()> {
    let mut missing = Vec::new();
    for (place, id) in ids.enumerate() {
        match reader.memory(id) {
            Ok(_) => {}
            Err(error) if error.code() == Code::NotFound => missing.push(place.to_string()),
            Err(error) => return Err(error),
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let places = missing.join(", ");
    Err(Error::new(Code::NotFound, format!("Nothing with these ids is here, at places {places}. Nothing was changed.")))
}
