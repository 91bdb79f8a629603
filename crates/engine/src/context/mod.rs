//! The context that agents of one user share.
//!
//! ```
//! use locule::context::{Json, Name, Push};
//! use locule::{Act, Config, Engine, Request, Target};
//!
//! # fn main() -> locule::Result<()> {
//! # let home = std::env::temp_dir().join(format!("locule-context-{}", std::process::id()));
//! let engine = Engine::open(Config::at(&home))?;
//! let alice = engine.trusted_user("alice", "signed in to my shop")?;
//! let request = Request::default();
//! let write = || engine.gate().write(&alice, Target::Own, Act::WriteMemories, &request);
//! let read = || engine.gate().read(&alice, Target::Own, Act::ReadMemories, &request);
//!
//! // What is pushed to a topic reaches the agents that follow it now.
//! engine.subscribe(write()?, &Name::of("writer"), vec![Name::of("research")])?;
//! let push = Push { topics: vec![Name::of("research")], ..Push::new(Name::of("found"), Json::of("[42]")?) };
//! engine.push_context(write()?, push)?;
//!
//! let found = engine.context_entry(read()?, &Name::of("found"))?.unwrap();
//! assert!(found.is_open_to(&Name::of("writer")) && !found.is_open_to(&Name::of("critic")));
//!
//! // Concurrent appends lose none.
//! engine.append_context(write()?, Push::new(Name::of("found"), Json::of("43")?))?;
//! assert_eq!(engine.context_entry(read()?, &Name::of("found"))?.unwrap().value.text(), "[42,43]");
//! # drop(engine);
//! # std::fs::remove_dir_all(home).ok();
//! # Ok(())
//! # }
//! ```

pub mod tools;

use locule_core::audit::Outcome;
use locule_core::context::check_names;
pub use locule_core::context::{
    Agent, Changes, Deed, DeletedTopic, Entry, EntryQuery, Follower, Heard, Json, Listed, Name, News, Push, Statistics,
    Told, Topic, distinct,
};
use locule_core::{Code, Error, Read, Result, Scope, Write, limit};
use locule_store::Writer;
pub use locule_store::{Wake, Watch};

use crate::Engine;

impl Engine {
    /// Writes an entry for whom the push says, in place of the one that is there. A sender may write only what it may: see
    /// [`Push::sender`]. What it is refused is on record.
    pub fn push_context(&self, scope: Scope<Write>, push: Push) -> Result<Entry> {
        push.check()?;
        let deed = self.deed(|| Deed::to_keys(push.sender.as_ref(), [push.key.clone()]));
        self.change_context(scope, "push_context", deed, |writer| writer.push_context(push))
    }

    /// Appends the push's value to the list that stands under its key, or begins one. However many append at once, none of it is
    /// lost. An entry that is there keeps its audience, its topics and its time to live.
    pub fn append_context(&self, scope: Scope<Write>, push: Push) -> Result<Entry> {
        push.check()?;
        let deed = self.deed(|| Deed::to_keys(push.sender.as_ref(), [push.key.clone()]));
        self.change_context(scope, "push_context", deed, |writer| writer.append_context(push))
    }

    /// Puts the push's value in place of the entry's, which keeps its audience, its topics and its time to live; begins one, as the
    /// push says, where there is none. With [`Push::expected_revision`] it is written on what was read, or not at all.
    pub fn edit_context(&self, scope: Scope<Write>, push: Push) -> Result<Entry> {
        push.check()?;
        let deed = self.deed(|| Deed::to_keys(push.sender.as_ref(), [push.key.clone()]));
        self.change_context(scope, "push_context", deed, |writer| writer.edit_context(push))
    }

    /// Puts an entry as it is: audience, moment and all.
    pub fn put_context(&self, scope: Scope<Write>, entry: Entry) -> Result<Entry> {
        entry.check()?;
        let deed = self.deed(|| Deed::to_keys(None, [entry.key.clone()]));
        self.change_context(scope, "push_context", deed, |writer| writer.put_context(entry))
    }

