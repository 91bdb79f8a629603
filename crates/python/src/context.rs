//! The context that a space's agents share, in the words of the native REST face: what goes in and comes out is what stands in
//! the bodies there.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use locule::context::tools::{self, Call, Rights};
use locule::context::{self, EntryQuery, Heard, Json, Name, Push, Told, Wake};
use locule::{Act, Code, Error, Result, limit};
use pyo3::prelude::*;
use serde::{Deserialize, Serialize};

use crate::space::Space;
use crate::wire;

/// How long a follower waits for this process at most before it looks what others have changed, and lets Python see to signals.
const LOOK: Duration = Duration::from_secs(1);

/// A space's context.
#[pyclass(frozen, module = "locule._native")]
pub struct Context {
    space: Py<Space>,
}

#[pymethods]
impl Space {
    /// What the agents of this space share.
    fn context(own: Py<Self>) -> Context {
        Context { space: own }
    }
}

/// An entry to write.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PushIn {
    key: Name,
    value: Json,
    #[serde(default)]
    agents: Vec<Name>,
    #[serde(default)]
    topics: Vec<Name>,
    ttl_s: Option<f64>,
    sender: Option<Name>,
    #[serde(default)]
    include_sender: bool,
    metadata: Option<Json>,
    expected_revision: Option<u64>,
}

impl From<PushIn> for Push {
    fn from(push: PushIn) -> Self {
        let PushIn { key, value, agents, topics, ttl_s, sender, include_sender, metadata, expected_revision } = push;
        Push { key, value, agents, topics, ttl_s, sender, include_sender, metadata, expected_revision }
    }
}

/// Which entries.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReadIn {
    agent: Option<Name>,
    topic: Option<Name>,
    keys: Option<Vec<Name>>,
    #[serde(default)]
    values: bool,
}

/// What to remove.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RemoveIn {
    key: Name,
    agent: Option<Name>,
}

/// What an agent follows, what it follows no longer, or where it may post: one of the three.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AgentIn {
    name: Name,
    topics: Option<Vec<Name>>,
    leaves: Option<Vec<Name>>,
    posts: Option<Vec<Name>>,
}

/// A tool that is called.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CallIn {
    tool: String,
    agent: Name,
    arguments: Json,
    role: Option<String>,
}

impl Context {
    fn look<T: Send, S: Serialize>(
        &self,
        py: Python<'_>,
        named: Vec<String>,
        work: impl FnOnce(&locule::Engine, locule::Scope<locule::Read>) -> Result<T> + Send,
        shown: impl FnOnce(T) -> S + Send,
    ) -> PyResult<String> {
        let look = |engine: &_, scope| wire::write(&shown(work(engine, scope)?));
        self.space.get().look(py, Act::ReadMemories, named, look)
    }

    fn change<T: Serialize>(
        &self,
        py: Python<'_>,
        named: Vec<String>,
        work: impl FnOnce(&locule::Engine, locule::Scope<locule::Write>) -> Result<T> + Send,
    ) -> PyResult<String> {
        self.space.get().change(py, named, |engine, scope| wire::write(&work(engine, scope)?))
    }
}

#[pymethods]
impl Context {
    /// Writes an entry, in place of the one of its key.
    fn push(&self, py: Python<'_>, push: &str, named: Vec<String>) -> PyResult<String> {
        let push = Space::read(py, || wire::read::<PushIn>(push))?;
        self.change(py, named, |engine, scope| engine.push_context(scope, push.into()))
    }

    /// Appends to the list of a key, or begins one.
    fn append(&self, py: Python<'_>, push: &str, named: Vec<String>) -> PyResult<String> {
        let push = Space::read(py, || wire::read::<PushIn>(push))?;
        self.change(py, named, |engine, scope| engine.append_context(scope, push.into()))
    }

