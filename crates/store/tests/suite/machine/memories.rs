//! Memories: written, read, searched, changed and deleted.

use jiff::Timestamp;
use locule_core::filter::Filter;
use locule_core::id::MemoryId;
use locule_core::memory::{Change, ListQuery, Memory, NewMemory, hash};
use locule_core::{Code, Result};
use locule_store::vector::encode;
use serde_json::json;

use super::{PEOPLE, Town};
use crate::house::{User, code, embed, filter, model};

const TEXTS: [&str; 12] = [
    "tea",
    "coffee",
    "green tea",
    "a peanut allergy",
    "Paris",
    "in the office",
    "two dogs",
    "a red car",
    "chess",
    "the sea",
    "no",
    "yes",
];

impl Town {
    pub(super) fn label(&mut self) -> Option<String> {
        self.dice.one_in(3).then(|| "chef".to_owned())
    }

    pub(super) fn run(&mut self) -> Option<String> {
        self.dice.one_in(3).then(|| self.dice.pick(&["trip", "call"]).to_string())
    }

    pub(super) fn text(&mut self, who: usize) -> String {
        format!("{} canary-of-{}", self.dice.pick(&TEXTS), PEOPLE[who])
    }

    pub(super) fn add(&mut self, who: usize, when: &str) {
        let count = 1 + self.dice.below(4);
        let batch: Vec<NewMemory> = (0..count)
            .map(|_| {
                let run_id = self.run();
                let ttl_s = (run_id.is_some() && self.dice.one_in(2)).then(|| 1 + self.dice.below(100) as u32);
                NewMemory {
                    agent_id: self.label(),
                    run_id,
                    metadata: json!({"n": self.dice.below(5)}).as_object().unwrap().clone(),
                    expiration: (ttl_s.is_none() && self.dice.one_in(4)).then(|| self.later()),
                    ttl_s,
                    ..NewMemory::text(self.text(who))
                }
            })
            .collect();
        let outcome = self.user(who).try_add(batch.clone());
        let Some(outcome) = self.allowed(who, outcome, when) else { return };
        self.people[who].known = true;
        let mut model = self.people[who].clone();
        let added = match outcome {
            Ok(added) => added,
            Err(error) => {
                assert_eq!(error.code(), Code::QuotaExceeded, "{when}");
                assert!(model.memories.len() + count > 40, "{when}: {} + {count}", model.memories.len());
                return;
            }
        };
        for (new, added) in batch.iter().zip(added) {
            let same =
                |old: &&Memory| old.memory == new.memory && old.agent_id == new.agent_id && old.run_id == new.run_id;
            let twin = model.memories.values().find(same).cloned();
            assert_eq!(added.existing, twin.is_some(), "{when}");
            match twin {
                Some(twin) => assert_eq!(added.memory, twin, "{when}"),
                None => {
                    assert!(model.ids.iter().all(|id| *id < added.memory.id), "{when}: ids rise");
                    assert_eq!((&added.memory.memory, &added.memory.metadata), (&new.memory, &new.metadata), "{when}");
                    assert_eq!(
                        (&added.memory.agent_id, &added.memory.run_id, added.memory.expiration),
                        (&new.agent_id, &new.run_id, new.expires(self.moment())),
                        "{when}"
                    );
                    model.ids.push(added.memory.id);
                    model.memories.insert(added.memory.id, added.memory);
                }
            }
        }
        assert!(model.memories.len() <= 40, "{when}: over the quota");
        self.people[who] = model;
    }

    pub(super) fn later(&mut self) -> Timestamp {
        let seconds = crate::house::noon().as_second() + self.now + 1 + self.dice.below(100) as i64;
        Timestamp::from_second(seconds).unwrap()
    }

    /// One of anybody's ids, gone or not.
    pub(super) fn some_id(&mut self, who: usize) -> Option<MemoryId> {
        let other = if self.dice.one_in(4) { self.dice.below(self.people.len()) } else { who };
        let ids = &self.people[other].ids;
        if ids.is_empty() { None } else { Some(*self.dice.pick(ids)) }
    }

