//! Changing what agents follow and where they may post.

use locule_core::context::{Agent, Deed, DeletedTopic, Name, check_names, distinct};
use locule_core::id::EntryId;
use locule_core::{Code, Error, Result};

use super::row::agent as row;
use crate::space::{Reader, Writer};
use crate::tick;
use crate::tx::Value;

impl Reader<'_> {
    /// What is known of an agent.
    pub fn context_agent(&self, name: &Name) -> Result<Option<Agent>> {
        Ok(self.agent_row(name)?.map(|(_, agent)| agent))
    }

    fn agent_row(&self, name: &Name) -> Result<Option<(EntryId, Agent)>> {
        let sql = format!("SELECT {} FROM context_agents WHERE name_hash = $1", row::COLUMNS);
        self.tx.first(&sql, &[Value::Text(&self.tx.label(row::NAME_HASH, &name.hash()))], row::read)
    }
}

impl Writer<'_> {
    /// Has an agent follow these topics and no others.
    pub fn subscribe(&mut self, name: &Name, topics: Vec<Name>) -> Result<Agent> {
        check_names(&topics)?;
        let agent = self.change_agent(name, |agent| agent.topics = distinct(topics))?;
        self.note_deed("subscribe_context", || Deed::to_topics(Some(name), &agent.topics))?;
        Ok(agent)
    }

    /// Has an agent no longer follow these topics; others are passed over. An agent that is not known stays so.
    pub fn unsubscribe(&mut self, name: &Name, topics: &[Name]) -> Result<Agent> {
        check_names(topics)?;
        if self.context_agent(name)?.is_none() {
            return Ok(Agent::nobody(name));
        }
        let agent = self.change_agent(name, |agent| agent.topics.retain(|topic| !topics.contains(topic)))?;
        self.note_deed("unsubscribe_context", || Deed::to_topics(Some(name), topics))?;
        Ok(agent)
    }

    /// Says where an agent may post: with no topics, to any.
    pub fn permit(&mut self, name: &Name, topics: Vec<Name>) -> Result<Agent> {
        check_names(&topics)?;
        let agent = self.change_agent(name, |agent| agent.posts = Some(distinct(topics)))?;
        self.note_deed("permit_context", || Deed::to_topics(Some(name), agent.posts.as_deref().unwrap_or_default()))?;
        Ok(agent)
    }

    /// Deletes a topic: nobody follows it any more, entries that were pushed to it alone are gone, and others are as they were
    /// but for the topic. What is for an agent that happens to be called like it is not touched. `None` if there is no such topic.
    pub fn delete_topic(&mut self, topic: &Name) -> Result<Option<DeletedTopic>> {
        let followers = self.followers(std::slice::from_ref(topic))?;
        let (entries, tagged) = self.untag(topic)?;
        if followers.is_empty() && !tagged {
            return Ok(None);
        }
        for agent in &followers {
            self.change_agent(agent, |agent| agent.topics.retain(|other| other != topic))?;
        }
        self.note_deed("delete_topic", || Deed::to_topics(None, std::slice::from_ref(topic)))?;
        Ok(Some(DeletedTopic { subscribers: followers.len() as u64, entries }))
    }

    /// Knows an agent from now on.
    pub(super) fn meet(&mut self, name: &Name) -> Result<()> {
        if self.context_agent(name)?.is_some() { Ok(()) } else { self.change_agent(name, |_| {}).map(drop) }
    }

    fn change_agent(&mut self, name: &Name, change: impl FnOnce(&mut Agent)) -> Result<Agent> {
        check_names(std::slice::from_ref(name))?;
        let before = self.agent_row(name)?;
        let mut agent = before.as_ref().map_or_else(|| Agent::nobody(name), |(_, agent)| agent.clone());
        change(&mut agent);
        let mut id = None;
        if let Some((old, before)) = &before {
            self.tx.run("DELETE FROM context_agents WHERE id = $1", &[Value::Id(old.as_bytes())])?;
            self.state.size_bytes = self.state.size_bytes.saturating_sub(row::size(before));
            // Whoever begins to follow comes after those who do already.
            id = (!before.topics.is_empty() || agent.topics.is_empty()).then_some(*old);
        } else {
            self.check_agents()?;
        }
        let id = id.map_or_else(|| self.agent_id(), Ok)?;
        row::insert(&*self.reader.tx, id, &agent)?;
        self.state.size_bytes += row::size(&agent);
        self.context_changed = true;
        self.check_quota()?;
        Ok(agent)
    }

    /// Passes if one more agent may be known.
    fn check_agents(&self) -> Result<()> {
        let max = self.quota().agents_max;
        let count = self.tx.first("SELECT count(*) FROM context_agents", &[], |row| row.integer(0))?;
        if (count.unwrap_or(0) as u64) < max {
            return Ok(());
        }
        Err(Error::new(Code::QuotaExceeded, format!("This space is full: its limit is a size of {max} agents.")))
    }

    fn agent_id(&self) -> Result<EntryId> {
        const LATEST: &str = "SELECT id FROM context_agents WHERE id < $1 ORDER BY id DESC LIMIT 1";
        let tick = tick::next(&*self.tx, self.reader.now, &[LATEST])?;
        Ok(EntryId::mint(tick, self.chamber.tag, &self.reader.spaces.sources))
    }
}
