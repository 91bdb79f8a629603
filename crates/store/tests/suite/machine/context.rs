//! Context that agents share: whatever they do, it is what the plain lists say.

use locule_core::context::{Changes, Entry, EntryQuery, Json, Name, Push};
use locule_core::{Code, Result};

use super::Town;
use super::mesh::{self, Mesh};
use crate::house::code;

/// Few, so that they meet. One agent is called like a topic, one like what others use for nobody, one like nothing.
const KEYS: [&str; 8] =
    [r#""plan""#, r#""found""#, r#""list""#, r#""%""#, r#""""#, r#""\u0000""#, r#""\ud800""#, r#""' OR 1=1 --""#];
const AGENTS: [&str; 6] = [r#""scout""#, r#""writer""#, r#""t1""#, r#""""#, r#""__NO_SUBSCRIBERS__""#, r#""\udc00""#];
const TOPICS: [&str; 4] = [r#""t1""#, r#""t2""#, r#""""#, r#""T1""#];
const VALUES: [&str; 8] =
    ["1", "null", "[]", r#"["a"]"#, r#"{"a":1,"a":2}"#, r#""\u0000\ud800""#, "1e400", "123456789012345678901234567890"];

/// What somebody has heard who follows.
#[derive(Clone, Default)]
pub struct Heard {
    after: u64,
    keys: Vec<Name>,
}

impl Town {
    pub(super) fn mesh(&mut self, who: usize, when: &str) {
        match self.dice.below(26) {
            0..=6 => self.push(who, when),
            7..=9 => self.append(who, when),
            10 => self.put(who, when),
            11 => self.change(who, when),
            12 | 13 => self.remove(who, when),
            14..=16 => self.subscribe(who, when),
            17 => self.unsubscribe(who, when),
            18 => self.permit(who, when),
            19 => self.delete_topic(who, when),
            20 if self.dice.one_in(4) => self.clear(who, when),
            20 => self.remove_expired(who, when),
            21 | 22 => self.look(who, when),
            24 | 25 => self.edit(who, when),
            _ => self.follow(who, when),
        }
    }

    fn name(&mut self, of: &[&str]) -> Name {
        Name::from_json(self.dice.pick::<&str>(of)).unwrap()
    }

    fn names(&mut self, of: &[&str], count: usize) -> Vec<Name> {
        (0..self.dice.below(count + 1)).map(|_| self.name(of)).collect()
    }

    fn value(&mut self) -> Json {
        Json::of(self.dice.pick::<&str>(&VALUES)).unwrap()
    }

    fn some_push(&mut self) -> Push {
        let to_some = !self.dice.one_in(3);
        Push {
            agents: if to_some && self.dice.one_in(2) { self.names(&AGENTS, 2) } else { Vec::new() },
            topics: if to_some { self.names(&TOPICS, 3) } else { Vec::new() },
            ttl_s: self.dice.one_in(2).then(|| *self.dice.pick(&[-1.0, 0.0, 20.0, 60.0, 1e300])),
            sender: self.dice.one_in(2).then(|| self.name(&AGENTS)),
            include_sender: self.dice.one_in(3),
            metadata: self.dice.one_in(4).then(|| Json::of(r#"{"by":"\ud800"}"#).unwrap()),
            ..Push::new(self.name(&KEYS), self.value())
        }
    }

    /// What the lists say has happened, or with which code it was refused. What was written gets its revision from the answer.
    fn settle<T>(&mut self, who: usize, expected: Result<(Mesh, T), Code>, outcome: Result<T>, when: &str)
    where
        T: std::fmt::Debug + PartialEq,
    {
        match expected {
            Ok((mesh, answer)) => {
                assert_eq!(outcome.unwrap(), answer, "{when}");
                self.people[who].mesh = mesh;
            }
            Err(refusal) => assert_eq!(code(outcome), Some(refusal), "{when}"),
        }
        self.people[who].known = true;
    }

    /// The same where an entry was written: it stands last, under the highest revision.
    fn settle_written(
        &mut self,
        who: usize,
        expected: Result<(Mesh, Entry), Code>,
        outcome: Result<Entry>,
        when: &str,
    ) {
        let written = outcome.as_ref().ok().cloned();
        let highest = self.people[who].mesh.entries.iter().map(|entry| entry.revision).max().unwrap_or(0);
        let expected = expected.map(|(mut mesh, mut entry)| {
            if let Some(written) = &written {
                assert!(written.revision > highest, "{when}: revisions rise");
                entry.revision = written.revision;
            }
            mesh.entries.iter_mut().filter(|last| last.key == entry.key).for_each(|last| last.clone_from(&entry));
            (mesh, entry)
        });
        self.settle(who, expected, outcome, when);
    }

    fn push(&mut self, who: usize, when: &str) {
        let push = self.push_on_what_was_read(who);
        let outcome = self.user(who).write(|writer| writer.push_context(push.clone()));
        let Some(outcome) = self.allowed(who, outcome, when) else { return };
        let expected = self.people[who].mesh.push(&push, self.moment());
        self.settle_written(who, expected, outcome, when);
    }

    /// Sometimes one that is to be written on a revision: the right one, or another.
    fn push_on_what_was_read(&mut self, who: usize) -> Push {
        let mut push = self.some_push();
        if self.dice.one_in(4) {
            let there = self.people[who].mesh.live_one(&push.key, self.moment()).map(|there| there.revision);
            push.expected_revision = Some(*self.dice.pick(&[0, 1, there.unwrap_or(0), there.unwrap_or(0)]));
        }
        push
    }

    fn edit(&mut self, who: usize, when: &str) {
        let push = self.push_on_what_was_read(who);
        let outcome = self.user(who).write(|writer| writer.edit_context(push.clone()));
        let Some(outcome) = self.allowed(who, outcome, when) else { return };
        let expected = self.people[who].mesh.edit(&push, self.moment());
        self.settle_written(who, expected, outcome, when);
    }

    fn append(&mut self, who: usize, when: &str) {
        let push = self.some_push();
        let outcome = self.user(who).write(|writer| writer.append_context(push.clone()));
        let Some(outcome) = self.allowed(who, outcome, when) else { return };
        let expected = self.people[who].mesh.append(&push, self.moment());
        self.settle_written(who, expected, outcome, when);
    }

    fn put(&mut self, who: usize, when: &str) {
        let push = self.some_push();
        let (audience, created_at) = (self.dice.one_in(2).then(|| self.names(&AGENTS, 3)), self.moment());
        let Push { key, value, topics, ttl_s, sender: writer, metadata, .. } = push;
        let entry = Entry { key, value, audience, topics, writer, metadata, ttl_s, created_at, revision: 7 };
        let outcome = self.user(who).write(|writer| writer.put_context(entry.clone()));
        let Some(outcome) = self.allowed(who, outcome, when) else { return };
        let expected = self.people[who].mesh.put(entry, self.moment());
        self.settle_written(who, expected, outcome, when);
    }

    /// Reads an entry and writes it with another value, in one.
    fn change(&mut self, who: usize, when: &str) {
        let (key, value, now) = (self.name(&KEYS), self.value(), self.moment());
        let changed = |there: Option<Entry>| {
            let there = there.filter(|there| !mesh::is_over(there, now));
            there.map(|there| Entry { value: value.clone(), ..there })
        };
        let outcome = self.user(who).write(|writer| {
            let there = writer.context_entry(&key)?;
            changed(there).map(|entry| writer.put_context(entry)).transpose()
        });
        let Some(outcome) = self.allowed(who, outcome, when) else { return };
        let model = &self.people[who].mesh;
        match (changed(model.entries.iter().find(|entry| entry.key == key).cloned()), outcome) {
            (Some(entry), outcome) => {
                let expected = model.put(entry, now);
                self.settle_written(who, expected, outcome.map(Option::unwrap), when);
            }
            (None, outcome) => assert_eq!(outcome.unwrap(), None, "{when}"),
        }
        self.people[who].known = true;
    }

    fn remove(&mut self, who: usize, when: &str) {
        let (key, agent) = (self.name(&KEYS), self.dice.one_in(2).then(|| self.name(&AGENTS)));
        let outcome = self.user(who).write(|writer| writer.remove_context(&key, agent.as_ref()));
        let Some(outcome) = self.allowed(who, outcome, when) else { return };
        let expected = self.people[who].mesh.remove(&key, agent.as_ref(), self.moment());
        self.settle(who, Ok(expected), outcome, when);
    }

    fn remove_expired(&mut self, who: usize, when: &str) {
        let outcome = self.user(who).write(|writer| writer.remove_expired_context());
        let Some(outcome) = self.allowed(who, outcome, when) else { return };
        let expected = self.people[who].mesh.remove_expired(self.moment());
        self.settle(who, Ok(expected), outcome, when);
    }

    fn clear(&mut self, who: usize, when: &str) {
        let outcome = self.user(who).write(|writer| writer.clear_context());
        let Some(outcome) = self.allowed(who, outcome, when) else { return };
        self.settle(who, Ok((Mesh::default(), ())), outcome, when);
    }

    fn subscribe(&mut self, who: usize, when: &str) {
        let (agent, topics) = (self.name(&AGENTS), self.names(&TOPICS, 3));
        let outcome = self.user(who).write(|writer| writer.subscribe(&agent, topics.clone()));
        let Some(outcome) = self.allowed(who, outcome, when) else { return };
        let expected = self.people[who].mesh.subscribe(&agent, &topics);
        self.settle(who, expected, outcome.map(plain), when);
    }

    fn unsubscribe(&mut self, who: usize, when: &str) {
        let (agent, topics) = (self.name(&AGENTS), self.names(&TOPICS, 3));
        let outcome = self.user(who).write(|writer| writer.unsubscribe(&agent, &topics).map(drop));
        let Some(outcome) = self.allowed(who, outcome, when) else { return };
        let expected = self.people[who].mesh.unsubscribe(&agent, &topics);
        self.settle(who, Ok((expected, ())), outcome, when);
    }

    fn permit(&mut self, who: usize, when: &str) {
        let (agent, topics) = (self.name(&AGENTS), self.names(&TOPICS, 2));
        let outcome = self.user(who).write(|writer| writer.permit(&agent, topics.clone()));
        let Some(outcome) = self.allowed(who, outcome, when) else { return };
        let expected = self.people[who].mesh.permit(&agent, &topics);
        self.settle(who, expected, outcome.map(plain), when);
    }

    fn delete_topic(&mut self, who: usize, when: &str) {
        let topic = self.name(&TOPICS);
        let outcome = self.user(who).write(|writer| writer.delete_topic(&topic));
        let Some(outcome) = self.allowed(who, outcome, when) else { return };
        self.people[who].known = true;
        let Some((mut expected, followers, gone)) = self.people[who].mesh.delete_topic(&topic) else {
            assert_eq!(outcome.unwrap(), None, "{when}");
            return;
        };
        let deleted = outcome.unwrap().unwrap();
        assert_eq!((deleted.subscribers, deleted.entries), (followers, gone), "{when}");
        // What has lost the topic was written by this: it stands last, under one revision.
        let query = EntryQuery { expired: true, ..EntryQuery::default() };
        let found = self.user(who).entries(&query);
        let before = &self.people[who].mesh.entries;
        let highest = before.iter().map(|entry| entry.revision).max().unwrap_or(0);
        let mut revisions = Vec::new();
        for entry in &mut expected.entries {
            let was = before.iter().find(|before| before.key == entry.key).unwrap();
            if was.topics != entry.topics {
                entry.revision = found.iter().find(|found| found.key == entry.key).unwrap().revision;
                revisions.push(entry.revision);
            }
        }
        assert!(revisions.iter().all(|revision| *revision > highest && *revision == revisions[0]), "{when}");
        assert_eq!(found, expected.entries, "{when}");
        self.people[who].mesh = expected;
    }

    /// Everything there is to be seen, in every way.
    pub(super) fn look(&mut self, who: usize, when: &str) {
        let agent = self.dice.one_in(2).then(|| self.name(&AGENTS));
        let topic = self.dice.one_in(3).then(|| self.name(&TOPICS));
        let keys = self.dice.one_in(3).then(|| self.names(&KEYS, 3));
        let query = EntryQuery { agent, topic, keys, expired: self.dice.one_in(4), ..EntryQuery::default() };
        let outcome = self.user(who).read(|reader| {
            let mut read = Vec::new();
            reader.context_entries(&query, &mut |entry| {
                read.push(entry);
                Ok(())
            })?;
            let listed = reader.list_context(&query)?;
            let agents = reader.context_agents()?;
            Ok((read, listed, agents, reader.context_topics()?, reader.context_statistics()?))
        });
        let Some(outcome) = self.allowed(who, outcome, when) else { return };
        let (read, listed, agents, topics, statistics) = outcome.unwrap();
        let (mesh, now) = (&self.people[who].mesh, self.moment());
        let all = mesh.entries.iter().filter(|entry| query.expired || !mesh::is_over(entry, now));
        let mut expected: Vec<Entry> = all
            .filter(|entry| query.agent.as_ref().is_none_or(|agent| mesh::can_read(agent, entry)))
            .filter(|entry| query.topic.as_ref().is_none_or(|topic| entry.topics.contains(topic)))
            .filter(|entry| query.keys.as_ref().is_none_or(|keys| keys.contains(&entry.key)))
            .cloned()
            .collect();
        let told: Vec<_> = listed.into_iter().map(|one| (one.key, one.topics, one.created_at, one.revision)).collect();
        let untold = |entry: &Entry| (entry.key.clone(), entry.topics.clone(), entry.created_at, entry.revision);
        assert_eq!(told, expected.iter().map(untold).collect::<Vec<_>>(), "{when}");
        if let Some(keys) = &query.keys {
            // In the order in which they were asked for.
            expected.sort_by_key(|entry| keys.iter().position(|key| *key == entry.key));
        }
        assert_eq!(read, expected, "{when}");
        assert_eq!(agents.into_iter().map(plain).collect::<Vec<_>>(), mesh.agents, "{when}");
        let topics: Vec<_> = topics.into_iter().map(|topic| (topic.name, topic.subscribers, topic.entries)).collect();
        assert_eq!(topics, mesh.topics(now), "{when}");
        assert_eq!(statistics, mesh.statistics(now), "{when}");
    }

    /// Whoever follows hears of every entry once, in the order of writing, and of every key that is gone.
    fn follow(&mut self, who: usize, when: &str) {
        let heard = self.people[who].heard.clone();
        let outcome = self.user(who).read(|reader| Ok((reader.context_changes(heard.after, None)?, reader.state()?)));
        let Some(outcome) = self.allowed(who, outcome, when) else { return };
        let (changes, state) = outcome.unwrap();
        let live = self.people[who].mesh.live(self.moment());
        let news: Vec<Entry> =
            live.iter().filter(|entry| entry.revision > heard.after).map(|entry| (*entry).clone()).collect();
        let keys: Vec<Name> = live.iter().map(|entry| entry.key.clone()).collect();
        let Some(changes) = changes else {
            assert_eq!((state.revision, news), (heard.after, vec![]), "{when}");
            // Nothing was written, so that nothing is new; what has expired since is told with the next change.
            assert!(keys.iter().all(|key| heard.keys.contains(key)), "{when}");
            return;
        };
        let Changes { revision, entries, keys: told, .. } = changes;
        assert_eq!((revision, entries, told), (state.revision, news, keys.clone()), "{when}");
        self.people[who].heard = Heard { after: revision, keys };
    }
}

/// An agent as the lists have it.
pub fn plain(agent: locule_core::context::Agent) -> mesh::Agent {
    mesh::Agent { name: agent.name, topics: agent.topics, posts: agent.posts }
}
