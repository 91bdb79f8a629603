//! Anything in any order: several people, each with a plain map of what they should see, and a seed to find a failure again.
//!
//! `LOCULE_SEEDS=1000` runs more; `LOCULE_SEED=7` runs one.
//!
//! What follows from a seed is the same on every layout, to the last answer.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use locule_core::filter::Filter;
use locule_core::id::{MemoryId, RelationshipId};
use locule_core::memory::{Change, ListQuery, Memory, NewMemory, hash};
use locule_core::relationship::{
    Direction, NeighbourQuery, NewRelationship, Relationship, RelationshipQuery, Strength,
};
use locule_core::{Code, Result};
use locule_store::vector::encode;
use serde_json::json;

use crate::house::{
    DATABASE, Dice, ENCRYPTED, House, Layout, PLAIN, Process, RLS, SCHEMA, User, code, embed, filter, model,
};

const SEEDS: u64 = 64;
const STEPS: usize = 300;

/// How many seeds are run on every layout.
const SEEDS_EVERYWHERE: u64 = 3;
const PEOPLE: [&str; 4] = ["alice", "bob", "carol", "dave"];

#[test]
fn everybody_sees_what_they_should_whatever_anybody_does() {
    for_each_seed(SEEDS, |seed| {
        run(seed, if seed % 4 == 3 { &PLAIN } else { &ENCRYPTED });
    });
}

#[test]
fn on_every_layout_the_same_answers_follow_from_a_seed() {
    for_each_seed(SEEDS_EVERYWHERE, |seed| {
        let expected = run(seed, &ENCRYPTED);
        assert!(expected.len() > STEPS / 2 && expected.iter().any(|line| line.contains("#9")));
        for layout in [&RLS, &SCHEMA, &DATABASE] {
            let found = run(seed, layout);
            for (expected, found) in expected.iter().zip(&found) {
                assert_eq!(expected, found, "in files and as {:?}", layout.postgres);
            }
            assert_eq!(expected.len(), found.len());
        }
    });
}

fn for_each_seed(usual: u64, run: impl Fn(u64) + Sync) {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let (first, count) = match number("LOCULE_SEED") {
        Some(seed) => (seed, 1),
        None => (0, number("LOCULE_SEEDS").unwrap_or(usual)),
    };
    let next = AtomicU64::new(first);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count {
                        return;
                    }
                    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| run(seed))) {
                        eprintln!("LOCULE_SEED={seed} finds it again");
                        std::panic::resume_unwind(panic);
                    }
                }
            });
        }
    });
}

/// Lets everything happen that follows from a seed. Gives back what was answered.
fn run(seed: u64, layout: &Layout) -> Vec<String> {
    let mut dice = Dice::new(seed);
    let house = House::quick(layout, |options| {
        options.connection_bytes = 0;
        options.vector_bytes = *dice.pick(&[0, 5_000, 1 << 20]);
        options.quota.memories_max = 40;
    });
    let people = if seed.is_multiple_of(2) { 2 } else { 4 };
    let mut town = Town { house, beside: None, people: Vec::new(), now: 0, dice, answers: Answers::default() };
    town.people.resize_with(people, Person::default);
    for step in 0..STEPS {
        let who = town.dice.below(people);
        town.step(who, &format!("seed {seed} step {step} {}", PEOPLE[who]));
    }
    (0..people).for_each(|who| town.check(who, &format!("seed {seed} at the end")));
    town.answers.all
}

/// What somebody should see.
#[derive(Clone, Default)]
struct Person {
    memories: BTreeMap<MemoryId, Memory>,
    /// Every id they ever had, so that gone ones are asked for too.
    ids: Vec<MemoryId>,
    relationships: BTreeMap<RelationshipId, Relationship>,
    relationship_ids: Vec<RelationshipId>,
    suspended: bool,
    known: bool,
}

impl Person {
    /// Memories have gone, and with them what was between them and others.
    fn tidy(&mut self) {
        let is_there = |id: &MemoryId| self.memories.contains_key(id);
        self.relationships.retain(|_, one| is_there(&one.source_memory_id) && is_there(&one.target_memory_id));
    }