    /// Changes the value of an entry, or begins one.
    fn edit(&self, py: Python<'_>, push: &str, named: Vec<String>) -> PyResult<String> {
        let push = Space::read(py, || wire::read::<PushIn>(push))?;
        self.change(py, named, |engine, scope| engine.edit_context(scope, push.into()))
    }

    /// Entries, or what can be told of them without their values.
    fn read(&self, py: Python<'_>, which: &str, named: Vec<String>) -> PyResult<String> {
        let ReadIn { agent, topic, keys, values } = Space::read(py, || wire::read(which))?;
        let bytes_max = Some(limit::CONTEXT_ANSWER_BYTES.max);
        let query = EntryQuery { agent, topic, keys, bytes_max, ..EntryQuery::default() };
        if values {
            self.look(py, named, |engine, scope| engine.context_entries(scope, &query), |entries| entries)
        } else {
            self.look(py, named, |engine, scope| engine.list_context(scope, &query), |listed| listed)
        }
    }

    /// Removes an entry. Says whether it did.
    fn remove(&self, py: Python<'_>, which: &str, named: Vec<String>) -> PyResult<bool> {
        let RemoveIn { key, agent } = Space::read(py, || wire::read(which))?;
        self.space.get().change(py, named, |engine, scope| engine.remove_context(scope, &key, agent.as_ref()))
    }

    /// Removes what has expired. Says how many entries that were.
    fn remove_expired(&self, py: Python<'_>, named: Vec<String>) -> PyResult<u64> {
        self.space.get().change(py, named, |engine, scope| engine.remove_expired_context(scope))
    }

    /// Removes all entries, and forgets all agents.
    fn clear(&self, py: Python<'_>, named: Vec<String>) -> PyResult<()> {
        self.space.get().change(py, named, |engine, scope| engine.clear_context(scope))
    }

    /// The topics that are followed or have entries.
    fn topics(&self, py: Python<'_>, named: Vec<String>) -> PyResult<String> {
        self.look(py, named, |engine, scope| engine.context_topics(scope), |topics| topics)
    }

    /// Deletes a topic.
    fn delete_topic(&self, py: Python<'_>, topic: &str, named: Vec<String>) -> PyResult<String> {
        let topic = Name::of(topic);
        self.change(py, named, |engine, scope| engine.delete_topic(scope, &topic)?.ok_or_else(Error::not_found))
    }

    /// The agents that are known.
    fn agents(&self, py: Python<'_>, named: Vec<String>) -> PyResult<String> {
        self.look(py, named, |engine, scope| engine.context_agents(scope), |agents| agents)
    }

    /// Says what an agent follows, or where it may post.
    fn change_agent(&self, py: Python<'_>, agent: &str, named: Vec<String>) -> PyResult<String> {
        let AgentIn { name, topics, leaves, posts } = Space::read(py, || wire::read(agent))?;
        self.change(py, named, |engine, scope| match (topics, leaves, posts) {
            (Some(topics), None, None) => engine.subscribe(scope, &name, topics),
            (None, Some(leaves), None) => engine.unsubscribe(scope, &name, &leaves).map(|(_, agent)| agent),
            (None, None, Some(posts)) => engine.permit(scope, &name, posts),
            _ => Err(Error::invalid("Give `topics`, `leaves` or `posts`: one at a time.")),
        })
    }

    /// Figures.
    fn statistics(&self, py: Python<'_>, named: Vec<String>) -> PyResult<String> {
        self.look(py, named, |engine, scope| engine.context_statistics(scope), |figures| figures)
    }

    /// The schemas of the tools, as a framework takes them.
    fn tools(&self, py: Python<'_>, framework: &str, role: &str, named: Vec<String>) -> PyResult<String> {
        let schemas = Space::read(py, || tools::schemas(framework, tools::of_role(role)?))?;
        self.look(py, named, |_, _| Ok(()), |()| schemas)
    }

