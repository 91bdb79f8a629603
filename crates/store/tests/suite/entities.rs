//! What is asked of memories by callers who count pages, name agents and tell what was before.

use locule_core::Code;
use locule_core::memory::{Change, EntityKind, ListQuery, NewMemory};
use locule_store::Find;

use crate::house::{House, Layout, code, embed, filter, model, noon};

for_each_layout! {
    entities_are_those_that_have_memories_and_only_ones_own
    pages_by_number_meet_without_gap_or_overlap
    nothing_below_the_least_cosine_is_a_hit_whatever_words_it_has
    a_memory_may_be_told_later_and_its_moment_changed
}

fn entities_are_those_that_have_memories_and_only_ones_own(layout: &Layout) {
    let house = House::new(layout);
    let of = |text: &str, agent: &str, run: Option<&str>| NewMemory {
        agent_id: Some(agent.to_owned()),
        app_id: Some("ünï app".to_owned()),
        run_id: run.map(str::to_owned),
        ..NewMemory::text(text)
    };
    house
        .alice()
        .try_add(vec![of("one", "zoe", None), of("two", "chef", Some("r")), of("three", "chef", None)])
        .unwrap();
    house.bob().try_add(vec![of("one", "bobs", Some("bobs"))]).unwrap();
    let brief = NewMemory { expiration: Some(noon()), ..of("four", "gone", Some("gone")) };
    house.alice().try_add(vec![brief]).unwrap();

    let entities = house.alice().read(|reader| reader.entities()).unwrap();
    let told: Vec<_> = entities.iter().map(|entity| (entity.kind, entity.name.as_str(), entity.memories)).collect();
    let (agent, app, run) = (EntityKind::Agent, EntityKind::App, EntityKind::Run);
    assert_eq!(told, [(agent, "chef", 2), (agent, "zoe", 1), (app, "ünï app", 3), (run, "r", 1)]);
    assert!(entities.iter().all(|entity| (entity.first_memory, entity.latest_change) == (noon(), noon())));
    assert!(house.user("nobody-yet").read(|reader| reader.entities()).unwrap().is_empty());
}

fn pages_by_number_meet_without_gap_or_overlap(layout: &Layout) {
    let house = House::new(layout);
    for user in [house.alice(), house.bob()] {
        let batch = (0..23).map(|n| NewMemory {
            agent_id: (n % 2 == 0).then(|| "even".to_owned()),
            ..NewMemory::text(user.canary(&format!("number {n}")))
        });
        user.try_add(batch.collect()).unwrap();
    }
    let word = filter(serde_json::json!({"memory": {"contains": "number"}}));
    let even = filter(serde_json::json!({"agent_id": "even"}));
    for (only, total) in [(None, 23), (Some(even), 12), (Some(word), 23)] {
        let mut seen = Vec::new();
        for offset in (0..30).step_by(5) {
            let query = ListQuery { filter: only.clone(), limit: 5, offset, ..ListQuery::default() };
            let page = house.alice().read(|reader| reader.list(&query)).unwrap();
            assert_eq!(page.total, total);
            seen.extend(page.memories.into_iter().map(|memory| memory.id));
        }
        assert_eq!(seen.len() as u64, total);
        assert!(seen.windows(2).all(|pair| pair[0] > pair[1]));
    }
}

fn nothing_below_the_least_cosine_is_a_hit_whatever_words_it_has(layout: &Layout) {
    let house = House::quick(layout, |_| {});
    for n in 0..40 {
        house.alice().add(&format!("number {n}"));
    }
    let query = embed("anything");
    let words = ["number".to_owned()];
    let model = model();
    let search = |cosine_min: Option<f32>, limit: usize| {
        let find = Find {
            model: &model,
            embedding: Some(&query),
            words: &words,
            limit,
            threshold: None,
            cosine_min,
            filter: None,
        };
        house.alice().read(|reader| reader.search(&find)).unwrap()
    };
    let all = search(None, 100);
    assert_eq!(all.len(), 40);
    let mut cosines: Vec<f32> = all.iter().map(|hit| hit.parts.cosine).collect();
    cosines.sort_by(f32::total_cmp);
    for least in [cosines[0], cosines[20], cosines[39]] {
        let expected: Vec<_> = all.iter().filter(|hit| hit.parts.cosine >= least).map(|hit| hit.memory.id).collect();
        let found: Vec<_> = search(Some(least), 100).iter().map(|hit| hit.memory.id).collect();
        assert_eq!(found, expected);
        // What is no hit takes nobody's place.
        assert_eq!(search(Some(least), 3).len(), expected.len().min(3));
    }
}

fn a_memory_may_be_told_later_and_its_moment_changed(layout: &Layout) {
    let house = House::new(layout);
    let [then, before] = ["2020-02-02T02:02:02Z", "2019-01-01T00:00:00Z"].map(|text| text.parse().unwrap());
    let told = NewMemory { created_at: Some(then), ..NewMemory::text(house.alice().canary("was in Ghent")) };
    let memory = house.alice().try_add(vec![told]).unwrap().remove(0).memory;
    assert_eq!((memory.created_at, memory.updated_at), (then, noon()));
    assert_eq!(house.alice().get(memory.id).unwrap(), memory);
    let change = Change { created_at: Some(before), ..Change::default() };
    let changed = house.alice().write(|writer| writer.update(&model(), memory.id, &change, None)).unwrap();
    assert_eq!((changed.created_at, &changed.memory), (before, &memory.memory));
    assert_eq!(house.alice().get(memory.id).unwrap(), changed);
    let stranger = house.bob().write(|writer| writer.update(&model(), memory.id, &change, None));
    assert_eq!(code(stranger), Some(Code::NotFound));
}
