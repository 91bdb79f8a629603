//! What agents should share: a list of entries and a list of agents, each in its order, and the rules as one reads them.

use jiff::{SignedDuration, Timestamp};
use locule_core::Code;
use locule_core::context::{Entry, Json, Name, Push, Statistics};

/// How many entries and agents there may be.
pub const ENTRIES_MAX: usize = 5;
pub const AGENTS_MAX: usize = 4;

/// How long what has expired may lie about.
const LEFT_S: i64 = 5 * 60;

#[derive(Clone, Default)]
pub struct Mesh {
    /// Those that have expired and lie about included, in the order of writing.
    pub entries: Vec<Entry>,
    /// In the order in which they came to their topics.
    pub agents: Vec<Agent>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Agent {
    pub name: Name,
    pub topics: Vec<Name>,
    pub posts: Option<Vec<Name>>,
}

/// What happens, or with which code it is refused, and then nothing does.
type Outcome<T> = Result<(Mesh, T), Code>;

impl Mesh {
    pub fn live(&self, now: Timestamp) -> Vec<&Entry> {
        self.entries.iter().filter(|entry| !is_over(entry, now)).collect()
    }

    pub fn live_one(&self, key: &Name, now: Timestamp) -> Option<&Entry> {
        self.live(now).into_iter().find(|entry| entry.key == *key)
    }

    fn agent(&self, name: &Name) -> Option<&Agent> {
        self.agents.iter().find(|agent| agent.name == *name)
    }

    pub fn push(&self, push: &Push, now: Timestamp) -> Outcome<Entry> {
        let there = self.live_one(&push.key, now);
        self.may_post(push.sender.as_ref(), &push.topics)?;
        if let (Some(sender), Some(there)) = (&push.sender, there)
            && !may_change(sender, there)
        {
            return Err(Code::NotAllowed);
        }
        if push.expected_revision.is_some_and(|expected| expected != there.map_or(0, |there| there.revision)) {
            return Err(Code::Conflict);
        }
        let mut audience = push.agents.clone();
        for agent in &self.agents {
            if agent.topics.iter().any(|topic| push.topics.contains(topic)) {
                audience.push(agent.name.clone());
            }
        }
        if push.include_sender {
            audience.extend(push.sender.clone());
        }
        let global = push.agents.is_empty() && push.topics.is_empty();
        self.put(
            Entry {
                key: push.key.clone(),
                value: push.value.clone(),
                audience: (!global).then(|| once(audience)),
                topics: once(push.topics.clone()),
                writer: push.sender.clone(),
                metadata: push.metadata.clone(),
                ttl_s: push.ttl_s,
                created_at: now,
                revision: 0,
            },
            now,
        )
    }

    pub fn append(&self, push: &Push, now: Timestamp) -> Outcome<Entry> {
        let Some(there) = self.live_one(&push.key, now) else {
            let value = Json::of(&format!("[{}]", push.value.text())).unwrap();
            return self.push(&Push { value, ..push.clone() }, now);
        };
        if push.sender.as_ref().is_some_and(|sender| !can_read(sender, there)) {
            return Err(Code::NotAllowed);
        }
        self.may_post(push.sender.as_ref(), &there.topics)?;
        let Some(items) = there.value.text().strip_suffix(']') else { return Err(Code::Conflict) };
        let comma = if items == "[" { "" } else { "," };
        let value = Json::of(&format!("{items}{comma}{}]", push.value.text())).unwrap();
        let writer = push.sender.clone().or_else(|| there.writer.clone());
        self.put(Entry { value, writer, ..there.clone() }, now)
    }

    /// Another value for what is there, by whoever might push it anew.
    pub fn edit(&self, push: &Push, now: Timestamp) -> Outcome<Entry> {
        let Some(there) = self.live_one(&push.key, now) else { return self.push(push, now) };
        self.may_post(push.sender.as_ref(), &there.topics)?;
        if push.sender.as_ref().is_some_and(|sender| !may_change(sender, there)) {
            return Err(Code::NotAllowed);
        }
        if push.expected_revision.is_some_and(|expected| expected != there.revision) {
            return Err(Code::Conflict);
        }
        let writer = push.sender.clone().or_else(|| there.writer.clone());
        self.put(Entry { value: push.value.clone(), writer, ..there.clone() }, now)
    }

