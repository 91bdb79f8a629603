//! Relationships between memories: they stay in their space, go with their memories, and lead to neighbours.

use jiff::Timestamp;
use locule_core::Code;
use locule_core::id::{MemoryId, RelationshipId};
use locule_core::memory::NewMemory;
use locule_core::relationship::{
    Direction, NeighbourQuery, Neighbours, NewRelationship, Related, Relationship, RelationshipQuery, Strength,
};
use locule_core::{Result, limit};
use locule_store::Quota;
use serde_json::json;

use crate::house::{House, Layout, User, code, embed, filter, model, noon, ready};

for_each_layout! {
    a_relationship_is_there_and_only_for_its_owner
    a_relationship_to_what_is_elsewhere_is_as_to_what_is_nowhere
    a_memory_has_no_relationship_to_itself
    the_same_relationship_is_kept_once
    relationships_are_added_whole_or_not_at_all
    relationships_are_listed_newest_first_in_pages
    a_memory_takes_its_relationships_along
    neighbours_are_found_one_and_two_hops_away
    the_strongest_of_the_shortest_ways_is_told
    neighbours_are_bounded_and_the_nearest_come_first
    what_has_expired_is_no_neighbour_and_no_way_to_one
    relationships_count_against_the_quota
    a_memory_has_so_many_relationships_and_no_more
    relationships_are_written_down_and_raise_the_revision
    relationships_that_are_exported_come_back_exactly
}

fn relate(user: User, relationships: Vec<NewRelationship>) -> Result<Vec<Related>> {
    user.write(|writer| writer.relate(relationships))
}

fn related(user: User, source: MemoryId, relationship_type: &str, target: MemoryId) -> Relationship {
    relate(user, vec![NewRelationship::new(source, relationship_type, target)]).unwrap().remove(0).relationship
}

fn all(user: User) -> Vec<Relationship> {
    let query = RelationshipQuery { limit: 1000, ..RelationshipQuery::default() };
    let page = user.read(|reader| reader.relationships(&query)).unwrap();
    assert_eq!(page.total as usize, page.relationships.len());
    assert_eq!(page.total, user.read(|reader| reader.relationship_count()).unwrap());
    page.relationships
}

fn neighbours(user: User, id: MemoryId, direction: Direction, hops: usize) -> Vec<(MemoryId, usize)> {
    let query = NeighbourQuery { direction, hops, ..NeighbourQuery::default() };
    let found = user.read(|reader| reader.neighbours(id, &query)).unwrap();
    assert!(!found.more);
    found.neighbours.iter().map(|neighbour| (neighbour.memory.id, neighbour.path.len())).collect()
}

fn size(user: User) -> u64 {
    user.read(|reader| reader.state()).unwrap().size_bytes
}

fn unknown() -> MemoryId {
    "0195a8e0-0000-7000-8000-000000000000".parse().unwrap()
}

