//! Looking at memories.

use std::collections::HashMap;

use locule_core::filter::Filter;
use locule_core::id::MemoryId;
use locule_core::memory::{Entity, EntityKind, Event, EventKind, ListQuery, Memory, Page, Statistics};
use locule_core::{Error, Result};

use super::{COLUMNS, form, history, memory};
use crate::content::Place;
use crate::filter;
use crate::space::Reader;
use crate::tx::{Owned, Sql, Value};
use crate::vector;

impl Reader<'_> {
    /// One memory.
    pub fn memory(&self, id: MemoryId) -> Result<Memory> {
        self.tx
            .first(
                &format!("SELECT {COLUMNS} FROM memories WHERE id = $1 AND (expiration IS NULL OR expiration > $2)"),
                &[Value::Id(id.as_bytes()), Value::Moment(self.now)],
                memory,
            )?
            .ok_or_else(Error::not_found)
    }

    /// The memories of these numbers, by number, without those that have expired or are gone.
    pub(crate) fn numbered(&self, numbers: &[i64]) -> Result<HashMap<i64, Memory>> {
        let numbers: Vec<Owned> = numbers.iter().map(|number| Owned::Integer(*number)).collect();
        let mut found = HashMap::with_capacity(numbers.len());
        if numbers.is_empty() {
            return Ok(found);
        }
        let mut sql = Sql::default();
        sql.push("SELECT ").push(COLUMNS).push(", number FROM memories WHERE number");
        self.tx.dialect().among(&mut sql, &numbers);
        sql.push(" AND ");
        self.push_visible(&mut sql, None);
        self.tx.query(sql.text(), &sql.values(), &mut |row| {
            found.insert(row.integer(11)?, memory(row)?);
            Ok(())
        })?;
        Ok(found)
    }

    /// A page of memories, newest first.
    pub fn list(&self, query: &ListQuery) -> Result<Page> {
        query.check()?;
        if let Some(filter) = self.sieve(query.filter.as_ref()).own {
            return self.list_matching(filter, query);
        }
        let total = self.count(query.filter.as_ref())?;
        let mut sql = Sql::default();
        sql.push("SELECT ").push(COLUMNS).push(" FROM memories WHERE ");
        self.push_visible(&mut sql, query.filter.as_ref());
        if let Some(before) = query.before {
            sql.push(" AND id < ").bind(Owned::Id(*before.as_bytes()));
        }
        // One more than asked for tells whether there is a next page.
        sql.push(" ORDER BY id DESC LIMIT ").bind(Owned::Integer(query.limit as i64 + 1));
        if query.offset > 0 {
            sql.push(" OFFSET ").bind(Owned::Integer(query.offset as i64));
        }
        Ok(Page::cut(self.tx.all(sql.text(), &sql.values(), memory)?, total, query.limit))
    }

    /// How many memories match.
    pub fn count(&self, filter: Option<&Filter>) -> Result<u64> {
        // A writer's own changes are not in the state before they are committed.
        if filter.is_none() && !self.writes {
            return Ok(self.state()?.memories.saturating_sub(self.expired()?));
        }
        if let Some(filter) = self.sieve(filter).own {
            let mut count = 0;
            self.each_matching(filter, &mut |_, _| count += 1)?;
            return Ok(count);
        }
        let mut sql = Sql::default();
        sql.push("SELECT count(*) FROM memories WHERE ");
        self.push_visible(&mut sql, filter);
        Ok(self.tx.first(sql.text(), &sql.values(), |row| row.integer(0))?.unwrap_or(0) as u64)
    }

    /// Every memory, oldest first, with its vector.
    pub fn export(&self, each: &mut dyn FnMut(Memory, Vec<f32>) -> Result<()>) -> Result<()> {
        let mut sql = Sql::default();
        sql.push("SELECT ")
            .push(COLUMNS)
            .push(", embedding, number FROM memories JOIN memory_vectors USING (number) WHERE ");
        self.push_visible(&mut sql, None);
        sql.push(" ORDER BY id");
        self.tx.query(sql.text(), &sql.values(), &mut |row| {
            let place = row.integer(12)?.to_be_bytes();
            each(memory(row)?, vector::decode(&row.bytes_of(11, Place(form::EMBEDDING, &place))?))
        })
    }

    /// What happened to a memory, oldest first. Of a deleted one, that it was there and when.
    pub fn history(&self, id: MemoryId) -> Result<Vec<Event>> {
        let (created_at, changes) = history::changes(&*self.tx, id)?.unzip();
        let changes = changes.unwrap_or_default();
        let current = self.memory(id);
        // One that has expired is not seen, and neither are its texts, though they are not swept away yet.
        if current.is_err() && changes.last().is_some_and(|change| change.event != EventKind::Delete) {
            return Err(Error::not_found());
        }
        let created_at = match (created_at, &current) {
            (Some(at), _) => at,
            (None, Ok(memory)) => memory.created_at,
            (None, Err(_)) => return Err(Error::not_found()),
        };
        // The first change tells what was added; without any, the memory itself does.
        let added = match changes.first() {
            Some(change) => change.old_memory.clone(),
            None => current.ok().map(|memory| memory.memory),
        };
        let add = Event { event: EventKind::Add, old_memory: None, new_memory: added, at: created_at };
        Ok(std::iter::once(add).chain(changes).collect())
    }

    /// Every agent, application and run that has memories, by name.
    pub fn entities(&self) -> Result<Vec<Entity>> {
        let kinds = [
            ("agent_id", form::AGENT, EntityKind::Agent),
            ("app_id", form::APP, EntityKind::App),
            ("run_id", form::RUN, EntityKind::Run),
        ];
        let mut entities: Vec<Entity> = Vec::new();
        for (column, sealed, kind) in kinds {
            let mut sql = Sql::default();
            sql.push("SELECT ").push(column).push(", count(*), min(created_at), max(updated_at) FROM memories WHERE ");
            sql.push(column).push(" IS NOT NULL AND ");
            self.push_visible(&mut sql, None);
            sql.push(" GROUP BY ").push(column);
            let mut found = self.tx.all(sql.text(), &sql.values(), |row| {
                Ok(Entity {
                    kind,
                    name: row.label_of(0, sealed)?.unwrap_or_default(),
                    memories: row.integer(1)? as u64,
                    first_memory: row.moment(2)?,
                    latest_change: row.moment(3)?,
                })
            })?;
            // Here and not in the database, which may sort by what it has sealed, or by another alphabet.
            found.sort_by(|one, other| one.name.cmp(&other.name));
            entities.append(&mut found);
        }
        Ok(entities)
    }

    /// Figures over the space.
    pub fn statistics(&self) -> Result<Statistics> {
        if self.tx.seal().is_some() {
            return self.opened_statistics();
        }
        let mut sql = Sql::default();
        sql.push(
            "SELECT count(*), CAST(coalesce(avg(length(memory)), 0) AS double precision), min(created_at), max(created_at) FROM memories WHERE ",
        );
        self.push_visible(&mut sql, None);
        let figures = self.tx.first(sql.text(), &sql.values(), |row| {
            Ok(Statistics {
                memory_count: row.integer(0)? as u64,
                avg_memory_length: row.real(1)?,
                first_memory: row.maybe_moment(2)?,
                latest_memory: row.maybe_moment(3)?,
            })
        })?;
        Ok(figures.unwrap_or_default())
    }

    /// How many memories have expired and are not yet swept away.
    pub(crate) fn expired(&self) -> Result<u64> {
        let now = Value::Moment(self.now);
        let count =
            self.tx.first("SELECT count(*) FROM memories WHERE expiration <= $1", &[now], |row| row.integer(0))?;
        Ok(count.unwrap_or(0) as u64)
    }

    /// The condition that a memory is to be seen and matches.
    pub(crate) fn push_visible(&self, sql: &mut Sql, filter: Option<&Filter>) {
        let now = Owned::Moment(self.now);
        sql.push("(expiration IS NULL OR expiration > ").bind(now).push(")");
        if let Some(filter) = filter {
            sql.push(" AND ");
            filter::push(sql, self.tx.dialect(), filter);
        }
    }
}