    /// An entry as it is. Its revision is not known before. Where there is no room for it, and it is over as it comes, it comes
    /// and goes.
    pub fn put(&self, entry: Entry, now: Timestamp) -> Outcome<Entry> {
        let entry = Entry { audience: entry.audience.map(once), topics: once(entry.topics), ..entry };
        let mut mesh = self.clone();
        mesh.entries.retain(|entry| !is_over(entry, now - SignedDuration::from_secs(LEFT_S)));
        let count = mesh.entries.len();
        mesh.entries.retain(|other| other.key != entry.key);
        let is_new = mesh.entries.len() == count;
        let writer = entry.writer.clone();
        mesh.entries.push(entry.clone());
        if is_new && mesh.entries.len() > ENTRIES_MAX {
            mesh.entries.retain(|entry| !is_over(entry, now));
            if mesh.entries.len() > ENTRIES_MAX {
                return Err(Code::QuotaExceeded);
            }
        }
        match writer {
            Some(writer) if mesh.agent(&writer).is_none() => mesh.meet(Agent::new(writer))?,
            _ => {}
        }
        Ok((mesh, entry))
    }

    /// Whether it was there.
    pub fn remove(&self, key: &Name, agent: Option<&Name>, now: Timestamp) -> (Mesh, bool) {
        let mut mesh = self.clone();
        let may = |entry: &Entry| agent.is_none_or(|agent| !is_over(entry, now) && may_change(agent, entry));
        mesh.entries.retain(|entry| entry.key != *key || !may(entry));
        let removed = mesh.entries.len() < self.entries.len();
        (mesh, removed)
    }

    pub fn remove_expired(&self, now: Timestamp) -> (Mesh, u64) {
        let mut mesh = self.clone();
        mesh.entries.retain(|entry| !is_over(entry, now));
        let removed = self.entries.len() - mesh.entries.len();
        (mesh, removed as u64)
    }

    /// Whoever comes to its first topic comes last.
    pub fn subscribe(&self, name: &Name, topics: &[Name]) -> Outcome<Agent> {
        let mut mesh = self.clone();
        let topics = once(topics.to_vec());
        let Some(place) = mesh.agents.iter().position(|agent| agent.name == *name) else {
            let agent = Agent { topics, ..Agent::new(name.clone()) };
            mesh.meet(agent.clone())?;
            return Ok((mesh, agent));
        };
        let comes = mesh.agents[place].topics.is_empty() && !topics.is_empty();
        let mut agent = mesh.agents.remove(place);
        agent.topics = topics;
        mesh.agents.insert(if comes { mesh.agents.len() } else { place }, agent.clone());
        Ok((mesh, agent))
    }

    pub fn unsubscribe(&self, name: &Name, topics: &[Name]) -> Mesh {
        let mut mesh = self.clone();
        for agent in mesh.agents.iter_mut().filter(|agent| agent.name == *name) {
            agent.topics.retain(|topic| !topics.contains(topic));
        }
        mesh
    }

    pub fn permit(&self, name: &Name, topics: &[Name]) -> Outcome<Agent> {
        let mut mesh = self.clone();
        if mesh.agent(name).is_none() {
            mesh.meet(Agent::new(name.clone()))?;
        }
        let agent = mesh.agents.iter_mut().find(|agent| agent.name == *name).unwrap();
        agent.posts = Some(once(topics.to_vec()));
        let agent = agent.clone();
        Ok((mesh, agent))
    }

    /// How many followed it, and which entries were changed and how many are gone; `None` if there is no such topic.
    pub fn delete_topic(&self, topic: &Name) -> Option<(Mesh, u64, u64)> {
        let mut mesh = self.clone();
        let mut followers = 0;
        for agent in mesh.agents.iter_mut().filter(|agent| agent.topics.contains(topic)) {
            agent.topics.retain(|other| other != topic);
            followers += 1;
        }
        let (tagged, mut others): (Vec<_>, Vec<_>) =
            mesh.entries.into_iter().partition(|entry| entry.topics.contains(topic));
        if followers == 0 && tagged.is_empty() {
            return None;
        }
        let count = tagged.len();
        let mut left = tagged;
        for entry in &mut left {
            entry.topics.retain(|other| other != topic);
        }
        left.retain(|entry| !entry.topics.is_empty());
        let gone = (count - left.len()) as u64;
        others.append(&mut left);
        Some((Mesh { entries: others, agents: mesh.agents }, followers, gone))
    }