fn a_relationship_is_there_and_only_for_its_owner(layout: &Layout) {
    let mut house = House::quick(layout, |_| {});
    let (tea, evening) = (house.alice().add("drinks tea").id, house.alice().add("in the evening").id);
    let new = NewRelationship {
        strength: Strength::of(0.755).unwrap(),
        metadata: json!({"seen": {"times": [1, 2.5, null]}, "ünï": "x"}).as_object().unwrap().clone(),
        ..NewRelationship::new(tea, "happens", evening)
    };
    let added = relate(house.alice(), vec![new.clone()]).unwrap().remove(0);
    let (one, two) = (house.bob().add("one").id, house.bob().add("two").id);
    let bobs = related(house.bob(), one, "happens", two);

    assert!(!added.existing);
    let Relationship { id, strength, metadata, created_at, .. } = added.relationship.clone();
    assert_eq!((strength, metadata, created_at), (new.strength, new.metadata, noon()));
    assert_eq!(id.tag(), house.alice().standing().space.unwrap().tag);
    for _ in 0..2 {
        assert_eq!(house.alice().read(|reader| reader.relationship(id)).unwrap(), added.relationship);
        assert_eq!(all(house.alice()), std::slice::from_ref(&added.relationship));
        assert_eq!(all(house.bob()), std::slice::from_ref(&bobs));
        house.reopen();
    }
    let nowhere = RelationshipId::from_bytes(*unknown().as_bytes());
    for stranger in [house.bob(), house.user("nobody-yet")] {
        let strange = stranger.read(|reader| reader.relationship(id)).unwrap_err();
        let unknown = stranger.read(|reader| reader.relationship(nowhere)).unwrap_err();
        assert_eq!((strange.code(), strange.detail()), (unknown.code(), unknown.detail()));
        assert_eq!(strange.code(), Code::NotFound);
        assert_eq!(code(stranger.write(|writer| writer.unrelate(id))), Some(Code::NotFound));
        let query = NeighbourQuery::default();
        assert_eq!(code(stranger.read(|reader| reader.neighbours(tea, &query))), Some(Code::NotFound));
        let query = RelationshipQuery { memory: Some((tea, Direction::Both)), ..RelationshipQuery::default() };
        assert_eq!(stranger.read(|reader| reader.relationships(&query)).unwrap().total, 0);
    }
    house.alice().write(|writer| writer.unrelate(id)).unwrap();
    assert_eq!(code(house.alice().write(|writer| writer.unrelate(id))), Some(Code::NotFound));
    assert_eq!((all(house.alice()), house.alice().all().len()), (vec![], 2));
    assert_eq!(all(house.bob()), [bobs]);
}

fn a_relationship_to_what_is_elsewhere_is_as_to_what_is_nowhere(layout: &Layout) {
    let house = House::quick(layout, |_| {});
    let (hers, his) = (house.alice().add("hers").id, house.bob().add("his").id);
    let soon = Timestamp::from_second(noon().as_second() + 5).unwrap();
    let brief = NewMemory { expiration: Some(soon), ..NewMemory::text(house.bob().canary("brief")) };
    let expired = house.bob().try_add(vec![brief]).unwrap()[0].memory.id;
    let deleted = house.bob().add("deleted").id;
    house.bob().write(|writer| writer.delete(deleted)).unwrap();
    house.clock.advance_s(5);
    let refusal = |source, target| {
        let error = relate(house.bob(), vec![NewRelationship::new(source, "knows", target)]).unwrap_err();
        (error.code(), error.detail().to_owned())
    };
    let expected = refusal(his, unknown());
    assert_eq!(expected.0, Code::NotFound);
    for there in [hers, expired, deleted, unknown()] {
        for (source, target) in [(his, there), (there, his), (there, there), (there, unknown()), (unknown(), there)] {
            assert_eq!(refusal(source, target), expected);
        }
    }
    assert_eq!((all(house.alice()), all(house.bob())), (vec![], vec![]));
}

fn a_memory_has_no_relationship_to_itself(layout: &Layout) {
    let house = House::quick(layout, |_| {});
    let id = house.alice().add("one").id;
    house.bob().add("stands by");
    assert_eq!(code(relate(house.alice(), vec![NewRelationship::new(id, "is", id)])), Some(Code::Invalid));
    assert_eq!(all(house.alice()), []);
}

fn the_same_relationship_is_kept_once(layout: &Layout) {
    let house = House::quick(layout, |_| {});
    let ids = |user: User| (user.add("one").id, user.add("two").id);
    let ((one, two), (his, other)) = (ids(house.alice()), ids(house.bob()));
    related(house.bob(), his, "knows", other);
    let first = related(house.alice(), one, "knows", two);
    let weaker = NewRelationship { strength: Strength::of(0.1).unwrap(), ..NewRelationship::new(one, "knows", two) };
    house.clock.advance_s(1);
    let again = relate(house.alice(), vec![weaker.clone(), weaker]).unwrap();
    for again in again {
        assert_eq!((again.existing, again.relationship), (true, first.clone()));
    }
    // The other way round, and of another type, it is another; letters are told apart.
    let batch = vec![
        NewRelationship::new(two, "knows", one),
        NewRelationship::new(one, "Knows", two),
        NewRelationship::new(one, "likes", two),
        NewRelationship::new(one, "likes", two),
    ];
    let existing: Vec<_> = relate(house.alice(), batch).unwrap().iter().map(|related| related.existing).collect();
    assert_eq!(existing, [false, false, false, true]);
    assert_eq!((all(house.alice()).len(), all(house.bob()).len()), (4, 1));
}

