//! Looking through the memories of a sealed space: the database cannot tell which match, so each is opened and looked at.

use locule_core::Result;
use locule_core::filter::Filter;
use locule_core::memory::{ListQuery, Memory, Page, Statistics};

use super::{COLUMNS, memory};
use crate::space::Reader;
use crate::tx::Sql;

/// Which part of a filter the database is asked, and which is looked for in what it gives.
pub struct Sieve<'a> {
    /// What the database is asked.
    pub asked: Option<&'a Filter>,
    /// What it cannot be asked.
    pub own: Option<&'a Filter>,
}

impl Sieve<'_> {
    /// Whether what the database gave is meant.
    pub fn passes(&self, memory: &Memory) -> bool {
        self.own.is_none_or(|filter| filter.matches(memory))
    }
}

impl Reader<'_> {
    /// How a filter is applied in this space.
    pub(crate) fn sieve<'f>(&self, filter: Option<&'f Filter>) -> Sieve<'f> {
        match self.tx.seal() {
            Some(_) => Sieve { asked: None, own: filter },
            None => Sieve { asked: filter, own: None },
        }
    }

    /// Shows every memory that is to be seen and matches, with its number, the newest first.
    pub(crate) fn each_matching(&self, filter: &Filter, each: &mut dyn FnMut(Memory, i64)) -> Result<()> {
        self.each_visible(&mut |memory, number| {
            if filter.matches(&memory) {
                each(memory, number);
            }
        })
    }

    /// A page, as [`Reader::list`] gives it.
    pub(super) fn list_matching(&self, filter: &Filter, query: &ListQuery) -> Result<Page> {
        let (mut total, mut passed_over, mut memories) = (0, 0, Vec::new());
        self.each_matching(filter, &mut |memory, _| {
            total += 1;
            if memories.len() > query.limit || query.before.is_some_and(|before| memory.id >= before) {
                return;
            }
            if passed_over < query.offset {
                passed_over += 1;
            } else {
                memories.push(memory);
            }
        })?;
        Ok(Page::cut(memories, total, query.limit))
    }

    /// Figures over the space.
    pub(super) fn opened_statistics(&self) -> Result<Statistics> {
        let (mut statistics, mut characters) = (Statistics::default(), 0);
        self.each_visible(&mut |memory, _| {
            statistics.memory_count += 1;
            characters += memory.memory.chars().count();
            let at = Some(memory.created_at);
            statistics.latest_memory = statistics.latest_memory.max(at);
            statistics.first_memory = statistics.first_memory.map_or(at, |first| Some(first.min(memory.created_at)));
        })?;
        if statistics.memory_count > 0 {
            statistics.avg_memory_length = characters as f64 / statistics.memory_count as f64;
        }
        Ok(statistics)
    }

    fn each_visible(&self, each: &mut dyn FnMut(Memory, i64)) -> Result<()> {
        let mut sql = Sql::default();
        sql.push("SELECT ").push(COLUMNS).push(", number FROM memories WHERE ");
        self.push_visible(&mut sql, None);
        sql.push(" ORDER BY id DESC");
        self.tx.query(sql.text(), &sql.values(), &mut |row| {
            each(memory(row)?, row.integer(11)?);
            Ok(())
        })
    }
}