    /// Reads an entry, makes another of it and puts that in its place, and nobody else writes in between. What has expired is
    /// not there. If `change` fails, nothing is written.
    pub fn update_context(
        &self,
        scope: Scope<Write>,
        key: &Name,
        change: impl FnOnce(Option<&Entry>) -> Result<Entry>,
    ) -> Result<Entry> {
        let now = self.now();
        let deed = self.deed(|| Deed::to_keys(None, [key.clone()]));
        self.change_context(scope, "push_context", deed, |writer| {
            let there = writer.context_entry(key)?.filter(|there| !there.is_expired(now));
            let changed = change(there.as_ref())?;
            writer.put_context(Entry { key: key.clone(), ..changed })
        })
    }

    /// The entry of a key, also if it has expired and is not yet swept away: ask [`Entry::is_expired`].
    pub fn context_entry(&self, scope: Scope<Read>, key: &Name) -> Result<Option<Entry>> {
        self.store.spaces.open(scope).read()?.context_entry(key)
    }

    /// Entries in the order in which they were last written; if keys are asked for, in their order.
    pub fn context_entries(&self, scope: Scope<Read>, query: &EntryQuery) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        self.show_context(scope, query, &mut |entry| {
            entries.push(entry);
            Ok(())
        })?;
        Ok(entries)
    }

    /// The same one by one, for whoever needs no more than one in memory.
    pub fn show_context(
        &self,
        scope: Scope<Read>,
        query: &EntryQuery,
        each: &mut dyn FnMut(Entry) -> Result<()>,
    ) -> Result<()> {
        query.check()?;
        self.store.spaces.open(scope).read()?.context_entries(query, each)
    }

    /// The same without the values, whatever keys are asked for.
    pub fn list_context(&self, scope: Scope<Read>, query: &EntryQuery) -> Result<Vec<Listed>> {
        query.check()?;
        self.store.spaces.open(scope).read()?.list_context(query)
    }

    /// Removes an entry, if it is there; for an agent, if it may read it or has written it. Says whether it did.
    pub fn remove_context(&self, scope: Scope<Write>, key: &Name, agent: Option<&Name>) -> Result<bool> {
        let deed = self.deed(|| Deed::to_keys(agent, [key.clone()]));
        self.change_context(scope, "remove_context", deed, |writer| writer.remove_context(key, agent))
    }

    /// Removes what has expired. Says how many entries that were.
    pub fn remove_expired_context(&self, scope: Scope<Write>) -> Result<u64> {
        self.change_context(scope, "expire_context", None, |writer| writer.remove_expired_context())
    }

    /// Removes all entries, and forgets all agents with what they follow and may.
    pub fn clear_context(&self, scope: Scope<Write>) -> Result<()> {
        self.change_context(scope, "clear_context", None, |writer| writer.clear_context())
    }

    /// The agents that are known, in the order in which they came to their topics.
    pub fn context_agents(&self, scope: Scope<Read>) -> Result<Vec<Agent>> {
        self.store.spaces.open(scope).read()?.context_agents()
    }

    /// Has an agent follow these topics and no others.
    pub fn subscribe(&self, scope: Scope<Write>, agent: &Name, topics: Vec<Name>) -> Result<Agent> {
        let deed = self.deed(|| Deed::to_topics(Some(agent), &topics));
        self.change_context(scope, "subscribe_context", deed, |writer| writer.subscribe(agent, topics))
    }

    /// Has an agent no longer follow these topics. What was routed to it stays readable. Says which of them it had followed, and
    /// what the agent is now.
    pub fn unsubscribe(&self, scope: Scope<Write>, agent: &Name, topics: &[Name]) -> Result<(Vec<Name>, Agent)> {
        check_names(topics)?;
        let deed = self.deed(|| Deed::to_topics(Some(agent), topics));
        self.change_context(scope, "unsubscribe_context", deed, |writer| {
            let before = writer.context_agent(agent)?.map(|agent| agent.topics).unwrap_or_default();
            let left = before.into_iter().filter(|topic| topics.contains(topic)).collect();
            Ok((left, writer.unsubscribe(agent, topics)?))
        })
    }

    /// Says where an agent may post: with no topics, to any.
    pub fn permit(&self, scope: Scope<Write>, agent: &Name, topics: Vec<Name>) -> Result<Agent> {
        let deed = self.deed(|| Deed::to_topics(Some(agent), &topics));
        self.change_context(scope, "permit_context", deed, |writer| writer.permit(agent, topics))
    }

    /// The topics that are followed or have entries.
    pub fn context_topics(&self, scope: Scope<Read>) -> Result<Vec<Topic>> {
        self.store.spaces.open(scope).read()?.context_topics()
    }

    /// Deletes a topic: nobody follows it any more, and entries that were pushed to it alone are gone; others just lose it. `None`
    /// if there is no such topic.
    pub fn delete_topic(&self, scope: Scope<Write>, topic: &Name) -> Result<Option<DeletedTopic>> {
        let deed = self.deed(|| Deed::to_topics(None, std::slice::from_ref(topic)));
        self.change_context(scope, "delete_topic", deed, |writer| writer.delete_topic(topic))
    }

    /// Figures over the context.
    pub fn context_statistics(&self, scope: Scope<Read>) -> Result<Statistics> {
        self.store.spaces.open(scope).read()?.context_statistics()
    }

    /// What of the context has changed since a revision, whoever changed it, in whatever process; for an agent, of what it may
    /// read. `None` if nothing in the space has.
    pub fn context_changes(
        &self,
        scope: Scope<Read>,
        heard: impl Into<Heard>,
        agent: Option<&Name>,
    ) -> Result<Option<Changes>> {
        self.store.spaces.open(scope).read()?.context_changes(heard, agent)
    }

    /// Calls `wake` when this process has changed the context, until what is given back is dropped. It must not wait for
    /// anything. What other processes do is seen with [`context_changes`](Engine::context_changes) alone. `None` for a user of
    /// whom nothing was ever kept.
    pub fn watch_context(&self, scope: &Scope<Read>, wake: Wake) -> Option<Watch> {
        self.store.spaces.watch(scope, wake)
    }

    /// Puts on record what an agent has read, or was refused before anybody came here: only whoever hands it out knows that.
    /// It is durable before this answers, and so before the reading is handed out. Nothing is put on record unless
    /// [`Config::context_trail`](crate::Config::context_trail) says so; changes are, with what of them was refused.
    pub fn note_context(&self, scope: Scope<Write>, act: &str, deed: &Deed, outcome: Outcome) -> Result<()> {
        if !self.context_trail {
            return Ok(());
        }
        let word = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
        limit::ACT_BYTES.check(act.len())?;
        if act.is_empty() || !act.bytes().all(word) {
            return Err(Error::invalid("An act is one word of small letters and underscores."));
        }
        let space = self.store.spaces.open(scope);
        let writer = space.write()?;
        writer.note_context(act, deed, outcome)?;
        writer.commit()
    }

    /// What a change is about, where that is to be told.
    fn deed(&self, deed: impl FnOnce() -> Deed) -> Option<Deed> {
        self.context_trail.then(deed)
    }

    /// Changes the context in one transaction; a refusal of what an agent may not is put on record. Where the trail tells deeds,
    /// what finds no room is too.
    fn change_context<T>(
        &self,
        scope: Scope<Write>,
        act: &str,
        deed: Option<Deed>,
        change: impl FnOnce(&mut Writer) -> Result<T>,
    ) -> Result<T> {
        let space = self.store.spaces.open(scope);
        let mut writer = space.write()?;
        match change(&mut writer) {
            Ok(changed) => {
                writer.commit()?;
                Ok(changed)
            }
            Err(error) => {
                drop(writer);
                match (error.code(), deed) {
                    (code @ (Code::NotAllowed | Code::QuotaExceeded), Some(deed)) => {
                        let writer = space.write()?;
                        writer.note_context(act, &deed, Outcome::Denied(code))?;
                        writer.commit()?;
                    }
                    (Code::NotAllowed, None) => {
                        let writer = space.write()?;
                        writer.note_context_denial()?;
                        writer.commit()?;
                    }
                    _ => {}
                }
                Err(error)
            }
        }
    }
}