fn relationships_are_added_whole_or_not_at_all(layout: &Layout) {
    let house = House::quick(layout, |_| {});
    let ids: Vec<_> = (0..5).map(|n| house.alice().add(&format!("{n}")).id).collect();
    house.bob().add("stands by");
    let size_before = size(house.alice());
    let mut batch: Vec<_> = ids.windows(2).map(|pair| NewRelationship::new(pair[0], "next", pair[1])).collect();
    batch.push(NewRelationship::new(ids[0], "next", unknown()));
    assert_eq!(code(relate(house.alice(), batch.clone())), Some(Code::NotFound));
    assert_eq!((all(house.alice()), size(house.alice())), (vec![], size_before));
    batch.pop();
    let added = relate(house.alice(), batch).unwrap();
    assert!(added.windows(2).all(|pair| pair[0].relationship.id < pair[1].relationship.id));
    assert_eq!(all(house.alice()).len(), 4);
}

fn relationships_are_listed_newest_first_in_pages(layout: &Layout) {
    let house = House::quick(layout, |_| {});
    let ids: Vec<_> = (0..8).map(|n| house.alice().add(&format!("{n}")).id).collect();
    house.bob().add("stands by");
    let mut batch = Vec::new();
    for (place, source) in ids.iter().enumerate() {
        for target in ids.iter().skip(place + 1) {
            batch.push(NewRelationship::new(*source, if place % 2 == 0 { "even" } else { "odd" }, *target));
        }
    }
    relate(house.alice(), batch).unwrap();
    let everything = all(house.alice());
    assert_eq!(everything.len(), 28);
    for memory in [None, Some((ids[3], Direction::Out)), Some((ids[3], Direction::In)), Some((ids[3], Direction::Both))]
    {
        for relationship_type in [None, Some("odd".to_owned()), Some("none".to_owned())] {
            let matches = |relationship: &&Relationship| {
                let out = Some((relationship.source_memory_id, Direction::Out));
                let ends = [out, Some((relationship.target_memory_id, Direction::In))];
                let of_memory = match memory {
                    None => true,
                    Some((id, Direction::Both)) => ends.iter().flatten().any(|(end, _)| *end == id),
                    there => ends.contains(&there),
                };
                of_memory && relationship_type.as_ref().is_none_or(|wanted| *wanted == relationship.relationship_type)
            };
            let expected: Vec<_> = everything.iter().filter(matches).cloned().collect();
            for limit in [1, 3, 28, 1000] {
                let relationship_type = relationship_type.clone();
                let mut query = RelationshipQuery { memory, relationship_type, limit, before: None };
                let mut seen: Vec<Relationship> = Vec::new();
                loop {
                    let page = house.alice().read(|reader| reader.relationships(&query)).unwrap();
                    assert_eq!(page.total as usize, expected.len());
                    assert!(page.relationships.len() == limit || page.next.is_none());
                    seen.extend(page.relationships);
                    let Some(next) = page.next else { break };
                    query.before = Some(next);
                }
                assert_eq!(seen, expected);
            }
        }
    }
    assert!(everything.windows(2).all(|pair| pair[0].id > pair[1].id));
    for limit in [0, 1001] {
        let query = RelationshipQuery { limit, ..RelationshipQuery::default() };
        assert!(house.alice().read(|reader| reader.relationships(&query)).is_err());
    }
}

