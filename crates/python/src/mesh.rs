//! A space's context, as `locule.syntha` asks for it. Names and values are JSON text on both sides, with everything beyond ASCII
//! escaped: what Python can say comes back as it was said, halves of surrogate pairs and all.

use jiff::Timestamp;
use locule::audit::Outcome;
use locule::context::{Agent, Deed, Entry, EntryQuery, Json, Name, Push};
use locule::{Act, Code, Error};
use pyo3::prelude::*;
use serde::{Deserialize, Serialize};

use crate::space::Space;
use crate::wire;

/// An entry as it comes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EntryIn {
    key: Name,
    value: Json,
    audience: Option<Vec<Name>>,
    topics: Vec<Name>,
    ttl_s: Option<f64>,
    created_at_s: f64,
    writer: Option<Name>,
    metadata: Option<Json>,
}

impl From<EntryIn> for Entry {
    fn from(entry: EntryIn) -> Self {
        Entry {
            key: entry.key,
            value: entry.value,
            audience: entry.audience,
            topics: entry.topics,
            writer: entry.writer,
            metadata: entry.metadata,
            ttl_s: entry.ttl_s,
            created_at: moment(entry.created_at_s),
            revision: 0,
        }
    }
}

/// What to push.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PushIn {
    key: Name,
    value: Json,
    agents: Vec<Name>,
    topics: Vec<Name>,
    ttl_s: Option<f64>,
    sender: Option<Name>,
    include_sender: bool,
    metadata: Option<Json>,
}

impl From<PushIn> for Push {
    fn from(push: PushIn) -> Self {
        Push {
            agents: push.agents,
            topics: push.topics,
            ttl_s: push.ttl_s,
            sender: push.sender,
            include_sender: push.include_sender,
            metadata: push.metadata,
            ..Push::new(push.key, push.value)
        }
    }
}

/// An entry as it goes. Its value is the text of its JSON, so that whoever does not need it need not read it.
#[derive(Serialize)]
struct EntryOut {
    key: Name,
    value: String,
    audience: Option<Vec<Name>>,
    topics: Vec<Name>,
    ttl_s: Option<f64>,
    created_at_s: f64,
    writer: Option<Name>,
    metadata: Option<Json>,
    revision: u64,
}

impl From<Entry> for EntryOut {
    fn from(entry: Entry) -> Self {
        EntryOut {
            key: entry.key,
            value: entry.value.text().to_owned(),
            audience: entry.audience,
            topics: entry.topics,
            ttl_s: entry.ttl_s,
            created_at_s: entry.created_at.as_microsecond() as f64 / 1e6,
            writer: entry.writer,
            metadata: entry.metadata,
            revision: entry.revision,
        }
    }
}

/// What an agent has read, or was refused.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NoteIn {
    act: String,
    agent: Option<Name>,
    keys: Vec<Name>,
    is_denied: bool,
}

/// Seconds since 1970 as a moment that every database can keep.
fn moment(seconds: f64) -> Timestamp {
    const LAST: f64 = 253_370_764_800.0;
    Timestamp::from_microsecond((seconds.clamp(0.0, LAST) * 1e6) as i64).unwrap_or(Timestamp::UNIX_EPOCH)
}

#[pymethods]
impl Space {
    /// Writes an entry, for whom the push says and if its sender may.
    fn context_push(&self, py: Python<'_>, push: &str) -> PyResult<()> {
        let push = Self::read(py, || wire::read::<PushIn>(push))?;
        self.change(py, Vec::new(), |engine, scope| engine.push_context(scope, push.into()).map(drop))
    }

    /// Puts an entry as it is.
    fn context_put(&self, py: Python<'_>, entry: &str) -> PyResult<()> {
        let entry = Self::read(py, || wire::read::<EntryIn>(entry))?;
        self.change(py, Vec::new(), |engine, scope| engine.put_context(scope, entry.into()).map(drop))
    }