    /// Topics with who follows each and how many entries it has.
    pub fn topics(&self, now: Timestamp) -> Vec<(Name, Vec<Name>, u64)> {
        let followed = self.agents.iter().flat_map(|agent| agent.topics.clone());
        let tagged = self.live(now).into_iter().flat_map(|entry| entry.topics.clone());
        let told = |topic: Name| {
            let followers = self.agents.iter().filter(|agent| agent.topics.contains(&topic));
            let followers = followers.map(|agent| agent.name.clone()).collect();
            let entries = self.live(now).iter().filter(|entry| entry.topics.contains(&topic)).count() as u64;
            (topic, followers, entries)
        };
        once(followed.chain(tagged).collect()).into_iter().map(told).collect()
    }

    pub fn statistics(&self, now: Timestamp) -> Statistics {
        let live = self.live(now);
        let global = live.iter().filter(|entry| entry.audience.is_none()).count() as u64;
        let follow = self.agents.iter().filter(|agent| !agent.topics.is_empty());
        Statistics {
            total_items: self.entries.len() as u64,
            active_items: live.len() as u64,
            expired_items: (self.entries.len() - live.len()) as u64,
            global_items: global,
            private_items: live.len() as u64 - global,
            total_topics: once(self.agents.iter().flat_map(|agent| agent.topics.clone()).collect()).len() as u64,
            agents_with_topics: follow.count() as u64,
        }
    }

    /// Bytes as the quota counts them.
    pub fn size(&self) -> usize {
        let list = |names: &Vec<Name>| {
            let texts: Vec<_> = names.iter().map(Name::json).collect();
            format!("[{}]", texts.join(",")).len()
        };
        let of_entry = |entry: &Entry| {
            64 + entry.key.json().len()
                + entry.value.text().len()
                + entry.audience.as_ref().map_or(0, list)
                + list(&entry.topics)
                + entry.writer.as_ref().map_or(0, |writer| writer.json().len())
                + entry.metadata.as_ref().map_or(0, |metadata| metadata.text().len())
        };
        let of_agent =
            |agent: &Agent| 64 + agent.name.json().len() + list(&agent.topics) + agent.posts.as_ref().map_or(0, list);
        self.entries.iter().map(of_entry).sum::<usize>() + self.agents.iter().map(of_agent).sum::<usize>()
    }

    fn meet(&mut self, agent: Agent) -> Result<(), Code> {
        if self.agents.len() >= AGENTS_MAX {
            return Err(Code::QuotaExceeded);
        }
        self.agents.push(agent);
        Ok(())
    }

    fn may_post(&self, sender: Option<&Name>, topics: &[Name]) -> Result<(), Code> {
        let posts = sender.and_then(|sender| self.agent(sender)).and_then(|agent| agent.posts.as_ref());
        match posts {
            Some(posts) if !posts.is_empty() && !topics.iter().all(|topic| posts.contains(topic)) => {
                Err(Code::NotAllowed)
            }
            _ => Ok(()),
        }
    }
}

impl Agent {
    fn new(name: Name) -> Self {
        Agent { name, topics: Vec::new(), posts: None }
    }
}

pub fn can_read(agent: &Name, entry: &Entry) -> bool {
    entry.audience.as_ref().is_none_or(|audience| audience.contains(agent))
}

fn may_change(agent: &Name, entry: &Entry) -> bool {
    can_read(agent, entry) || entry.writer.as_ref() == Some(agent)
}

/// Whether its time is over. Times here are whole seconds.
pub fn is_over(entry: &Entry, now: Timestamp) -> bool {
    entry.ttl_s.is_some_and(|ttl_s| (now.as_second() - entry.created_at.as_second()) as f64 > ttl_s)
}

fn once(names: Vec<Name>) -> Vec<Name> {
    let mut seen: Vec<Name> = Vec::new();
    for name in names {
        if !seen.contains(&name) {
            seen.push(name);
        }
    }
    seen
}