fn a_memory_takes_its_relationships_along(layout: &Layout) {
    let house = House::quick(layout, |_| {});
    let star = |user: User| -> Vec<MemoryId> {
        let batch = (0..6).map(|n| NewMemory {
            agent_id: (n == 4).then(|| "leaving".to_owned()),
            run_id: (n == 5).then(|| "leaving".to_owned()),
            ..NewMemory::text(user.canary(&format!("{n}")))
        });
        let ids: Vec<_> = user.try_add(batch.collect()).unwrap().iter().map(|added| added.memory.id).collect();
        let mut batch: Vec<_> = ids.iter().skip(1).map(|id| NewRelationship::new(ids[0], "has", *id)).collect();
        batch.push(NewRelationship::new(ids[1], "before", ids[2]));
        batch.push(NewRelationship::new(ids[4], "before", ids[1]));
        batch.push(NewRelationship::new(ids[5], "before", ids[1]));
        relate(user, batch).unwrap();
        ids
    };
    let (hers, _) = (star(house.alice()), star(house.bob()));
    house.alice().write(|writer| writer.delete(hers[1])).unwrap();
    // Those it led to and those that led to it, and no other.
    let left: Vec<_> =
        all(house.alice()).iter().rev().map(|one| (one.source_memory_id, one.target_memory_id)).collect();
    assert_eq!(left, [2, 3, 4, 5].map(|place| (hers[0], hers[place])));
    let leaving = filter(json!({"agent_id": "leaving"}));
    house.alice().write(|writer| writer.delete_all(Some(&leaving))).unwrap();
    house.alice().write(|writer| writer.end_run("leaving")).unwrap();
    assert_eq!(all(house.alice()).len(), 2);
    house.alice().write(|writer| writer.delete_all(None)).unwrap();
    assert_eq!((all(house.alice()), size(house.alice())), (vec![], 0));
    assert_eq!(all(house.bob()).len(), 8);

    house.bob().erase().unwrap();
    assert_eq!(all(house.bob()), []);
    star(house.bob());
    assert_eq!(all(house.bob()).len(), 8);
}

/// a → b → c → d, and e → b.
fn chain(user: User) -> [MemoryId; 5] {
    let [a, b, c, d, e] = ["a", "b", "c", "d", "e"].map(|name| user.add(name).id);
    let batch = [(a, "next", b), (b, "next", c), (c, "next", d), (e, "likes", b)];
    relate(user, batch.map(|(source, kind, target)| NewRelationship::new(source, kind, target)).to_vec()).unwrap();
    [a, b, c, d, e]
}

fn neighbours_are_found_one_and_two_hops_away(layout: &Layout) {
    let house = House::quick(layout, |_| {});
    let ([a, b, c, d, e], _) = (chain(house.alice()), chain(house.bob()));
    let alice = house.alice();
    assert_eq!(neighbours(alice, a, Direction::Out, 1), [(b, 1)]);
    assert_eq!(neighbours(alice, a, Direction::Out, 2), [(b, 1), (c, 2)]);
    assert_eq!(neighbours(alice, a, Direction::In, 2), []);
    assert_eq!(neighbours(alice, b, Direction::In, 1), [(e, 1), (a, 1)]);
    assert_eq!(neighbours(alice, b, Direction::Both, 1), [(e, 1), (c, 1), (a, 1)]);
    assert_eq!(neighbours(alice, a, Direction::Both, 2), [(b, 1), (e, 2), (c, 2)]);
    assert_eq!(neighbours(alice, d, Direction::In, 2), [(c, 1), (b, 2)]);
    let along = |kind: &str, hops| {
        let relationship_type = Some(kind.to_owned());
        let query = NeighbourQuery { relationship_type, hops, ..NeighbourQuery::default() };
        let found = alice.read(|reader| reader.neighbours(b, &query)).unwrap();
        found.neighbours.iter().map(|neighbour| neighbour.memory.id).collect::<Vec<_>>()
    };
    assert_eq!((along("likes", 2), along("next", 2), along("none", 2)), (vec![e], vec![c, a, d], vec![]));

    // The memory itself is told, and the relationships on the way, in their order.
    let query = NeighbourQuery { direction: Direction::Out, hops: 2, ..NeighbourQuery::default() };
    let found = alice.read(|reader| reader.neighbours(a, &query)).unwrap();
    assert_eq!(found.neighbours[1].memory, alice.get(c).unwrap());
    let ends: Vec<_> =
        found.neighbours[1].path.iter().map(|step| (step.source_memory_id, step.target_memory_id)).collect();
    assert_eq!(ends, [(a, b), (b, c)]);
    // A circle leads nowhere new, and never back to where it began.
    related(alice, c, "next", a);
    assert_eq!(neighbours(alice, a, Direction::Out, 2), [(b, 1), (c, 2)]);
    assert_eq!(neighbours(alice, a, Direction::Both, 2), [(c, 1), (b, 1), (e, 2), (d, 2)]);
    for hops in [0, 3] {
        assert!(alice.read(|reader| reader.neighbours(a, &NeighbourQuery { hops, ..query.clone() })).is_err());
    }
}