    /// Puts an entry in place of the one with this revision, or where none is. Says whether that was so; if not, nothing is
    /// written.
    fn context_swap(&self, py: Python<'_>, entry: &str, revision: Option<u64>) -> PyResult<bool> {
        let entry = Entry::from(Self::read(py, || wire::read::<EntryIn>(entry))?);
        let key = entry.key.clone();
        self.change(py, Vec::new(), |engine, scope| {
            let mut is_so = true;
            let swapped = engine.update_context(scope, &key, |there| {
                is_so = there.map(|there| there.revision) == revision;
                if is_so { Ok(entry) } else { Err(Error::new(Code::Conflict, "The entry has changed meanwhile.")) }
            });
            if is_so { swapped.map(|_| true) } else { Ok(false) }
        })
    }

    /// Puts on record what an agent has read, or was refused before anything was asked of the space.
    fn context_note(&self, py: Python<'_>, note: &str) -> PyResult<()> {
        let NoteIn { act, agent, keys, is_denied } = Self::read(py, || wire::read(note))?;
        let outcome = if is_denied { Outcome::Denied(Code::NotAllowed) } else { Outcome::Done };
        self.change(py, Vec::new(), |engine, scope| {
            engine.note_context(scope, &act, &Deed::to_keys(agent.as_ref(), keys), outcome)
        })
    }

    /// The space's trail, oldest first.
    fn trail(&self, py: Python<'_>) -> PyResult<String> {
        self.look(py, Act::ReadUsage, Vec::new(), |engine, scope| {
            let mut entries = Vec::new();
            engine.audit(scope, &mut |entry| {
                entries.push(entry);
                Ok(())
            })?;
            wire::write(&entries)
        })
    }

    /// The value of a key, if it has not expired and this agent may read it. Without an agent nothing is closed.
    fn context_value(&self, py: Python<'_>, key: &str, agent: Option<&str>) -> PyResult<Option<String>> {
        let (key, agent) = Self::read(py, || Ok((Name::from_json(key)?, agent.map(Name::from_json).transpose()?)))?;
        let query = EntryQuery { agent, ..EntryQuery::default() };
        self.look(py, Act::ReadMemories, Vec::new(), |engine, scope| {
            let now = engine.now();
            let entry = engine.context_entry(scope, &key)?.filter(|entry| query.takes(entry, now));
            Ok(entry.map(|entry| entry.value.into_text()))
        })
    }

    /// All values that an agent may read, as one object, in the order of writing.
    fn context_values(&self, py: Python<'_>, agent: &str) -> PyResult<String> {
        let agent = Some(Self::read(py, || Name::from_json(agent))?);
        let query = EntryQuery { agent, ..EntryQuery::default() };
        self.look(py, Act::ReadMemories, Vec::new(), |engine, scope| {
            let mut object = String::from("{");
            engine.show_context(scope, &query, &mut |entry| {
                let comma = if object.len() > 1 { "," } else { "" };
                object.extend([comma, &entry.key.json(), ":", entry.value.text()]);
                Ok(())
            })?;
            object.push('}');
            Ok(object)
        })
    }

    /// The entry of a key, also if it has expired.
    fn context_entry(&self, py: Python<'_>, key: &str) -> PyResult<Option<String>> {
        self.entry_of(py, key, true)
    }

    /// The entry of a key, if it has not expired.
    fn context_live(&self, py: Python<'_>, key: &str) -> PyResult<Option<String>> {
        self.entry_of(py, key, false)
    }

    /// Every entry in the order of writing, also those that have expired.
    fn context_entries(&self, py: Python<'_>) -> PyResult<String> {
        let query = EntryQuery { expired: true, ..EntryQuery::default() };
        self.look(py, Act::ReadMemories, Vec::new(), |engine, scope| {
            let entries = engine.context_entries(scope, &query)?;
            wire::write(&entries.into_iter().map(EntryOut::from).collect::<Vec<_>>())
        })
    }

    /// The keys that an agent may read, in the order of writing.
    fn context_keys(&self, py: Python<'_>, agent: &str) -> PyResult<String> {
        let agent = Some(Self::read(py, || Name::from_json(agent))?);
        let query = EntryQuery { agent, ..EntryQuery::default() };
        self.look(py, Act::ReadMemories, Vec::new(), |engine, scope| {
            let keys: Vec<_> = engine.list_context(scope, &query)?.into_iter().map(|listed| listed.key).collect();
            wire::write(&keys)
        })
    }

