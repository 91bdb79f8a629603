//! Searching by meaning and by words.

use std::collections::HashMap;

use locule_core::Code;
use locule_core::memory::{Hit, NewMemory};
use locule_store::vector::{decode, encode};
use locule_store::{Find, Model, WORDS_WEIGHT, words};
use serde_json::json;

use crate::house::{DIMENSION, Dice, House, Layout, User, code, embed, filter, model};

for_each_layout! {
    the_nearest_come_first_as_brute_force_says
    a_threshold_and_a_limit_cut_the_answer
    a_filtered_answer_is_full_all_the_same
    words_and_vectors_add_up_as_documented
    a_strangers_rows_change_nothing_to_the_byte
    vectors_of_another_model_are_refused
    vectors_are_made_anew_for_another_model
    a_query_is_never_syntax
    nothing_is_found_in_an_empty_space
    a_writer_finds_its_own_and_nobody_else_does
}

fn find<'a>(model: &'a Model, embedding: Option<&'a [f32]>, words: &'a [String]) -> Find<'a> {
    Find { model, embedding, words, limit: 10, threshold: None, cosine_min: None, filter: None }
}

/// The texts that words alone find.
pub fn by_words(user: User, query: &str) -> Vec<String> {
    let words = words::of(query);
    let hits = user.read(|reader| reader.search(&find(&model(), None, &words))).unwrap();
    hits.into_iter().map(|hit| hit.memory.memory).collect()
}

fn fill(user: User, count: usize) {
    let batch = (0..count).map(|n| NewMemory {
        agent_id: Some(format!("agent {}", n % 10)),
        ..NewMemory::text(user.canary(&format!("number {n} colour {} shape {}", n % 7, n % 5)))
    });
    user.try_add(batch.collect()).unwrap();
}

fn cosine(text: &str, query: &[f32]) -> f64 {
    let row = decode(&encode(&embed(text)).unwrap());
    let length = query.iter().map(|&part| f64::from(part).powi(2)).sum::<f64>().sqrt();
    row.iter().zip(query).map(|(&one, &other)| f64::from(one) * f64::from(other) / length).sum()
}

fn the_nearest_come_first_as_brute_force_says(layout: &Layout) {
    let house = House::quick(layout, |_| {});
    fill(house.alice(), 500);
    fill(house.bob(), 100);
    let mut dice = Dice::new(7);
    let all = house.alice().all();
    for _ in 0..20 {
        let query = dice.vector(DIMENSION);
        let mut expected: Vec<f64> = all.iter().map(|memory| cosine(&memory.memory, &query)).collect();
        expected.sort_by(|one, other| other.total_cmp(one));
        for limit in [1, 10, 499, 1000] {
            let hits = house.alice().search(&query, limit).unwrap();
            assert_eq!(hits.len(), limit.min(500));
            for (hit, expected) in hits.iter().zip(&expected) {
                assert!((f64::from(hit.parts.cosine) - expected).abs() < 1e-3);
                assert!((f64::from(hit.parts.cosine) - cosine(&hit.memory.memory, &query)).abs() < 1e-3);
                assert!((hit.score - (1.0 + hit.parts.cosine) / 2.0).abs() < 1e-6);
            }
            assert!(hits.windows(2).all(|pair| pair[0].score >= pair[1].score));
        }
    }
}

fn a_threshold_and_a_limit_cut_the_answer(layout: &Layout) {
    let house = House::quick(layout, |_| {});
    fill(house.alice(), 200);
    fill(house.bob(), 5);
    let query = embed("anything");
    let all = house.alice().search(&query, 1000).unwrap();
    let threshold = all[30].score;
    let cut = house
        .alice()
        .read(|reader| {
            reader.search(&Find { threshold: Some(threshold), limit: 1000, ..find(&model(), Some(&query), &[]) })
        })
        .unwrap();
    assert_eq!(cut.len(), all.iter().filter(|hit| hit.score >= threshold).count());
    assert!(cut.iter().all(|hit| hit.score >= threshold));
}

fn a_filtered_answer_is_full_all_the_same(layout: &Layout) {
    let house = House::quick(layout, |_| {});
    fill(house.alice(), 300);
    fill(house.bob(), 300);
    let query = embed("anything");
    let words = words::of("number colour");
    let only = filter(json!({"agent_id": "agent 3"}));
    let model = model();
    for words in [&[][..], &words] {
        for limit in [1, 10, 30, 100] {
            let find = Find { filter: Some(&only), limit, ..find(&model, Some(&query), words) };
            let hits = house.alice().read(|reader| reader.search(&find)).unwrap();
            assert_eq!(hits.len(), limit.min(30));
            assert!(hits.iter().all(|hit| hit.memory.agent_id.as_deref() == Some("agent 3")));
        }
    }
}