fn the_strongest_of_the_shortest_ways_is_told(layout: &Layout) {
    let house = House::quick(layout, |_| {});
    let [start, left, right, end] = ["start", "left", "right", "end"].map(|name| house.alice().add(name).id);
    house.bob().add("stands by");
    let edge = |source, kind: &str, target, strength| NewRelationship {
        strength: Strength::of(strength).unwrap(),
        ..NewRelationship::new(source, kind, target)
    };
    let batch = vec![
        edge(start, "weak", left, 0.3),
        edge(start, "strong", left, 0.9),
        edge(start, "equal", left, 0.9),
        edge(start, "only", right, 1.0),
        edge(left, "only", end, 0.9),
        edge(right, "only", end, 0.8),
    ];
    relate(house.alice(), batch).unwrap();
    let query = NeighbourQuery { direction: Direction::Out, hops: 2, ..NeighbourQuery::default() };
    let found = house.alice().read(|reader| reader.neighbours(start, &query)).unwrap();
    let told: Vec<_> = found
        .neighbours
        .iter()
        .map(|neighbour| {
            let kinds: Vec<_> = neighbour.path.iter().map(|step| &*step.relationship_type).collect();
            (neighbour.memory.id, kinds.join(" "))
        })
        .collect();
    // To the end .9 × .9 is more than 1 × .8; of two equally strong the older.
    assert_eq!(told, [(right, "only".into()), (left, "strong".into()), (end, "strong only".to_owned())]);
}

fn neighbours_are_bounded_and_the_nearest_come_first(layout: &Layout) {
    let house = House::quick(layout, |_| {});
    let texts = |count: usize| (0..count).map(|n| NewMemory::text(house.alice().canary(&format!("{n}")))).collect();
    let ids: Vec<_> = house.alice().try_add(texts(61)).unwrap().iter().map(|added| added.memory.id).collect();
    house.bob().add("stands by");
    // The first leads to twenty, and each of them to two more.
    let mut batch: Vec<_> = (1..21).map(|n| NewRelationship::new(ids[0], "to", ids[n])).collect();
    batch.extend((21..61).map(|n| NewRelationship::new(ids[1 + (n - 21) / 2], "to", ids[n])));
    relate(house.alice(), batch).unwrap();
    let walk = |hops, limit| -> Neighbours {
        let query = NeighbourQuery { direction: Direction::Out, hops, limit, ..NeighbourQuery::default() };
        house.alice().read(|reader| reader.neighbours(ids[0], &query)).unwrap()
    };
    let whole = walk(2, 60);
    assert_eq!((whole.neighbours.len(), whole.more), (60, false));
    assert!(whole.neighbours.iter().map(|neighbour| neighbour.path.len()).is_sorted());
    for limit in [1, 19, 20, 21, 59] {
        let found = walk(2, limit);
        assert_eq!((&found.neighbours[..], found.more), (&whole.neighbours[..limit], true), "{limit}");
        assert_eq!(walk(1, limit).more, limit < 20);
    }
    for limit in [0, 1001] {
        let query = NeighbourQuery { limit, ..NeighbourQuery::default() };
        assert!(house.alice().read(|reader| reader.neighbours(ids[0], &query)).is_err());
    }
}

