//! Relationships, and walking along them.

use locule_core::Code;
use locule_core::id::{MemoryId, RelationshipId};
use locule_core::relationship::{
    Direction, NeighbourQuery, NewRelationship, Relationship, RelationshipQuery, Strength,
};
use serde_json::json;

use super::Town;
use super::person::Person;
use crate::house::code;

impl Person {
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
}

impl Town {
    pub(super) fn relate(&mut self, who: usize, when: &str) {
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
    pub(super) fn some_end(&mut self, who: usize) -> Option<MemoryId> {
        let ids: Vec<_> = self.people[who].memories.keys().copied().collect();
        if ids.is_empty() || self.dice.one_in(12) { self.some_id(who) } else { Some(*self.dice.pick(&ids)) }
    }

    pub(super) fn unrelate(&mut self, who: usize, when: &str) {
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
    pub(super) fn walk(&mut self, who: usize, when: &str) {
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
}