    /// Steps from a memory: the relationship and where it leads.
    fn steps(&self, from: MemoryId, query: &NeighbourQuery) -> Vec<(&Relationship, MemoryId)> {
        let of_type = |one: &&Relationship| {
            query.relationship_type.as_ref().is_none_or(|wanted| *wanted == one.relationship_type)
        };
        let mut steps = Vec::new();
        for one in self.relationships.values().filter(of_type) {
            if one.source_memory_id == from && query.direction != Direction::In {
                steps.push((one, one.target_memory_id));
            }
            if one.target_memory_id == from && query.direction != Direction::Out {
                steps.push((one, one.source_memory_id));
            }
        }
        steps
    }

    /// Every way of one or two steps, tried one by one; of those to one memory the best.
    fn ways(&self, from: MemoryId, query: &NeighbourQuery) -> Vec<(MemoryId, Vec<RelationshipId>)> {
        let mut ways: Vec<(usize, i32, Vec<RelationshipId>, MemoryId)> = Vec::new();
        for (first, near) in self.steps(from, query) {
            let strength = i32::from(first.strength.hundredths());
            ways.push((1, -strength * 100, vec![first.id], near));
            let further = if query.hops == 2 { self.steps(near, query) } else { Vec::new() };
            for (second, far) in further {
                let strength = strength * i32::from(second.strength.hundredths());
                ways.push((2, -strength, vec![first.id, second.id], far));
            }
        }
        ways.sort();
        let mut seen = std::collections::BTreeSet::from([from]);
        ways.retain(|(.., to)| seen.insert(*to));
        ways.sort_by_key(|(length, strength, _, to)| (*length, *strength, std::cmp::Reverse(*to)));
        ways.into_iter().map(|(_, _, path, to)| (to, path)).collect()
    }

    /// Bytes as the quota counts them.
    fn size(&self) -> u64 {
        let json = |metadata: &locule_core::memory::Metadata| {
            if metadata.is_empty() { 0 } else { serde_json::to_string(metadata).unwrap().len() }
        };
        let of_memory = |memory: &Memory| memory.memory.len() + json(&memory.metadata) + 2 * crate::house::DIMENSION;
        let of_relationship = |one: &Relationship| 64 + one.relationship_type.len() + json(&one.metadata);
        let memories: usize = self.memories.values().map(of_memory).sum();
        (memories + self.relationships.values().map(of_relationship).sum::<usize>()) as u64
    }
}

struct Town {
    house: House,
    /// Another program on the same data, at times.
    beside: Option<Process>,
    people: Vec<Person>,
    now: i64,
    dice: Dice,
    answers: Answers,
}

/// What was answered, with the ids of objects numbered as they first appear: they are another each time.
#[derive(Default)]
struct Answers {
    all: Vec<String>,
    numbers: BTreeMap<String, usize>,
}