fn what_has_expired_is_no_neighbour_and_no_way_to_one(layout: &Layout) {
    let house = House::quick(layout, |_| {});
    let soon = Timestamp::from_second(noon().as_second() + 10).unwrap();
    let (start, end) = (house.alice().add("start").id, house.alice().add("end").id);
    let brief = NewMemory { expiration: Some(soon), ..NewMemory::text(house.alice().canary("brief")) };
    let brief = house.alice().try_add(vec![brief]).unwrap()[0].memory.id;
    chain(house.bob());
    let before = size(house.alice());
    let edge = related(house.alice(), start, "then", brief);
    related(house.alice(), brief, "then", end);
    let lasting = related(house.alice(), end, "from", start);
    house.clock.advance_s(9);
    let found = neighbours(house.alice(), start, Direction::Out, 2);
    assert_eq!(found, [(brief, 1), (end, 2)]);
    house.clock.advance_s(1);
    assert_eq!(neighbours(house.alice(), start, Direction::Out, 2), []);
    assert_eq!(neighbours(house.alice(), end, Direction::In, 2), []);
    assert_eq!(all(house.alice()), std::slice::from_ref(&lasting));
    assert_eq!(code(house.alice().read(|reader| reader.relationship(edge.id))), Some(Code::NotFound));
    let query = NeighbourQuery::default();
    assert_eq!(code(house.alice().read(|reader| reader.neighbours(brief, &query))), Some(Code::NotFound));
    assert_eq!(code(house.alice().write(|writer| writer.unrelate(edge.id))), Some(Code::NotFound));

    // What is swept away takes its relationships along, and the room they took.
    house.alice().write(|writer| writer.sweep()).unwrap();
    let one = 64 + "from".len() as u64;
    let vector_and_text = 2 * crate::house::DIMENSION as u64 + house.alice().canary("brief").len() as u64;
    assert_eq!(size(house.alice()), before - vector_and_text + one);
    house.alice().write(|writer| writer.unrelate(lasting.id)).unwrap();
    assert_eq!(size(house.alice()), before - vector_and_text);
    assert_eq!(all(house.bob()).len(), 4);
}