    pub(super) fn get(&mut self, who: usize, when: &str) {
        let Some(id) = self.some_id(who) else { return };
        let outcome = self.user(who).get(id);
        let Some(outcome) = self.allowed(who, outcome, when) else { return };
        match self.people[who].memories.get(&id) {
            Some(expected) => assert_eq!(outcome.as_ref().ok(), Some(expected), "{when}"),
            None => assert_eq!(code(outcome), Some(Code::NotFound), "{when}"),
        }
    }

    /// A whole list, in pages, with a filter or without, is what the map says.
    pub(super) fn check(&mut self, who: usize, when: &str) {
        let agent = self.dice.one_in(2).then(|| filter(json!({"agent_id": "chef", "metadata.n": {"lt": 3}})));
        let matches = |memory: &Memory| {
            agent.is_none() || (memory.agent_id.is_some() && memory.metadata["n"].as_i64().is_some_and(|n| n < 3))
        };
        let expected: Vec<Memory> =
            self.people[who].memories.values().rev().filter(|memory| matches(memory)).cloned().collect();
        let limit = 1 + self.dice.below(15);
        let outcome = pages(self.user(who), agent.as_ref(), limit);
        let Some(outcome) = self.allowed(who, outcome, when) else { return };
        let (listed, total) = outcome.unwrap();
        assert_eq!(listed, expected, "{when}");
        assert_eq!(total as usize, expected.len(), "{when}");
        let count = self.people[who].memories.len() as u64;
        let (seen, intact) = self
            .user(who)
            .read(|reader| Ok((reader.statistics()?.memory_count, reader.verify_audit()?.is_ok())))
            .unwrap();
        assert_eq!((seen, intact), (count, true), "{when}");
    }

    pub(super) fn search(&mut self, who: usize, when: &str) {
        let query = self.dice.vector(crate::house::DIMENSION);
        let limit = 1 + self.dice.below(10);
        let outcome = self.user(who).search(&query, limit);
        let Some(outcome) = self.allowed(who, outcome, when) else { return };
        let hits = outcome.unwrap();
        let memories = &self.people[who].memories;
        let length = query.iter().map(|part| part * part).sum::<f32>().sqrt();
        let cosine = |memory: &Memory| -> f32 {
            let row = locule_store::vector::decode(&encode(&embed(&memory.memory)).unwrap());
            row.iter().zip(&query).map(|(one, other)| one * other / length).sum()
        };
        let mut expected: Vec<f32> = memories.values().map(cosine).collect();
        expected.sort_by(|one, other| other.total_cmp(one));
        expected.truncate(limit);
        assert_eq!(hits.len(), expected.len(), "{when}");
        for (hit, expected) in hits.iter().zip(expected) {
            assert_eq!(memories.get(&hit.memory.id), Some(&hit.memory), "{when}");
            assert!((hit.parts.cosine - expected).abs() < 2e-3, "{when}");
        }
    }

    pub(super) fn update(&mut self, who: usize, when: &str) {
        let Some(id) = self.some_id(who) else { return };
        let change = Change {
            memory: self.dice.one_in(2).then(|| self.text(who)),
            agent_id: self.dice.one_in(3).then(|| self.label()),
            metadata: Some(json!({"n": self.dice.below(5), "extra": null}).as_object().unwrap().clone()),
            expiration: self.dice.one_in(4).then(|| self.dice.one_in(2).then(|| self.later())),
            ..Change::default()
        };
        let row = change.memory.as_ref().map(|text| encode(&embed(text)).unwrap());
        let outcome = self.user(who).write(|writer| writer.update(&model(), id, &change, row));
        let Some(outcome) = self.allowed(who, outcome, when) else { return };
        self.people[who].known = true;
        let memories = &mut self.people[who].memories;
        let Some(old) = memories.get(&id).cloned() else {
            assert_eq!(code(outcome), Some(Code::NotFound), "{when}");
            return;
        };
        let text = change.memory.as_ref().unwrap_or(&old.memory);
        let agent = change.agent_id.as_ref().unwrap_or(&old.agent_id);
        let same = |other: &Memory| {
            other.id != id && other.memory == *text && other.agent_id == *agent && other.run_id == old.run_id
        };
        if memories.values().any(same) {
            assert_eq!(code(outcome), Some(Code::Conflict), "{when}");
            return;
        }
        let new = outcome.unwrap();
        assert_eq!((&new.memory, &new.agent_id, &new.hash), (text, agent, &hash(text)), "{when}");
        assert_eq!(new.metadata["n"], change.metadata.unwrap()["n"], "{when}");
        assert_eq!(new.expiration, change.expiration.unwrap_or(old.expiration), "{when}");
        assert_eq!((new.id, new.created_at), (old.id, old.created_at), "{when}");
        memories.insert(id, new);
    }