fn words_and_vectors_add_up_as_documented(layout: &Layout) {
    let house = House::quick(layout, |_| {});
    fill(house.alice(), 100);
    fill(house.bob(), 50);
    let query = embed("anything");
    let words = words::of("colour 3");
    let model = model();
    let limit = |find| Find { limit: 1000, ..find };
    let look = |find: Find| house.alice().read(|reader| reader.search(&find)).unwrap();
    let plain = look(limit(find(&model, Some(&query), &[])));
    let lexical = look(limit(find(&model, None, &words)));
    let fused = look(limit(find(&model, Some(&query), &words)));

    let mean = plain.iter().map(|hit| f64::from(hit.parts.cosine)).sum::<f64>() / 100.0;
    let variance = plain.iter().map(|hit| (f64::from(hit.parts.cosine) - mean).powi(2)).sum::<f64>() / 100.0;
    let weight = f64::from(WORDS_WEIGHT) * variance.sqrt();
    assert_eq!(fused.len(), 100);
    for hit in &fused {
        let of = |hits: &[Hit]| hits.iter().find(|other| other.memory.id == hit.memory.id).map(|hit| hit.parts);
        let cosine = of(&plain).unwrap().cosine;
        let words = of(&lexical).map_or(0.0, |parts| parts.words);
        assert!((cosine - hit.parts.cosine).abs() < 1e-6 && (words - hit.parts.words).abs() < 1e-6);
        let score = (1.0 + f64::from(cosine) + weight * f64::from(words)) / (2.0 + weight);
        assert!((score - f64::from(hit.score)).abs() < 1e-3, "{score} {}", hit.score);
        // What all of them have weighs nothing beside what few have, and is not looked for.
        let tells = hit.memory.memory.split(' ').any(|word| word == "3");
        assert!(hit.parts.words <= 1.0 && (hit.parts.words > 0.0) == tells, "{hit:?}");
    }
}

fn a_strangers_rows_change_nothing_to_the_byte(layout: &Layout) {
    let house = House::quick(layout, |_| {});
    fill(house.alice(), 200);
    let query = embed("anything");
    let words = words::of("number colour 3");
    let model = model();
    let answers = || {
        let find = Find { limit: 50, ..find(&model, Some(&query), &words) };
        let (alice, page) = (house.alice(), locule_core::memory::ListQuery::default());
        format!(
            "{:?} {:?} {:?} {:?}",
            alice.read(|reader| reader.search(&find)).unwrap(),
            alice.read(|reader| reader.list(&page)).unwrap(),
            alice.read(|reader| reader.statistics()).unwrap(),
            alice.read(|reader| reader.state()).unwrap(),
        )
    };
    let before = answers();
    fill(house.bob(), 1000);
    assert_eq!(answers(), before);
    house.bob().erase().unwrap();
    assert_eq!(answers(), before);
}

fn vectors_of_another_model_are_refused(layout: &Layout) {
    let house = House::quick(layout, |_| {});
    let memory = house.alice().add("of the first model");
    house.bob().add("of the first model");
    let other = Model { id: "another model".to_owned(), dimension: DIMENSION };
    let wider = Model { id: model().id, dimension: DIMENSION + 1 };
    let query = embed("anything");
    let long = Dice::new(1).vector(DIMENSION + 1);
    for (model, embedding) in [(&other, &query), (&wider, &long), (&model(), &long), (&wider, &query)] {
        let found = house.alice().read(|reader| reader.search(&find(model, Some(embedding), &[])));
        assert_eq!(code(found), Some(Code::ModelMismatch));
    }
    for model in [&other, &wider] {
        let ready = || crate::house::ready(NewMemory::text(house.alice().canary("of another")));
        assert_eq!(code(house.alice().write(|writer| writer.add(model, vec![ready()]))), Some(Code::ModelMismatch));
        let change = locule_core::memory::Change { agent_id: Some(None), ..Default::default() };
        let row = encode(&long).unwrap();
        let updated = house.alice().write(|writer| writer.update(model, memory.id, &change, Some(row)));
        assert_eq!(code(updated), Some(Code::ModelMismatch));
    }
    let row = encode(&long).unwrap();
    let change = locule_core::memory::Change { agent_id: Some(None), ..Default::default() };
    let updated = house.alice().write(|writer| writer.update(&model(), memory.id, &change, Some(row)));
    assert_eq!(code(updated), Some(Code::ModelMismatch));
    // Words alone need no model.
    let words = words::of("first");
    assert_eq!(house.alice().read(|reader| reader.search(&find(&other, None, &words))).unwrap().len(), 1);
    assert_eq!(house.alice().search(&query, 10).unwrap().len(), 1);
}