    /// Calls a tool for an agent.
    fn call_tool(&self, py: Python<'_>, call: &str, named: Vec<String>) -> PyResult<String> {
        let call = Space::read(py, || {
            let CallIn { tool, agent, arguments, role } = wire::read(call)?;
            if !tools::NAMES.contains(&tool.as_str()) {
                return Err(Error::not_found());
            }
            if !tools::of_role(role.as_deref().unwrap_or("admin"))?.contains(&tool.as_str()) {
                return Err(Error::new(Code::NotAllowed, format!("`{tool}` is not a tool of this role.")));
            }
            Ok(Call { tool, agent, arguments })
        })?;
        let work = |engine: &locule::Engine, rights: &Rights| engine.call_tool(rights, &call);
        Ok(self.space.get().call(py, named, work)?.text().to_owned())
    }

    /// Somebody who follows the changes after a revision; of what an agent may read, if one is given.
    fn follow(&self, py: Python<'_>, after: u64, agent: Option<&str>, named: Vec<String>) -> Follower {
        let follower = Mutex::new(context::Follower::after(after));
        Follower { space: self.space.clone_ref(py), named, agent: agent.map(Name::of), follower }
    }
}

/// Somebody who follows.
#[pyclass(frozen, module = "locule._native")]
pub struct Follower {
    space: Py<Space>,
    named: Vec<String>,
    agent: Option<Name>,
    follower: Mutex<context::Follower>,
}

/// A piece of news: what kind it is, from where to go on, and what it says, as JSON.
type News = (&'static str, u64, String);

#[pymethods]
impl Follower {
    /// What is new; if nothing is, this waits for a moment, and no longer than `wait_s`. Also says whether there is more already.
    #[pyo3(signature = (wait_s))]
    fn look(&self, py: Python<'_>, wait_s: Option<f64>) -> PyResult<(Vec<News>, bool)> {
        let wait = wait_s.map_or(Ok(LOOK), |wait_s| Duration::try_from_secs_f64(wait_s.min(LOOK.as_secs_f64())));
        let wait = wait.unwrap_or_default();
        let bell = Arc::new(Bell::default());
        let wake: Wake = {
            let bell = bell.clone();
            Arc::new(move || bell.ring())
        };
        let heard = self.heard();
        let first = self.space.get().look(py, Act::ReadMemories, self.named.clone(), |engine, scope| {
            // Heard from now on, so that nothing falls between the look and the waiting.
            let watch = engine.watch_context(&scope, wake);
            Ok((engine.context_changes(scope, heard, self.agent.as_ref())?, watch))
        })?;
        let changes = match first {
            (None, watch) if !wait.is_zero() => {
                // Nothing of the engine is held meanwhile: it may be closed.
                py.detach(|| bell.wait(wait));
                drop(watch);
                self.space.get().look(py, Act::ReadMemories, self.named.clone(), |engine, scope| {
                    engine.context_changes(scope, heard, self.agent.as_ref())
                })?
            }
            (changes, _) => changes,
        };
        let Some(changes) = changes else { return Ok((Vec::new(), false)) };
        let more = changes.more.is_some();
        let told = self.follower.lock().unwrap_or_else(PoisonError::into_inner).tell(changes);
        let news = |Told { after, news }: Told| Ok((news.event(), after, wire::write(&news)?));
        let news = Space::read(py, || told.into_iter().map(news).collect::<Result<Vec<_>>>())?;
        Ok((news, more))
    }

    /// Nothing is held between two looks.
    fn close(&self) {}
}

impl Follower {
    fn heard(&self) -> Heard {
        self.follower.lock().unwrap_or_else(PoisonError::into_inner).heard()
    }
}

/// What somebody waits for.
#[derive(Default)]
struct Bell {
    rung: Mutex<bool>,
    heard: Condvar,
}

impl Bell {
    fn ring(&self) {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.heard.notify_all();
    }

    fn wait(&self, at_most: Duration) {
        let end = Instant::now() + at_most;
        let mut rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        while !*rung {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            rung = self.heard.wait_timeout(rung, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