    pub(super) fn delete(&mut self, who: usize, when: &str) {
        let Some(id) = self.some_id(who) else { return };
        let outcome = self.user(who).write(|writer| writer.delete(id));
        let Some(outcome) = self.allowed(who, outcome, when) else { return };
        self.people[who].known = true;
        match self.people[who].memories.remove(&id) {
            Some(_) => outcome.unwrap(),
            None => assert_eq!(code(outcome), Some(Code::NotFound), "{when}"),
        }
        self.people[who].tidy();
    }

    pub(super) fn delete_all(&mut self, who: usize, when: &str) {
        let agent = self.dice.one_in(2).then(|| filter(json!({"agent_id": "*"})));
        let outcome = self.user(who).write(|writer| writer.delete_all(agent.as_ref()));
        let Some(outcome) = self.allowed(who, outcome, when) else { return };
        self.people[who].known = true;
        let before = self.people[who].memories.len();
        self.people[who].memories.retain(|_, memory| agent.is_some() && memory.agent_id.is_none());
        self.people[who].tidy();
        assert_eq!(outcome.unwrap() as usize, before - self.people[who].memories.len(), "{when}");
    }

    pub(super) fn promote(&mut self, who: usize, when: &str) {
        let Some(id) = self.some_end(who) else { return };
        let outcome = self.user(who).write(|writer| writer.promote(id));
        let Some(outcome) = self.allowed(who, outcome, when) else { return };
        self.people[who].known = true;
        let now = self.moment();
        let memories = &mut self.people[who].memories;
        let Some(old) = memories.get(&id).cloned() else {
            assert_eq!(code(outcome), Some(Code::NotFound), "{when}");
            return;
        };
        let same = |other: &Memory| {
            other.id != id && other.memory == old.memory && other.agent_id == old.agent_id && other.run_id.is_none()
        };
        if memories.values().any(same) {
            assert_eq!(code(outcome), Some(Code::Conflict), "{when}");
            return;
        }
        let lasts = old.run_id.is_none() && old.expiration.is_none();
        let updated_at = if lasts { old.updated_at } else { now };
        let expected = Memory { run_id: None, expiration: None, updated_at, ..old };
        assert_eq!(outcome.unwrap(), expected, "{when}");
        memories.insert(id, expected);
    }

    pub(super) fn end_run(&mut self, who: usize, when: &str) {
        let outcome = self.user(who).write(|writer| writer.end_run("trip"));
        let Some(outcome) = self.allowed(who, outcome, when) else { return };
        self.people[who].known = true;
        let before = self.people[who].memories.len();
        self.people[who].memories.retain(|_, memory| memory.run_id.as_deref() != Some("trip"));
        self.people[who].tidy();
        assert_eq!(outcome.unwrap() as usize, before - self.people[who].memories.len(), "{when}");
    }
}

fn pages(user: User, filter: Option<&Filter>, limit: usize) -> Result<(Vec<Memory>, u64)> {
    let mut query = ListQuery { filter: filter.cloned(), limit, before: None, offset: 0 };
    let mut all = Vec::new();
    loop {
        let page = user.read(|reader| reader.list(&query))?;
        all.extend(page.memories);
        match page.next {
            Some(next) => query.before = Some(next),
            None => return Ok((all, page.total)),
        }
    }
}