impl Answers {
    fn note<T: Debug>(&mut self, when: &str, answer: &Result<T>) {
        let said = match answer {
            Ok(answer) => format!("{answer:?}"),
            Err(error) => format!("{} {}", error.code().as_str(), error.detail()),
        };
        let mut line = format!("{when}: ");
        let is_of_id = |letter: char| letter.is_ascii_hexdigit() || letter == '-';
        // Between what can be no part of an id.
        for part in said.split_inclusive(|letter| !is_of_id(letter)) {
            let word = part.trim_end_matches(|letter| !is_of_id(letter));
            if word.len() == 36 {
                let count = self.numbers.len();
                let number = *self.numbers.entry(word.to_owned()).or_insert(count);
                line.push_str(&format!("#{number}{}", &part[word.len()..]));
            } else {
                line.push_str(part);
            }
        }
        self.all.push(line);
    }
}

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
    fn step(&mut self, who: usize, when: &str) {
        match self.dice.below(54) {
            0..=9 => self.add(who, when),
            10..=13 => self.get(who, when),
            14..=16 => self.check(who, when),
            17..=20 => self.search(who, when),
            21..=25 => self.update(who, when),
            26..=29 => self.delete(who, when),
            30 => self.delete_all(who, when),
            31 | 32 => self.wait(),
            33 => self.move_house(who, when),
            34 => self.suspend(who),
            35 => self.erase(who, when),
            36 => self.house.reopen_with(&mut self.beside),
            37 => self.beside = if self.beside.is_some() { None } else { Some(self.house.neighbour()) },
            38 => self.house.store.spaces.publish().unwrap(),
            40..=44 => self.relate(who, when),
            45 => self.unrelate(who, when),
            46..=48 => self.walk(who, when),
            49..=51 => self.promote(who, when),
            52 => self.end_run(who, when),
            53 => self.clean_up(who, when),
            _ => self.house.store.spaces.close().unwrap(),
        }
    }

    fn user(&mut self, who: usize) -> User<'_> {
        let beside = self.dice.one_in(3);
        let process = match &self.beside {
            Some(process) if beside => process,
            _ => &*self.house,
        };
        User { process, name: PEOPLE[who] }
    }

    fn label(&mut self) -> Option<String> {
        self.dice.one_in(3).then(|| "chef".to_owned())
    }

    fn run(&mut self) -> Option<String> {
        self.dice.one_in(3).then(|| self.dice.pick(&["trip", "call"]).to_string())
    }

    fn moment(&self) -> Timestamp {
        Timestamp::from_second(crate::house::noon().as_second() + self.now).unwrap()
    }

    fn text(&mut self, who: usize) -> String {
        format!("{} canary-of-{}", self.dice.pick(&TEXTS), PEOPLE[who])
    }

    /// `None` where the refusal is the right one: a space that is suspended answers nothing else.
    fn allowed<T: Debug>(&mut self, who: usize, outcome: Result<T>, when: &str) -> Option<Result<T>> {
        self.answers.note(when, &outcome);
        if self.people[who].suspended {
            assert_eq!(code(outcome), Some(Code::SpaceSuspended), "{when}");
            return None;
        }
        Some(outcome)
    }

    fn add(&mut self, who: usize, when: &str) {
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

    fn later(&mut self) -> Timestamp {
        let seconds = crate::house::noon().as_second() + self.now + 1 + self.dice.below(100) as i64;
        Timestamp::from_second(seconds).unwrap()
    }

    /// One of anybody's ids, gone or not.
    fn some_id(&mut self, who: usize) -> Option<MemoryId> {
        let other = if self.dice.one_in(4) { self.dice.below(self.people.len()) } else { who };
        let ids = &self.people[other].ids;
        if ids.is_empty() { None } else { Some(*self.dice.pick(ids)) }
    }

    fn get(&mut self, who: usize, when: &str) {
        let Some(id) = self.some_id(who) else { return };
        let outcome = self.user(who).get(id);
        let Some(outcome) = self.allowed(who, outcome, when) else { return };
        match self.people[who].memories.get(&id) {
            Some(expected) => assert_eq!(outcome.as_ref().ok(), Some(expected), "{when}"),
            None => assert_eq!(code(outcome), Some(Code::NotFound), "{when}"),
        }
    }

    /// A whole list, in pages, with a filter or without, is what the map says.
    fn check(&mut self, who: usize, when: &str) {
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

    fn search(&mut self, who: usize, when: &str) {
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

    fn update(&mut self, who: usize, when: &str) {
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

    fn delete(&mut self, who: usize, when: &str) {
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

    fn delete_all(&mut self, who: usize, when: &str) {
        let agent = self.dice.one_in(2).then(|| filter(json!({"agent_id": "*"})));
        let outcome = self.user(who).write(|writer| writer.delete_all(agent.as_ref()));
        let Some(outcome) = self.allowed(who, outcome, when) else { return };
        self.people[who].known = true;
        let before = self.people[who].memories.len();
        self.people[who].memories.retain(|_, memory| agent.is_some() && memory.agent_id.is_none());
        self.people[who].tidy();
        assert_eq!(outcome.unwrap() as usize, before - self.people[who].memories.len(), "{when}");
    }

    fn wait(&mut self) {
        let seconds = self.dice.below(60) as i64;
        self.house.clock.advance_s(seconds);
        self.now += seconds;
        let now = crate::house::noon().as_second() + self.now;
        for person in &mut self.people {
            person.memories.retain(|_, memory| memory.expiration.is_none_or(|expiration| expiration.as_second() > now));
            person.tidy();
        }
    }

    /// Takes everything along, is erased, and comes back with it.
    fn move_house(&mut self, who: usize, when: &str) {
        let (mut luggage, mut strings) = (Vec::new(), Vec::new());
        let outcome = self.user(who).read(|reader| {
            reader.export(&mut |memory, vector| {
                luggage.push((memory, vector));
                Ok(())
            })?;
            reader.export_relationships(&mut |relationship| {
                strings.push(relationship);
                Ok(())
            })
        });
        let Some(outcome) = self.allowed(who, outcome, when) else { return };
        outcome.unwrap();
        let expected: Vec<Memory> = self.people[who].memories.values().cloned().collect();
        assert_eq!(luggage.iter().map(|(memory, _)| memory.clone()).collect::<Vec<_>>(), expected, "{when}");
        let tied: Vec<Relationship> = self.people[who].relationships.values().cloned().collect();
        assert_eq!(strings, tied, "{when}");
        let moves = self.dice.one_in(2);
        if moves {
            self.user(who).erase().unwrap();
            // The new space knows of no more than is brought along.
            self.people[who].ids = luggage.iter().map(|(memory, _)| memory.id).collect();
            self.people[who].relationship_ids = strings.iter().map(|one| one.id).collect();
        }
        self.user(who)
            .write(|writer| {
                for (memory, vector) in &luggage {
                    writer.import(&model(), memory, encode(vector).unwrap())?;
                }
                for one in &strings {
                    assert_eq!(writer.import_relationship(one)?, moves, "{when}");
                }
                writer.note_import(luggage.len() as u64)
            })
            .unwrap();
        self.people[who].known = true;
    }

    fn relate(&mut self, who: usize, when: &str) {
        let mut batch = Vec::new();
        for _ in 0..1 + self.dice.below(3) {
            let (Some(source), Some(target)) = (self.some_end(who), self.some_end(who)) else { return };
            let strength = Strength::of(*self.dice.pick(&[0.0, 0.25, 0.5, 0.5, 1.0])).unwrap();
            let metadata = if self.dice.one_in(2) { json!({}) } else { json!({"n": self.dice.below(5)}) };
            let metadata = metadata.as_object().unwrap().clone();
            let relationship_type = *self.dice.pick(&["likes", "is", "before"]);
            batch.push(NewRelationship {
                strength,
                metadata,
                ..NewRelationship::new(source, relationship_type, target)
            });
        }
        let outcome = self.user(who).write(|writer| writer.relate(batch.clone()));
        let Some(outcome) = self.allowed(who, outcome, when) else { return };
        self.people[who].known = true;
        let person = &mut self.people[who];
        for one in &batch {
            let is_there = |id| person.memories.contains_key(id);
            if !(is_there(&one.source_memory_id) && is_there(&one.target_memory_id)) {
                assert_eq!(code(outcome), Some(Code::NotFound), "{when}");
                return;
            }
            if one.source_memory_id == one.target_memory_id {
                assert_eq!(code(outcome), Some(Code::Invalid), "{when}");
                return;
            }
        }
        for (new, related) in batch.iter().zip(outcome.unwrap()) {
            let key = |one: &Relationship| (one.source_memory_id, one.target_memory_id, one.relationship_type.clone());
            let one = related.relationship;
            let twin = person.relationships.values().find(|old| key(old) == key(&one)).cloned();
            assert_eq!(related.existing, twin.is_some(), "{when}");
            match twin {
                Some(twin) => assert_eq!(one, twin, "{when}"),
                None => {
                    assert!(person.relationships.keys().all(|id| *id < one.id), "{when}: ids rise");
                    assert_eq!(key(&one), (new.source_memory_id, new.target_memory_id, new.relationship_type.clone()));
                    assert_eq!((one.strength, &one.metadata), (new.strength, &new.metadata), "{when}");
                    person.relationship_ids.push(one.id);
                    person.relationships.insert(one.id, one);
                }
            }
        }
    }

    /// One of their memories, seldom anybody's id.
    fn some_end(&mut self, who: usize) -> Option<MemoryId> {
        let ids: Vec<_> = self.people[who].memories.keys().copied().collect();
        if ids.is_empty() || self.dice.one_in(12) { self.some_id(who) } else { Some(*self.dice.pick(&ids)) }
    }

    fn unrelate(&mut self, who: usize, when: &str) {
        let other = if self.dice.one_in(4) { self.dice.below(self.people.len()) } else { who };
        let ids = &self.people[other].relationship_ids;
        if ids.is_empty() {
            return;
        }
        let id = *self.dice.pick(ids);
        let outcome = self.user(who).write(|writer| writer.unrelate(id));
        let Some(outcome) = self.allowed(who, outcome, when) else { return };
        self.people[who].known = true;
        match self.people[who].relationships.remove(&id) {
            Some(_) => outcome.unwrap(),
            None => assert_eq!(code(outcome), Some(Code::NotFound), "{when}"),
        }
    }

    /// The relationships and the neighbours of a memory are what the map says.
    fn walk(&mut self, who: usize, when: &str) {
        let Some(id) = self.some_end(who) else { return };
        let direction = *self.dice.pick(&[Direction::Out, Direction::In, Direction::Both]);
        let relationship_type = self.dice.one_in(3).then(|| "is".to_owned());
        let (hops, limit) = (1 + self.dice.below(2), 1 + self.dice.below(30));
        let query = NeighbourQuery { direction, hops, relationship_type: relationship_type.clone(), limit };
        let of_memory =
            RelationshipQuery { memory: Some((id, direction)), relationship_type, limit: 1000, before: None };
        let outcome =
            self.user(who).read(|reader| Ok((reader.relationships(&of_memory)?, reader.neighbours(id, &query))));
        let Some(outcome) = self.allowed(who, outcome, when) else { return };
        let (listed, found) = outcome.unwrap();
        let person = &self.people[who];
        let mut expected: Vec<_> = person.steps(id, &query).into_iter().map(|(one, _)| one.clone()).collect();
        expected.sort_by_key(|one| std::cmp::Reverse(one.id));
        assert_eq!(listed.relationships, expected, "{when}");
        if !person.memories.contains_key(&id) {
            assert_eq!(code(found), Some(Code::NotFound), "{when}");
            return;
        }
        let found = found.unwrap();
        let mut expected = person.ways(id, &query);
        assert_eq!(found.more, expected.len() > limit, "{when}");
        expected.truncate(limit);
        assert_eq!(found.neighbours.len(), expected.len(), "{when}");
        for (neighbour, (id, path)) in found.neighbours.iter().zip(expected) {
            assert_eq!(&neighbour.memory, &person.memories[&id], "{when}");
            let along: Vec<_> = path.iter().map(|id| person.relationships[id].clone()).collect();
            assert_eq!(neighbour.path, along, "{when}");
        }
    }

    fn promote(&mut self, who: usize, when: &str) {
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

    fn end_run(&mut self, who: usize, when: &str) {
        let outcome = self.user(who).write(|writer| writer.end_run("trip"));
        let Some(outcome) = self.allowed(who, outcome, when) else { return };
        self.people[who].known = true;
        let before = self.people[who].memories.len();
        self.people[who].memories.retain(|_, memory| memory.run_id.as_deref() != Some("trip"));
        self.people[who].tidy();
        assert_eq!(outcome.unwrap() as usize, before - self.people[who].memories.len(), "{when}");
    }

    /// With what has expired out of the way, the figures are those of the map, to the byte.
    fn clean_up(&mut self, who: usize, when: &str) {
        let outcome = self.user(who).write(|writer| {
            while writer.sweep()? > 0 {}
            Ok(())
        });
        let Some(outcome) = self.allowed(who, outcome, when) else { return };
        outcome.unwrap();
        self.people[who].known = true;
        let state = self.user(who).read(|reader| reader.state()).unwrap();
        let person = &self.people[who];
        assert_eq!((state.memories as usize, state.size_bytes), (person.memories.len(), person.size()), "{when}");
    }

    fn suspend(&mut self, who: usize) {
        if self.people[who].known {
            let suspended = !self.people[who].suspended;
            self.user(who).suspend(suspended);
            self.people[who].suspended = suspended;
        }
    }

    fn erase(&mut self, who: usize, when: &str) {
        let ids = std::mem::take(&mut self.people[who].ids);
        self.user(who).erase().unwrap();
        self.people[who] = Person::default();
        for id in ids.iter().take(3) {
            assert_eq!(code(self.user(who).get(*id)), Some(Code::NotFound), "{when}");
        }
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

impl House {
    fn reopen_with(&mut self, beside: &mut Option<Process>) {
        if self.options.vector_bytes == 0 {
            *beside = None;
        }
        self.reopen();
    }
}
