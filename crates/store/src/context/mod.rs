//! The context that agents share: the statements over entries and agents, those that look here, and those that change in
//! [`write`] and [`agents`].
//!
//! Whom an entry is for stands in its row and is looked at here, not by the database: names are content like the rest, and
//! where a space is sealed the database cannot read them.

mod agents;
mod changes;
mod row;
mod write;

use std::collections::{HashMap, HashSet};

use locule_core::context::{Agent, Entry, EntryQuery, Listed, Name, Statistics, Topic};
use locule_core::{Result, limit};

use self::row::{COLUMNS, FIXED_BYTES, UNREAD};
pub(crate) use self::row::{agent, entry as content};
use crate::space::Reader;
use crate::tx::{Owned, Sql, Value};

impl Reader<'_> {
    /// The entry of a key, also if it has expired and is not yet swept away.
    pub fn context_entry(&self, key: &Name) -> Result<Option<Entry>> {
        let sql = format!("SELECT {COLUMNS} FROM context_entries WHERE key_hash = $1");
        self.tx.first(&sql, &[Value::Text(&self.tx.label(content::KEY_HASH, &key.hash()))], row::read)
    }

    /// Shows entries in the order in which they were last written.
    pub fn context_entries(&self, query: &EntryQuery, each: &mut dyn FnMut(Entry) -> Result<()>) -> Result<()> {
        let mut room = Room::of(query);
        let mut take = |entry: Entry| {
            if query.takes(&entry, self.now) {
                room.take(entry.size_bytes())?;
                each(entry)?;
            }
            Ok(())
        };
        let Some(keys) = &query.keys else { return self.walk_context(COLUMNS, query, &mut take) };
        for key in locule_core::context::distinct(keys.iter().cloned()) {
            self.context_entry(&key)?.map_or(Ok(()), &mut take)?;
        }
        Ok(())
    }

    /// What can be told of entries without reading their values, in the same order.
    pub fn list_context(&self, query: &EntryQuery) -> Result<Vec<Listed>> {
        let (mut listed, mut room) = (Vec::new(), Room::of(query));
        self.walk_context(UNREAD, query, &mut |entry| {
            if query.takes(&entry, self.now) {
                room.take(entry.size_bytes())?;
                let Entry { key, topics, created_at, revision, .. } = entry;
                listed.push(Listed { key, topics, created_at, revision });
            }
            Ok(())
        })?;
        Ok(listed)
    }

    /// The agents, in the order in which they came to their topics.
    pub fn context_agents(&self) -> Result<Vec<Agent>> {
        let mut agents = Vec::new();
        self.walk_agents(&mut |agent| {
            agents.push(agent);
            Ok(())
        })?;
        Ok(agents)
    }

    /// The agents that follow any of some topics, in the order in which they came to theirs.
    pub(crate) fn followers(&self, topics: &[Name]) -> Result<Vec<Name>> {
        let mut followers = Vec::new();
        if topics.is_empty() {
            return Ok(followers);
        }
        let topics: HashSet<&Name> = topics.iter().collect();
        self.walk_agents(&mut |agent| {
            if agent.topics.iter().any(|topic| topics.contains(topic)) {
                followers.push(agent.name);
            }
            Ok(())
        })?;
        Ok(followers)
    }

    /// Shows the agents one by one: all of them with all they follow can be more than one likes to have in memory.
    pub(crate) fn walk_agents(&self, each: &mut dyn FnMut(Agent) -> Result<()>) -> Result<()> {
        let sql = format!("SELECT {} FROM context_agents ORDER BY id", agent::COLUMNS);
        self.tx.query(&sql, &[], &mut |row| each(agent::read(row)?.1))
    }

    /// The topics that are followed, in the order in which they were first, and then those that only have entries. An agent is
    /// named with each topic that it follows: what is more than one answer may have is refused.
    pub fn context_topics(&self) -> Result<Vec<Topic>> {
        let bounded = EntryQuery { bytes_max: Some(limit::CONTEXT_ANSWER_BYTES.max), ..EntryQuery::default() };
        let mut room = Room::of(&bounded);
        let mut topics: Vec<Topic> = Vec::new();
        let mut places = HashMap::new();
        let mut of = |topics: &mut Vec<Topic>, name: Name| -> usize {
            *places.entry(name.clone()).or_insert_with(|| {
                topics.push(Topic { name, subscribers: Vec::new(), entries: 0 });
                topics.len() - 1
            })
        };
        self.walk_agents(&mut |agent| {
            for topic in agent.topics {
                room.take(topic.size_bytes() + agent.name.size_bytes())?;
                let place = of(&mut topics, topic);
                topics[place].subscribers.push(agent.name.clone());
            }
            Ok(())
        })?;
        self.walk_context(UNREAD, &bounded, &mut |entry| {
            let live = bounded.takes(&entry, self.now);
            for topic in entry.topics.into_iter().filter(|_| live) {
                let size = topic.size_bytes();
                let place = of(&mut topics, topic);
                topics[place].entries += 1;
                if topics[place].subscribers.is_empty() && topics[place].entries == 1 {
                    room.take(size)?;
                }
            }
            Ok(())
        })?;
        Ok(topics)
    }

    /// How many entries there are, expired ones left out, and how many agents are known.
    pub fn context_counts(&self) -> Result<(u64, u64)> {
        let sql = "SELECT (SELECT count(*) FROM context_entries WHERE expires_at IS NULL OR expires_at >= $1),
                       (SELECT count(*) FROM context_agents)";
        let counts = self
            .tx
            .first(sql, &[Value::Moment(self.now)], |row| Ok((row.integer(0)? as u64, row.integer(1)? as u64)))?;
        Ok(counts.unwrap_or_default())
    }

    /// Figures over the context.
    pub fn context_statistics(&self) -> Result<Statistics> {
        let mut figures = Statistics::default();
        let all = EntryQuery { expired: true, ..EntryQuery::default() };
        self.walk_context(UNREAD, &all, &mut |entry| {
            figures.total_items += 1;
            match (entry.is_expired(self.now), entry.audience) {
                (true, _) => figures.expired_items += 1,
                (false, None) => figures.global_items += 1,
                (false, Some(_)) => figures.private_items += 1,
            }
            Ok(())
        })?;
        figures.active_items = figures.total_items - figures.expired_items;
        let mut topics = HashSet::new();
        self.walk_agents(&mut |agent| {
            figures.agents_with_topics += u64::from(!agent.topics.is_empty());
            topics.extend(agent.topics);
            Ok(())
        })?;
        figures.total_topics = topics.len() as u64;
        Ok(figures)
    }

    /// What the context counts for in the space's size.
    pub(crate) fn context_bytes(&self) -> Result<u64> {
        let sql = "SELECT CAST(coalesce((SELECT sum(size_bytes) FROM context_entries), 0)
                              + coalesce((SELECT sum(size_bytes) FROM context_agents), 0) AS bigint)";
        Ok(self.tx.first(sql, &[], |row| row.integer(0))?.unwrap_or(0) as u64)
    }

    /// Shows the rows that the database can tell to be meant.
    fn walk_context(&self, columns: &str, query: &EntryQuery, each: &mut dyn FnMut(Entry) -> Result<()>) -> Result<()> {
        let mut sql = Sql::default();
        sql.push("SELECT ").push(columns).push(" FROM context_entries WHERE TRUE");
        if !query.expired {
            sql.push(" AND (expires_at IS NULL OR expires_at >= ").bind(Owned::Moment(self.now)).push(")");
        }
        if let Some(after) = query.after {
            sql.push(" AND revision > ").bind(Owned::Integer(i64::try_from(after).unwrap_or(i64::MAX)));
        }
        sql.push(" ORDER BY id");
        self.tx.query(sql.text(), &sql.values(), &mut |row| each(row::read(row)?))
    }
}

/// How much more an answer may have.
struct Room {
    bound: Option<limit::Bound>,
    bytes: usize,
}

impl Room {
    fn of(query: &EntryQuery) -> Self {
        let bound = query.bytes_max.map(|max| limit::Bound { max, ..limit::CONTEXT_ANSWER_BYTES });
        Room { bound, bytes: 0 }
    }

    /// One thing more, of so many bytes and what everything takes.
    fn take(&mut self, bytes: usize) -> Result<()> {
        self.bytes += bytes + FIXED_BYTES as usize;
        self.bound.map_or(Ok(()), |bound| bound.check(self.bytes))
    }
}