    /// The keys that an agent may read, with their topics, in the order of writing.
    fn context_listed(&self, py: Python<'_>, agent: &str) -> PyResult<String> {
        let agent = Some(Self::read(py, || Name::from_json(agent))?);
        let query = EntryQuery { agent, ..EntryQuery::default() };
        self.look(py, Act::ReadMemories, Vec::new(), |engine, scope| wire::write(&engine.list_context(scope, &query)?))
    }

    /// Every topic that is followed or has an entry.
    fn context_topics(&self, py: Python<'_>) -> PyResult<String> {
        self.look(py, Act::ReadMemories, Vec::new(), |engine, scope| wire::write(&engine.context_topics(scope)?))
    }

    /// Figures over entries and topics.
    fn context_statistics(&self, py: Python<'_>) -> PyResult<String> {
        self.look(py, Act::ReadMemories, Vec::new(), |engine, scope| wire::write(&engine.context_statistics(scope)?))
    }

    /// The agents that are known, what they follow and where they may post.
    fn context_agents(&self, py: Python<'_>) -> PyResult<String> {
        self.look(py, Act::ReadMemories, Vec::new(), |engine, scope| {
            wire::write::<Vec<Agent>>(&engine.context_agents(scope)?)
        })
    }

    /// Removes an entry; for an agent, if it may read it or has written it. Says whether it did.
    fn context_remove(&self, py: Python<'_>, key: &str, agent: Option<&str>) -> PyResult<bool> {
        let (key, agent) = Self::read(py, || Ok((Name::from_json(key)?, agent.map(Name::from_json).transpose()?)))?;
        self.change(py, Vec::new(), |engine, scope| engine.remove_context(scope, &key, agent.as_ref()))
    }

    /// Removes what has expired; says how many entries that were.
    fn context_remove_expired(&self, py: Python<'_>) -> PyResult<u64> {
        self.change(py, Vec::new(), |engine, scope| engine.remove_expired_context(scope))
    }

    /// Removes all entries, and forgets all agents.
    fn context_clear(&self, py: Python<'_>) -> PyResult<()> {
        self.change(py, Vec::new(), |engine, scope| engine.clear_context(scope))
    }

    /// Has an agent follow these topics and no others.
    fn context_subscribe(&self, py: Python<'_>, agent: &str, topics: &str) -> PyResult<()> {
        let (agent, topics) = Self::read(py, || Ok((Name::from_json(agent)?, wire::read::<Vec<Name>>(topics)?)))?;
        self.change(py, Vec::new(), |engine, scope| engine.subscribe(scope, &agent, topics).map(drop))
    }

    /// Has an agent no longer follow these topics.
    fn context_unsubscribe(&self, py: Python<'_>, agent: &str, topics: &str) -> PyResult<()> {
        let (agent, topics) = Self::read(py, || Ok((Name::from_json(agent)?, wire::read::<Vec<Name>>(topics)?)))?;
        self.change(py, Vec::new(), |engine, scope| engine.unsubscribe(scope, &agent, &topics).map(drop))
    }

    /// Says where an agent may post.
    fn context_permit(&self, py: Python<'_>, agent: &str, topics: &str) -> PyResult<()> {
        let (agent, topics) = Self::read(py, || Ok((Name::from_json(agent)?, wire::read::<Vec<Name>>(topics)?)))?;
        self.change(py, Vec::new(), |engine, scope| engine.permit(scope, &agent, topics).map(drop))
    }

    /// Deletes a topic; says how many entries went with it.
    fn context_delete_topic(&self, py: Python<'_>, topic: &str) -> PyResult<u64> {
        let topic = Self::read(py, || Name::from_json(topic))?;
        self.change(py, Vec::new(), |engine, scope| {
            Ok(engine.delete_topic(scope, &topic)?.map_or(0, |deleted| deleted.entries))
        })
    }
}

impl Space {
    fn entry_of(&self, py: Python<'_>, key: &str, expired: bool) -> PyResult<Option<String>> {
        let key = Self::read(py, || Name::from_json(key))?;
        self.look(py, Act::ReadMemories, Vec::new(), |engine, scope| {
            let now = engine.now();
            let entry = engine.context_entry(scope, &key)?.filter(|entry| expired || !entry.is_expired(now));
            entry.map(|entry| wire::write(&EntryOut::from(entry))).transpose()
        })
    }
}
