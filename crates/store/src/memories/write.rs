//! Changing memories. Everything here is undone unless the writer is committed.

use locule_core::filter::Filter;
use locule_core::id::{MemoryId, Tick};
use locule_core::memory::{Added, Change, Memory, NewMemory, hash};
use locule_core::{Code, Error, Result};

use super::form::{self, Form};
use super::{COLUMNS, history, memory, mismatch};
use crate::content::Place;
use crate::filter;
use crate::space::Writer;
use crate::state::Model;
use crate::tick;
use crate::tx::{Sql, Value};

/// How many expired memories a write sweeps away with it.
const SWEEP: i64 = 100;

/// A memory to add with its vector as it is stored.
pub struct Ready {
    /// The memory.
    pub memory: NewMemory,
    /// Its vector, from [`vector::encode`].
    pub row: Vec<u8>,
}

impl Writer<'_> {
    /// Adds memories, all or none. A text that is there already with the same agent, run and app is not added again.
    pub fn add(&mut self, model: &Model, memories: Vec<Ready>) -> Result<Vec<Added>> {
        self.sweep()?;
        self.adopt(model)?;
        let mut tick = self.next_tick()?;
        let mut added = Vec::with_capacity(memories.len());
        let mut fresh = 0;
        let mut single = None;
        for Ready { memory, row } in memories {
            let hash = hash(&memory.memory);
            if let Some(existing) = self.same(&hash, &Labels::of_new(&memory))? {
                added.push(Added { memory: existing, existing: true });
                continue;
            }
            let expiration = memory.expires(self.reader.now);
            let memory = Memory {
                id: MemoryId::mint(tick, self.chamber.tag, &self.reader.spaces.sources),
                memory: memory.memory,
                agent_id: memory.agent_id,
                run_id: memory.run_id,
                app_id: memory.app_id,
                categories: memory.categories,
                metadata: memory.metadata,
                hash,
                expiration,
                created_at: memory.created_at.unwrap_or(self.reader.now),
                updated_at: self.reader.now,
            };
            tick = tick.next();
            self.insert(&memory, row)?;
            fresh += 1;
            single = Some(memory.id);
            added.push(Added { memory, existing: false });
        }
        self.check_quota()?;
        let object = match (fresh, single) {
            (1, Some(id)) => id.to_string(),
            _ => format!("{fresh} memories"),
        };
        self.note("add_memories", Some(object))?;
        Ok(added)
    }

    /// Puts an exported memory back as it was, id and times included. Says whether it was new.
    pub fn import(&mut self, model: &Model, memory: &Memory, row: Vec<u8>) -> Result<bool> {
        self.adopt(model)?;
        if memory.hash != hash(&memory.memory) {
            return Err(Error::invalid("The hash of this memory is not that of its text: the export is damaged."));
        }
        if self.known(memory.id)? || self.same(&memory.hash, &Labels::of(memory))?.is_some() {
            return Ok(false);
        }
        self.insert(memory, row)?;
        self.check_quota()?;
        Ok(true)
    }

    /// Puts an import on record, once for all its memories.
    pub fn note_import(&self, count: u64) -> Result<()> {
        self.note("import_memories", Some(format!("{count} memories")))
    }

    /// Changes one memory. `row` is the vector of its new text, if it has one.
    pub fn update(&mut self, model: &Model, id: MemoryId, change: &Change, row: Option<Vec<u8>>) -> Result<Memory> {
        let old = self.memory(id)?;
        let new = change.apply(&old, self.reader.now)?;
        if self.same(&new.hash, &Labels::of(&new))?.is_some_and(|same| same.id != id) {
            return Err(Error::new(
                Code::Conflict,
                "Another memory has this text already, with the same agent, run and app.",
            ));
        }
        let number = self.number(id)?;
        self.write_row(number, &old, &new)?;
        if old.memory != new.memory {
            self.put_words(number, &new.memory);
        }
        if let Some(row) = row {
            self.adopt(model)?;
            self.check_row(&row)?;
            self.tx.run(
                "UPDATE memory_vectors SET embedding = $1 WHERE number = $2",
                &[
                    Value::Blob(&self.tx.bytes(Place(form::EMBEDDING, &number.to_be_bytes()), &row)),
                    Value::Integer(number),
                ],
            )?;
            self.delta.put(number, row);
        }
        self.state.size_bytes = self.state.size_bytes.saturating_sub(size(&old)) + size(&new);
        self.check_quota()?;
        self.note("update_memory", Some(id.to_string()))?;
        Ok(new)
    }

    /// Deletes one memory, and its texts from its history.
    pub fn delete(&mut self, id: MemoryId) -> Result<()> {
        let memory = self.memory(id)?;
        self.remove(self.number(id)?, &memory)?;
        self.note("delete_memory", Some(id.to_string()))
    }

    /// Deletes all memories that match; says how many.
    pub fn delete_all(&mut self, filter: Option<&Filter>) -> Result<u64> {
        let count = match filter {
            None => self.clear()?,
            Some(filter) => {
                let sieve = self.sieve(Some(filter));
                let mut sql = Sql::default();
                sql.push("SELECT ").push(COLUMNS).push(", number FROM memories WHERE ");
                match sieve.asked {
                    Some(filter) => filter::push(&mut sql, self.tx.dialect(), filter),
                    None => drop(sql.push("TRUE")),
                }
                let mut doomed = self.tx.all(sql.text(), &sql.values(), |row| Ok((memory(row)?, row.integer(11)?)))?;
                doomed.retain(|(memory, _)| sieve.passes(memory));
                for (memory, number) in &doomed {
                    self.remove(*number, memory)?;
                }
                // What has expired goes with them, and nobody saw it any more.
                doomed.iter().filter(|(memory, _)| !self.has_expired(memory)).count() as u64
            }
        };
        self.note("delete_memories", Some(format!("{count} memories")))?;
        Ok(count)
    }

    /// Removes what has expired, some at a time, so that no write waits long for it. Says how many.
    pub fn sweep(&mut self) -> Result<u64> {
        let expired = self.tx.all(
            &format!("SELECT {COLUMNS}, number FROM memories WHERE expiration <= $1 LIMIT $2"),
            &[Value::Moment(self.reader.now), Value::Integer(SWEEP)],
            |row| Ok((memory(row)?, row.integer(11)?)),
        )?;
        for (memory, number) in &expired {
            self.remove(*number, memory)?;
        }
        if !expired.is_empty() {
            self.note("expire_memories", Some(format!("{} memories", expired.len())))?;
        }
        Ok(expired.len() as u64)
    }

    /// The space takes the vectors of one model only: of the first that brought some.
    fn adopt(&mut self, model: &Model) -> Result<()> {
        match &self.state.model {
            Some(own) if own == model => Ok(()),
            Some(own) => Err(mismatch(own, model)),
            None => {
                self.state.model = Some(model.clone());
                Ok(())
            }
        }
    }

    fn next_tick(&self) -> Result<Tick> {
        // Those that were deleted are in the history: no id comes before one that was given, whatever became of it.
        tick::next(
            &*self.tx,
            self.reader.now,
            &["SELECT id FROM memories WHERE id < $1 ORDER BY id DESC LIMIT 1", history::LATEST],
        )
    }

    /// The memory that has this text with the same labels.
    pub(super) fn same(&mut self, hash: &str, labels: &Labels) -> Result<Option<Memory>> {
        const SAME: &str = "SELECT id, memory, agent_id, run_id, app_id, categories, metadata, hash, expiration, \
             created_at, updated_at, number FROM memories WHERE hash = $1 AND coalesce(agent_id, '') = $2 \
             AND coalesce(run_id, '') = $3 AND coalesce(app_id, '') = $4";
        let Labels { agent, run, app } = labels;
        let tx = &*self.reader.tx;
        let found = tx.first(
            SAME,
            &[
                Value::Text(&tx.label(form::HASH, hash)),
                Value::Text(&tx.label(form::AGENT, agent)),
                Value::Text(&tx.label(form::RUN, run)),
                Value::Text(&tx.label(form::APP, app)),
            ],
            |row| Ok((memory(row)?, row.integer(11)?)),
        )?;
        self.unless_expired(found)
    }

    /// Whether there is a memory of this id.
    fn known(&mut self, id: MemoryId) -> Result<bool> {
        let found = self.tx.first(
            &format!("SELECT {COLUMNS}, number FROM memories WHERE id = $1"),
            &[Value::Id(id.as_bytes())],
            |row| Ok((memory(row)?, row.integer(11)?)),
        )?;
        Ok(self.unless_expired(found)?.is_some())
    }

    /// What has expired stands in nobody's way: where it would, it is swept away before its turn.
    fn unless_expired(&mut self, found: Option<(Memory, i64)>) -> Result<Option<Memory>> {
        match found {
            Some((memory, number)) if self.has_expired(&memory) => {
                self.remove(number, &memory)?;
                self.note("expire_memories", Some("1 memories".to_owned()))?;
                Ok(None)
            }
            found => Ok(found.map(|(memory, _)| memory)),
        }
    }

    pub(super) fn has_expired(&self, memory: &Memory) -> bool {
        memory.expiration.is_some_and(|expiration| expiration <= self.reader.now)
    }

    /// Every row is as long as the space's model makes them: one that is not would make all of them unreadable.
    pub(super) fn check_row(&self, row: &[u8]) -> Result<()> {
        match &self.state.model {
            Some(own) if row.len() == 2 * own.dimension => Ok(()),
            Some(own) => Err(mismatch(own, &Model { id: own.id.clone(), dimension: row.len() / 2 })),
            None => Err(Error::internal("a vector without a model")),
        }
    }

    pub(super) fn number(&self, id: MemoryId) -> Result<i64> {
        let number =
            self.tx.first("SELECT number FROM memories WHERE id = $1", &[Value::Id(id.as_bytes())], |row| {
                row.integer(0)
            })?;
        number.ok_or_else(Error::not_found)
    }

    fn insert(&mut self, memory: &Memory, row: Vec<u8>) -> Result<()> {
        self.check_row(&row)?;
        let number = self.next_number()?;
        let tx = &*self.reader.tx;
        let form = Form::of(tx, memory)?;
        let [text, agent_id, run_id, app_id, categories, metadata, hash] = form.values();
        self.tx.run(
            "INSERT INTO memories (number, id, memory, agent_id, run_id, app_id, categories, metadata, hash, expiration,
                                   created_at, updated_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
            &[
                Value::Integer(number),
                Value::Id(memory.id.as_bytes()),
                text,
                agent_id,
                run_id,
                app_id,
                categories,
                metadata,
                hash,
                Value::moment(memory.expiration),
                Value::Moment(memory.created_at),
                Value::Moment(memory.updated_at),
            ],
        )?;
        self.tx.dialect().words_insert(&*self.reader.tx, number, &memory.memory)?;
        self.tx.run(
            "INSERT INTO memory_vectors (number, embedding) VALUES ($1, $2)",
            &[Value::Integer(number), Value::Blob(&tx.bytes(Place(form::EMBEDDING, &number.to_be_bytes()), &row))],
        )?;
        self.put_words(number, &memory.memory);
        history::created(&*self.reader.tx, memory)?;
        self.state.memories += 1;
        self.state.size_bytes += size(memory) + row.len() as u64;
        self.delta.put(number, row);
        Ok(())
    }

    fn put_words(&mut self, number: i64, text: &str) {
        if !self.tx.dialect().keeps_words() {
            self.delta.put_words(number, text.to_owned());
        }
    }

    /// The number for one more memory. It is given out here and not taken from `RETURNING`, which SQLite runs as a trigger:
    /// that makes the word index flush before every row, where once for a whole batch is enough.
    fn next_number(&mut self) -> Result<i64> {
        let last = match self.last_number {
            Some(last) => last,
            None => self
                .tx
                .first("SELECT max(number) FROM memories", &[], |row| row.maybe_integer(0))?
                .flatten()
                .unwrap_or(0),
        };
        self.last_number = Some(last + 1);
        Ok(last + 1)
    }

    pub(super) fn write_row(&self, number: i64, old: &Memory, new: &Memory) -> Result<()> {
        let tx = &*self.reader.tx;
        let form = Form::of(tx, new)?;
        let [text, agent_id, run_id, app_id, categories, metadata, hash] = form.values();
        if old.memory != new.memory {
            tx.dialect().words_remove(tx, number, &old.memory)?;
        }
        tx.run(
            "UPDATE memories SET memory = $1, agent_id = $2, run_id = $3, app_id = $4, categories = $5, metadata = $6,
                 hash = $7, expiration = $8, updated_at = $9 WHERE number = $10",
            &[
                text,
                agent_id,
                run_id,
                app_id,
                categories,
                metadata,
                hash,
                Value::moment(new.expiration),
                Value::Moment(new.updated_at),
                Value::Integer(number),
            ],
        )?;
        // Seldom, and a right of its own in PostgreSQL.
        if old.created_at != new.created_at {
            tx.execute(
                "UPDATE memories SET created_at = $1 WHERE number = $2",
                &[Value::Moment(new.created_at), Value::Integer(number)],
            )?;
        }
        if old.memory != new.memory {
            tx.dialect().words_insert(tx, number, &new.memory)?;
        }
        history::updated(tx, old, new)
    }

    pub(super) fn remove(&mut self, number: i64, memory: &Memory) -> Result<()> {
        self.detach(memory.id)?;
        let tx = &*self.reader.tx;
        tx.dialect().words_remove(tx, number, &memory.memory)?;
        tx.run("DELETE FROM memories WHERE number = $1", &[Value::Integer(number)])?;
        tx.run("DELETE FROM memory_vectors WHERE number = $1", &[Value::Integer(number)])?;
        history::deleted(tx, memory, self.reader.now)?;
        let vector = 2 * self.state.model.as_ref().map_or(0, |model| model.dimension) as u64;
        self.state.memories = self.state.memories.saturating_sub(1);
        self.state.size_bytes = self.state.size_bytes.saturating_sub(size(memory) + vector);
        self.delta.remove(number);
        Ok(())
    }

    fn clear(&mut self) -> Result<u64> {
        let count = self.count(None)?;
        let tx = &*self.reader.tx;
        history::all_deleted(tx, self.reader.now)?;
        tx.dialect().words_clear(tx)?;
        // Before the memories: where a key leads to them, it has nothing left to look for.
        tx.run("DELETE FROM memory_relationships", &[])?;
        tx.run("DELETE FROM memories", &[])?;
        tx.run("DELETE FROM memory_vectors", &[])?;
        self.state.memories = 0;
        self.state.size_bytes = self.job_bytes()? + self.context_bytes()?;
        self.delta.clear();
        Ok(count)
    }

    /// What has expired does not count: it is swept away before anything is refused.
    pub(crate) fn check_quota(&mut self) -> Result<()> {
        while let Err(error) = self.within_quota() {
            if self.sweep()? == 0 && self.sweep_context(self.reader.now)? == 0 {
                return Err(error);
            }
        }
        Ok(())
    }

    fn within_quota(&self) -> Result<()> {
        let quota = self.quota();
        let over = |what: &str, max: u64| {
            Err(Error::new(
                Code::QuotaExceeded,
                format!("This space is full: it may hold {max} {what}. Delete some first."),
            ))
        };
        if self.state.memories > quota.memories_max {
            return over("memories", quota.memories_max);
        }
        if self.state.size_bytes > quota.bytes_max {
            return over("bytes", quota.bytes_max);
        }
        Ok(())
    }
}

/// What tells two memories of one text apart; empty where there is none, since no label is empty.
pub(super) struct Labels {
    agent: String,
    run: String,
    app: String,
}

impl Labels {
    pub(super) fn of(memory: &Memory) -> Self {
        Labels::from([&memory.agent_id, &memory.run_id, &memory.app_id])
    }

    fn of_new(memory: &NewMemory) -> Self {
        Labels::from([&memory.agent_id, &memory.run_id, &memory.app_id])
    }

    fn from(labels: [&Option<String>; 3]) -> Self {
        let [agent, run, app] = labels.map(|label| label.clone().unwrap_or_default());
        Labels { agent, run, app }
    }
}

/// Bytes of a memory as the quota counts them.
fn size(memory: &Memory) -> u64 {
    let metadata = if memory.metadata.is_empty() {
        0
    } else {
        serde_json::to_string(&memory.metadata).map_or(0, |text| text.len())
    };
    (memory.memory.len() + metadata) as u64
}