fn relationships_count_against_the_quota(layout: &Layout) {
    let house = House::quick(layout, |options| {
        options.quota = Quota { memories_max: 100, bytes_max: 1000, ..Quota::default() }
    });
    let ids: Vec<_> = (0..4).map(|n| house.alice().add(&format!("{n}")).id).collect();
    let (one, two) = (house.bob().add("one").id, house.bob().add("two").id);
    let room = 1000 - size(house.alice());
    let metadata = |bytes: usize| json!({"a": "x".repeat(bytes - r#"{"a":""}"#.len())}).as_object().unwrap().clone();
    // Three ids, a strength and a moment, the type, and what is beside it as JSON.
    let exactly = room as usize - 64 - "is".len();
    let edge = |bytes| NewRelationship { metadata: metadata(bytes), ..NewRelationship::new(ids[0], "is", ids[1]) };
    assert_eq!(code(relate(house.alice(), vec![edge(exactly + 1)])), Some(Code::QuotaExceeded));
    let added = relate(house.alice(), vec![edge(exactly)]).unwrap().remove(0).relationship;
    assert_eq!(size(house.alice()), 1000);
    assert_eq!(
        code(relate(house.alice(), vec![NewRelationship::new(ids[2], "is", ids[3])])),
        Some(Code::QuotaExceeded)
    );
    related(house.bob(), one, "is", two);
    house.alice().write(|writer| writer.unrelate(added.id)).unwrap();
    assert_eq!(size(house.alice()), 1000 - room);
    related(house.alice(), ids[2], "is", ids[3]);
}

fn a_memory_has_so_many_relationships_and_no_more(layout: &Layout) {
    let house = House::quick(layout, |_| {});
    let max = limit::RELATIONSHIPS.max;
    let (hub, other) = (house.alice().add("hub").id, house.alice().add("other").id);
    house.bob().add("stands by");
    let batch = |from: usize, to: usize| -> Vec<_> {
        (from..to)
            .map(|n| {
                let (source, target) = if n % 2 == 0 { (hub, other) } else { (other, hub) };
                NewRelationship::new(source, n.to_string(), target)
            })
            .collect()
    };
    relate(house.alice(), batch(0, max - 1)).unwrap();
    assert_eq!(code(relate(house.alice(), batch(max - 1, max + 1))), Some(Code::TooLarge));
    relate(house.alice(), batch(max - 1, max)).unwrap();
    assert_eq!(code(relate(house.alice(), batch(max, max + 1))), Some(Code::TooLarge));
    // What is there already is not one more.
    assert!(relate(house.alice(), batch(0, 1)).unwrap()[0].existing);
    house.alice().write(|writer| writer.delete(other)).unwrap();
    assert_eq!(all(house.alice()), []);
}

fn relationships_are_written_down_and_raise_the_revision(layout: &Layout) {
    let house = House::quick(layout, |_| {});
    let ids = ["one", "two", "three"].map(|name| house.alice().add(name).id);
    house.bob().add("stands by");
    let revision = || house.alice().read(|reader| reader.state()).unwrap().revision;
    let before = revision();
    let single = related(house.alice(), ids[0], "a", ids[1]).id;
    let batch = [(ids[1], ids[2]), (ids[2], ids[0])].map(|(source, target)| NewRelationship::new(source, "a", target));
    relate(house.alice(), batch.to_vec()).unwrap();
    house.alice().write(|writer| writer.unrelate(single)).unwrap();
    assert_eq!(revision(), before + 3);
    let id = single.to_string();
    let expected =
        [("add_relationships", id.as_str()), ("add_relationships", "2 relationships"), ("delete_relationship", &id)];
    let acts = crate::audit::acts(house.alice());
    assert_eq!(acts[3..], expected.map(|(act, object)| (act.to_owned(), object.to_owned())));
    assert_eq!(house.alice().read(|reader| reader.verify_audit()).unwrap(), Ok(6));
    assert_eq!(crate::audit::acts(house.bob()).len(), 1);
}

fn relationships_that_are_exported_come_back_exactly(layout: &Layout) {
    let house = House::quick(layout, |_| {});
    let ids = chain(house.alice());
    let beside = NewRelationship {
        strength: Strength::of(0.07).unwrap(),
        metadata: json!({"z": 1, "a": {"deep": [true, null]}}).as_object().unwrap().clone(),
        ..NewRelationship::new(ids[4], "beside", ids[0])
    };
    relate(house.alice(), vec![beside]).unwrap();
    house.bob().add("stays as it is");
    let export = |user: User| {
        let (mut memories, mut relationships) = (Vec::new(), Vec::new());
        user.read(|reader| {
            reader.export(&mut |memory, _| {
                memories.push(memory);
                Ok(())
            })?;
            reader.export_relationships(&mut |relationship| {
                relationships.push(relationship);
                Ok(())
            })
        })
        .unwrap();
        (memories, relationships)
    };
    let (memories, relationships) = export(house.alice());
    assert_eq!((memories.len(), relationships.len()), (5, 5));
    assert!(relationships.windows(2).all(|pair| pair[0].id < pair[1].id));
    let import = |user: User, memories: &[locule_core::memory::Memory]| {
        user.write(|writer| {
            for memory in memories {
                writer.import(&model(), memory, ready(NewMemory::text(&memory.memory)).row)?;
            }
            let mut count = 0;
            for relationship in &relationships {
                count += u64::from(writer.import_relationship(relationship)?);
            }
            writer.note_import_relationships(count)?;
            Ok(count)
        })
        .unwrap()
    };
    house.clock.advance_s(1);
    let carol = house.user("carol");
    assert_eq!((import(carol, &memories), import(carol, &memories)), (5, 0));
    assert_eq!(export(carol), (memories.clone(), relationships.clone()));
    assert_eq!((size(carol), import(house.alice(), &memories)), (size(house.alice()), 0));
    // What leads to a memory that is not there is left out: all but a → b is of c, d or e.
    let dave = house.user("dave");
    assert_eq!(import(dave, &memories[..2]), 1);
    assert_eq!(house.bob().search(&embed("anything"), 10).unwrap().len(), 1);
    assert_eq!(all(house.bob()), []);
}
