//! How often the right memory is found, on our own questions: by meaning, by words, and by both.

use std::collections::HashMap;

use locule::{Act, Config, Embedding, Engine, Hit, NewMemory, Request, SearchQuery, Target};
use serde_json::Value;

use crate::Options;
use crate::report::{Aim, Report};
use crate::server::scratch;

pub fn measure(options: &Options, report: &mut Report) {
    let memories: Value = serde_json::from_str(include_str!("../quality/memories.json")).expect("JSON");
    let questions: Value = serde_json::from_str(include_str!("../quality/questions.json")).expect("JSON");
    let memories: Vec<&str> = memories.as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    let directory = scratch(options);
    let engine = Engine::open(Config::at(directory.path().join("data"))).expect("an engine");
    let mut plain = Config::at(directory.path().join("words"));
    plain.embedding = Embedding::Supplied { dimension: 1 };
    let words = Engine::open(plain).expect("an engine");
    let user = engine.trusted_user("asker", "bench").expect("a principal");
    let request = Request::default();
    let add = |engine: &Engine, memory: NewMemory| {
        let scope = engine.gate().write(&user, Target::Own, Act::WriteMemories, &request).expect("a scope");
        engine.add(scope, vec![memory]).expect("added").remove(0).memory.id
    };
    let mut index = HashMap::new();
    for (number, text) in memories.iter().enumerate() {
        index.insert(add(&engine, NewMemory::text(*text)), number);
        index.insert(add(&words, NewMemory { embedding: Some(vec![1.0]), ..NewMemory::text(*text) }), number);
    }
    let search = |engine: &Engine, query: SearchQuery| -> Vec<Hit> {
        let scope = engine.gate().read(&user, Target::Own, Act::ReadMemories, &request).expect("a scope");
        engine.search(scope, &query).expect("hits")
    };
    let mut figures: HashMap<&str, (f64, f64, f64)> = HashMap::new();
    let asked = questions.as_array().expect("a list");
    for question in asked {
        let text = question["question"].as_str().expect("a question");
        let right = question["memory"].as_u64().expect("an index") as usize;
        let vector = engine.embedder().embed(&[text], locule::model::Purpose::Query).expect("a vector").remove(0);
        let dense = SearchQuery { text: None, embedding: Some(vector), ..SearchQuery::text("") };
        for (way, hits) in [
            ("meaning", search(&engine, dense)),
            ("words", search(&words, SearchQuery::text(text))),
            ("both", search(&engine, SearchQuery::text(text))),
        ] {
            let rank = hits.iter().position(|hit| index[&hit.memory.id] == right);
            let (first, five, reciprocal) = figures.entry(way).or_default();
            *first += f64::from(rank == Some(0));
            *five += f64::from(rank.is_some_and(|rank| rank < 5));
            *reciprocal += rank.map_or(0.0, |rank| 1.0 / (rank as f64 + 1.0));
        }
    }
    let count = asked.len() as f64;
    for way in ["meaning", "words", "both"] {
        let (first, five, reciprocal) = figures[way];
        report.figure(format!("quality, {way}: hit@1"), first / count, "");
        report.figure(format!("quality, {way}: hit@5"), five / count, "");
        report.figure(format!("quality, {way}: MRR@10"), reciprocal / count, "");
    }
    let least = (figures["meaning"].2 / count).max(figures["words"].2 / count);
    report.held(
        "quality: MRR of both − the better of the two",
        figures["both"].2 / count - least,
        "",
        Aim::AtLeast(0.0),
    );
}