fn vectors_are_made_anew_for_another_model(layout: &Layout) {
    let mut house = House::quick(layout, |_| {});
    let before = {
        let alice = house.alice();
        for text in ["tea", "rain", "trains"] {
            alice.add(text);
        }
        alice.all()
    };
    let theirs = house.bob().add("tea").id;
    let tea = house.alice().canary("tea");
    let of = |text: &str, last: f32| [embed(text), vec![last]].concat();
    for (turn, id) in ["wider", "as wide"].into_iter().enumerate() {
        let alice = house.alice();
        let own = alice.read(|reader| reader.state()).unwrap();
        let other = Model { id: id.to_owned(), dimension: DIMENSION + 1 };
        let row = |text: &str| (text.to_owned(), encode(&of(text, 0.1)).unwrap());
        let mut rows: HashMap<_, _> = before[1..].iter().map(|memory| row(&memory.memory)).collect();
        assert_eq!(alice.write(|writer| writer.reindex(&other, &rows)).unwrap(), None);
        let state = alice.read(|reader| reader.state()).unwrap();
        assert_eq!((&state.model, state.size_bytes), (&own.model, own.size_bytes));
        rows.insert(before[0].memory.clone(), vec![0; 3]);
        assert_eq!(code(alice.write(|writer| writer.reindex(&other, &rows))), Some(Code::ModelMismatch));
        assert_eq!(alice.read(|reader| reader.state()).unwrap(), state, "a failure changes nothing");

        rows.extend([row(&before[0].memory)]);
        assert_eq!(alice.write(|writer| writer.reindex(&other, &rows)).unwrap(), Some(3));
        let now = alice.read(|reader| reader.state()).unwrap();
        assert_eq!((now.model, now.memories), (Some(other.clone()), 3));
        assert_eq!(now.size_bytes, own.size_bytes + if turn == 0 { 6 } else { 0 });
        for _ in 0..2 {
            let alice = house.alice();
            let query = of(&tea, 0.1);
            let hits = alice.read(|reader| reader.search(&find(&other, Some(&query), &[]))).unwrap();
            assert_eq!((hits.len(), &hits[0].memory.memory), (3, &tea));
            assert_eq!(code(alice.search(&embed(&tea), 3)), Some(Code::ModelMismatch));
            assert_eq!(alice.all(), before, "nothing but the vectors is another");
            assert!(alice.read(|reader| reader.verify_audit()).unwrap().is_ok());
            house.reopen();
        }
    }
    // Who is next door has theirs as they were.
    assert_eq!(house.bob().search(&embed("tea"), 3).unwrap()[0].memory.id, theirs);
}

fn a_query_is_never_syntax(layout: &Layout) {
    let house = House::quick(layout, |_| {});
    house.alice().add("plain words near here");
    house.bob().add("secret words near there");
    let hostile = [
        "\"",
        "\"\"\"",
        "words\"",
        "words AND",
        "AND OR NOT",
        "NEAR(words near)",
        "memory : words",
        "words*",
        "^words",
        "-words",
        "{memory} : words",
        "(words",
        "words)",
        "'; DROP TABLE words; --",
        "words + near",
        "%",
        "_",
        "words\\",
        "🦀",
        "é\u{301}",
        "words NOT plain",
        "\u{feff}words",
        "rank",
        "ﬁ",
        "＂words＂",
    ];
    for query in hostile {
        let by_words = by_words(house.alice(), query);
        assert!(by_words.iter().all(|text| text.ends_with("canary-of-alice")), "{query}");
        // Even if a whole text were taken for one word.
        let raw = [query.to_owned(), format!("{query}\" OR \"secret")];
        house.alice().read(|reader| reader.search(&find(&model(), None, &raw))).unwrap();
    }
    assert_eq!(by_words(house.alice(), "words NOT plain").len(), 1);
    assert_eq!(by_words(house.alice(), "memory : secret").len(), 0);
}

fn nothing_is_found_in_an_empty_space(layout: &Layout) {
    let house = House::quick(layout, |_| {});
    house.bob().add("is somewhere else");
    let query = embed("anything");
    let words = words::of("is somewhere else");
    let nothing = || {
        house.alice().read(|reader| reader.search(&find(&model(), Some(&query), &words))).unwrap().is_empty()
            && house.alice().read(|reader| reader.search(&find(&model(), None, &words))).unwrap().is_empty()
    };
    assert!(nothing());
    let memory = house.alice().add("here for a moment");
    house.alice().write(|writer| writer.delete(memory.id)).unwrap();
    assert!(nothing());
    house.alice().add("here again");
    assert_eq!(house.alice().search(&query, 10).unwrap().len(), 1);
}

fn a_writer_finds_its_own_and_nobody_else_does(layout: &Layout) {
    let house = House::quick(layout, |_| {});
    fill(house.alice(), 3);
    fill(house.bob(), 3);
    let query = embed("anything");
    let found =
        |reader: &locule_store::Reader| reader.search(&find(&model(), Some(&query), &[])).map(|hits| hits.len());
    let given_up: Result<(), _> = house.alice().write(|writer| {
        writer.add(&model(), vec![crate::house::ready(NewMemory::text(house.alice().canary("not yet committed")))])?;
        assert_eq!(found(writer)?, 4);
        assert_eq!(writer.count(None)?, 4);
        Err(locule_core::Error::invalid("changed my mind"))
    });
    assert!(given_up.is_err());
    assert_eq!(house.alice().read(found).unwrap(), 3);
    assert_eq!(house.bob().read(found).unwrap(), 3);
}
